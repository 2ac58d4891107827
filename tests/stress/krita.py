"""Krita 5.1: what it reads of files of layers, and what it makes of one. It takes a screen, which nobody sees."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.layer import PASS_THROUGH
from tests.stress.programs import Node, Seen, run, screen, within

MODES: Mapping[str, BlendMode] = {
    **{mode: mode for mode in BLEND_MODES},
    "dodge": "color-dodge",
    "burn": "color-burn",
    "hard_light": "hard-light",
    "soft_light_svg": "soft-light",
    "soft_light": "soft-light",
    "diff": "difference",
    "luminize": "luminosity",
}
KRA = "{http://www.calligra.org/DTD/krita}"


def krita_converts(source: Path, target: Path) -> None:
    run(["krita", source, "--export", "--export-filename", target], source.parent, DISPLAY=screen())
    assert target.exists(), target


def krita_reads(file: Path) -> Seen:
    """Return what it has read, from its own file: a ZIP with a description and the picture that it shows."""
    own = file.with_suffix(file.suffix + ".kra")
    krita_converts(file, own)
    with zipfile.ZipFile(own) as archive:
        root = ElementTree.fromstring(archive.read("maindoc.xml"))
        with archive.open("mergedimage.png") as picture:
            shown = Image.open(picture).convert("RGBA")
    top = root.find(f".//{KRA}layers")
    assert top is not None
    return Seen(nodes=[*_krita_nodes(top, "")], shown=shown)


def _krita_nodes(parent: ElementTree.Element, around: str) -> Iterator[Node]:
    for child in reversed(parent):
        about = child.attrib
        name, is_group = about["name"], about["nodetype"] == "grouplayer"
        inner = child.find(f"{KRA}layers")
        if is_group and inner is not None:
            yield from _krita_nodes(inner, within(around, name))
        mode = about["compositeop"]
        blend = PASS_THROUGH if about.get("passthrough") == "1" else MODES.get(mode, mode)
        yield Node(name, around, int(about["opacity"]), about["visible"] == "1", blend, is_group)

"""The other programs that read and write files of layers: what must be there, and what each says of a file.

Debian: `apt-get install gimp krita libreoffice-impress poppler-utils xvfb nodejs chromium`; npm:
`npm install --no-save ag-psd`. GIMP of Debian 12 comes without its OpenRaster plug-in, which takes Python 2.
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psd_tools
from PIL import Image
from psd_tools.constants import BlendMode as PsdMode

from llm_dit.color import BlendMode
from llm_dit.layer import NO_GROUPS, PASS_THROUGH, SEPARATOR, Group, Groups, Layer, group_steps, plain
from tests.browser.conftest import chromium_path
from tests.kit.forks import ROOT

NEEDED = {
    "gimp": "apt-get install gimp",
    "krita": "apt-get install krita",
    "Xvfb": "apt-get install xvfb",
    "soffice": "apt-get install libreoffice-impress",
    "pdftoppm": "apt-get install poppler-utils",
    "node": "apt-get install nodejs",
}
TIMEOUT_S = 600
AG_PSD = Path(__file__).with_name("ag_psd.cjs")

Mode = Literal["pass-through"] | BlendMode


@dataclass(frozen=True)
class Node:
    """What a program says of a layer or a group: `steps` of 255 of opacity; the groups around it, as a label."""

    name: str
    around: str
    steps: int
    visible: bool
    blend: str
    is_group: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A file as a program sees it: its layers and groups, bottom first, a group after what is in it."""

    nodes: list[Node]
    shown: Image.Image | None = None
    """The picture that it shows."""
    layers: list[Layer] = field(default_factory=list[Layer])
    """The pixels of each layer at its place, where the program tells them."""


def nodes_of(layers: Sequence[Layer], groups: Groups = NO_GROUPS) -> list[Node]:
    """Return a stack as other programs are to see it."""
    nodes: list[Node] = []
    inside: list[tuple[str, Group]] = []
    for closed, begun, layer in group_steps(layers, groups):
        nodes += [_group_node(inside) for _ in range(closed)]
        inside += begun
        nodes.append(Node(layer.name, layer.group, round(layer.opacity * 255), layer.visible, layer.blend))
    while inside:
        nodes.append(_group_node(inside))
    return nodes


def _group_node(inside: list[tuple[str, Group]]) -> Node:
    name, group = inside.pop()
    around = SEPARATOR.join(name for name, _ in inside)
    blend = PASS_THROUGH if group.passes_through else group.mode
    return Node(name, around, round(group.opacity * 255), group.visible, blend, is_group=True)


def missing() -> list[str]:
    """Return how to install each program that is not here."""
    lacking = [f"{name}: {how}" for name, how in NEEDED.items() if shutil.which(name) is None]
    if chromium_path() is None:
        lacking.append("chromium: apt-get install chromium")
    if shutil.which("node") and subprocess.run(["node", AG_PSD, "there"], cwd=ROOT, check=False).returncode:
        lacking.append("ag-psd: npm install --no-save ag-psd")
    return lacking


def run(command: Sequence[str | Path], folder: Path, **more: str) -> str:
    """Run a program with a home of its own, and return what it prints."""
    home = folder / "home"
    home.mkdir(exist_ok=True, mode=0o700)
    environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), **more}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@functools.cache
def screen() -> str:
    """Return the name of a screen that nobody sees, there until this process ends: some programs need one."""
    ours, theirs = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(theirs), "-nolisten", "tcp", "-noreset"], pass_fds=[theirs])
    atexit.register(server.terminate)
    os.close(theirs)
    with os.fdopen(ours) as said:
        return ":" + said.readline().strip()


# psd-tools


def psd_tools_reads(file: Path) -> Seen:
    document = psd_tools.PSDImage.open(file)
    found: list[Layer] = []
    nodes = [*_psd_tools_nodes(document, "", found)]
    return Seen(nodes=nodes, shown=document.composite(force=True), layers=found)  # pyright: ignore[reportArgumentType]


def _psd_tools_nodes(parent: Any, around: str, found: list[Layer]) -> Iterator[Node]:
    for child in parent:
        if child.is_group():
            yield from _psd_tools_nodes(child, within(around, child.name), found)
        else:
            found.append(Layer(image=child.topil().convert("RGBA"), x=child.left, y=child.top))
        blend = child.blend_mode.name.lower().replace("_", "-")
        yield Node(child.name, around, child.opacity, child.visible, blend, child.is_group())


def within(around: str, name: str) -> str:
    return around + SEPARATOR + name if around else name


# ag-psd


def ag_psd_reads(file: Path) -> Seen:
    folder = file.with_suffix(".ag-psd")
    folder.mkdir()
    run(["node", AG_PSD, "read", file, folder], file.parent)
    found: list[Layer] = []
    nodes: list[Node] = []

    def walk(children: list[dict[str, Any]], around: str) -> None:
        for child in children:
            is_group = "children" in child
            if is_group:
                walk(child["children"], within(around, child["name"]))
            else:
                pixels = Image.frombytes(
                    "RGBA", (child["width"], child["height"]), (folder / child["pixels"]).read_bytes()
                )
                found.append(Layer(image=pixels, x=child["left"], y=child["top"]))
            blend = child["blendMode"].replace(" ", "-")
            nodes.append(
                Node(child["name"], around, round(child["opacity"] * 255), not child["hidden"], blend, is_group)
            )

    walk(json.loads((folder / "tree.json").read_text())["children"], "")
    return Seen(nodes=nodes, layers=found)


# Files that they write.


def psd_tools_writes(layers: Sequence[Layer], groups: Groups, size: tuple[int, int], file: Path) -> None:
    document = psd_tools.PSDImage.new("RGBA", size)
    inside: list[Any] = [document]
    for closed, begun, layer in group_steps(layers, groups):
        del inside[len(inside) - closed :]
        for name, group in begun:
            mode = PASS_THROUGH if group.passes_through else group.mode
            folder = inside[-1].create_group(name=name, opacity=round(group.opacity * 255), blend_mode=_psd_mode(mode))
            folder.visible = group.visible
            inside.append(folder)
        pixels = plain(layer, *size)
        one = inside[-1].create_pixel_layer(
            pixels.image,
            name=layer.name,
            top=pixels.y,
            left=pixels.x,
            opacity=round(layer.opacity * 255),
            blend_mode=_psd_mode(layer.blend),
        )
        one.visible = layer.visible
    document.save(file, encoding="utf-8")


def _psd_mode(mode: Mode) -> PsdMode:
    return PsdMode[mode.upper().replace("-", "_")]


def ag_psd_writes(layers: Sequence[Layer], groups: Groups, size: tuple[int, int], file: Path) -> None:
    folder = file.with_suffix(".ag-psd")
    folder.mkdir()
    inside: list[list[dict[str, Any]]] = [[]]
    for number, (closed, begun, layer) in enumerate(group_steps(layers, groups)):
        del inside[len(inside) - closed :]
        for name, group in begun:
            mode = PASS_THROUGH if group.passes_through else group.mode
            children: list[dict[str, Any]] = []
            inside[-1].append({**_ag_psd_node(name, group, mode), "children": children})
            inside.append(children)
        pixels = plain(layer, *size)
        (folder / f"{number}.rgba").write_bytes(pixels.image.tobytes())
        place = {"left": pixels.x, "top": pixels.y, "width": pixels.width, "height": pixels.height}
        node = _ag_psd_node(layer.name, layer, layer.blend)
        inside[-1].append({**node, **place, "pixels": f"{number}.rgba"})
    tree = {"width": size[0], "height": size[1], "children": inside[0]}
    (folder / "tree.json").write_text(json.dumps(tree))
    run(["node", AG_PSD, "write", file, folder], file.parent)


def _ag_psd_node(name: str, one: Layer | Group, mode: Mode) -> dict[str, Any]:
    blend = mode.replace("-", " ")
    return {"name": name, "opacity": one.opacity, "hidden": not one.visible, "blendMode": blend}

"""Reads the layers of SVG drawings, as Inkscape, Illustrator, Figma and `exports/formats.py` write them.

https://www.w3.org/TR/SVG2/. Inkscape's layers become layers and groups. In other drawings each group directly below the
root is a layer, a group of only groups is a group of layers, and adjacent shapes together are a layer. Resvg draws each
layer at the size of the drawing. Only links to the file's own elements and embedded pictures are followed.
"""

import base64
import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import resvg_py
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
from PIL import Image

from llm_dit.color import BLEND_MODES
from llm_dit.errors import LayerFileError
from llm_dit.images import fitted
from llm_dit.imports.layer_file import FileLimits, Folder, LayerFile, Nesting, check_sizes, decoded, grouped, warn
from llm_dit.layer import PASS_THROUGH, Group, GroupBlend, Layer
from llm_dit.names import shortened

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
INKSCAPE = "{http://www.inkscape.org/namespaces/inkscape}"
MAX_DRAWING_BYTES = 64 << 20
DRAWN = {
    "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "image", "use", "svg", "a",
    "switch",
}  # fmt: skip
"""Elements that are drawn in place."""
CARRIED = re.compile(r"data:image/(?:png|jpeg|jpg|webp|gif);base64,", re.IGNORECASE)
REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")\s]+)")
LENGTH = re.compile(r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([a-z%]*)\s*", re.IGNORECASE)
UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
"""Pixels per unit, at 96 per inch as in CSS."""
USUAL_SIZE = (300.0, 150.0)
"""The default size of a drawing, as in browsers."""
DAMAGED = "This SVG file is damaged: save it again."
OUTSIDE = "Pictures outside the file are left out."
SCALED = "The drawing is {0}×{1} pixels large, beyond the limits, and was drawn at {2}×{3}."


@dataclass(frozen=True, eq=False)
class _Entry:
    """The content of one layer: adjacent elements, their ancestors `around`, and the groups of those."""

    elements: list[Any]
    around: tuple[Any, ...]
    path: Nesting
    name: str = ""
    group: Group = field(default_factory=Group)


def read_svg(file: IO[bytes], limits: FileLimits) -> LayerFile:
    """Return the layers of a drawing, bottom first; raises `LayerFileError`."""
    file.seek(0)
    content = file.read(MAX_DRAWING_BYTES + 1)
    if len(content) > MAX_DRAWING_BYTES:
        raise LayerFileError(f"This SVG file is larger than {MAX_DRAWING_BYTES >> 20} MB: remove pictures from it.")
    root = _parse(content)
    warnings: list[str] = []
    _keep_inside(root, warnings)
    wanted = _size(root)
    width, height = fitted(wanted, limits.image)
    if (width, height) != wanted:
        warn(warnings, SCALED.format(*wanted, width, height))
    if "viewBox" not in root.attrib:
        root.set("viewBox", f"0 0 {wanted[0]} {wanted[1]}")
    root.set("width", str(width))
    root.set("height", str(height))
    named = any(element.get(INKSCAPE + "groupmode") == "layer" for element in root.iter(SVG + "g"))
    entries = list(_entries(root, (root,), (), named=named))
    check_sizes([(1, 1)] * len(entries), (width, height), limits)
    labels, groups = grouped(entry.path for entry in entries)
    places = {element.get("id"): element for element in root.iter() if element.get("id")}

    plainly = _is_plain(root, width, height)

    def layers() -> Iterator[Layer]:
        for entry, label in zip(entries, labels, strict=True):
            placed = _picture(entry, limits) if plainly else None
            if placed is None:
                drawn = decoded(_draw(entry, places, width, height), limits.image)
                box = drawn.getbbox() or (0, 0, 1, 1)
                placed = drawn.crop(box), box[0], box[1]
            image, x, y = placed
            yield Layer(
                image=image,
                name=shortened(entry.name),
                x=x,
                y=y,
                opacity=entry.group.opacity,
                visible=entry.group.visible,
                blend=entry.group.mode,
                group=label,
            )

    return LayerFile(kind="svg", width=width, height=height, layers=layers(), groups=groups, warnings=warnings)


def _parse(content: bytes) -> Any:
    # Embedded pictures are attributes of megabytes.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_pis=True, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise LayerFileError(DAMAGED) from None
    if root.tag != SVG + "svg":
        raise LayerFileError(DAMAGED)
    return root


def _keep_inside(root: Any, warnings: list[str]) -> None:
    """Remove external references and scripts."""
    for element in list(root.iter()):
        if not isinstance(element.tag, str) or element.tag in {SVG + "script", SVG + "foreignObject"}:
            element.getparent().remove(element)
            continue
        for name in ("href", XLINK + "href"):
            target = element.get(name, "").strip()
            if target and not target.startswith("#") and not CARRIED.match(target):
                del element.attrib[name]
                if element.tag in {SVG + "image", SVG + "feImage"}:
                    warn(warnings, OUTSIDE)
        if element.tag == SVG + "style" and element.text:
            element.text = re.sub(r"@import[^;]*;?", "", element.text)


def _size(root: Any) -> tuple[int, int]:
    width, height = _length(root.get("width")), _length(root.get("height"))
    if width is None or height is None:
        box = [_length(part) for part in root.get("viewBox", "").replace(",", " ").split()[2:]]
        known = (box[0], box[1]) if len(box) == 2 and box[0] and box[1] else USUAL_SIZE
        scale = width / known[0] if width else height / known[1] if height else 1.0
        width, height = known[0] * scale, known[1] * scale
    return max(1, round(width)), max(1, round(height))


def _length(text: str | None) -> float | None:
    """Return pixels; None for a missing length, a percentage of the window, or an invalid one."""
    match = LENGTH.fullmatch(text or "")
    if match is None or match[2].lower() not in UNITS:
        return None
    value = float(match[1]) * UNITS[match[2].lower()]
    return value if 0 < value < 1e6 else None


# Which elements become a layer.


def _entries(parent: Any, around: tuple[Any, ...], path: Nesting, *, named: bool) -> Iterator[_Entry]:
    """Yield the layers of an element, the bottom one first."""
    loose: list[Any] = []
    for element in parent:
        if _local(element) not in DRAWN:
            continue
        inner = [child for child in element if _local(child) in DRAWN]
        is_layer = element.tag == SVG + "g" and (not named or element.get(INKSCAPE + "groupmode") == "layer")
        if not is_layer:
            loose.append(element)
            continue
        yield from _loose(loose, around, path)
        loose = []
        folds = (
            any(child.get(INKSCAPE + "groupmode") == "layer" for child in inner) if named else _is_only_groups(inner)
        )
        if folds:
            folder = Folder(name=_name(element), group=_shown(element))
            yield from _entries(element, (*around, element), (*path, folder), named=named)
        else:
            yield _Entry([element], around, path, _name(element), _shown(element))
    yield from _loose(loose, around, path)


def _is_only_groups(children: Sequence[Any]) -> bool:
    return len(children) > 1 and all(child.tag == SVG + "g" for child in children)


def _loose(elements: list[Any], around: tuple[Any, ...], path: Nesting) -> Iterator[_Entry]:
    if len(elements) == 1:
        yield _Entry(elements, around, path, _name(elements[0]), _shown(elements[0]))
    elif elements:
        yield _Entry(elements, around, path, "Shapes")


def _local(element: Any) -> str:
    return element.tag.removeprefix(SVG) if isinstance(element.tag, str) else ""


def _name(element: Any) -> str:
    title = element.find(SVG + "title")
    said = title.text if title is not None else None
    return element.get(INKSCAPE + "label") or said or element.get("id") or _local(element)


def _shown(element: Any) -> Group:
    """Return an element's opacity, visibility and blend mode, which apply to its whole content."""
    style = _style(element)
    try:
        opacity = min(1.0, max(0.0, float(style.get("opacity") or element.get("opacity") or "1")))
    except ValueError:
        opacity = 1.0
    mode = style.get("mix-blend-mode", "normal").strip()
    blend: GroupBlend = PASS_THROUGH
    if mode != "normal" and mode in BLEND_MODES:
        blend = mode
    elif style.get("isolation", "").strip() == "isolate":
        blend = "normal"
    hidden = (style.get("display") or element.get("display") or "").strip() == "none"
    return Group(opacity=opacity, visible=not hidden, blend=blend)


def _style(element: Any) -> dict[str, str]:
    pairs = (part.partition(":") for part in element.get("style", "").split(";"))
    return {name.strip().lower(): value for name, _, value in pairs if value}


# A layer that is one picture at its own size is not drawn, because drawing rounds the colors of nearly clear pixels.


def _is_plain(root: Any, width: int, height: int) -> bool:
    """Whether a pixel of the drawing is a pixel of the canvas."""
    numbers = root.get("viewBox", "").replace(",", " ").split()
    return numbers == ["0", "0", str(width), str(height)] and next(root.iter(SVG + "style"), None) is None


def _picture(entry: _Entry, limits: FileLimits) -> tuple[Image.Image, int, int] | None:
    """Return a layer's only picture and its position; None for a layer that must be drawn."""
    shown = [each for element in entry.elements for each in element.iter() if _local(each) in DRAWN]
    images = [each for each in shown if _local(each) == "image"]
    # The layer and its groups have the `OF_THE_WHOLE` attributes of these.
    told = [*entry.around[1:], *entry.elements] if len(entry.elements) == 1 else []
    if len(images) != 1 or any(_local(each) not in {"g", "image"} for each in shown):
        return None
    if not all(_is_bare(each, told=each in told) for each in [*entry.around[1:], *shown]):
        return None
    said = images[0].get("href") or images[0].get(XLINK + "href") or ""
    try:
        place = [int(images[0].get(name, "0")) for name in ("x", "y", "width", "height")]
        content = base64.b64decode(said[said.index(",") + 1 :])
    except ValueError:
        return None
    picture = decoded(content, limits.image)
    return (picture, place[0], place[1]) if [*picture.size] == place[2:] else None


PLAIN_ATTRIBUTES = {"id", "style", "x", "y", "width", "height", "href", XLINK + "href"}


def _is_bare(element: Any, *, told: bool) -> bool:
    """Whether an element has no attributes that change its pixels; `told` ignores those of `OF_THE_WHOLE`."""
    whole = set(OF_THE_WHOLE) if told else set[str]()
    own = {name for name in element.attrib if not name.startswith(INKSCAPE)}
    return own <= PLAIN_ATTRIBUTES | whole and _style(element).keys() <= whole


# Drawing.

OF_THE_WHOLE = ("opacity", "mix-blend-mode", "isolation", "display")


def _draw(entry: _Entry, places: dict[str, Any], width: int, height: int) -> bytes:
    """Return a PNG of the layer alone, fully opaque."""
    root, *inner = entry.around
    drawing = etree.Element(root.tag, root.attrib, root.nsmap)
    definitions = etree.SubElement(drawing, SVG + "defs")
    for element in root:
        if _local(element) not in DRAWN:
            drawing.append(copy.deepcopy(element))
    parent = drawing
    for element in inner:
        parent = etree.SubElement(parent, element.tag, element.attrib, element.nsmap)
        _plain(parent)
    for element in entry.elements:
        parent.append(copy.deepcopy(element))
        if len(entry.elements) == 1:
            _plain(parent[-1])
    _define(drawing, definitions, places)
    has_text = next(drawing.iter(SVG + "text"), None) is not None
    try:
        return resvg_py.svg_to_bytes(
            svg_string=etree.tostring(drawing, encoding="unicode"),
            width=width,
            height=height,
            skip_system_fonts=not has_text,
        )
    except (ValueError, RuntimeError):
        raise LayerFileError(DAMAGED) from None


def _plain(element: Any) -> None:
    """Remove from an element the appearance that its layer or group has."""
    style = {name: value for name, value in _style(element).items() if name not in OF_THE_WHOLE}
    element.attrib.pop("style", None)
    if style:
        element.set("style", ";".join(f"{name}:{value}" for name, value in style.items()))
    for name in ("opacity", "display"):
        element.attrib.pop(name, None)


def _define(drawing: Any, definitions: Any, places: dict[str, Any]) -> None:
    """Add definitions that the drawing references and lacks, such as a reused shape of another layer."""
    there = {element.get("id") for element in drawing.iter() if element.get("id")}
    waiting = [drawing]
    while waiting:
        for name in _referred(waiting.pop()) - there:
            if name in places:
                there.add(name)
                definitions.append(copy.deepcopy(places[name]))
                waiting.append(definitions[-1])


def _referred(element: Any) -> set[str]:
    found: set[str] = set()
    for each in element.iter():
        for name, value in each.attrib.items():
            if name in {"href", XLINK + "href"} and value.startswith("#"):
                found.add(value[1:])
            elif "url(" in value and len(value) < 10_000:
                found.update(REFERENCE.findall(value))
    return found

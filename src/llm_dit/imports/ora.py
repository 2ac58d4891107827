"""Reading OpenRaster files, as Krita, GIMP, MyPaint and `exports/archives.py` write them.

https://www.openraster.org/baseline/layer-stack-spec.html. Nested stacks become nested groups; what a stack does to all
that is in it (opacity, hidden) goes to its layers.
"""

import math
from collections.abc import Iterator
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.errors import LayerFileError
from llm_dit.imports.archive import Archive
from llm_dit.imports.layer_file import (
    FileLimits,
    Folder,
    LayerFile,
    Path,
    check_sizes,
    decoded,
    labels,
    picture_size,
    warn,
)
from llm_dit.layer import Layer
from llm_dit.names import shortened

STACK_NAME = "stack.xml"
MAX_STACK_BYTES = 1_000_000
MAX_OFFSET = 32_768
OPERATORS: dict[str, BlendMode] = {"svg:src-over": "normal", **{f"svg:{mode}": mode for mode in BLEND_MODES}}
NOT_ONE = "This OpenRaster file is damaged: save it again."
BLENDED = "“{name}” has a blend mode that is not known here, and is shown as normal."
GROUP_BLENDED = "The group “{name}” blends as a whole; its layers are kept and blend one by one."
NO_PICTURE = "“{name}” is not stored as pixels, and is left out."


def read_ora(archive: Archive, limits: FileLimits) -> LayerFile:
    """Return the stack of an OpenRaster file; raises `LayerFileError`."""
    image = _stack(archive.read(STACK_NAME, MAX_STACK_BYTES))
    root = image.find("stack")
    if image.tag != "image" or root is None:
        raise LayerFileError(NOT_ONE)
    warnings: list[str] = []
    entries = [entry for entry in _entries(root, (), warnings) if _has_pixels(entry[0], archive, warnings)]
    entries.reverse()
    sizes = [
        picture_size(archive.read(layer.get("src"), limits.image_bytes), limits.image)
        for layer, _ in entries[: limits.layers + 1]
    ]
    width, height = _number(image, "w", 0), _number(image, "h", 0)
    check_sizes(sizes, (width, height), limits)

    def layers() -> Iterator[Layer]:
        for (layer, path), label in zip(entries, labels(path for _, path in entries), strict=True):
            yield Layer(
                image=decoded(archive.read(layer.get("src"), limits.image_bytes), limits.image),
                name=shortened(layer.get("name", "")),
                opacity=math.prod([_opacity(layer), *(folder.opacity for folder in path)]),
                visible=_is_visible(layer) and all(folder.visible for folder in path),
                x=_number(layer, "x", 0),
                y=_number(layer, "y", 0),
                blend=_blend(layer, warnings),
                group=label,
            )

    return LayerFile(kind="ora", width=width, height=height, layers=layers(), warnings=warnings)


def _stack(content: bytes) -> Any:
    """Return the root of stack.xml; nothing that it refers to is loaded or put in."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise LayerFileError(NOT_ONE) from None


def _entries(stack: Any, path: Path, warnings: list[str]) -> Iterator[tuple[Any, Path]]:
    """Yield the layers of a stack with the groups that they are in, the top one first."""
    for node in stack:
        if node.tag == "layer":
            yield node, path
        elif node.tag == "stack":
            name = node.get("name", "")
            if node.get("composite-op", "svg:src-over") != "svg:src-over":
                warn(warnings, GROUP_BLENDED.format(name=shortened(name)))
            folder = Folder(name=name, opacity=_opacity(node), visible=_is_visible(node))
            yield from _entries(node, (*path, folder), warnings)


def _has_pixels(layer: Any, archive: Archive, warnings: list[str]) -> bool:
    if str(layer.get("src", "")).lower().endswith(".png") and layer.get("src") in archive:
        return True
    warn(warnings, NO_PICTURE.format(name=shortened(layer.get("name", ""))))
    return False


def _blend(layer: Any, warnings: list[str]) -> BlendMode:
    operator = layer.get("composite-op", "svg:src-over")
    if operator not in OPERATORS:
        warn(warnings, BLENDED.format(name=shortened(layer.get("name", ""))))
    return OPERATORS.get(operator, "normal")


def _opacity(node: Any) -> float:
    try:
        opacity = float(node.get("opacity", "1"))
    except ValueError:
        return 1.0
    return min(max(opacity, 0.0), 1.0) if math.isfinite(opacity) else 1.0


def _is_visible(node: Any) -> bool:
    return bool(node.get("visibility", "visible") != "hidden")


def _number(node: Any, name: str, default: int) -> int:
    """Return an attribute in whole pixels; some programs write a fraction."""
    try:
        value = float(node.get(name, default))
    except ValueError:
        return default
    return max(-MAX_OFFSET, min(MAX_OFFSET, round(value))) if math.isfinite(value) else default

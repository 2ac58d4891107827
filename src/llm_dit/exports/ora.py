"""A stack of layers as an OpenRaster file, which Krita, GIMP and MyPaint open.

A ZIP archive by https://www.freedesktop.org/specifications/openraster/: `mimetype` first, `stack.xml`, a PNG a layer,
the merged picture and a thumbnail. Names, groups, order, offsets, opacity, visibility and blend modes stay; scale and
mirroring are baked into pixels.
"""

import io
import zipfile
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from llm_dit.blending import BlendMode
from llm_dit.exports.plain import group_runs, plain_layers
from llm_dit.exports.text import holdable
from llm_dit.layer import Layer
from llm_dit.layers import composite
from llm_dit.png import encode_png

MEDIA_TYPE = "image/openraster"
THUMBNAIL_SIDE = 256


def export_ora(layers: Sequence[Layer], *, width: int, height: int) -> bytes:
    """Return the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    image = Element("image", version="0.0.5", w=str(width), h=str(height))
    merged = composite(layers, width, height)
    thumbnail = merged.copy()
    thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG does not compress again
        archive.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        _write_layers(archive, SubElement(image, "stack"), layers, width, height)
        archive.writestr(zipfile.ZipInfo("stack.xml"), tostring(image, encoding="UTF-8", xml_declaration=True))
        archive.writestr(zipfile.ZipInfo("mergedimage.png"), encode_png(merged))
        archive.writestr(zipfile.ZipInfo("Thumbnails/thumbnail.png"), encode_png(thumbnail))
    return buffer.getvalue()


def _write_layers(archive: zipfile.ZipFile, root: Element, layers: Sequence[Layer], width: int, height: int) -> None:
    """Write a PNG for each layer, and describe it in `root`, the top one first."""
    number = len(layers)
    for group, members in group_runs(reversed(layers)):
        # "auto": a group of the normal mode is only a label, its layers blend with what lies below it.
        parent = SubElement(root, "stack", name=holdable(group), isolation="auto") if group else root
        for layer in plain_layers(members, width, height):
            file = f"data/layer{number:03d}.png"
            archive.writestr(zipfile.ZipInfo(file), encode_png(layer.image))
            parent.append(_describe(layer, file))
            number -= 1


def _describe(layer: Layer, file: str) -> Element:
    return Element(
        "layer",
        {
            "name": holdable(layer.name),
            "src": file,
            "x": str(layer.x),
            "y": str(layer.y),
            "opacity": f"{layer.opacity:.6g}",
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": _operator(layer.blend),
        },
    )


def _operator(blend: BlendMode) -> str:
    return "svg:src-over" if blend == "normal" else f"svg:{blend}"

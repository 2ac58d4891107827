"""A stack of layers as an OpenRaster file, which Krita, GIMP and MyPaint open.

A ZIP archive by https://www.freedesktop.org/specifications/openraster/: `mimetype` first, a PNG a layer, `stack.xml`,
the merged picture and a thumbnail. Names, nested groups, order, offsets, opacity, visibility and blend modes stay;
scale and mirroring are baked into pixels.
"""

import zipfile
from collections.abc import Iterable
from typing import IO
from xml.etree.ElementTree import Element, tostring

from llm_dit.blending import BlendMode
from llm_dit.exports.flat import holdable, plain
from llm_dit.images import write_png
from llm_dit.layer import Layer, group_steps
from llm_dit.layers import Painting

MEDIA_TYPE = "image/openraster"
THUMBNAIL_SIDE = 256


def export_ora(layers: Iterable[Layer], target: IO[bytes], *, width: int, height: int) -> None:
    """Write the archive. Its members carry a fixed date, so that equal layers give equal bytes."""
    image = Element("image", version="0.0.5", w=str(width), h=str(height))
    # PNG does not compress again.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive, Painting(width, height) as painting:
        archive.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        stack = _write_layers(archive, layers, painting)
        image.append(stack)
        archive.writestr(zipfile.ZipInfo("stack.xml"), tostring(image, encoding="UTF-8", xml_declaration=True))
        merged = painting.picture()
        with archive.open(zipfile.ZipInfo("mergedimage.png"), "w") as file:
            write_png(merged, file)
        merged.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        with archive.open(zipfile.ZipInfo("Thumbnails/thumbnail.png"), "w") as file:
            write_png(merged, file)


def _write_layers(archive: zipfile.ZipFile, layers: Iterable[Layer], painting: Painting) -> Element:
    """Write a PNG for each layer, paint it, and return their description, the top one first."""
    inside = [Element("stack")]
    for number, (closed, opened, layer) in enumerate(group_steps(layers), start=1):
        del inside[len(inside) - closed :]
        for name in opened:
            # "auto": a group of the normal mode is only a label, its layers blend with what lies below it.
            group = Element("stack", name=holdable(name), isolation="auto")
            inside[-1].insert(0, group)
            inside.append(group)
        painting.add(layer)
        pixels = plain(layer, painting.width, painting.height)
        file = f"data/layer{number:03d}.png"
        with archive.open(zipfile.ZipInfo(file), "w") as member:
            write_png(pixels.image, member)
        inside[-1].insert(0, _describe(pixels, file))
    return inside[0]


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

"""The formats that a stack can be exported to, by name; the flat ones (PNG, JPEG and WebP) are written here."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Literal, get_args

import numpy as np
from PIL import Image

from llm_dit.color import Rgba
from llm_dit.errors import InputError
from llm_dit.exports.archives import MEDIA_TYPE as OPEN_RASTER
from llm_dit.exports.archives import export_ora, export_zip
from llm_dit.images import write_png
from llm_dit.layer import Layer
from llm_dit.layers import Painting, over_white

ExportName = Literal["zip", "psd", "ora", "pptx", "png", "webp", "jpeg"]
EXPORT_NAMES: tuple[ExportName, ...] = get_args(ExportName)
"""In the order in which the page offers them."""


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """How files of a format are called and labelled; `layered` ones keep the layers."""

    media_type: str
    suffix: str
    layered: bool


EXPORT_FORMATS: Mapping[ExportName, ExportFormat] = {
    "zip": ExportFormat(media_type="application/zip", suffix=".zip", layered=True),
    "psd": ExportFormat(media_type="image/vnd.adobe.photoshop", suffix=".psd", layered=True),
    "ora": ExportFormat(media_type=OPEN_RASTER, suffix=".ora", layered=True),
    "pptx": ExportFormat(
        media_type="application/vnd.openxmlformats-officedocument.presentationml.presentation",
        suffix=".pptx",
        layered=True,
    ),
    "png": ExportFormat(media_type="image/png", suffix=".png", layered=False),
    "webp": ExportFormat(media_type="image/webp", suffix=".webp", layered=False),
    "jpeg": ExportFormat(media_type="image/jpeg", suffix=".jpg", layered=False),
}


def export(
    layers: Iterable[Layer],
    name: ExportName,
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    title: str = "",
) -> bytes:
    """Return the file that `write_export` writes."""
    file = io.BytesIO()
    write_export(layers, name, file, width=width, height=height, background=background, title=title)
    return file.getvalue()


def write_export(
    layers: Iterable[Layer],
    name: ExportName,
    target: IO[bytes],
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
    title: str = "",
) -> None:
    """Write a stack, bottom first, on a canvas of `width` × `height` pixels into an empty file that can seek.

    `layers` may be a generator that decodes each as it comes to it: no more than one is held. `background` lies below
    flat pictures, `title` is what a presentation says of itself. Raises `InputError` when the format does not hold a
    canvas of that size.
    """
    match name:
        case "zip":
            export_zip(layers, target, width=width, height=height)
        case "ora":
            export_ora(layers, target, width=width, height=height)
        case "psd":
            from llm_dit.exports.psd import export_psd  # its library takes a quarter of a second to import

            export_psd(layers, target, width=width, height=height)
        case "pptx":
            from llm_dit.exports.pptx import export_pptx  # likewise

            export_pptx(layers, target, width=width, height=height, title=title)
        case _:
            export_flat(layers, target, name, width=width, height=height, background=background)


# A stack as one flat picture.

FlatFormat = Literal["png", "jpeg", "webp"]

MAX_SIDES: Mapping[FlatFormat, int] = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}
"""Pixels; the formats' own bounds, JPEG's as its library has it."""

LARGE_PIXELS = 8_000_000


def export_flat(
    layers: Iterable[Layer],
    target: IO[bytes],
    format: FlatFormat,
    *,
    width: int,
    height: int,
    background: Rgba | None = None,
) -> None:
    """Write the picture; a JPEG has no transparency, and lies on white where `background` leaves it open.

    PNG and WebP are lossless, JPEG is of high quality without color subsampling. Raises `InputError` when the canvas
    is larger than the format allows.
    """
    if max(width, height) > MAX_SIDES[format]:
        raise InputError(
            f"A picture of this format has at most {MAX_SIDES[format]} pixels a side: scale the layers down, or take "
            "PNG.",
            param="format",
        )
    with Painting(width, height, background) as painting:
        for layer in layers:
            painting.add(layer)
        if format == "png":
            write_png(painting.picture(), target)
        elif format == "webp":
            # How hard it tries; the pixels stay exact. Trying takes 30 bytes a pixel, not trying 20.
            effort = (0, 0) if width * height > LARGE_PIXELS else (50, 2)
            painting.picture().save(target, "WEBP", lossless=True, quality=effort[0], method=effort[1])
        else:
            _over_white(painting).save(target, "JPEG", quality=92, subsampling=0)


def _over_white(painting: Painting) -> Image.Image:
    pixels = np.empty((painting.height, painting.width, 3), np.uint8)
    for rows, band in painting.bands():
        pixels[rows] = over_white(band)
    return Image.fromarray(pixels, "RGB")

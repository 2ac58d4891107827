"""A stack of layers as one flat picture (PNG, JPEG or WebP), and layers and names as plain formats hold them."""

import re
from collections.abc import Iterable, Mapping
from typing import IO, Literal

import numpy as np
from PIL import Image

from llm_dit.color import Rgba
from llm_dit.errors import InputError
from llm_dit.images import write_png
from llm_dit.layer import Layer
from llm_dit.layers import Painting, Pixels

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


def over_white(pixels: Pixels) -> Pixels:
    """Return straight RGBA pixels over white, as RGB."""
    alpha = pixels[..., 3:].astype(np.float32) / 255.0
    return np.rint(pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)


def _over_white(painting: Painting) -> Image.Image:
    pixels = np.empty((painting.height, painting.width, 3), np.uint8)
    for rows, band in painting.bands():
        pixels[rows] = over_white(band)
    return Image.fromarray(pixels, "RGB")


# Layers for formats in which a layer is a rectangle of pixels, without scale or mirroring.


def plain(layer: Layer, width: int, height: int) -> Layer:
    """Return a layer, a hidden one too, baked into pixels and cropped to what it shows.

    What lies off the canvas stays, so that it can be moved back; a scaled layer is cut to the canvas, as it may be of
    any size.
    """
    return layer.baked(layer.box if layer.scale == 1.0 else (0, 0, width, height))


# Names of layers and groups as other programs can hold them.

_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def holdable(name: str) -> str:
    """Return a name with what no XML file may hold, such as control characters, replaced by the sign U+FFFD."""
    return _UNHOLDABLE.sub("\ufffd", name)

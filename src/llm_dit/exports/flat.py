"""A stack of layers as one flat picture: PNG, JPEG or WebP."""

import io
from collections.abc import Mapping, Sequence
from typing import Literal

from PIL import Image

from llm_dit.colour import Colour
from llm_dit.errors import InputError
from llm_dit.layer import Layer
from llm_dit.layers import composite
from llm_dit.png import encode_png

FlatFormat = Literal["png", "jpeg", "webp"]

WHITE: Colour = (255, 255, 255, 255)
MAX_SIDES: Mapping[FlatFormat, int] = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}
"""Pixels; the formats' own bounds, JPEG's as its library has it."""


def export_flat(
    layers: Sequence[Layer], format: FlatFormat, *, width: int, height: int, background: Colour | None = None
) -> bytes:
    """Return the picture; a JPEG has no transparency, and lies on white where `background` leaves it open.

    PNG and WebP are lossless, JPEG is of high quality without colour subsampling. Raises `InputError` when the canvas
    is larger than the format allows.
    """
    if max(width, height) > MAX_SIDES[format]:
        raise InputError(
            f"A picture of this format has at most {MAX_SIDES[format]} pixels a side: scale the layers down, or take "
            "PNG.",
            param="format",
        )
    image = composite(layers, width, height, background)
    return encode_png(image) if format == "png" else _encode(image, format)


def _encode(image: Image.Image, format: FlatFormat) -> bytes:
    buffer = io.BytesIO()
    if format == "webp":
        image.save(buffer, "WEBP", lossless=True, quality=50, method=2)  # how hard it tries; the pixels stay exact
    else:
        opaque = composite([Layer(image=image)], background=WHITE).convert("RGB")
        opaque.save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()

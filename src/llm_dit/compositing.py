"""The arithmetic of compositing: straight 8-bit pixels over premultiplied planes.

Planes are float32 arrays of (4, height, width), red, green, blue and alpha, all 0–1. The operator is "over" on
premultiplied colours (Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984), with the source's colours blended
first, as W3C "Compositing and Blending Level 1" has it: https://www.w3.org/TR/compositing-1/#generalformula.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.blending import BlendMode, Planes, blend

Pixels = NDArray[np.uint8]

BAND_PIXELS = 32_768
"""Pixels that are worked on at a time, so that what lies between two operations stays in the processor's cache."""

HALF_A_LEVEL = 0.5 / 255.0
INVISIBLE = 1e-6
"""An alpha that no stack of layers makes visible again."""


def bands(width: int, height: int) -> Iterator[slice]:
    """Yield the rows of a picture in bands that are quick to work on."""
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def to_planes(pixels: Pixels) -> Planes:
    """Return RGBA pixels (height, width, 4) as planes with straight colours."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / np.float32(255.0)


def premultiply(planes: Planes) -> Planes:
    """Multiply the colours by alpha, in place."""
    planes[:3] *= planes[3]
    return planes


def to_pixels(planes: Planes) -> Pixels:
    """Return premultiplied planes as straight RGBA pixels; one whose alpha rounds to 0 is transparent black."""
    straight = np.empty_like(planes)
    _straighten(planes, HALF_A_LEVEL, out=straight[:3])
    straight[3] = planes[3]
    return np.rint(straight.clip(0.0, 1.0) * 255.0).astype(np.uint8).transpose(1, 2, 0)


def over(below: Planes, pixels: Pixels, opacity: float = 1.0, mode: BlendMode = "normal") -> None:
    """Put straight RGBA pixels (height, width, 4) over the premultiplied planes `below`, in place."""
    source = to_planes(pixels)
    if mode != "normal":
        _blend_in(mode, below, source)
    premultiply(source)
    source *= np.float32(opacity)
    below *= 1.0 - source[3]
    below += source


def blended(image: Image.Image, backdrop: Image.Image, mode: BlendMode) -> Image.Image:
    """Return the RGBA image whose plain "over" on `backdrop`, of the same size, looks as `mode` does; alpha stays."""
    below, result = np.asarray(backdrop), np.array(image)
    for rows in bands(image.width, image.height):
        source = to_planes(result[rows])
        _blend_in(mode, premultiply(to_planes(below[rows])), source)
        result[rows, :, :3] = np.rint(source[:3].clip(0.0, 1.0) * 255.0).transpose(1, 2, 0)
    return Image.fromarray(result, "RGBA")


def _blend_in(mode: BlendMode, below: Planes, source: Planes) -> None:
    """Make straight colours Cs into (1 − αb)·Cs + αb·B(Cb, Cs), in place."""
    backdrop = _straighten(below, INVISIBLE, out=np.empty_like(below[:3]))
    source[:3] += below[3] * (blend(mode, backdrop, source[:3]) - source[:3])


def _straighten(planes: Planes, least: float, *, out: Planes) -> Planes:
    """Write the colours divided by alpha, at most 1; where alpha is below `least` they are black."""
    out[:] = 0
    np.divide(planes[:3], planes[3], out=out, where=planes[3] >= least)
    return np.minimum(out, 1.0, out=out)

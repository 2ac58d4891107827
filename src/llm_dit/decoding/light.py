"""From values to light and on to 8-bit sRGB, band by band."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Light = NDArray[np.float32]
"""Light of one channel, 1 for white."""
AT_ONCE = 16_384
"""Pixels, few enough to stay in the processor's cache."""
_BITS = 13
"""Of a number's 32, those that make no step."""


def through_light(
    colors: Image.Image,
    lower: Image.Image | None,
    table: Light,
    mixed: Callable[[list[Light]], list[Light]],
) -> Image.Image:
    """Return RGB colors in sRGB, 8 bits a channel.

    `lower` holds the lower bytes of colors of 16 bits. `table` tells the light of each value (256, or 65,536 with
    `lower`); `mixed` makes of the light of red, green and blue that of sRGB's, 0–1 or beyond.
    """
    shown = [np.empty(colors.width * colors.height, np.uint8) for _ in range(3)]
    upper = [np.asarray(band).ravel() for band in colors.split()]
    below = [np.asarray(band).ravel() for band in lower.split()] if lower else None
    encode = _encoding()
    for start in range(0, len(shown[0]), AT_ONCE):
        band = slice(start, start + AT_ONCE)
        values = [plane[band] for plane in upper]
        if below:
            values = [above.astype(np.uint16) << 8 | plane[band] for above, plane in zip(values, below, strict=True)]
        light = mixed([table.take(plane) for plane in values])
        for plane, level in zip(shown, light, strict=True):
            plane[band] = encode(level)
    return Image.merge("RGB", [Image.frombuffer("L", colors.size, plane, "raw", "L", 0, 1) for plane in shown])


def times(matrix: NDArray[np.float64], light: Sequence[Light]) -> list[Light]:
    """Return the light of other primaries, by a matrix of 3 × 3."""
    mixed: list[Light] = []
    for row in matrix.astype(np.float32):
        total = light[0] * row[0]
        total += light[1] * row[1]
        total += light[2] * row[2]
        mixed.append(total)
    return mixed


class Steps:
    """A function of light as a table, with 1,024 steps to each doubling: the bits of a number say which."""

    def __init__(self, function: Callable[[NDArray[np.float64]], NDArray[np.number]], lowest: float, highest: float):
        ends = np.array((lowest, highest), np.float32).view(np.int32) >> _BITS
        middles = (np.arange(ends[0], ends[1] + 1, dtype=np.int32) << _BITS) + (1 << _BITS >> 1)
        self._first = ends[0]
        self._values = function(middles.view(np.float32).astype(np.float64))

    def __call__(self, light: Light) -> NDArray[np.number]:
        """Return the function's values; light beyond the ends is taken for that at the ends."""
        steps = light.view(np.int32) >> _BITS
        steps -= self._first
        return self._values.take(steps, mode="clip")


@cache
def _encoding() -> Steps:
    """Return what makes sRGB's values of light; below the lowest step they are 0."""

    def encoded(light: NDArray[np.float64]) -> NDArray[np.uint8]:
        values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        return (values * 255 + 0.5).clip(0, 255).astype(np.uint8)

    return Steps(encoded, 2**-13, 1)

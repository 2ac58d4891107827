"""High dynamic range: light by PQ and HLG, brought into sRGB's range as Chromium does on a common screen.

Graphics white (203 cd/m²) is shown at half of the screen's light; what is brighter, up to the brightest pixel that the
file tells of or else 1,000 cd/m², is bent into the upper half by a curve on the largest of three values in BT.2020's
primaries (the reference white tone mapping of SMPTE ST 2094-50), so that hues stay. The less there is above white, the
less room it takes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.decoding.icc import BT709, PRIMARIES, TRANSFERS, colorants, rgb_profile

# From values to light and on to 8-bit sRGB, band by band.

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


PQ, HLG = 16, 18
_WHITE, PEAK = 203, 1000
_KNEE, _SHOWN_WHITE, _BEND = 1.0, 0.5, 0.65
_GAMMA = 1.2
MOST_LIGHT = 10_000
"""Of a display in cd/m², the end of PQ."""
_BRIGHTEST = MOST_LIGHT / _WHITE


@dataclass(frozen=True)
class HighRange:
    """Color by H.273: `primaries` among those known, `transfer` is `PQ` or `HLG`; the brightest pixel in cd/m²."""

    primaries: int
    transfer: int
    peak: float = PEAK

    def to_srgb(self, colors: Image.Image, lower: Image.Image | None = None) -> Image.Image:
        """Return an L or RGB picture in sRGB, 8 bits a channel; `lower` holds the lower bytes of 16 bits."""
        own, wide, narrow = colorants(PRIMARIES[self.primaries]), colorants(PRIMARIES[9]), colorants(BT709)
        to_wide = None if self.primaries == 9 else np.linalg.inv(wide) @ own
        to_narrow = np.linalg.inv(narrow) @ wide
        luminance = own[1].astype(np.float32)

        def mixed(light: list[Light]) -> list[Light]:
            if self.transfer == HLG:
                seen = light[0] * luminance[0] + light[1] * luminance[1] + light[2] * luminance[2]
                system = _system_gain()(seen)
                for level in light:
                    level *= system
            if to_wide is not None:
                light = times(to_wide, light)
            gain = _gain(self.peak)(np.maximum(np.maximum(light[0], light[1]), light[2]))
            for level in light:
                level *= gain
            return times(to_narrow, light)

        values = np.linspace(0, 1, 65_536 if lower else 256)
        table = (_pq(values) if self.transfer == PQ else _hlg(values)).astype(np.float32)
        return through_light(colors.convert("RGB"), lower, table, mixed)


def _pq(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light by SMPTE ST 2084 in units of graphics white."""
    roots = values ** (1 / 78.84375)
    light = ((roots - 0.8359375).clip(0) / (18.8515625 - 18.6875 * roots)) ** (1 / 0.1593017578125)
    return light * _BRIGHTEST


def _hlg(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scene's light, 0–1, by ARIB STD-B67."""
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _bent(light: NDArray[np.float64], brightest: float) -> NDArray[np.float64]:
    """Return what is shown of light: a part of it up to graphics white, a quadratic Bézier curve to 1 at the peak."""
    peak = max(brightest / _WHITE, 1)
    white = 1 - (1 - _SHOWN_WHITE) * min(math.log(peak) / math.log(PEAK / _WHITE), 1)
    if peak == 1:
        return light.clip(0, 1)
    middle_x = (1 - _BEND) * _KNEE + _BEND * _KNEE / white
    middle_y = (1 - _BEND) * white + _BEND
    a, b = _KNEE - 2 * middle_x + peak, 2 * (middle_x - _KNEE)
    t = (np.sqrt(b * b - 4 * a * (_KNEE - light.clip(_KNEE, peak))) - b) / (2 * a)
    bent = (1 - t) ** 2 * white + 2 * t * (1 - t) * middle_y + t**2
    return np.where(light <= _KNEE, light * white, bent)


@lru_cache(maxsize=4)
def _gain(peak: float) -> Steps:
    """Return by how much light is multiplied of which this is the largest value."""
    return Steps(lambda light: (_bent(light, peak) / light).astype(np.float32), _KNEE / 2, _BRIGHTEST)


@cache
def _system_gain() -> Steps:
    """Return by how much the scene's light of a luminance is multiplied on a screen."""
    return Steps(lambda light: (light ** (_GAMMA - 1) * (PEAK / _WHITE)).astype(np.float32), 2**-20, 1)


# Labels of color by two numbers of ITU-T H.273, as PNG's cICP and AVIF's nclx give them.


def coded_colors(primaries: int, transfer: int, brightest: float = 0) -> bytes | HighRange | None:
    """Return what turns such colors into sRGB, or None for numbers that say nothing here.

    `brightest` is the light of the brightest pixel in cd/m², where the file tells it; 0 where it does not.
    """
    if primaries in PRIMARIES and transfer in {PQ, HLG}:
        return HighRange(primaries, transfer, min(brightest, MOST_LIGHT) if brightest > 0 else PEAK)
    return _profile(primaries, transfer)


@cache
def _profile(primaries: int, transfer: int) -> bytes | None:
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    return rgb_profile(PRIMARIES[primaries], TRANSFERS[transfer])

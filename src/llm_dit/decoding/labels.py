"""Colors that a file labels by code points: primaries and transfer functions of ITU-T H.273, PNG's gamma.

Such labels become ICC profiles, and are processed like embedded ones; high dynamic range, which profiles do not
support, is converted to sRGB here.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From encoded values to linear light, both 0–1."""
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296)))
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
BT709 = PRIMARIES[1]
SAMPLES = 4096
"""Samples of a curve, linearly interpolated."""


def power(exponent: float) -> Curve:
    return lambda values: values**exponent


def _piecewise(exponent: float, offset: float, slope: float, knee: float) -> Curve:
    return lambda values: np.where(
        values < knee, values / slope, ((values + offset) / (1 + offset)).clip(0) ** exponent
    )


SRGB = _piecewise(2.4, 0.055, 12.92, 0.04045)
_BT709 = power(2.4)
"""The display curve of television (BT.1886), which browsers use, not the camera curve."""
TRANSFERS: dict[int, Curve] = {
    1: _BT709,
    4: power(2.2),
    5: power(2.8),
    6: _BT709,
    7: _piecewise(1 / 0.45, 0.1115, 4.0, 0.0912),
    8: power(1.0),
    11: _BT709,
    13: SRGB,
    14: _BT709,
    15: _BT709,
    17: lambda values: values**2.6 * (52.37 / 48),
}


def rgb_profile(chromaticities: Chromaticities, curve: Curve) -> bytes:
    """Return an ICC profile, version 2; raises `ValueError` for chromaticities that span no colors."""
    columns = colorants(chromaticities)
    levels = (curve(np.linspace(0, 1, SAMPLES)).clip(0, 1) * 65535).round().astype(">u2")
    trc = b"curv\0\0\0\0" + struct.pack(">I", SAMPLES) + levels.tobytes()
    tags = [(b"wtpt", _xyz(_D50)), *zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, columns.T), strict=True)]
    table, body, start = b"", b"", 128 + 4 + 12 * (len(tags) + 3)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        table += name + struct.pack(">II", start + len(body), len(trc))
    body += trc
    head = struct.pack(">I4sI12s12s4s28s", start + len(body), b"", 0x02400000, b"mntrRGB XYZ ", b"", b"acsp", b"")
    return head + _xyz(_D50)[8:] + bytes(48) + struct.pack(">I", len(tags) + 3) + table + body


def colorants(chromaticities: Chromaticities) -> NDArray[np.float64]:
    """Return the columns of the matrix from linear RGB to XYZ, adapted to D50 by Bradford's method."""
    points = np.array(chromaticities, float).reshape(4, 2)
    if not np.isfinite(points).all() or (points[:, 1] < 0).any() or points[0, 1] == 0:
        raise ValueError("no chromaticities")
    white, *corners = (np.array((x, y, 1 - x - y)) for x, y in points)
    white = white / white[1]
    matrix = np.array(corners).T
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("no chromaticities")
    matrix = matrix * np.linalg.solve(matrix, white)
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ matrix
    if np.abs(adapted).max() > 30_000:
        raise ValueError("no chromaticities")
    return adapted


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


# High dynamic range: PQ and HLG, tone-mapped to sRGB as Chromium does on a common screen.
#
# Graphics white (203 cd/m²) is shown at half of the screen's light. Brighter light, up to the brightest pixel that the
# file states or else 1,000 cd/m², is compressed into the upper half by a curve on the largest of the three values in
# BT.2020's primaries (the reference white tone mapping of SMPTE ST 2094-50), which preserves hues. The less light there
# is above white, the less room it gets. Values become light and then 8-bit sRGB, band by band.

Light = NDArray[np.float32]
"""Linear light of one channel, 1 for white."""
AT_ONCE = 16_384
"""Pixels, few enough to stay in the processor's cache."""
_BITS = 13
"""Low bits of a 32-bit float that the table ignores."""


def through_light(
    colors: Image.Image,
    lower: Image.Image | None,
    table: Light,
    mixed: Callable[[list[Light]], list[Light]],
) -> Image.Image:
    """Return RGB colors in sRGB, 8 bits per channel.

    `lower` holds the lower bytes of 16-bit colors. `table` is the light of each value (256, or 65,536 with `lower`);
    `mixed` converts the light of red, green and blue to that of sRGB, 0–1 or beyond.
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
    """Return the light in other primaries, by a 3 × 3 matrix."""
    mixed: list[Light] = []
    for row in matrix.astype(np.float32):
        total = light[0] * row[0]
        total += light[1] * row[1]
        total += light[2] * row[2]
        mixed.append(total)
    return mixed


class Steps:
    """A function of light as a table with 1,024 steps per doubling, indexed by the bits of a float."""

    def __init__(self, function: Callable[[NDArray[np.float64]], NDArray[np.number]], lowest: float, highest: float):
        ends = np.array((lowest, highest), np.float32).view(np.int32) >> _BITS
        middles = (np.arange(ends[0], ends[1] + 1, dtype=np.int32) << _BITS) + (1 << _BITS >> 1)
        self._first = ends[0]
        self._values = function(middles.view(np.float32).astype(np.float64))

    def __call__(self, light: Light) -> NDArray[np.number]:
        """Return the function's values; light is clipped to the ends."""
        steps = light.view(np.int32) >> _BITS
        steps -= self._first
        return self._values.take(steps, mode="clip")


@cache
def _encoding() -> Steps:
    """Return the encoding from light to sRGB values; below the lowest step they are 0."""

    def encoded(light: NDArray[np.float64]) -> NDArray[np.uint8]:
        values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        return (values * 255 + 0.5).clip(0, 255).astype(np.uint8)

    return Steps(encoded, 2**-13, 1)


PQ, HLG = 16, 18
_WHITE, PEAK = 203, 1000
_KNEE, _SHOWN_WHITE, _BEND = 1.0, 0.5, 0.65
_GAMMA = 1.2
MOST_LIGHT = 10_000
"""The maximum of PQ in cd/m²."""
_BRIGHTEST = MOST_LIGHT / _WHITE


@dataclass(frozen=True)
class HighRange:
    """HDR color by H.273: known `primaries`, `transfer` is `PQ` or `HLG`; the brightest pixel in cd/m²."""

    primaries: int
    transfer: int
    peak: float = PEAK

    def to_srgb(self, colors: Image.Image, lower: Image.Image | None = None) -> Image.Image:
        """Return an L or RGB picture in sRGB, 8 bits per channel; `lower` holds the lower bytes of 16-bit values."""
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
    """Return light by SMPTE ST 2084, in units of graphics white."""
    roots = values ** (1 / 78.84375)
    light = ((roots - 0.8359375).clip(0) / (18.8515625 - 18.6875 * roots)) ** (1 / 0.1593017578125)
    return light * _BRIGHTEST


def _hlg(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scene light, 0–1, by ARIB STD-B67."""
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _bent(light: NDArray[np.float64], brightest: float) -> NDArray[np.float64]:
    """Return tone-mapped light: linear up to graphics white, then a quadratic Bézier curve to 1 at the peak."""
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
    """Return the gain of a pixel by the largest of its values."""
    return Steps(lambda light: (_bent(light, peak) / light).astype(np.float32), _KNEE / 2, _BRIGHTEST)


@cache
def _system_gain() -> Steps:
    """Return the gain from scene light to display light by luminance."""
    return Steps(lambda light: (light ** (_GAMMA - 1) * (PEAK / _WHITE)).astype(np.float32), 2**-20, 1)


# Both, for PNG's cICP and AVIF's nclx.


def coded_colors(primaries: int, transfer: int, brightest: float = 0) -> bytes | HighRange | None:
    """Return the conversion of such colors to sRGB, or None for unsupported code points.

    `brightest` is the light of the brightest pixel in cd/m², or 0 if the file does not state it.
    """
    if primaries in PRIMARIES and transfer in {PQ, HLG}:
        return HighRange(primaries, transfer, min(brightest, MOST_LIGHT) if brightest > 0 else PEAK)
    return _profile(primaries, transfer)


@cache
def _profile(primaries: int, transfer: int) -> bytes | None:
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    return rgb_profile(PRIMARIES[primaries], TRANSFERS[transfer])

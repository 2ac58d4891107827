"""High dynamic range: light by PQ and HLG, brought into sRGB's range as Chromium does on a common screen.

Graphics white (203 cd/m²) is shown at half of the screen's light; what is brighter, up to 1,000 cd/m², is bent into the
upper half by a curve on the largest of the three values in BT.2020's primaries (the reference white tone mapping of
SMPTE ST 2094-50), so that hues stay.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.decoding.icc import BT709, PRIMARIES, colorants

PQ, HLG = 16, 18
_WHITE, _PEAK = 203, 1000
_KNEE, _SHOWN_WHITE, _BEND = 1.0, 0.5, 0.65
_GAMMA = 1.2
_AT_ONCE = 16_384
"""Pixels, few enough to stay in the processor's cache."""
_STEPS = 8192


@dataclass(frozen=True)
class HighRange:
    """Color by H.273: `primaries` among those known, `transfer` is `PQ` or `HLG`."""

    primaries: int
    transfer: int

    def to_srgb(self, colors: Image.Image) -> Image.Image:
        """Return an L or RGB picture in sRGB, 8 bits a channel."""
        values = np.asarray(colors.convert("RGB")).reshape(-1, 3)
        shown = np.empty_like(values)
        for start in range(0, len(values), _AT_ONCE):
            shown[start : start + _AT_ONCE] = self._shown(values[start : start + _AT_ONCE])
        return Image.fromarray(shown.reshape(colors.height, colors.width, 3))

    def _shown(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        own = colorants(PRIMARIES[self.primaries])
        levels = np.arange(256) / 255
        if self.transfer == PQ:
            light = _pq(levels).astype(np.float32)[values]
        else:
            light = _hlg(levels).astype(np.float32)[values]
            luminance = light @ own[1].astype(np.float32)
            light *= luminance[..., None] ** (_GAMMA - 1) * (_PEAK / _WHITE)
        wide = light @ (np.linalg.inv(colorants(PRIMARIES[9])) @ own).T.astype(np.float32)
        most = wide.max(axis=-1).clip(1e-6)
        wide *= (_bent(most) / most)[..., None]
        seen = wide @ (np.linalg.inv(colorants(BT709)) @ colorants(PRIMARIES[9])).T.astype(np.float32)
        # The root spaces the steps of the table nearly as eyes do.
        return _encoded()[(np.sqrt(seen.clip(0, 1)) * (_STEPS - 1) + 0.5).astype(np.uint16)]


def _pq(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light by SMPTE ST 2084 in units of graphics white."""
    roots = values ** (1 / 78.84375)
    light = ((roots - 0.8359375).clip(0) / (18.8515625 - 18.6875 * roots)) ** (1 / 0.1593017578125)
    return light * (10_000 / _WHITE)


def _hlg(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scene's light, 0–1, by ARIB STD-B67."""
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def _bent(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is shown of light: half of it up to graphics white, a quadratic Bézier curve to 1 at the peak."""
    peak = _PEAK / _WHITE
    middle_x = (1 - _BEND) * _KNEE + _BEND * _KNEE / _SHOWN_WHITE
    middle_y = (1 - _BEND) * _SHOWN_WHITE + _BEND
    a, b = _KNEE - 2 * middle_x + peak, 2 * (middle_x - _KNEE)
    t = (np.sqrt(b * b - 4 * a * (_KNEE - light.clip(_KNEE, peak))) - b) / (2 * a)
    bent = (1 - t) ** 2 * _SHOWN_WHITE + 2 * t * (1 - t) * middle_y + t**2
    return np.where(light <= _KNEE, light * _SHOWN_WHITE, bent)


@cache
def _encoded() -> NDArray[np.uint8]:
    """Return sRGB's values of squares of evenly spaced steps."""
    light = np.linspace(0, 1, _STEPS) ** 2
    return (np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255 + 0.5).astype(
        np.uint8
    )

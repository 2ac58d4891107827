"""Parsing of colors, blend modes, and products and lengths of channels."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from llm_dit.errors import InputError

Rgb = tuple[int, int, int]
"""Red, green and blue, 0–255."""
Rgba = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0–255."""

_HEX = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def read_color(text: str) -> Rgba:
    """Return the color "#rrggbb" or "#rrggbbaa"; raises `InputError` for anything else."""
    if not _HEX.fullmatch(text):
        raise InputError("background must be a color as #rrggbb or #rrggbbaa.", param="background")
    red, green, blue, alpha = bytes.fromhex(text[1:].ljust(8, "f"))
    return red, green, blue, alpha


# The blend modes of W3C "Compositing and Blending Level 1" (https://www.w3.org/TR/compositing-1/#blending).
#
# A mode is the function B(Cb, Cs) of the backdrop's and the source's straight colors. Colors are planes, float32 arrays
# of (3, height, width) in 0–1: arithmetic on whole planes is several times faster than on interleaved pixels.

BlendMode = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color-dodge",
    "color-burn",
    "hard-light",
    "soft-light",
    "difference",
    "exclusion",
    "hue",
    "saturation",
    "color",
    "luminosity",
]
BLEND_MODES: tuple[BlendMode, ...] = get_args(BlendMode)

Planes = NDArray[np.floating[Any]]

ROUNDING = np.float32(1e-5)
"""Tolerance of sums of premultiplied colors, because dodge and burn jump at black and white. An 8-bit level is 4e-3."""


def blend(mode: BlendMode, backdrop: Planes, source: Planes) -> Planes:
    """Return B(Cb, Cs) for straight colors, planes of one shape (3, height, width); without alpha."""
    return _FUNCTIONS[mode](backdrop, source)


def _screen(cb: Planes, cs: Planes) -> Planes:
    return cb + cs - cb * cs


def _hard_light(cb: Planes, cs: Planes) -> Planes:
    return np.where(cs <= 0.5, cb * (2 * cs), _screen(cb, 2 * cs - 1))


def _color_dodge(cb: Planes, cs: Planes) -> Planes:
    bright = np.divide(cb, 1 - cs, out=np.ones_like(cb), where=cs < 1 - ROUNDING)
    return np.where(cb <= ROUNDING, np.float32(0), np.minimum(bright, 1))


def _color_burn(cb: Planes, cs: Planes) -> Planes:
    dark = np.divide(1 - cb, cs, out=np.ones_like(cb), where=cs > ROUNDING)
    return np.where(cb >= 1 - ROUNDING, np.float32(1), 1 - np.minimum(dark, 1))


def _soft_light(cb: Planes, cs: Planes) -> Planes:
    curve = np.where(cb <= 0.25, ((16 * cb - 12) * cb + 4) * cb, np.sqrt(cb))
    return cb + (2 * cs - 1) * np.where(cs <= 0.5, cb * (1 - cb), curve - cb)


def _luminosity_of(colors: Planes) -> Planes:
    return np.float32(0.3) * colors[0] + np.float32(0.59) * colors[1] + np.float32(0.11) * colors[2]


def _saturation_of(colors: Planes) -> Planes:
    return colors.max(axis=0) - colors.min(axis=0)


def _with_luminosity(colors: Planes, luminosity: Planes) -> Planes:
    """Return SetLum(C, l): the colors at a luminosity, moved towards its gray until they are within 0–1."""
    moved = colors + (luminosity - _luminosity_of(colors))
    lowest, highest = moved.min(axis=0), moved.max(axis=0)
    share = np.ones_like(luminosity)
    np.divide(luminosity, luminosity - lowest, out=share, where=lowest < 0)
    too_bright = highest > 1
    shrunk = np.divide(1 - luminosity, highest - luminosity, out=np.ones_like(share), where=too_bright)
    return luminosity + (moved - luminosity) * (share * shrunk)


def _with_saturation(colors: Planes, saturation: Planes) -> Planes:
    """Return SetSat(C, s): the smallest component becomes 0, the largest s, the one between keeps its share."""
    own = _saturation_of(colors)
    share = np.divide(saturation, own, out=np.zeros_like(own), where=own > 0)
    return (colors - colors.min(axis=0)) * share


def _hue(cb: Planes, cs: Planes) -> Planes:
    return _with_luminosity(_with_saturation(cs, _saturation_of(cb)), _luminosity_of(cb))


def _saturation(cb: Planes, cs: Planes) -> Planes:
    return _with_luminosity(_with_saturation(cb, _saturation_of(cs)), _luminosity_of(cb))


_FUNCTIONS: Mapping[BlendMode, Callable[[Planes, Planes], Planes]] = {
    "normal": lambda _, cs: cs,
    "multiply": lambda cb, cs: cb * cs,
    "screen": _screen,
    "overlay": lambda cb, cs: _hard_light(cs, cb),
    "darken": lambda cb, cs: np.minimum(cb, cs),
    "lighten": lambda cb, cs: np.maximum(cb, cs),
    "color-dodge": _color_dodge,
    "color-burn": _color_burn,
    "hard-light": _hard_light,
    "soft-light": _soft_light,
    "difference": lambda cb, cs: np.abs(cb - cs),
    "exclusion": lambda cb, cs: cb + cs - 2 * cb * cs,
    "hue": _hue,
    "saturation": _saturation,
    "color": lambda cb, cs: _with_luminosity(cs, _luminosity_of(cb)),
    "luminosity": lambda cb, cs: _with_luminosity(cb, _luminosity_of(cs)),
}


# Products and lengths of the three channels of many pixels, one channel at a time: NumPy reduces an axis of three about
# ten times slower than it adds three arrays; the results are bit-identical.

Channels = NDArray[Any]
"""Floats (…, 3), such as colors in CIELAB."""


def dot(one: Channels, other: Channels) -> NDArray[Any]:
    """Return the scalar product (…) of the channels of each pixel."""
    return one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1] + one[..., 2] * other[..., 2]


def norm(values: Channels) -> NDArray[Any]:
    """Return the Euclidean length (…) of the channels of each pixel; for a difference, the distance of two colors."""
    return np.sqrt(dot(values, values))


def largest(values: Channels) -> NDArray[Any]:
    """Return the largest channel (…) of each pixel."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])

"""OKLab, the space in which lightness, chroma and hue are changed (B. Ottosson, "A perceptual color space for image
processing", 2020, https://bottosson.github.io/posts/oklab/), and the way back into what a screen can show.

Arrays are float32 (height, width, 3): sRGB 0–1, linear light 0–1, or L 0–1 with a and b in about ±0.4.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.color import Rgb

Floats = NDArray[np.floating[Any]]

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
_FROM_LAB = np.linalg.inv(_TO_LAB.astype(np.float64)).astype(np.float32)
_FROM_CONES = np.linalg.inv(_TO_CONES.astype(np.float64)).astype(np.float32)


def to_linear(rgb: Floats) -> Floats:
    """Return sRGB values as linear light (IEC 61966-2-1)."""
    linear = np.asarray(cv2.pow((rgb + np.float32(0.055)) * np.float32(1 / 1.055), 2.4), np.float32)
    np.multiply(rgb, np.float32(1 / 12.92), out=linear, where=rgb <= 0.04045)
    return linear


def from_linear(linear: Floats) -> Floats:
    """Return linear light 0–1 as sRGB values."""
    rgb = np.asarray(cv2.pow(linear, 1 / 2.4), np.float32)
    rgb *= np.float32(1.055)
    rgb -= np.float32(0.055)
    np.multiply(linear, np.float32(12.92), out=rgb, where=linear <= 0.0031308)
    return rgb


def to_oklab(rgb: Floats) -> Floats:
    """Return sRGB values as OKLab."""
    cones = cv2.transform(to_linear(rgb), _TO_CONES)
    return np.asarray(cv2.transform(cv2.pow(np.maximum(cones, 0.0), 1 / 3), _TO_LAB), np.float32)


def from_oklab(lab: Floats) -> Floats:
    """Return OKLab as sRGB values 0–1; what a screen cannot show keeps its hue and gives up chroma and some lightness.

    It is drawn along a line to a grey between its own lightness and the middle, as far as the screen's colors ask
    (B. Ottosson, "sRGB gamut clipping", 2021, https://bottosson.github.io/posts/gamutclipping/).
    """
    linear = _to_screen(lab)
    outside = ~_is_on_screen(linear, slack=1e-4)
    if outside.any():
        linear[outside] = _to_screen(_draw_inside(lab[outside][:, None, :]))[:, 0]
    return from_linear(linear.clip(0.0, 1.0))


def _to_screen(lab: Floats) -> Floats:
    cones = cv2.transform(lab.astype(np.float32), _FROM_LAB)
    return np.asarray(cv2.transform(cones * cones * cones, _FROM_CONES), np.float32)


def _is_on_screen(linear: Floats, slack: float) -> NDArray[np.bool_]:
    return cv2.inRange(linear, (-slack,) * 3, (1.0 + slack,) * 3) > 0


def _draw_inside(lab: Floats) -> Floats:
    """Return values (n, 1, 3) drawn into the screen's colors by bisection, to a 200th of the way."""
    light = lab[..., :1].clip(0.0, 1.0)
    grey = np.concatenate([light + 0.5 * (0.55 - light), np.zeros_like(lab[..., 1:])], axis=-1)
    away = lab - grey
    low, high = np.zeros_like(light), np.ones_like(light)
    for _ in range(8):
        middle = (low + high) / 2
        inside = _is_on_screen(_to_screen(grey + middle * away), slack=0.0)[..., None]
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return grey + low * away


def chroma(lab: Floats) -> Floats:
    """Return the chroma of OKLab values, without the last axis."""
    return np.hypot(lab[..., 1], lab[..., 2])


def color_to_oklab(color: Rgb) -> tuple[float, float, float]:
    """Return an 8-bit sRGB color as OKLab."""
    lightness, a, b = to_oklab(np.array([[color]], np.float32) / np.float32(255.0))[0, 0].tolist()
    return lightness, a, b


def to_oklch(color: Rgb) -> tuple[float, float, float]:
    """Return lightness 0–1, chroma and hue (radians) of an 8-bit sRGB color."""
    lightness, a, b = color_to_oklab(color)
    return lightness, math.hypot(a, b), math.atan2(b, a)


def from_oklch(lightness: float, chroma: float, hue: float) -> Rgb:
    """Return the 8-bit sRGB color of a lightness 0–1, chroma and hue (radians)."""
    lab = np.array([[[lightness, chroma * math.cos(hue), chroma * math.sin(hue)]]], np.float32)
    red, green, blue = np.rint(from_oklab(lab)[0, 0] * 255.0).astype(int).tolist()
    return red, green, blue

"""Edits whose truth is known: functions of a color and its place, the same at every resolution."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from tests.kit.edits.simulated_layers import Plane, Subject

Ground = Literal["kept", "graded", "repainted"]
EDITS = ("recolor", "relight", "texture", "hue", "blur", "contrast", "vintage")
GROUNDS: tuple[Ground, ...] = ("kept", "graded", "repainted")
MAX_SHIFT_PX, MAX_ZOOM = 12.0, 0.03


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What the stand-in will do; `outline_px` is how far it moves the object's outline outwards when it repaints.

    `seed` decides everything that is not named.
    """

    name: str
    ground: Ground
    shift: tuple[float, float]
    zoom: float
    outline_px: int
    seed: int

    def apply(self, colors: Plane, x: Plane, y: Plane, pixels_per_unit: float) -> Plane:
        """Return edited colors; `x` and `y` are each pixel's place in the layer, so every resolution agrees."""
        return EDIT_FUNCTIONS[self.name](colors, x, y, pixels_per_unit, np.random.default_rng(self.seed)).clip(0, 1)


def draw_edit(name: str, ground: Ground, seed: int, *, moved: bool = True, max_shift_px: float = MAX_SHIFT_PX) -> Edit:
    """Return an edit with a shift, in pixels of the model's picture, and a zoom, uniform within the bounds, or none."""
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-max_shift_px, max_shift_px, 2) * moved
    zoom = 1 + float(rng.uniform(-MAX_ZOOM, MAX_ZOOM)) * moved
    outline = int(rng.integers(-1, 2)) if ground == "repainted" else 0
    return Edit(
        name=name,
        ground=ground,
        shift=(float(shift[0]), float(shift[1])),
        zoom=zoom,
        outline_px=outline,
        seed=seed,
    )


def true_colors(subject: Subject, edit: Edit) -> Plane:
    """Return the colors (height, width, 3), 0–1, that a perfect edit of the layer would have."""
    height, width = subject.alpha.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
    return edit.apply(subject.colors, x, y, 1.0)


# Edits: (colors, x, y, pixels per layer pixel, rng) -> colors.


def _luma(colors: Plane) -> Plane:
    return (colors @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


def _recolor(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    tint = rng.uniform(0.1, 1, 3).astype(np.float32)
    return _luma(colors) * tint * np.float32(0.9 / tint.max()) + np.float32(0.08)


def _relight(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    angle, span = rng.uniform(0, 2 * np.pi), rng.uniform(300, 900)
    light = 1 + 0.45 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / span * np.pi)
    return colors * light[..., None].astype(np.float32) * np.array([1.0, 0.95, 0.85], np.float32)


def _texture(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    angle, wave = rng.uniform(0, np.pi), rng.uniform(14, 50)
    along = x * np.cos(angle) + y * np.sin(angle) + 5 * np.sin((x - y) / (2 * wave))
    return colors * (0.8 + 0.25 * np.sin(2 * np.pi * along / wave))[..., None].astype(np.float32)


def _hue(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    hls = cv2.cvtColor(np.ascontiguousarray(colors.clip(0, 1), np.float32), cv2.COLOR_RGB2HLS)
    hls[..., 0] = (hls[..., 0] + rng.uniform(40, 320)) % 360
    return cv2.cvtColor(hls, cv2.COLOR_HLS2RGB)


def _blur(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    return cv2.GaussianBlur(colors, (0, 0), rng.uniform(1.5, 4) * scale)


def _contrast(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    gain = rng.choice([rng.uniform(0.4, 0.75), rng.uniform(1.3, 1.8)])
    return (colors - 0.5) * np.float32(gain) + 0.5


def _vintage(colors: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    faded = _luma(colors) * 0.4 + colors * 0.6
    return faded ** np.float32(rng.uniform(0.7, 1.2)) * np.array([1.0, 0.92, 0.75], np.float32) * 0.9 + 0.06


EditFunction = Callable[[Plane, Plane, Plane, float, np.random.Generator], Plane]
EDIT_FUNCTIONS: dict[str, EditFunction] = {
    "recolor": _recolor,
    "relight": _relight,
    "texture": _texture,
    "hue": _hue,
    "blur": _blur,
    "contrast": _contrast,
    "vintage": _vintage,
}

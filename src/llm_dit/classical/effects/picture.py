"""A layer while it is edited: float colors that are bled under transparency, and alpha."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import bleed
from llm_dit.classical.effects.oklab import Floats, from_oklab, to_oklab
from llm_dit.classical.layering.regions import box_of
from llm_dit.classical.operations import Operation
from llm_dit.options import Shape

# Rows that are worked on at a time: 256 rows of 4096 pixels take some 60 MB of temporaries.
_STRIP = 256
_SAMPLES = 200_000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Straight sRGB `colors` (height, width, 3) and `alpha` (height, width), float32 in 0–1.

    Something of it is visible. An effect owns the picture it is given and may write into its arrays.
    """

    colors: Floats
    alpha: Floats

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The left, top, right and bottom of what is visible."""
        return box_of(self.alpha > 0)

    @property
    def extent(self) -> float:
        """The diagonal of what is visible, in pixels: what sizes of effects are measured by."""
        left, top, right, bottom = self.box
        return float(np.hypot(right - left, bottom - top))


FindSubject = Callable[[Picture], Floats | None]
"""Returns how far each pixel is of what the picture shows, 0–1, or None when nothing stands out clearly."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an effect may do besides changing colors: change the alpha (`shape="new"`), draw from `rng`, see."""

    shape: Shape
    rng: np.random.Generator
    subject: FindSubject


Effect = Callable[[Picture, Operation, Scene], Picture]


def read_picture(layer: Image.Image) -> Picture:
    """Return an RGBA layer as a picture."""
    rgba = np.asarray(bleed(layer))
    colors = rgba[..., :3].astype(np.float32)
    colors /= 255.0
    return Picture(colors=colors, alpha=rgba[..., 3].astype(np.float32) / np.float32(255.0))


def write_picture(picture: Picture) -> Image.Image:
    """Return a picture as 8-bit RGBA; what is fully transparent holds no color, so nothing hidden is passed on."""
    height, width = picture.alpha.shape
    rgba = np.empty((height, width, 4), np.uint8)
    for rows in strips(height):
        rgba[rows, :, :3] = np.rint(picture.colors[rows].clip(0.0, 1.0) * 255.0)
        rgba[rows, :, 3] = np.rint(picture.alpha[rows].clip(0.0, 1.0) * 255.0)
        rgba[rows][rgba[rows, :, 3] == 0] = 0
    return Image.fromarray(rgba, "RGBA")


def strips(height: int) -> list[slice]:
    """Return the row ranges that bound the memory of work on single pixels."""
    return [slice(top, min(top + _STRIP, height)) for top in range(0, height, _STRIP)]


def change_lab(picture: Picture, change: Callable[[Floats, slice], Floats]) -> Picture:
    """Put every pixel's OKLab value through `change`, which is also told the rows it is given."""
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = from_oklab(change(to_oklab(picture.colors[rows]), rows))
    return picture


def sample_lab(picture: Picture) -> tuple[Floats, Floats]:
    """Return OKLab values (n, 1, 3) of visible pixels evenly taken from the picture, and their alpha (n)."""
    seen = np.flatnonzero(picture.alpha)
    seen = seen[:: max(1, len(seen) // _SAMPLES)]
    return to_oklab(picture.colors.reshape(-1, 1, 3)[seen]), picture.alpha.reshape(-1)[seen]


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the weighted quantile of flat `values`: 0.5 is their median."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[min(int(np.searchsorted(reached, share * reached[-1])), len(values) - 1)]])


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high` and a smooth curve between."""
    ramp = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def soften(plane: Floats, sigma: float) -> Floats:
    """Return one channel under a Gaussian of `sigma` pixels; a wide one is computed at a smaller size."""
    shrink = 1
    while sigma / shrink > 6.0:
        shrink *= 2
    if shrink == 1:
        blurred = cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.1), borderType=cv2.BORDER_REPLICATE)
        return np.asarray(blurred, np.float32)
    height, width = plane.shape
    small = cv2.resize(plane, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def soften_visible(plane: Floats, alpha: Floats, softened_alpha: Floats, sigma: float) -> Floats:
    """Return one channel softened over visible pixels only, so that nothing hidden leaks in; hidden ones stay."""
    return np.divide(soften(plane * alpha, sigma), softened_alpha, out=plane.copy(), where=softened_alpha > 1e-3)

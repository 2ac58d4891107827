"""What instructions and effects share: operations, refusals, the picture of a layer while it is edited, OKLab."""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import bleed
from llm_dit.classical.layering.regions import box_of
from llm_dit.color import Rgb
from llm_dit.errors import InstructionError
from llm_dit.options import Shape

PartKind = Literal["thing", "ground", "color", "letters", "garment", "natural", "scenery", "piece"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a layer: how to find it, and the user's `name` for it, such as "her jacket".

    A "thing" is the layer's subject, the "ground" its surroundings; a "color" has its `color`. "letters", a "garment"
    and anything "natural" are found by their colors, and `key` is its English name; a "piece" of a thing and "scenery"
    cannot be found by color.
    """

    kind: PartKind
    key: str
    name: str
    color: Rgb | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An effect and its parameters.

    `amount` is a factor ≥ 0 for a scale (1 changes nothing), degrees for "hue" and "rotate" (clockwise), −1…1 for
    "tint", and a strength (1 is the plain effect) for everything else. `color` is the target, `second` the end of a
    gradient, `source` the only color to change, or the one to keep. `size` is in the effect's own unit: pixels of a
    blur, levels of a posterization, degrees of a gradient (0 to the right, 90 down). `part` is the part of the layer to
    edit, None for all of it.
    """

    effect: str
    amount: float = 1.0
    color: Rgb | None = None
    second: Rgb | None = None
    source: Rgb | None = None
    size: float | None = None
    part: Part | None = None


# Why an instruction is refused, in a sentence or two in its own language, and what to do instead.


Language = Literal["en", "zh"]
Reason = Literal[
    "empty", "too_long", "too_many", "not_understood", "negation", "other_language", "several_things", "new_thing",
    "new_shape", "size", "place", "delete", "hide", "copy", "undo", "unclear_part", "remove_part", "no_such_color",
    "no_background", "no_subject", "region",
]  # fmt: skip

REFUSALS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    Path(__file__).with_name("refusals.toml").read_text(encoding="utf-8")
)
"""For each reason the sentences, `en` and `zh`, and perhaps the `way`, what to do instead."""


def refusal(reason: Reason, language: Language = "en", **values: str | int) -> InstructionError:
    """Return the error for a reason; `values` fill in its text."""
    told = {name: str(value) for name, value in values.items()}
    hint = {"reason": reason, **told}
    said = REFUSALS[reason]
    if "way" in said:
        hint["way"] = said["way"]
    return InstructionError(said[language].format(**told), hint=hint)


def translated(error: InstructionError, language: Language) -> InstructionError:
    """Return a refusal translated into `language`."""
    values = {name: value for name, value in error.hint.items() if name not in {"reason", "way"}}
    return refusal(error.hint["reason"], language, **values)  # pyright: ignore[reportArgumentType]


# OKLab, the space in which lightness, chroma and hue are changed.
#
# B. Ottosson, "A perceptual color space for image processing", 2020, https://bottosson.github.io/posts/oklab/. Arrays
# are float32 (height, width, 3): sRGB 0–1, linear light 0–1, or L 0–1 with a and b in about ±0.4.

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
    """Convert sRGB values to linear light (IEC 61966-2-1)."""
    linear = np.asarray(cv2.pow((rgb + np.float32(0.055)) * np.float32(1 / 1.055), 2.4), np.float32)
    np.multiply(rgb, np.float32(1 / 12.92), out=linear, where=rgb <= 0.04045)
    return linear


def from_linear(linear: Floats) -> Floats:
    """Convert linear light 0–1 to sRGB values."""
    rgb = np.asarray(cv2.pow(linear, 1 / 2.4), np.float32)
    rgb *= np.float32(1.055)
    rgb -= np.float32(0.055)
    np.multiply(linear, np.float32(12.92), out=rgb, where=linear <= 0.0031308)
    return rgb


def to_oklab(rgb: Floats) -> Floats:
    """Convert sRGB values to OKLab."""
    cones = cv2.transform(to_linear(rgb), _TO_CONES)
    return np.asarray(cv2.transform(cv2.pow(np.maximum(cones, 0.0), 1 / 3), _TO_LAB), np.float32)


def from_oklab(lab: Floats) -> Floats:
    """Convert OKLab to sRGB values 0–1; colors out of gamut keep their hue and lose chroma and some lightness.

    They move along a line to a gray between their own lightness and the middle, as far as the gamut requires
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
    """Return values (n, 1, 3) moved into the gamut by bisection, to a 200th of the way."""
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
    """Convert an 8-bit sRGB color to OKLab."""
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


# A layer while it is edited.


# The rows processed at a time: 256 rows of 4096 pixels take some 60 MB of temporaries.
_STRIP = 256
_SAMPLES = 200_000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Straight sRGB `colors` (height, width, 3) and `alpha` (height, width), float32 in 0–1.

    At least one pixel is visible. An effect owns the picture that it receives and may write into its arrays.
    """

    colors: Floats
    alpha: Floats

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The left, top, right and bottom of the visible part."""
        return box_of(self.alpha > 0)

    @property
    def extent(self) -> float:
        """The diagonal of the visible part in pixels; sizes of effects are relative to it."""
        left, top, right, bottom = self.box
        return float(np.hypot(right - left, bottom - top))


FindSubject = Callable[[Picture], Floats | None]
"""Returns each pixel's membership in the subject, 0–1, or None if nothing stands out clearly."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an effect may use besides colors: a change of alpha (`shape="new"`), `rng`, and the subject network."""

    shape: Shape
    rng: np.random.Generator
    subject: FindSubject


Effect = Callable[[Picture, Operation, Scene], Picture]


def read_picture(layer: Image.Image) -> Picture:
    """Convert an RGBA layer to a picture."""
    rgba = np.asarray(bleed(layer))
    colors = rgba[..., :3].astype(np.float32)
    colors /= 255.0
    return Picture(colors=colors, alpha=rgba[..., 3].astype(np.float32) / np.float32(255.0))


def write_picture(picture: Picture) -> Image.Image:
    """Convert a picture to 8-bit RGBA; transparent pixels become black, so that no hidden color is passed on."""
    height, width = picture.alpha.shape
    rgba = np.empty((height, width, 4), np.uint8)
    for rows in strips(height):
        rgba[rows, :, :3] = np.rint(picture.colors[rows].clip(0.0, 1.0) * 255.0)
        rgba[rows, :, 3] = np.rint(picture.alpha[rows].clip(0.0, 1.0) * 255.0)
        rgba[rows][rgba[rows, :, 3] == 0] = 0
    return Image.fromarray(rgba, "RGBA")


def strips(height: int) -> list[slice]:
    """Return row ranges that bound the memory of per-pixel work."""
    return [slice(top, min(top + _STRIP, height)) for top in range(0, height, _STRIP)]


def change_lab(picture: Picture, change: Callable[[Floats, slice], Floats]) -> Picture:
    """Apply `change` to every pixel's OKLab value; it also receives the row range."""
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = from_oklab(change(to_oklab(picture.colors[rows]), rows))
    return picture


def sample_lab(picture: Picture) -> tuple[Floats, Floats]:
    """Return OKLab values (n, 1, 3) of visible pixels, sampled evenly from the picture, and their alpha (n)."""
    seen = np.flatnonzero(picture.alpha)
    seen = seen[:: max(1, len(seen) // _SAMPLES)]
    return to_oklab(picture.colors.reshape(-1, 1, 3)[seen]), picture.alpha.reshape(-1)[seen]


def quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the weighted quantile of flat `values`: 0.5 is their median."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[min(int(np.searchsorted(reached, share * reached[-1])), len(values) - 1)]])


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high` and a smooth curve between them."""
    ramp = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def soften(plane: Floats, sigma: float) -> Floats:
    """Return one channel after a Gaussian blur of `sigma` pixels; a wide one is computed at a smaller size."""
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
    """Return one channel blurred over visible pixels only, so that no hidden color leaks in; hidden pixels stay."""
    return np.divide(soften(plane * alpha, sigma), softened_alpha, out=plane.copy(), where=softened_alpha > 1e-3)

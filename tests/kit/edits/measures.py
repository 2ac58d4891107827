"""What each effect has to move, which way, and when a layer has no room for it to move.

Measures are means over visible pixels, weighted by alpha, of OKLab values that this module computes for itself
(in float64, by the published matrices), so that a mistake in the product's conversion cannot hide itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.operations import Operation

Array = NDArray[np.float64]
NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class Look:
    """A layer as measures see it: OKLab (height, width, 3), sRGB 0–1, and alpha 0–1."""

    lab: Array
    rgb: Array
    alpha: Array

    def mean(self, values: Array) -> float:
        return float((values * self.alpha).sum() / self.alpha.sum())

    @property
    def chroma(self) -> Array:
        return np.hypot(self.lab[..., 1], self.lab[..., 2])

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.lab[..., 0][self.alpha > 0], share))


def look_at(layer: Image.Image) -> Look:
    """Return the look of an RGBA layer."""
    rgba = np.asarray(layer, np.float64) / 255.0
    return Look(oklab(rgba[..., :3]), rgba[..., :3], rgba[..., 3])


def oklab(rgb: Array) -> Array:
    """Return sRGB values 0–1 as OKLab."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


@dataclass(frozen=True)
class Goal:
    """`measure(before, now)` has to rise (`up`) or fall; `full(before)` says that a layer leaves it no room."""

    name: str
    measure: Callable[[Look, Look], float]
    up: bool
    full: Callable[[Look], bool]

    def reached(self, before: Look, after: Look) -> bool:
        moved = self.measure(before, after) - self.measure(before, before)
        return moved > NEGLIGIBLE if self.up else moved < -NEGLIGIBLE


def goal(operation: Operation) -> Goal:
    """Return what an operation has to do to a layer."""
    up = operation.amount > 1.0
    match operation.effect:
        case "recolor" | "replace":
            return Goal("distance to the color", _distance_to(operation), False, _is_close(operation))
        case "tint" if operation.amount > 0:
            return Goal("distance to the color", _distance_to(operation), False, lambda look: False)
        case "tint":
            return Goal("hue's share", _along(operation), False, lambda look: _along(operation)(look, look) < 2e-3)
        case "brightness" | "exposure":
            return Goal("lightness", _lightness, up, _no_room_for_light(operation.effect, up))
        case "gradient":
            return Goal("lean along the gradient", _end_to_end(operation), True, lambda look: look.alpha.size < 100)
        case "night":
            return Goal("lightness", _lightness, False, _is_black)
        case "metal":
            return Goal("distance to the metal", _distance_to(operation), False, _is_metallic(operation))
        case "isolate":
            return Goal("chroma", _chroma, False, lambda look: True)
        case "cast" | "outline":
            return Goal(
                "alpha and what is seen", _change, True, lambda look: operation.effect == "cast" and _fills(look)
            )
        case "rotate":
            return Goal("change", _change, True, lambda look: look.alpha.size < 4)
        case "contrast":
            return Goal("spread of lightness", _spread, up, lambda look: _spread(look, look) < 5e-3)
        case "saturation" | "vibrance":
            return Goal("chroma", _chroma, up, _no_room_for_chroma(up))
        case "warmth":
            return Goal("yellow − blue", lambda _, now: now.mean(now.lab[..., 2]), up, _is_black)
        case "hue":
            return Goal("turn of hue", _turn, operation.amount > 0, _is_grey)
        case "glow" | "sunset":
            return Goal("lean to the light", _along(operation), True, _has_that_light(operation))
        case "shadow":
            return Goal("lightness of the darker half", _dark_half, False, _is_black)
        case "greyscale":
            return Goal("chroma", _chroma, False, _is_grey)
        case "invert":
            return Goal("distance to the negative", _off_negative, False, lambda look: _off_negative(look, look) < 0.01)
        case "sepia" | "vintage":
            return Goal("distance to old paper", _off_paper, False, lambda look: _off_paper(look, look) < 0.03)
        case "vignette":
            return Goal("corners − centre", _corners, False, lambda look: _is_black(look) or look.alpha.size < 4)
        case "grain":
            return Goal("edge energy", _edges, True, lambda look: _is_black(look) or look.alpha.size < 4)
        case "sharpen":
            return Goal("edge energy", _edges, True, _is_even)
        case "blur" | "simplify":
            return Goal("edge energy", _edges, False, _is_even)
        case "posterize":
            return Goal("colors", _colors, False, lambda look: _colors(look, look) < 6)
        case "pixelate":
            return Goal("share of edges", _edge_share, False, lambda look: _edge_share(look, look) < 0.01)
        case "cutout":
            return Goal("whiteness", lambda _, now: now.mean(now.rgb.min(axis=-1)), True, lambda look: False)
        case "mirror" | "flip" | "turn":
            return Goal(
                "distance to the turned", _off_turned(operation.effect), False, _is_same_turned(operation.effect)
            )
        case _:
            return Goal("alpha", lambda _, now: float(now.alpha.mean()), up, lambda look: False)


def _lightness(_: Look, now: Look) -> float:
    return now.mean(now.lab[..., 0])


def _chroma(_: Look, now: Look) -> float:
    return now.mean(now.chroma)


def _spread(_: Look, now: Look) -> float:
    light = now.lab[..., 0]
    return float(np.sqrt(now.mean((light - now.mean(light)) ** 2)))


def _distance_to(operation: Operation) -> Callable[[Look, Look], float]:
    target = oklab(np.array(operation.color) / 255.0)
    return lambda _, now: now.mean(np.linalg.norm(now.lab - target, axis=-1))


def _is_close(operation: Operation) -> Callable[[Look], bool]:
    return lambda look: _distance_to(operation)(look, look) < 0.01


def _end_to_end(operation: Operation) -> Callable[[Look, Look], float]:
    """How far the last third along the gradient's way is from the first, towards the second color."""
    first, last = (oklab(np.array(color) / 255.0) for color in (operation.color, operation.second))
    angle = np.deg2rad(operation.size or 0.0)

    def measure(_: Look, now: Look) -> float:
        rows, columns = np.nonzero(now.alpha)
        along = columns * np.cos(angle) + rows * np.sin(angle)
        low, high = np.quantile(along, (0.33, 0.67))
        lab = now.lab[rows, columns]
        apart = lab[along >= high].mean(axis=0) - lab[along <= low].mean(axis=0)
        return float(apart @ (last - first))

    return measure


def _change(before: Look, now: Look) -> float:
    return float(np.abs(now.alpha - before.alpha).mean() + np.abs(now.rgb - before.rgb).mean())


def _fills(look: Look) -> bool:
    return bool((look.alpha == look.alpha.max()).all())


def _is_metallic(operation: Operation) -> Callable[[Look], bool]:
    """A play of light leaves the metal's mean, so what is near it has no room."""
    return lambda look: _distance_to(operation)(look, look) < 0.15


def _along(operation: Operation) -> Callable[[Look, Look], float]:
    """The mean of a and b along the hue of the operation's color, orange for a sunset."""
    a, b = oklab(np.array(operation.color or (255, 138, 60)) / 255.0)[1:]
    return lambda _, now: now.mean((now.lab[..., 1] * a + now.lab[..., 2] * b) / np.hypot(a, b))


def _has_that_light(operation: Operation) -> Callable[[Look], bool]:
    """Whether a layer is as strong in the light's hue already as the light itself."""
    light = np.linalg.norm(oklab(np.array(operation.color or (255, 138, 60)) / 255.0)[1:])
    return lambda look: _along(operation)(look, look) > 0.8 * light  # pyright: ignore[reportReturnType]


def _turn(before: Look, now: Look) -> float:
    """The mean turn of hue in radians, weighted by chroma."""
    turned = (now.lab[..., 1] + 1j * now.lab[..., 2]) * np.conj(before.lab[..., 1] + 1j * before.lab[..., 2])
    return float(np.angle((turned * now.alpha).sum()))


def _dark_half(before: Look, now: Look) -> float:
    dark = before.lab[..., 0] <= before.quantile(0.5)
    return float((now.lab[..., 0] * now.alpha)[dark].sum() / now.alpha[dark].sum())


def _off_negative(before: Look, now: Look) -> float:
    return now.mean(np.abs(now.rgb - (1.0 - before.rgb)).mean(axis=-1))


def _off_paper(_: Look, now: Look) -> float:
    return now.mean(np.hypot(now.lab[..., 1] - 0.012, now.lab[..., 2] - 0.045))


def _corners(before: Look, now: Look) -> float:
    """Lightness in the outer third of what is visible, less that in the inner third, against what it was."""
    rows, columns = np.nonzero(before.alpha)
    distance = np.hypot((rows - rows.mean()) / (np.ptp(rows) + 1), (columns - columns.mean()) / (np.ptp(columns) + 1))
    light = (now.lab[..., 0] - before.lab[..., 0])[rows, columns]
    outer, inner = distance >= np.quantile(distance, 0.67), distance <= np.quantile(distance, 0.33)
    return float(light[outer].mean() - light[inner].mean())


def _edges(_: Look, now: Look) -> float:
    """The root mean square step between neighbors that are both visible."""
    steps = _steps(now)
    return float(np.sqrt((steps**2).mean())) if steps.size else 0.0


def _edge_share(_: Look, now: Look) -> float:
    """The share of visible neighbors whose colors differ."""
    steps = _steps(now)
    return float((steps > 1e-9).mean()) if steps.size else 0.0


def _steps(now: Look) -> Array:
    """The distances in OKLab between neighbors that are both visible."""
    steps: list[Array] = []
    for axis in (0, 1):
        both = np.minimum(np.delete(now.alpha, 0, axis), np.delete(now.alpha, -1, axis)) > 0
        steps.append(np.linalg.norm(np.diff(now.lab, axis=axis)[both], axis=-1))
    return np.concatenate(steps)


def _colors(_: Look, now: Look) -> float:
    return float(len(np.unique(np.rint(now.rgb[now.alpha > 0] * 255.0), axis=0)))


def _off_turned(effect: str) -> Callable[[Look, Look], float]:
    """The distance of what is visible to the original, turned in its own box, where that was visible as well."""
    down, across = {"mirror": (1, -1), "flip": (-1, 1), "turn": (-1, -1)}[effect]

    def measure(before: Look, now: Look) -> float:
        rows, columns = np.nonzero(before.alpha)
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        seen = (before.alpha[box][::down, ::across] > 0) & (now.alpha[box] > 0)
        return float(np.abs(now.rgb[box] - before.rgb[box][::down, ::across])[seen].mean())

    return measure


def _is_same_turned(effect: str) -> Callable[[Look], bool]:
    return lambda look: _off_turned(effect)(look, look) < 2e-3


def _is_black(look: Look) -> bool:
    return look.quantile(1.0) < 0.02


def _is_grey(look: Look) -> bool:
    return look.mean(look.chroma) < 2e-3


def _is_even(look: Look) -> bool:
    # An even gradient has steps of about 0.002, and nothing in it to soften or sharpen.
    return _edges(look, look) < 4e-3


def _no_room_for_light(effect: str, up: bool) -> Callable[[Look], bool]:
    """White cannot brighten and black cannot darken; exposure multiplies light, so it leaves black as well."""
    return lambda look: (
        look.quantile(0.0) > 0.99
        if up and not _is_black(look)
        else _is_black(look) and (not up or effect == "exposure")
    )


def _no_room_for_chroma(up: bool) -> Callable[[Look], bool]:
    """Grey has no hue to strengthen, and what is at the edge of the screen's colors is as strong as can be."""

    def full(look: Look) -> bool:
        at_edge = (look.rgb.min(axis=-1) < 0.01) | (look.rgb.max(axis=-1) > 0.99)
        return _is_grey(look) or (up and look.mean(at_edge.astype(np.float64)) > 0.9)

    return full

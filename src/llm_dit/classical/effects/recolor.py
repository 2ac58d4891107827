"""Giving a layer, or one color in it, another color with its shading and texture kept."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llm_dit.classical.effects.oklab import Floats, chroma, color_to_oklab
from llm_dit.classical.effects.picture import Picture, Scene, change_lab, quantile, sample_lab, smoothstep
from llm_dit.classical.operations import Operation
from llm_dit.classical.refusals import refusal
from llm_dit.color import Rgb

# Chroma below which a color counts as grey, and above which it surely does not.
_GREY, _COLORED = 0.03, 0.09
# The steepest that lightness may change, so that noise in a black or white thing does not turn into texture.
_STEEPEST = 1.5

Change = Callable[[Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Dye:
    """Takes OKLab values from what is usual in a layer (`middle`, `usual_chroma`) to a `target` color.

    Lightness goes along a line with a bend at the middle; hue becomes the target's; chroma keeps its proportion to
    the usual one as far as the layer is `colored` (0–1), so white text on a red sign stays white, while a grey layer
    takes the color everywhere. `plainness` (0–1) says how flat the layer is: a flat one becomes the target exactly,
    a textured one keeps more of its own lightness.
    """

    middle: float
    usual_chroma: float
    colored: float
    plainness: float
    target: tuple[float, float, float]

    def __call__(self, lab: Floats) -> Floats:
        share = self.chroma_share(lab)
        lightness = self.new_lightness(lab[..., 0])
        # Grey parts of a colored thing keep their lightness as well: outlines stay black and windows white.
        lightness = lab[..., 0] + (lightness - lab[..., 0]) * np.minimum(share * 3.0, 1.0)
        # Full chroma over texture looks painted on.
        a, b = np.array(self.target[1:], np.float32) * (0.8 + 0.2 * self.plainness)
        return np.stack([lightness, a * share, b * share], axis=-1)

    def chroma_share(self, lab: Floats) -> Floats:
        """Return the chroma of each value over the usual one, 0–1.25; 1 throughout a grey layer."""
        ratio = np.minimum(chroma(lab) / max(self.usual_chroma, 1e-4), 1.25)
        return 1.0 - self.colored * (1.0 - ratio)

    def new_lightness(self, lightness: Floats) -> Floats:
        """Return where lightness goes: the middle to the target's, black and white stay if the slope allows."""
        wanted = self.target[0]
        # A textured thing neither burns out in white nor drowns in black.
        inside = min(max(wanted, 0.12), 0.95)
        aim = self.plainness * wanted + (1.0 - self.plainness) * (0.18 * self.middle + 0.82 * inside)
        below = min(aim / max(self.middle, 1e-3), _STEEPEST)
        above = min((1.0 - aim) / max(1.0 - self.middle, 1e-3), _STEEPEST)
        away = lightness - self.middle
        return aim + np.where(away < 0, below * away, above * away)


def recolor(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Give the whole layer the operation's color."""
    assert operation.color
    lab, weights = sample_lab(picture)
    dye = mix_dye(lab, weights, operation.color)
    amount = min(operation.amount, 1.0)
    return change_lab(picture, lambda lab, _: lab + amount * (dye(lab) - lab))


def replace(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Give the operation's color to what has its source color."""
    assert operation.color and operation.source
    mask = similarity(operation.source)
    lab, weights = sample_lab(picture)
    weights = weights * mask(lab)[:, 0]
    if weights.sum() < 1e-3 * len(weights):
        raise refusal("no_such_color")
    dye = mix_dye(lab, weights, operation.color)
    amount = min(operation.amount, 1.0)
    return change_lab(picture, lambda lab, _: lab + (amount * mask(lab))[..., None] * (dye(lab) - lab))


def gradient(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Give the layer a color that goes over into a second one, along the way that `size` says."""
    assert operation.color and operation.second
    lab, weights = sample_lab(picture)
    first, last = (mix_dye(lab, weights, color) for color in (operation.color, operation.second))
    amount = min(operation.amount, 1.0)
    left, top, right, bottom = picture.box
    angle = np.deg2rad(90.0 if operation.size is None else operation.size)
    height, width = picture.alpha.shape
    across = (np.arange(width, dtype=np.float32) + 0.5 - (left + right) / 2) * np.cos(angle)
    down = (np.arange(height, dtype=np.float32) + 0.5 - (top + bottom) / 2) * np.sin(angle)
    reach = (right - left) * abs(np.cos(angle)) + (bottom - top) * abs(np.sin(angle))

    def change(lab: Floats, rows: slice) -> Floats:
        share = np.clip(0.5 + (across[None, :] + down[rows, None]) / reach, 0.0, 1.0)[..., None]
        dyed = first(lab)
        dyed += share * (last(lab) - dyed)
        return lab + amount * (dyed - lab)

    return change_lab(picture, change)


def isolate(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Take the chroma of everything but what has the operation's source color."""
    assert operation.source
    mask = similarity(operation.source)
    lab, weights = sample_lab(picture)
    if (weights * mask(lab)[:, 0]).sum() < 1e-3 * len(weights):
        raise refusal("no_such_color")

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] *= mask(lab)[..., None]
        return lab

    return change_lab(picture, change)


def tint(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Lean all colors towards the operation's color; a negative amount takes that hue out."""
    assert operation.color
    target = color_to_oklab(operation.color)
    lean = np.array(target[1:], np.float32)
    share = 0.45 * operation.amount

    def change(lab: Floats, rows: slice) -> Floats:
        if share >= 0:
            # Black and white give way a little, for at their ends there is no room for color.
            lab[..., 0] += min(share, 1.0) * 0.5 * (target[0] - lab[..., 0])
            lab[..., 1:] += min(share, 1.0) * (lean - lab[..., 1:])
        else:
            along = np.maximum((lab[..., 1:] @ lean) / max(float(lean @ lean), 1e-6), 0.0)
            lab[..., 1:] += max(1.6 * share, -1.0) * along[..., None] * lean
        return lab

    return change_lab(picture, change)


def mix_dye(lab: Floats, weights: Floats, target: Rgb) -> Dye:
    """Return the dye for samples (n, 1, 3) with weights (n) that takes what is usual among them to `target`."""
    colorfulness = chroma(lab)[:, 0]
    # The mean over color rather than area, so that the chroma of the colored parts counts.
    usual = float((weights * colorfulness**2).sum() / max(float((weights * colorfulness).sum()), 1e-6))
    colored = float(smoothstep(np.array(usual), _GREY, _COLORED))
    counts = weights * (1.0 - colored * (1.0 - np.minimum(colorfulness / max(usual, 1e-4), 1.0)))
    lightness = lab[:, 0, 0]
    spread = quantile(lightness, counts, 0.9) - quantile(lightness, counts, 0.1)
    return Dye(
        middle=quantile(lightness, counts, 0.5),
        usual_chroma=usual,
        colored=colored,
        plainness=1.0 - float(smoothstep(np.array(spread), 0.05, 0.35)),
        target=color_to_oklab(target),
    )


def similarity(source: Rgb) -> Callable[[Floats], Floats]:
    """Return how far OKLab values have the name of `source`, 0–1: by hue if it has one, else by lightness and grey."""
    lightness, a, b = color_to_oklab(source)

    def of_a_hue(lab: Floats) -> Floats:
        turn = np.arctan2(lab[..., 2] * a - lab[..., 1] * b, lab[..., 1] * a + lab[..., 2] * b)
        return (1.0 - smoothstep(np.abs(turn), 0.42, 0.68)) * smoothstep(chroma(lab), 0.035, 0.08)

    def of_a_grey(lab: Floats) -> Floats:
        off = np.abs(lab[..., 0] - lightness)
        return (1.0 - smoothstep(off, 0.14, 0.3)) * (1.0 - smoothstep(chroma(lab), _GREY, _COLORED))

    return of_a_hue if np.hypot(a, b) > _GREY else of_a_grey

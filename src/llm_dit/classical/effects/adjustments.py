"""Effects on tone and color: scales, where an amount of 1 changes nothing, replacement of colors, and looks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llm_dit.classical.operations import (
    Floats,
    Operation,
    Picture,
    Scene,
    change_lab,
    chroma,
    color_to_oklab,
    from_linear,
    quantile,
    refusal,
    sample_lab,
    smoothstep,
    strips,
    to_linear,
)
from llm_dit.color import Rgb


def brightness(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Darken like less light; brighten the midtones most, and lift black only if there is nothing brighter."""
    factor = operation.amount
    if factor <= 1.0:
        return change_lab(picture, lambda lab, _: lab * factor**0.7)
    lab, weights = sample_lab(picture)
    lift = min(0.55 * (factor - 1.0) * (1.0 - quantile(lab[:, 0, 0], weights, 0.95)), 0.5)

    def change(lab: Floats, rows: slice) -> Floats:
        before = lab[..., :1].clip(1e-4, 1.0)
        after = before ** (1.0 / factor)
        after += lift * (1.0 - after)
        return np.concatenate([after, lab[..., 1:] * np.minimum(after / before, 1.5) ** 0.8], axis=-1)

    return change_lab(picture, change)


def exposure(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply linear light; values beyond white roll off towards it."""
    gain = operation.amount ** (1.0 / 3.0)
    knee = 0.85

    def change(lab: Floats, rows: slice) -> Floats:
        exposed = lab * gain
        light = exposed[..., 0]
        rolled = knee + (1.0 - knee) * (1.0 - np.exp(-np.maximum(light - knee, 0.0) / (1.0 - knee)))
        exposed[..., 0] = np.where(light > knee, np.maximum(rolled, np.minimum(lab[..., 0], light)), light)
        return exposed

    return change_lab(picture, change)


def contrast(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Expand or compress lightness around the layer's median, with black and white fixed."""
    factor = operation.amount
    lab, weights = sample_lab(picture)
    middle = min(max(quantile(lab[:, 0, 0], weights, 0.5), 0.2), 0.8)

    def change(lab: Floats, rows: slice) -> Floats:
        away = lab[..., 0] - middle
        span = np.where(away > 0, 1.0 - middle, middle)
        share = np.abs(away) / span
        lab[..., 0] = middle + np.sign(away) * span * factor * share / (1.0 + max(factor - 1.0, 0.0) * share)
        lab[..., 1:] *= min(factor, 3.0) ** 0.25
        return lab

    return change_lab(picture, change)


def saturation(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply chroma."""

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] *= operation.amount
        return lab

    return change_lab(picture, change)


def vibrance(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply chroma, more so for pale colors."""

    def change(lab: Floats, rows: slice) -> Floats:
        weight = np.clip(1.2 - chroma(lab) / 0.3, 0.3, 1.2)
        lab[..., 1:] *= (max(operation.amount, 0.01) ** weight)[..., None]
        return lab

    return change_lab(picture, change)


def warmth(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Shift the white balance by gains in linear light that keep the luminance of gray."""
    turns = float(np.clip(np.log2(max(operation.amount, 0.1)), -3.0, 3.0))
    gains = np.exp2(np.array([0.28, 0.04, -0.42], np.float32) * turns)
    gains /= np.dot(gains, np.array([0.2126, 0.7152, 0.0722], np.float32))
    for rows in strips(picture.alpha.shape[0]):
        linear = to_linear(picture.colors[rows]) * gains
        # Colors brighter than the screen's white lose light, not color; otherwise white would never turn warm.
        linear /= np.maximum(linear.max(axis=-1, keepdims=True), 1.0)
        picture.colors[rows] = from_linear(linear)
    return picture


def hue(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Rotate every hue by `amount` degrees."""
    angle = np.deg2rad(operation.amount)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] = lab[..., 1:] @ turn
        return lab

    return change_lab(picture, change)


# Replacing a color, with shading and texture kept.


# Chroma below which a color counts as gray, and above which it surely does not.
_GREY, _COLORED = 0.03, 0.09
# The largest slope of lightness, so that noise in a black or white thing does not turn into texture.
_STEEPEST = 1.5
# Lightness up to which color and texture are invisible, and from which they are visible: about 8-bit levels 7 and 28.
_BLACK, _DARK = 0.13, 0.24
# The colored share of a layer up to which it is a gray one with a colored edge, and from which it is colored.
_SOME = (0.02, 0.08)


@dataclass(frozen=True, kw_only=True)
class Dye:
    """Maps OKLab values from a layer's typical ones (`middle`, `usual_chroma`) to a `target` color.

    Lightness follows a line with a bend at the middle; hue becomes the target's; chroma keeps its ratio to the usual
    one as far as the layer is `colored` (0–1), so that white text on a red sign stays white, while a gray layer takes
    the color everywhere. `plainness` (0–1) is the layer's flatness: a flat layer becomes the target exactly, a textured
    one keeps more of its own lightness.
    """

    middle: float
    usual_chroma: float
    colored: float
    plainness: float
    target: tuple[float, float, float]

    def __call__(self, lab: Floats) -> Floats:
        seen = _as_seen(lab)
        share = self.chroma_share(seen)
        lightness = self.new_lightness(seen[..., 0])
        # Gray parts of a colored thing also keep their lightness: outlines stay black and windows white.
        lightness = lab[..., 0] + (lightness - lab[..., 0]) * np.minimum(share * 3.0, 1.0)
        # Full chroma over texture looks painted on.
        a, b = np.array(self.target[1:], np.float32) * (0.8 + 0.2 * self.plainness)
        return np.stack([lightness, a * share, b * share], axis=-1)

    def chroma_share(self, lab: Floats) -> Floats:
        """Return each value's chroma relative to the usual one, 0–1.25; 1 throughout a gray layer."""
        ratio = np.minimum(chroma(lab) / max(self.usual_chroma, 1e-4), 1.25)
        return 1.0 - self.colored * (1.0 - ratio)

    def new_lightness(self, lightness: Floats) -> Floats:
        """Return the new lightness: the middle becomes the target's; black and white stay if the slope allows."""
        wanted = self.target[0]
        # A textured thing must not clip to white or black.
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
    """Replace the operation's source color by its color."""
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
    """Recolor the layer with a gradient between two colors, at the angle `size`."""
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
    """Remove chroma from everything except the operation's source color."""
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
    """Shift all colors towards the operation's color; a negative amount removes that hue."""
    assert operation.color
    target = color_to_oklab(operation.color)
    lean = np.array(target[1:], np.float32)
    share = 0.45 * operation.amount

    def change(lab: Floats, rows: slice) -> Floats:
        if share >= 0:
            # Black and white shift a little, because the extremes have no room for color.
            lab[..., 0] += min(share, 1.0) * 0.5 * (target[0] - lab[..., 0])
            lab[..., 1:] += min(share, 1.0) * (lean - lab[..., 1:])
        else:
            along = np.maximum((lab[..., 1:] @ lean) / max(float(lean @ lean), 1e-6), 0.0)
            lab[..., 1:] += max(1.6 * share, -1.0) * along[..., None] * lean
        return lab

    return change_lab(picture, change)


def _as_seen(lab: Floats) -> Floats:
    """Return OKLab values with near-black set to black: a dye would turn its noise into blotches."""
    return lab * smoothstep(lab[..., :1], _BLACK, _DARK)


def mix_dye(lab: Floats, weights: Floats, target: Rgb) -> Dye:
    """Return the dye that maps the typical values of samples (n, 1, 3) with weights (n) to `target`."""
    lab = _as_seen(lab)
    colorfulness = chroma(lab)[:, 0]
    # The mean is weighted by chroma, not only by area, so that the colored parts count.
    usual = float((weights * colorfulness**2).sum() / max(float((weights * colorfulness).sum()), 1e-6))
    share = float((weights * (colorfulness > _GREY)).sum() / max(float(weights.sum()), 1e-6))
    colored = float(smoothstep(np.array(usual), _GREY, _COLORED) * smoothstep(np.array(share), *_SOME))
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
    """Return how well OKLab values match the name of `source`, 0–1: by hue, or by lightness if `source` is gray."""
    lightness, a, b = color_to_oklab(source)

    def of_a_hue(lab: Floats) -> Floats:
        turn = np.arctan2(lab[..., 2] * a - lab[..., 1] * b, lab[..., 1] * a + lab[..., 2] * b)
        return (1.0 - smoothstep(np.abs(turn), 0.42, 0.68)) * smoothstep(chroma(lab), 0.035, 0.08)

    def of_a_grey(lab: Floats) -> Floats:
        off = np.abs(lab[..., 0] - lightness)
        return (1.0 - smoothstep(off, 0.14, 0.3)) * (1.0 - smoothstep(chroma(lab), _GREY, _COLORED))

    return of_a_hue if np.hypot(a, b) > _GREY else of_a_grey


# Ready-made looks.

_PLAIN_LEVELS = 5


def greyscale(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Remove chroma and keep lightness."""
    keep = 1.0 - min(operation.amount, 1.0)

    def change(lab: Floats, rows: slice) -> Floats:
        lab[..., 1:] *= keep
        return lab

    return change_lab(picture, change)


def invert(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Replace every channel by its complement, as in a photographic negative."""
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = 1.0 - picture.colors[rows]
    return picture


def sepia(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Tone in brown on cream paper."""
    amount = min(operation.amount, 1.5)

    def change(lab: Floats, rows: slice) -> Floats:
        light = 0.13 + 0.83 * lab[..., 0]
        strength = 0.55 + 1.6 * light * (1.0 - light)
        print_ = np.stack([light, 0.024 * strength, 0.056 * strength], axis=-1)
        return lab + amount * (print_ - lab)

    return change_lab(picture, change)


def night(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Simulate moonlight: dark, blue and muted, with the brightest lights still on."""
    amount = min(operation.amount, 1.4)
    lab, weights = sample_lab(picture)
    bright = quantile(lab[:, 0, 0], weights, 0.97)

    def change(lab: Floats, rows: slice) -> Floats:
        light = lab[..., 0]
        lit = smoothstep(light, max(bright, 0.9), 1.02) * 0.35
        dark = light * (0.38 + 0.18 * light)
        moonlit = np.stack(
            [
                dark + lit * (light - dark),
                0.45 * lab[..., 1] - 0.012,
                0.4 * lab[..., 2] - 0.055 * smoothstep(light, 0.0, 0.4),
            ],
            axis=-1,
        )
        return lab + amount * (moonlit - lab)

    return change_lab(picture, change)


def metal(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Simulate a metal of the operation's color: the layer's shading becomes reflections, with a sheen across."""
    assert operation.color
    amount = min(operation.amount, 1.0)
    lab, weights = sample_lab(picture)
    low, high = (quantile(lab[:, 0, 0], weights, share) for share in (0.04, 0.96))
    flat = 1.0 - float(smoothstep(np.array(high - low), 0.05, 0.35))
    middle, a, b = color_to_oklab(operation.color)
    height, width = picture.alpha.shape
    left, top, _, _ = picture.box
    across = (np.arange(width, dtype=np.float32) - left) / picture.extent
    down = (np.arange(height, dtype=np.float32) - top) / picture.extent

    def change(lab: Floats, rows: slice) -> Floats:
        own = np.clip((lab[..., 0] - low) / max(high - low, 0.05), 0.0, 1.0)
        sheen = 0.5 + 0.5 * np.sin(11.0 * (across[None, :] + down[rows, None]))
        tone = (0.75 - 0.5 * flat) * own + (0.25 + 0.5 * flat) * sheen
        light = middle + 0.26 * (tone - 0.5) * 2.0
        # Metal is most saturated in its midtones and pale in highlights.
        rich = 1.0 - 0.7 * smoothstep(tone, 0.7, 1.0)
        cast = np.stack([light, a * rich + 0.03 * (1.0 - tone) * (b > 0.02), b * rich], axis=-1)
        return lab + amount * (cast - lab)

    return change_lab(picture, change)


def posterize(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Reduce every channel to a few even levels, like a screen print."""
    levels = operation.size or max(2.0, round(_PLAIN_LEVELS / operation.amount))
    for rows in strips(picture.alpha.shape[0]):
        picture.colors[rows] = np.rint(picture.colors[rows] * (levels - 1.0)) / (levels - 1.0)
    return picture

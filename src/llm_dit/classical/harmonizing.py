"""Matching a layer's color and light to the surrounding picture, and a contact shadow below it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import Plane, as_float, join
from llm_dit.classical.recovering import changed, recovered
from llm_dit.errors import InputError
from llm_dit.layer import NO_GROUPS, Groups, Layer, plain
from llm_dit.layers import canvas_size
from llm_dit.surroundings import (
    AROUND,
    LEAST_AROUND_PX,
    Surroundings,
    SurroundingsLike,
    read_surroundings,
    seen_box,
    surroundings_of,
)

# The density of colors near a layer: a smoothed histogram of its surroundings, weighted by proximity.

BINS, BLUR_BINS = 20, 1.1
SIDE = 512
"""The longer side in pixels at which colors are compared."""
NEAR_SHARE, FAR_WEIGHT = 0.12, 0.08
"""A color's weight falls with its distance from the layer, over this share of the longer side, to this minimum."""
FLOOR, NEUTRAL_SHARE, FAR_SHARE = 0.05, 0.1, 0.2
"""The weights in the mixture: any color, neutral colors, which every picture may have, and distant colors."""
SAMPLES, GROUND_SAMPLES, LEAST_PIXELS = 250, 4000, 30
SOLID = 0.7
"""The least alpha of a pixel whose color counts; at less, the color is hardly visible."""

# The model of a layer's color error, and the search for the change with the highest likelihood.

USUAL = np.array([0.4, 0.15, 0.15, 0.25, 0.22])
"""Standard deviations: exposure, red and blue (logarithms of gains), gamma and saturation (of exponent and factor)."""
DRAWN, VOLUME = 0.2, 0.8
"""The weight of the prior, and of the correction for changes that raise the likelihood by making colors more alike."""
ROUNDS, TRIED, KEPT = 4, 60, 10
MATCHED = (-1.0, -0.6)
"""The log-likelihood of the changed layer minus that of its surroundings: from the first a match counts in part, from
the second fully."""
GAINED = (1.0, 1.8)
"""The gain in log-likelihood: up to the first nothing changes, from the second the full change is applied."""
VARIED = (0.006, 0.012)
"""The standard deviation of the layer's colors: up to the first nothing changes, because one color fits any other of
the surroundings, and a flat drawing would vanish in them."""
USUAL_REACH = (1.0, 1.4)
"""The largest part of a change, in standard deviations: up to the first it is applied fully, from the second not at
all, because matches with unrelated colors usually need large changes."""


class HarmonizedLayers(list[Layer]):
    """A stack, bottom first, whose layer at `place` was harmonized by `strength`, 0 (unchanged) to 1; its shadow, if
    any, lies right below it."""

    def __init__(self, layers: Sequence[Layer], place: int, strength: float) -> None:
        super().__init__(layers)
        self.place = place
        self.strength = strength


@dataclass(frozen=True, kw_only=True)
class Harmony:
    """A picture with changed colors and the same alpha, byte for byte; a `strength` of 0 means no change."""

    image: Image.Image
    strength: float


def harmonize(
    layers: Sequence[Layer],
    index: int,
    width: int | None = None,
    height: int | None = None,
    groups: Groups = NO_GROUPS,
    *,
    shadow: bool = False,
    name: str = "",
) -> HarmonizedLayers:
    """Return a stack, bottom first, whose layer at `index` matches the color and light of the other layers around it.

    The canvas is `width` × `height` pixels, or that of `composite`. If the surroundings do not determine the colors, as
    for a drawing on a photograph, the layer does not change. With `shadow` a new layer below it, named `name` or
    "Shadow of …", darkens where it stands. Raises `InputError` for an invalid index.
    """
    width, height = canvas_size(layers, width, height)
    if not 0 <= index < len(layers):
        raise InputError("index must be the place of a layer in the stack, 0 at the bottom.", param="index")
    layer = layers[index]
    around = surroundings_of(layers, index, width, height, groups, whole=True)
    harmony = harmonize_layer(layer.image, around)
    made = replace(layer, image=harmony.image)
    below = contact_shadow(layer, around, width, height) if shadow else None
    added = [replace(below, name=name or f"Shadow of {layer.name}".strip())] if below else []
    return HarmonizedLayers([*layers[:index], *added, made, *layers[index + 1 :]], index + len(added), harmony.strength)


def harmonize_layer(layer: Image.Image, surroundings: SurroundingsLike) -> Harmony:
    """Return a layer's picture with the color and light of its surroundings, a picture of its size or of its stack.

    Exposure, white balance, gamma and saturation are changed so that the layer's colors have the highest likelihood
    among the surrounding ones, because the color distributions of two pictures of one scene agree (color transfer:
    Reinhard et al., 2001, Pitié et al., 2007; here by maximum likelihood under the histogram of the surroundings,
    Parzen, 1962, with the cross-entropy method, Rubinstein, 1999). The mean of the best changes is applied, to the
    degree that it makes a match, and a better one than before.
    """
    image = layer.convert("RGBA")
    around = read_surroundings(surroundings, image)
    assert around is not None
    seen = recovered(image, around)
    if seen is not None:
        made = _colored(image, seen)
        return Harmony(image=made, strength=float(made.tobytes() != image.tobytes()))
    found = _samples(image, around)
    if found is None:
        return Harmony(image=image, strength=0.0)
    own, near, far = found
    chance = np.log((1 - FAR_SHARE) * _density(near) + FAR_SHARE * _density(far) + NEUTRAL_SHARE * NEUTRAL + FLOOR)
    change = _most_likely(own, chance)
    matched = _likelihood(chance, changed(own, change)) - _likelihood(chance, near)
    gained = matched + _likelihood(chance, near) - _likelihood(chance, own)
    reach = float(np.abs(change / USUAL).max())
    strength = _ramp(matched, MATCHED) * _ramp(gained, GAINED) * (1 - _ramp(reach, USUAL_REACH))
    strength *= _ramp(float(own.std(0).mean()), VARIED)
    if strength == 0:
        return Harmony(image=image, strength=0.0)
    return Harmony(image=_colored(image, changed(as_float(image)[..., :3], change * strength)), strength=strength)


def _colored(image: Image.Image, colors: Plane) -> Image.Image:
    """Return an image with other colors where it is seen, and the same alpha, byte for byte."""
    alpha = image.getchannel("A")
    made = join(colors, as_float(alpha))
    made.putalpha(alpha)
    return Image.composite(made, image, alpha.point([0] + [255] * 255))


def _nearby(image: Image.Image, around: Surroundings) -> Surroundings:
    """Return the part of a layer's surroundings near what is seen of it."""
    box, whole = seen_box(image), around.box
    room = round(max(AROUND * max(box[2] - box[0], box[3] - box[1]), LEAST_AROUND_PX))
    near = (
        max(box[0] - room, whole[0]),
        max(box[1] - room, whole[1]),
        min(box[2] + room, whole[2]),
        min(box[3] + room, whole[3]),
    )
    if near[0] >= near[2] or near[1] >= near[3] or near == whole:
        return around
    share = around.image.width / (whole[2] - whole[0])
    size = max(1, round((near[2] - near[0]) * share)), max(1, round((near[3] - near[1]) * share))
    return replace(around, image=around.within(near, size), box=near)


def _samples(image: Image.Image, around: Surroundings) -> tuple[Plane, Plane, Plane] | None:
    """Return colors (n, 3), 0–1, of the layer, its near and its whole surroundings, or None if there are too few."""
    around = _nearby(image, around)
    left, top, right, bottom = around.box
    share = min(1.0, SIDE / max(right - left, bottom - top))
    size = max(1, round((right - left) * share)), max(1, round((bottom - top) * share))
    ground = np.asarray(around.within(around.box, size), np.float32) / 255
    layer = np.asarray(image.crop(around.box).resize(size, Image.Resampling.BOX), np.float32) / 255
    solid, free = layer[..., 3] > SOLID, (layer[..., 3] < 0.02) & (ground[..., 3] > 0.9)
    if min(solid.sum(), free.sum()) < LEAST_PIXELS:
        return None
    box = seen_box(image)
    reach = NEAR_SHARE * share * max(box[2] - box[0], box[3] - box[1])
    distance = cv2.distanceTransform((layer[..., 3] < 0.5).astype(np.uint8), cv2.DIST_L2, 5)[free]
    weight = np.exp(-distance.astype(np.float64) / max(reach, 1)) + FAR_WEIGHT
    chance = np.random.default_rng(0)
    colors = ground[free][:, :3]
    near = colors[chance.choice(len(colors), GROUND_SAMPLES, p=weight / weight.sum())]
    far = colors[chance.choice(len(colors), GROUND_SAMPLES)]
    own = layer[solid][:, :3]
    return own[chance.choice(len(own), SAMPLES)], near, far


def _ramp(value: float, between: tuple[float, float]) -> float:
    return float(np.clip((value - between[0]) / (between[1] - between[0]), 0, 1))


def _most_likely(own: Plane, chance: Plane) -> Plane:
    """Return the mean of the changes with the highest likelihood of a layer's colors."""
    logarithms = np.log(own.clip(0.02, 1)).sum(-1).mean()

    def score(change: Plane) -> float:
        made = changed(own, change)
        lost = float(np.maximum(made - 1, 0).sum(-1).mean())
        volume = 3 * (change[0] + change[3]) + (np.exp(change[3]) - 1) * logarithms + 2 * change[4]
        return _likelihood(chance, made) - 6 * lost + VOLUME * volume - DRAWN / 2 * float(((change / USUAL) ** 2).sum())

    random = np.random.default_rng(0)
    mean, spread = np.zeros(5), USUAL.copy()
    for _ in range(ROUNDS):
        tried = mean + spread * random.standard_normal((TRIED, 5))
        best = tried[np.argsort([score(change) for change in tried])[-KEPT:]]
        mean, spread = best.mean(0), best.std(0) * 1.1 + 0.003
    return mean


def _density(colors: Plane) -> Plane:
    """Return the density of colors (n, 3) in each bin (`BINS`, `BINS`, `BINS`), relative to a uniform one."""
    counts = np.zeros((BINS,) * 3, np.float32)
    np.add.at(counts, tuple(np.rint(colors * (BINS - 1)).astype(np.intp).T), 1)
    for axis in range(3):
        padded = np.pad(counts, [(3, 3) if each == axis else (0, 0) for each in range(3)])
        parts = [share * np.take(padded, np.arange(at, at + BINS), axis) for at, share in enumerate(KERNEL)]
        counts = np.sum(parts, axis=0)
    return counts / counts.sum() * BINS**3


def _likelihood(chance: Plane, colors: Plane) -> float:
    """Return the mean log-likelihood of colors (n, 3), interpolated between the bins."""
    at = colors.clip(0, 1) * (BINS - 1)
    first = np.minimum(at.astype(np.intp), BINS - 2)
    part = at - first
    total = np.zeros(len(colors))
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(-1)
        total += weight * chance[tuple((first + corner).T)]
    return float(total.mean())


def _neutral() -> Plane:
    steps = np.stack(np.meshgrid(*[np.linspace(0, 1, BINS)] * 3, indexing="ij"), -1)
    light = steps.mean(-1)
    likely = np.exp(-np.ptp(steps, axis=-1) / 0.22) * (1 + 2 * (light > 0.93) + (light < 0.08))
    return likely / likely.mean()


KERNEL = np.exp(-0.5 * (np.arange(-3, 4) / BLUR_BINS) ** 2) / np.exp(-0.5 * (np.arange(-3, 4) / BLUR_BINS) ** 2).sum()
NEUTRAL = _neutral()

# The contact shadow: dark along the foot of a thing, fading with the gap below it.

GAP_SHARE = 0.1
"""The height above the foot, as a share of the layer's, at which the outline casts about a third of the shadow."""
SHADOW_OPACITY = 0.6
DARK = 0.2
"""The share of the surroundings' color that remains in the shadow."""


def contact_shadow(layer: Layer, surroundings: Surroundings, width: int, height: int) -> Layer | None:
    """Return a soft, dark layer for below a layer, along the foot of its visible part, or None if nothing shows."""
    baked = plain(layer, width, height)
    alpha = np.asarray(baked.image.getchannel("A"), np.float32) / 255
    solid = alpha > 0.5
    if not solid.any():
        return None
    rows = np.flatnonzero(solid.any(1))
    foot, tall = int(rows[-1]), int(rows[-1] - rows[0] + 1)
    lowest = np.where(solid.any(0), alpha.shape[0] - 1 - solid[::-1].argmax(0), -(10**6))
    touch = np.exp(-(foot - lowest) / (GAP_SHARE * tall)).astype(np.float32)
    size = float(np.sqrt(solid.sum()))
    room = max(4, round(0.2 * size))
    line = np.zeros((2 * room + 1, alpha.shape[1] + 2 * room), np.float32)
    line[room, room:-room] = touch
    shade = np.zeros_like(line)
    for share, across, down in ((0.55, 0.02, 0.012), (0.6, 0.06, 0.04)):
        soft = cv2.GaussianBlur(line, (0, 0), sigmaX=max(across * size, 0.8), sigmaY=max(down * size, 0.8))
        shade += share * soft / max(float(soft.max()), 1e-6)
    ground = np.asarray(_nearby(layer.image, surroundings).image.convert("RGBA"), np.float32).reshape(-1, 4)
    seen = ground[ground[:, 3] > 127]
    color = np.median(seen[:, :3], axis=0) / 255 * DARK if len(seen) else np.zeros(3)
    colors = np.broadcast_to(color.astype(np.float32), (*shade.shape, 3))
    return Layer(
        image=join(colors, shade.clip(0, 1)),
        x=baked.x - room,
        y=baked.y + foot - room,
        opacity=SHADOW_OPACITY,
        blend="multiply",
        group=layer.group,
    )

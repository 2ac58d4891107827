"""A stage is a picture being built: a ground and the layers laid on it, colored so that each can be told apart."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.kit.scenes import textures
from tests.kit.scenes.outlines import Mask, Outline, Point, Size, fill, soften
from tests.kit.scenes.textures import Color, Fill

CLEAR = (34.0, 200.0)
"""The usual distance in CIELAB from what a thing lies on."""
TONAL = (13.0, 22.0)
"""A low contrast: seen at once by the eye, lost by a coarse threshold."""


@dataclass(kw_only=True)
class Stage:
    """`kind` is "flat", "gradient" or "textured"; `layers` are RGBA, bottom to top, `features` has a tuple for each."""

    size: Size
    kind: str
    rng: np.random.Generator
    layers: list[Image.Image] = field(default_factory=list)
    features: list[tuple[str, ...]] = field(default_factory=list)
    seen: list[Color] = field(default_factory=list)
    picture: Fill = field(init=False)

    def __post_init__(self) -> None:
        self.picture = np.zeros((self.size[1], self.size[0], 3), np.float32)

    @property
    def unit(self) -> float:
        """The shorter side, in pixels."""
        return float(min(self.size))

    def at(self, x: float, y: float, jitter: float = 0.0) -> Point:
        """Return the point at shares `x`, `y` of the width and height, moved by up to `jitter` of the shorter side."""
        dx, dy = self.rng.uniform(-jitter, jitter, 2) * self.unit
        return x * self.size[0] + dx, y * self.size[1] + dy

    def length(self, low: float, high: float) -> float:
        """Return a random length between two shares of the shorter side."""
        return float(self.rng.uniform(low, high)) * self.unit

    def shape(self, *outlines: Outline) -> Mask:
        """Return closed outlines as a mask of this stage's size."""
        return fill(self.size, *outlines)

    def ground(self, number: int) -> None:
        """Lay the ground; `number` takes turns between the variants of the kind."""
        first = _random_color(self.rng)
        second = self._like(first, 30, 60)
        if self.kind == "flat":
            colors = textures.flat(self.size, first)
        elif self.kind == "gradient":
            colors = self.gradient(number, first, second)
        else:
            texture = textures.GROUNDS[number % len(textures.GROUNDS)]
            colors = texture(self.size, self.rng, first, second)
        self.put(np.ones(self.size[::-1], np.float32), colors, "ground")

    def gradient(self, number: int, first: Color, second: Color) -> Fill:
        """Return a gradient over the whole picture: linear, radial, of several stops, or radial from a corner."""
        angle = self.rng.uniform(0, 2 * np.pi)
        if number % 4 == 0:
            return textures.linear(self.size, angle, first, second)
        if number % 4 == 1:
            return textures.radial(self.size, (0.5, 0.5), 0.75, first, second)
        if number % 4 == 2:
            return textures.linear(self.size, angle, first, second, self._like(second, 20, 50))
        return textures.radial(self.size, (0.1, 0.05), 1.2, first, second, self._like(second, 15, 40))

    def color(self, mask: Mask, contrast: tuple[float, float] = CLEAR) -> Color:
        """Return a color new to the stage, its CIELAB distance from what lies under `mask` within `contrast`."""
        under = self._under(mask)
        if contrast == TONAL:
            mean = under.mean(axis=0)
            return self._like(mean, *TONAL)
        candidates = np.stack([_random_color(self.rng) for _ in range(60)])
        gap = _distances(candidates, under).min(axis=1)
        others = np.stack(self.seen) if self.seen else under
        new = _distances(candidates, others).min(axis=1)
        fits = (gap >= contrast[0]) & (gap <= contrast[1]) & (new >= 22)
        best = int(np.flatnonzero(fits)[0]) if fits.any() else int(np.argmax(np.minimum(gap, 1.5 * new)))
        return candidates[best]

    def put(self, mask: Mask, colors: Color | Fill, *features: str, shadow: float = 0.0) -> None:
        """Lay one layer on top: `colors` through `mask`, with a soft dark shadow of strength `shadow` under it.

        On textured grounds every layer has a photograph's faint grain.
        """
        paint = np.broadcast_to(colors, self.picture.shape).astype(np.float32)
        if self.kind == "textured" and features != ("ground",):
            paint = paint + self.rng.normal(0, 1.6, self.size[::-1]).astype(np.float32)[..., None]
        alpha = mask
        if shadow:
            paint, alpha = self._shadowed(paint, mask, shadow)
        rgba = np.concatenate([paint.clip(0, 255), alpha[..., None] * 255], axis=-1)
        layer = Image.fromarray(np.rint(rgba).astype(np.uint8), "RGBA")
        self.layers.append(layer)
        self.features.append((*features, *(["shadow"] if shadow else [])))
        self.seen.append(np.average(paint.reshape(-1, 3), axis=0, weights=mask.ravel()).astype(np.float32))
        exact = np.asarray(layer, np.float32)
        self.picture += (exact[..., :3] - self.picture) * exact[..., 3:] / 255

    def _shadowed(self, paint: Fill, mask: Mask, strength: float) -> tuple[Fill, Mask]:
        """Return straight colors and alpha of `paint` over its own shadow, which falls down and to the right."""
        offset = self.unit * 0.014
        move = np.array([[1, 0, offset * 0.6], [0, 1, offset]], np.float32)
        dark = cv2.warpAffine(soften(mask, self.unit * 0.016), move, self.size) * strength
        alpha = mask + dark * (1 - mask)
        share = np.divide(mask, alpha, out=np.zeros_like(mask), where=alpha > 0)
        return paint * share[..., None], alpha

    def _under(self, mask: Mask) -> NDArray[np.floating]:
        """Return colors (64, 3) of the picture sampled where the mask is."""
        places = np.flatnonzero(mask.ravel() > 0.05)
        return self.picture.reshape(-1, 3)[self.rng.choice(places, 64)]

    def _like(self, color: Color, low: float, high: float) -> Color:
        """Return a color at a CIELAB distance within `low` to `high` from another."""
        steps = self.rng.normal(0, 1, (400, 3))
        steps *= self.rng.uniform(low, high, (400, 1)) / np.linalg.norm(steps, axis=1, keepdims=True)
        lab = _lab(color[None])[0] + steps.astype(np.float32)
        candidates = cv2.cvtColor(lab[None].astype(np.float32), cv2.COLOR_LAB2RGB)[0] * 255
        gap = _distances(candidates, color[None])[:, 0]
        fits = (gap >= low) & (gap <= high)
        return candidates[int(np.argmax(fits))]


def _random_color(rng: np.random.Generator) -> Color:
    """Return a color a designer might take: any hue, from muted to vivid, from dark to light."""
    hue, saturation, value = rng.uniform(0, 360), rng.beta(2, 1.6), 0.12 + 0.86 * rng.beta(2.2, 1.1)
    hsv = np.array([[[hue, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * np.float32(255)


def _lab(colors: NDArray[np.floating]) -> NDArray[np.floating]:
    scaled = np.ascontiguousarray(colors[None].clip(0, 255), np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[0], np.float32)


def _distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the CIELAB distances between two lists of RGB colors."""
    return np.linalg.norm(_lab(first)[:, None] - _lab(second)[None], axis=-1)

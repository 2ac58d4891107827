"""Layers whose colours are known everywhere, drawn at random: the subjects of `alpha_edits`.

A layer is 200 to 2000 px on its longer side, up to 2.5:1 in shape. Under alpha 0 lies what decomposing models and paint
programs leave there: black, white, noise, or another picture.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[Any]
KINDS = ("solid", "soft", "hair", "glow", "shadow", "small", "holes", "text", "border")
SHAPES = ("added", "punched", "thinner", "thicker")
LONGEST_PX = (200, 2000)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A layer as its maker knows it: colours (height, width, 3) everywhere and alpha (height, width), 0–1."""

    kind: str
    colours: Plane
    alpha: Plane
    layer: Image.Image


def draw_subject(kind: str, seed: int, longest_px: tuple[int, int] = LONGEST_PX) -> Subject:
    """Return a layer of one of `KINDS` whose longer side is in the range `longest_px`, small and large alike often."""
    rng = np.random.default_rng(seed)
    longest = round(float(np.exp(rng.uniform(*np.log(longest_px)))))
    shorter = max(round(longest / rng.uniform(1, 2.5)), 1)
    width, height = (longest, shorter) if rng.random() < 0.5 else (shorter, longest)
    alpha = DRAWERS[kind](rng, width, height)
    colours = _draw_colours(rng, kind, width, height)
    hidden = _draw_hidden(rng, width, height)
    shown = np.where(alpha[..., None] > 0.5 / 255, colours, hidden)
    pixels = np.rint(np.concatenate([shown, alpha[..., None]], -1).clip(0, 1) * 255).astype(np.uint8)
    # The truth is what eight bits can say, as for any method.
    cover = pixels[..., 3].astype(np.float32) / 255
    return Subject(kind=kind, colours=colours, alpha=cover, layer=Image.fromarray(pixels, "RGBA"))


def reshape(subject: Subject, name: str, seed: int) -> Subject:
    """Return the subject with the alpha that an edit of its shape gives it, one of `SHAPES`."""
    rng = np.random.default_rng(seed)
    height, width = subject.alpha.shape
    rows, columns = np.nonzero(subject.alpha > 0.3)
    side = max(np.ptp(rows), np.ptp(columns))
    at = int(rng.integers(len(rows)))
    disc = np.zeros((height * FINE, width * FINE), np.uint8)
    radius = max(int(side * rng.uniform(0.08, 0.16)), 2)
    cv2.circle(disc, (int(columns[at]) * FINE, int(rows[at]) * FINE), radius * FINE, 255, -1)
    kernel = np.ones((2 * max(int(side * 0.008), 1) + 1,) * 2, np.uint8)
    alpha = {
        "added": np.maximum(subject.alpha, _shrink(disc, width, height)),
        "punched": subject.alpha * (1 - _shrink(disc, width, height)),
        "thinner": cv2.GaussianBlur(cv2.erode(subject.alpha, kernel), (0, 0), 0.6),
        "thicker": cv2.GaussianBlur(cv2.dilate(subject.alpha, kernel), (0, 0), 0.6),
    }[name]
    return replace(subject, alpha=alpha.astype(np.float32))


# Shapes: (rng, width, height) -> alpha, drawn four times as fine and averaged.
FINE = 4


def _shrink(fine: NDArray[np.uint8], width: int, height: int) -> Plane:
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _blob(rng: np.random.Generator, width: int, height: int, radius: float, middle: tuple[float, float]) -> Plane:
    """Return a star-shaped outline of a few random waves."""
    angle = np.linspace(0, 2 * np.pi, 400)
    waves = sum(rng.uniform(-0.12, 0.12) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in range(2, 7))
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * (radius * (1 + waves))[:, None] + middle
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(points * FINE).astype(np.int32)], 255)
    return _shrink(fine, width, height)


def _solid(rng: np.random.Generator, width: int, height: int) -> Plane:
    side = min(width, height)
    return _blob(rng, width, height, rng.uniform(0.2, 0.36) * side, (width * rng.uniform(0.42, 0.58), height / 2))


def _soft(rng: np.random.Generator, width: int, height: int) -> Plane:
    return cv2.GaussianBlur(_solid(rng, width, height), (0, 0), rng.uniform(3, 16))


def _hair(rng: np.random.Generator, width: int, height: int) -> Plane:
    side = min(width, height)
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    root = np.array([width / 2, height / 2])
    cv2.circle(fine, tuple(np.rint(root * FINE).astype(int).tolist()), int(side * 0.1 * FINE), 255, -1)
    for _ in range(60):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.44) * side
        ahead = np.array([np.cos(angle), np.sin(angle)])
        aside = np.array([-ahead[1], ahead[0]]) * rng.uniform(-0.5, 0.5)
        t = np.linspace(0, 1, 40)[:, None]
        points = root + ahead * reach * t + aside * reach * t**2
        thickness = int(rng.integers(2, 8))  # 0.5 to 1.75 px
        cv2.polylines(fine, [np.rint(points * FINE).astype(np.int32)], False, 255, thickness)
    return _shrink(fine, width, height)


def _glow(rng: np.random.Generator, width: int, height: int) -> Plane:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    alpha = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        middle = (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7))
        distance = np.hypot(x - middle[0], y - middle[1]) / (min(width, height) * rng.uniform(0.08, 0.2))
        alpha = np.maximum(alpha, rng.uniform(0.5, 1) * np.exp(-(distance**2)))
    return alpha


def _shadow(rng: np.random.Generator, width: int, height: int) -> Plane:
    return cv2.GaussianBlur(_solid(rng, width, height), (0, 0), rng.uniform(6, 24)) * rng.uniform(0.35, 0.7)


def _small(rng: np.random.Generator, width: int, height: int) -> Plane:
    middle = (width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.85))
    return _blob(rng, width, height, rng.uniform(0.03, 0.09) * max(width, height), middle)


def _border(rng: np.random.Generator, width: int, height: int) -> Plane:
    """Return an outline that one to three sides of the canvas cut off, as they do with what stands in a scene."""
    middle = (width * rng.choice([0.0, 0.1, 0.9, 1.0]), height * rng.uniform(0.2, 1))
    return _blob(rng, width, height, rng.uniform(0.3, 0.5) * min(width, height), middle)


def _holes(rng: np.random.Generator, width: int, height: int) -> Plane:
    alpha = _solid(rng, width, height)
    fine = np.full((height * FINE, width * FINE), 255, np.uint8)
    for _ in range(25):
        place = (int(rng.uniform(0.2, 0.8) * width * FINE), int(rng.uniform(0.2, 0.8) * height * FINE))
        cv2.circle(fine, place, int(rng.uniform(2, 18) * FINE), 0, -1)
    return alpha * _shrink(fine, width, height)


def _text(rng: np.random.Generator, width: int, height: int) -> Plane:
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    for line in range(4):
        words = "".join(rng.choice(list("ABCDEFGHKLMNRSTUVWabcdeghkmnorstu &?"), 10))
        size = width * FINE / 260
        place = (int(width * FINE * 0.08), int(height * FINE * (0.25 + 0.17 * line)))
        cv2.putText(fine, words, place, int(rng.integers(0, 5)), size, 255, int(rng.integers(4, 18)), cv2.LINE_AA)
    return _shrink(fine, width, height)


DRAWERS: dict[str, Callable[[np.random.Generator, int, int], Plane]] = {
    "solid": _solid,
    "soft": _soft,
    "hair": _hair,
    "glow": _glow,
    "shadow": _shadow,
    "small": _small,
    "holes": _holes,
    "text": _text,
    "border": _border,
}


def _cloud(rng: np.random.Generator, width: int, height: int, cells: int, depth: int = 3) -> Plane:
    coarse = rng.uniform(0, 1, (max(cells * height // width, 2), cells, depth)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, depth).clip(0, 1)


def _draw_colours(rng: np.random.Generator, kind: str, width: int, height: int) -> Plane:
    """Return colours for every pixel: plain for shadows, glows and text, clouds with detail for the rest."""
    base = rng.uniform(0.1, 0.9, 3).astype(np.float32)
    if kind == "shadow":
        return np.full((height, width, 3), rng.uniform(0, 0.15), np.float32)
    if kind in {"glow", "text"}:
        return (base + 0.15 * (_cloud(rng, width, height, 3) - 0.5)).clip(0, 1).astype(np.float32)
    detail = 0.5 * (_cloud(rng, width, height, 4) - 0.5) + 0.25 * (_cloud(rng, width, height, 40, 1) - 0.5)
    return (base + detail).clip(0, 1).astype(np.float32)


def _draw_hidden(rng: np.random.Generator, width: int, height: int) -> Plane:
    """Return what lies under alpha 0: black, white, noise, or leftovers of another picture."""
    way = rng.integers(0, 4)
    if way < 2:
        return np.full((height, width, 3), float(way), np.float32)
    if way == 2:
        return rng.uniform(0, 1, (height, width, 3)).astype(np.float32)
    return draw_scenery(rng, width, height)


def draw_scenery(rng: np.random.Generator, width: int, height: int) -> Plane:
    """Return a picture of soft clouds with hard-edged things in it."""
    scenery = np.ascontiguousarray(_cloud(rng, width, height, 6) * 0.6 + _cloud(rng, width, height, 60) * 0.2)
    for _ in range(12):
        corner = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        other = (corner[0] + int(rng.uniform(10, width / 4)), corner[1] + int(rng.uniform(10, height / 4)))
        cv2.rectangle(scenery, corner, other, rng.uniform(0, 1, 3).tolist(), -1)
    return scenery

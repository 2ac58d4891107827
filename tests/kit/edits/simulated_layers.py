"""Layers whose colors are known everywhere, drawn at random: the subjects of `alpha_edits`.

A layer is 200 to 2000 px on its longer side, up to 2.5:1 in shape. Under alpha 0 lies what decomposing models and paint
programs leave there: black, white, noise, or another picture.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

from tests.kit.edits.simulated_shapes import DRAWERS, FINE, Plane, shrink

SHAPES = ("added", "punched", "thinner", "thicker")
LONGEST_PX = (200, 2000)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A layer as its maker knows it: colors (height, width, 3) everywhere and alpha (height, width), 0–1."""

    kind: str
    colors: Plane
    alpha: Plane
    layer: Image.Image


def draw_subject(kind: str, seed: int, longest_px: tuple[int, int] = LONGEST_PX) -> Subject:
    """Return a layer of one of `KINDS` whose longer side is in the range `longest_px`, small and large alike often."""
    rng = np.random.default_rng(seed)
    longest = round(float(np.exp(rng.uniform(*np.log(longest_px)))))
    shorter = max(round(longest / rng.uniform(1, 2.5)), 1)
    width, height = (longest, shorter) if rng.random() < 0.5 else (shorter, longest)
    alpha = DRAWERS[kind](rng, width, height)
    colors = _draw_colors(rng, kind, width, height)
    hidden = _draw_hidden(rng, width, height)
    shown = np.where(alpha[..., None] > 0.5 / 255, colors, hidden)
    pixels = np.rint(np.concatenate([shown, alpha[..., None]], -1).clip(0, 1) * 255).astype(np.uint8)
    # The truth is what eight bits can say, as for any method.
    cover = pixels[..., 3].astype(np.float32) / 255
    return Subject(kind=kind, colors=colors, alpha=cover, layer=Image.fromarray(pixels, "RGBA"))


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
        "added": np.maximum(subject.alpha, shrink(disc, width, height)),
        "punched": subject.alpha * (1 - shrink(disc, width, height)),
        "thinner": cv2.GaussianBlur(cv2.erode(subject.alpha, kernel), (0, 0), 0.6),
        "thicker": cv2.GaussianBlur(cv2.dilate(subject.alpha, kernel), (0, 0), 0.6),
    }[name]
    return replace(subject, alpha=alpha.astype(np.float32))


def _cloud(rng: np.random.Generator, width: int, height: int, cells: int, depth: int = 3) -> Plane:
    coarse = rng.uniform(0, 1, (max(cells * height // width, 2), cells, depth)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, depth).clip(0, 1)


def _draw_colors(rng: np.random.Generator, kind: str, width: int, height: int) -> Plane:
    """Return colors for every pixel: plain for shadows, glows and text, clouds with detail for the rest."""
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

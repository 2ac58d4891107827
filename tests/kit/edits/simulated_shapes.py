"""The alphas of simulated layers, one function a kind: (rng, width, height) -> alpha (height, width), 0–1.

They are drawn four times as fine and averaged.
"""

# pyright: reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
FINE = 4


def shrink(fine: NDArray[np.uint8], width: int, height: int) -> Plane:
    """Return a drawing of `FINE` times the size, 0–255, as an alpha."""
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _blob(rng: np.random.Generator, width: int, height: int, radius: float, middle: tuple[float, float]) -> Plane:
    """Return a star-shaped outline of a few random waves."""
    angle = np.linspace(0, 2 * np.pi, 400)
    waves = sum(rng.uniform(-0.12, 0.12) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in range(2, 7))
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * (radius * (1 + waves))[:, None] + middle
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(points * FINE).astype(np.int32)], 255)
    return shrink(fine, width, height)


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
    return shrink(fine, width, height)


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
    return alpha * shrink(fine, width, height)


def _text(rng: np.random.Generator, width: int, height: int) -> Plane:
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    for line in range(4):
        words = "".join(rng.choice(list("ABCDEFGHKLMNRSTUVWabcdeghkmnorstu &?"), 10))
        size = width * FINE / 260
        place = (int(width * FINE * 0.08), int(height * FINE * (0.25 + 0.17 * line)))
        cv2.putText(fine, words, place, int(rng.integers(0, 5)), size, 255, int(rng.integers(4, 18)), cv2.LINE_AA)
    return shrink(fine, width, height)


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

KINDS = tuple(DRAWERS)

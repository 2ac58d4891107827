"""The shadow that letters throw: where it falls, how soft and how dark it is."""

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, grown, window_around

Mask = NDArray[np.bool_]

TALL = 32
"""The height in pixels that letters have on the copy on which their shadow is looked for, at most."""
FAR, STEPS = 0.3, 13
"""How far a shadow falls at most, as a share of the letters' height, and the places tried first on each axis."""
BLURS = (0.02, 0.06, 0.12, 0.2)
"""How soft a shadow may be: standard deviations, as shares of that height."""
AROUND = 0.8
"""What is looked at around letters, as a share of that height."""
DARK, ALIKE = (0.12, 1.05), 0.55
"""How dark a shadow measures at least and at most, where 1 is black, and how far what is dark agrees with it at least:
a coefficient of correlation."""
RIM = 2
"""Pixels of the copy around letters that may be mixed with them."""


def find_shadow(rgb: Bytes, letters: Mask) -> Floats | None:
    """Return how dark the shadow of some `letters` (height, width) makes each pixel of `rgb` (height, width, 3), 0–1;
    None where they throw none.

    A shadow is the letters themselves, moved and blurred. Of all such the one counts that agrees best with how much
    darker the picture is beside the letters than what lies farther around them.
    """
    stats = np.asarray(cv2.connectedComponentsWithStats(letters.astype(np.uint8))[2])[1:]
    tall = float(np.median(stats[:, cv2.CC_STAT_HEIGHT])) if len(stats) else 0
    if tall < 4:
        return None
    scale = min(1.0, TALL / tall)
    window = window_around(letters, round((AROUND + FAR) * tall) + 2)
    size = tuple(max(1, round(side * scale)) for side in letters[window].shape[::-1])
    small = np.asarray(cv2.resize(rgb[window].mean(axis=2).astype(np.float32), size, interpolation=cv2.INTER_AREA))
    shape = np.asarray(cv2.resize(letters[window].astype(np.float32), size, interpolation=cv2.INTER_AREA))
    tall *= scale
    beside = ~grown(shape > 0.02, RIM)
    near = beside & grown(shape > 0.5, round((FAR + BLURS[-1]) * tall))
    far = beside & ~near
    if near.sum() < 50 or far.sum() < 50:
        return None
    behind = spread(np.dstack([small] * 3), far.astype(np.float32))[..., 0]
    darker = (1 - small / np.maximum(behind, 1)).clip(-1, 1)
    shadow = _best(shape, darker, near, tall)
    if shadow is None:
        return None
    enlarged = cv2.resize(shadow, letters[window].shape[::-1], interpolation=cv2.INTER_LINEAR)
    result = np.zeros(letters.shape, np.float32)
    result[window] = np.asarray(enlarged).clip(0, 1)
    return result


def _best(shape: Floats, darker: Floats, near: Mask, tall: float) -> Floats | None:
    """Return the shadow of a `shape` (height, width), 0–1, that agrees best with what is `darker` where it is `near`.

    What changes evenly from side to side is the ground's own.
    """
    rows, columns = np.nonzero(near)
    even = np.linalg.qr(np.stack([np.ones(len(rows)), rows, columns], axis=1))[0].astype(np.float32)
    values = _without(even, darker[near])
    size = max(float(np.linalg.norm(values)), 1e-6)

    def tried(down: float, across: float, blur: float) -> tuple[float, float, Floats]:
        soft = cv2.GaussianBlur(shape, (0, 0), max(0.3, blur * tall))
        moved = cv2.warpAffine(soft, np.array([[1, 0, across], [0, 1, down]], np.float32), soft.shape[::-1])
        here = _without(even, moved[near])
        length, common = max(float(np.linalg.norm(here)), 1e-6), float(here @ values)
        dark = common / length**2
        return (common / (length * size) if DARK[0] < dark < DARK[1] else 0.0), dark, np.asarray(moved)

    far = FAR * tall
    steps = np.linspace(-far, far, STEPS)
    place = max(product(steps, steps, BLURS), key=lambda place: tried(*place)[0])
    finer = np.linspace(-1, 1, 5) * far / STEPS
    near_it = product(place[0] + finer, place[1] + finer, place[2] * np.array([0.6, 0.8, 1, 1.25, 1.5]))
    agree, dark, shadow = tried(*max(near_it, key=lambda place: tried(*place)[0]))
    return shadow * min(dark, 1.0) if agree > ALIKE else None


def _without(even: Floats, values: Floats) -> Floats:
    """Return values (n) without what columns of length 1 (n, k) have of them."""
    return values - even @ (even.T @ values)

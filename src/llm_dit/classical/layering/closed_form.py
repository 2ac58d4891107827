"""Soft edges of a thing on any ground: which share of each pixel beside its outline is its own."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Floats, bounded

Mask = NDArray[np.bool_]

PIXELS = 160_000
"""The size of a thing with its surroundings from which the work is done on a smaller copy."""
RADIUS = 1
"""Of the windows in which the colors of both sides lie on a line each."""
SMOOTH = 1e-5
"""The weight against steep changes of alpha with color, of colors 0–1."""
TRUST, LEAN = 100.0, 0.05
"""The weights of what is known, and of what is guessed to be its own, beside the cost of a color that does not fit."""
LEAN_OUT = 0.002
STEPS, CLOSE = 80, 3e-3
"""Steps of the solver at most, and the share of the first miss at which it ends."""


def closed_form(rgb: Bytes, own: Mask, other: Mask, guess: Mask) -> Floats:
    """Return the alpha (height, width), 0–1, of a thing in `rgb` (height, width, 3) that is surely seen at `own` and
    surely not at `other`; what lies between is its own at `guess`, as far as the colors do not tell.

    Closed-form matting (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting", PAMI 2008):
    in small windows the colors of both sides are taken to lie on a line each. The Laplacian is applied by box filters
    (He, Sun and Tang, "Fast matting using large kernel matting Laplacian matrices", CVPR 2010) in conjugate gradients.
    """
    alpha = own.astype(np.float32)
    unknown = ~(own | other)
    if not unknown.any() or not own.any():
        return alpha
    rows, columns = np.nonzero(unknown.any(axis=1))[0], np.nonzero(unknown.any(axis=0))[0]
    window = (slice(max(0, rows[0] - 4), rows[-1] + 5), slice(max(0, columns[0] - 4), columns[-1] + 5))
    height, width = alpha[window].shape
    _, size = bounded(height, width, PIXELS)
    small, mine, theirs, likely = (
        np.asarray(cv2.resize(values[window].astype(np.float32), size, interpolation=cv2.INTER_AREA))
        for values in (rgb, own, other, guess)
    )
    found = _solve(small.reshape(size[1], size[0], 3) / np.float32(255), mine > 0.99, theirs > 0.99, likely)
    found = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR))
    alpha[window] = np.where(unknown[window], found, alpha[window])
    return alpha


def _solve(colors: Floats, own: Mask, other: Mask, guess: Floats) -> Floats:
    known = (own | other).astype(np.float32)
    laplacian = _Laplacian(colors)
    alpha = np.where(own, 1, np.where(other, 0, guess)).astype(np.float32)
    weight = np.where(known > 0, np.float32(TRUST), np.float32(LEAN) * guess)
    wanted = weight * alpha
    # Where all around is known nothing is asked: the work is done on the band alone.
    reach = 4 * RADIUS + 1
    asked = cv2.dilate(1 - known, np.ones((reach, reach), np.uint8)) > 0
    left = (wanted - laplacian(alpha) - weight * alpha) * asked
    along, size = left.copy(), float((left**2).sum())
    first = size
    for _ in range(STEPS):
        if size <= CLOSE**2 * max(first, 1e-12):
            break
        bent = (laplacian(along) + weight * along) * asked
        step = size / max(float((along * bent).sum()), 1e-12)
        alpha += step * along
        left -= step * bent
        size, before = float((left**2).sum()), size
        along = left + size / before * along
    return alpha.clip(0, 1)


class _Laplacian:
    """The matting Laplacian of `colors` (height, width, 3), applied without being built."""

    def __init__(self, colors: Floats) -> None:
        self.colors = colors
        self.count = _sum(np.ones(colors.shape[:2], np.float32))
        self.mean = _sum(colors) / self.count[..., None]
        products = colors[..., :, None] * colors[..., None, :]
        spread = _sum(products.reshape(*colors.shape[:2], 9)).reshape(products.shape) / self.count[..., None, None]
        spread -= self.mean[..., :, None] * self.mean[..., None, :]
        spread += np.eye(3, dtype=np.float32) * (SMOOTH / self.count[..., None, None])
        self.inverse = np.linalg.inv(spread).astype(np.float32)

    def __call__(self, alpha: Floats) -> Floats:
        mean = _sum(alpha) / self.count
        tied = _sum(self.colors * alpha[..., None]) / self.count[..., None] - self.mean * mean[..., None]
        slope = np.einsum("hwij,hwj->hwi", self.inverse, tied)
        level = mean - (slope * self.mean).sum(axis=-1)
        return self.count * alpha - (_sum(slope) * self.colors).sum(axis=-1) - _sum(level)


def _sum(values: Floats) -> Floats:
    side = 2 * RADIUS + 1
    parts = [
        cv2.boxFilter(part, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for part in cv2.split(values)
    ]
    return np.asarray(parts[0] if values.ndim == 2 else np.stack(parts, axis=-1), np.float32)

"""A part of a picture enlarged by itself, as it is in the whole enlarged picture."""

from collections.abc import Iterator

import numpy as np

from llm_dit.alpha import Plane

STEP = 32
"""Pixels of a line that are enlarged in one product."""


class Enlarger:
    """Enlarges a tile's part of planes by bicubic interpolation, as products with small matrices.

    They are so small that the library for products starts no threads, which would wait for each other.
    """

    def __init__(self, size: tuple[int, int], full: tuple[int, int], tile: tuple[slice, slice]) -> None:
        self._down = [_cubic(size[0], full[0], part) for part in steps(tile[0], STEP)]
        self._across = [_cubic(size[1], full[1], part) for part in steps(tile[1], STEP)]

    def __call__(self, planes: Plane) -> Plane:
        rows = np.concatenate([weights @ planes[:, used] for weights, used in self._down], axis=1)
        return np.concatenate([rows[..., used] @ weights.T for weights, used in self._across], axis=2)


def steps(part: slice, step: int) -> Iterator[slice]:
    """Yield a part of a line in steps."""
    for first in range(part.start, part.stop, step):
        yield slice(first, min(first + step, part.stop))


def _cubic(size: int, full: int, part: slice) -> tuple[Plane, slice]:
    """Return the weights (part, used) of the samples that a part of an enlarged line needs, and which these are."""
    at = (np.arange(part.start, part.stop) + 0.5) * size / full - 0.5
    first = np.floor(at).astype(int) - 1
    used = slice(max(0, first[0]), min(size, first[-1] + 4))
    weights = np.zeros((len(at), used.stop - used.start), np.float32)
    for step in range(4):
        away = np.abs(at - first - step)
        near = (1.5 * away - 2.5) * away**2 + 1
        far = ((-0.5 * away + 2.5) * away - 4) * away + 2
        index = (first + step).clip(used.start, used.stop - 1) - used.start
        np.add.at(weights, (np.arange(len(at)), index), np.where(away < 1, near, np.where(away < 2, far, 0)))
    return weights, used

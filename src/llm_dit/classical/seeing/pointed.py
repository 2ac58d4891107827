"""What the network sees where somebody points."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Floats
from llm_dit.classical.seeing.subject import certainty, see

Mask = NDArray[np.bool_]

NEAR, FAR = 256, 192
"""Pixels of the square that is looked at: of a thing, and of what a thing may be in. The network was trained on 320,
which sees no better and takes 0.6 s of a processor instead of 0.35 and 0.2."""
SCALES = (0.8, 0.45)
"""Sides of the squares around a place that are looked at, as shares of the picture's shorter side."""
KEPT = 48
"""Looks that are kept, 0.25 MB each: who clicks again on the same picture need not wait for the same again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """How likely each pixel of a picture is of a thing, `likely` (height, width) 0–1, where only the part in `window`,
    its rows and columns, was looked at."""

    likely: Floats
    window: tuple[slice, slice]

    def holds(self, thing: Mask) -> bool:
        """Return whether all of a thing (height, width) lies in the part, and does not seem to go on outside of it."""
        rows, columns = self.window
        inner = np.zeros(thing.shape, bool)
        inner[_within(rows, thing.shape[0]), _within(columns, thing.shape[1])] = True
        return not bool((thing & ~inner).any())

    def certainty(self, thing: Mask) -> float:
        """Return how certain it is that a thing is one, and that nothing else belongs to it: 0–1."""
        return certainty(self.likely, thing)


def _within(part: slice, size: int) -> slice:
    """Return a part of a side without its ends, where those are not the side's own."""
    return slice(part.start + (part.start > 0), min(part.stop, size) - (part.stop < size))


def look(rgb: Bytes, side: int) -> Floats:
    """Return how likely each pixel of `rgb` (height, width, 3) is of the thing in it, 0–1, seen `side` pixels wide."""
    square = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    found = np.frombuffer(_seen(square.tobytes(), side), np.uint8).reshape(side, side)
    return np.asarray(cv2.resize(found, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32) / 255


@functools.lru_cache(maxsize=KEPT)
def _seen(content: bytes, side: int) -> bytes:
    found = see(np.frombuffer(content, np.uint8).reshape(side, side, 3))
    return np.rint(found.clip(0, 1) * 255).astype(np.uint8).tobytes()


def looks(rgb: Bytes, places: Sequence[tuple[float, float]]) -> Iterator[Look]:
    """Yield what is seen of `rgb` (height, width, 3): of all of it, and of squares around places, x and y in pixels."""
    height, width = rgb.shape[:2]
    yield Look(likely=look(rgb, FAR), window=(slice(0, height), slice(0, width)))
    (left, top), (right, bottom) = np.min(places, axis=0), np.max(places, axis=0)
    for scale in SCALES:
        reach = scale * min(height, width) / 2
        if max(right - left, bottom - top) > reach:
            continue
        x, y = (left + right) / 2, (top + bottom) / 2
        rows = slice(max(0, int(y - reach)), max(0, int(y + reach)) + 1)
        columns = slice(max(0, int(x - reach)), max(0, int(x + reach)) + 1)
        result = np.zeros((height, width), np.float32)
        result[rows, columns] = look(np.ascontiguousarray(rgb[rows, columns]), FAR)
        yield Look(likely=result, window=(rows, columns))

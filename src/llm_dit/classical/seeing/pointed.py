"""What the network sees where somebody points."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes
from llm_dit.classical.seeing.networks import SUBJECT, missing
from llm_dit.classical.seeing.subject import MAYBE, SURE, SURELY, saliency

Mask = NDArray[np.bool_]

SCALES = (0.8, 1.3, 0.45)
"""Sides of the squares around a place that are looked at, as shares of the picture's shorter side: the first one that
shows a whole thing counts."""
FRAME = 2
"""Pixels along a square's frame; what reaches them goes on outside."""


def box_at(rgb: Bytes, places: Sequence[tuple[float, float]]) -> tuple[int, int, int, int] | None:
    """Return the box (left, top, right, bottom) of the thing in `rgb` (height, width, 3) that all places, x and y in
    pixels, lie on; None where nothing is certain or the network is not set up."""
    height, width = rgb.shape[:2]
    inside = [(int(x), int(y)) for x, y in places if 0 <= x < width and 0 <= y < height]
    if not inside or SUBJECT in missing():
        return None
    (left, top), (right, bottom) = np.min(inside, axis=0).tolist(), np.max(inside, axis=0).tolist()
    for scale in SCALES:
        reach = scale * min(height, width) / 2
        if max(right - left, bottom - top) > reach:
            continue
        x, y = (left + right) / 2, (top + bottom) / 2
        window = max(0, int(x - reach)), max(0, int(y - reach)), int(x + reach) + 1, int(y + reach) + 1
        part = np.ascontiguousarray(rgb[window[1] : window[3], window[0] : window[2]])
        box = _whole_at(part, window, [(px - window[0], py - window[1]) for px, py in inside], (width, height))
        if box is not None:
            return box
    return None


def _whole_at(
    part: Bytes, window: tuple[int, int, int, int], places: Sequence[tuple[int, int]], size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Return the box, in the picture, of the thing at places of its part in a window if all of it is seen there."""
    likely = saliency(part)
    labels = np.asarray(cv2.connectedComponents((likely > 0.5).astype(np.uint8))[1])
    at = {int(labels[y, x]) for x, y in places}
    thing = np.isin(labels, list(at))
    if 0 in at or (likely[thing] > SURELY).sum() < SURE * (likely > MAYBE).sum():
        return None
    rows, columns = np.flatnonzero(thing.any(axis=1)), np.flatnonzero(thing.any(axis=0))
    goes_on = (
        columns[0] < FRAME and window[0] > 0,
        rows[0] < FRAME and window[1] > 0,
        columns[-1] >= part.shape[1] - FRAME and window[2] < size[0],
        rows[-1] >= part.shape[0] - FRAME and window[3] < size[1],
    )
    if any(goes_on):
        return None
    left, top = window[:2]
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1

"""Thin strokes on a known ground: which pixels are theirs, each pixel's own color tells."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.ground import Ground
from llm_dit.classical.segment import Floats, Labels, Sketch

THIN = 6.0
"""Pixels to the outline that strokes have at most, the gaps that were closed between them counted in."""
FULL = 0.15
"""The share of a piece's pixels, those farthest from the ground's color, that show its paint."""
ALIGNED = 0.35
"""How far, as a share of the paint's distance from the ground, a mixture of the two may be off by."""
AGREED = 0.85
"""The share of a piece that must be such a mixture."""
ON_GROUND = 0.9
"""The share of what lies around a piece that must be the ground."""
CLEAR = 30.0
"""RGB distance of a paint from the ground from which a pixel tells which one it is."""


def thin_out(groups: Labels, ground: Ground, sketch: Sketch) -> Labels:
    """Return the groups, 0 the ground, with what small gaps of thin strokes show given back to it.

    Segments have a least size, so that small letters are one with their holes and with the gaps between them; codecs
    that store color coarsely widen strokes. Of a piece that is a mixture of one paint and of the ground, the pixels
    that are less than half of the paint are the ground's.
    """
    result = groups.copy()
    things = (groups > 0).astype(np.uint8)
    deep = np.asarray(cv2.distanceTransform(things, cv2.DIST_L2, 3), np.float32)
    for group in range(1, int(groups.max()) + 1):
        count, found, stats, _ = cv2.connectedComponentsWithStats((groups == group).astype(np.uint8))
        parts = np.asarray(found, np.int32)
        thick = np.zeros(count, np.float32)
        np.maximum.at(thick, parts.ravel(), deep.ravel())
        for part in np.flatnonzero(thick[1:] <= THIN).tolist():
            left, top, width, height, _ = np.asarray(stats)[part + 1].tolist()
            top, left = max(0, top - 1), max(0, left - 1)
            window = (slice(top, top + height + 2), slice(left, left + width + 2))
            mine = parts[window] == part + 1
            around = (cv2.dilate(mine.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mine
            if (groups[window][around] == 0).mean() < ON_GROUND:
                continue
            rows, columns = np.nonzero(mine)
            places = (rows + top, columns + left)
            weak = _weak(sketch.rgb[places], ground.field[places])
            if weak is not None and not weak.all():
                result[places[0][weak], places[1][weak]] = 0
    return result


def _weak(seen: Floats, lower: Floats) -> NDArray[np.bool_] | None:
    """Return which pixels are less than half of the one paint of a piece over `lower`, None if it has several."""
    off = seen - lower
    strength = np.linalg.norm(off, axis=-1)
    paint = np.median(off[strength >= np.percentile(strength, 100 * (1 - FULL))], axis=0)
    length = float(np.linalg.norm(paint))
    if length < CLEAR:
        return None
    share = off @ paint / length**2
    miss = np.linalg.norm(off - share[:, None] * paint, axis=-1) / length
    return share < 0.5 if float((miss < ALIGNED).mean()) >= AGREED else None

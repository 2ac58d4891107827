"""Dust: specks far from the thing whose layer they would be in."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.segment import Labels, Sketch

SPECK = 0.001
"""The share of the picture that dust takes at most."""
SLIGHT = 0.05
"""The share of the largest part of its layer that dust takes at most: dots of one size are things."""
FAR = 0.05
"""The share of the shorter side that dust is away from its layer's parts at least: a stop is beside its text."""
FOREIGN = 16.0
"""CIELAB distance from which two colors have nothing in common."""


def sweep(groups: Labels, sketch: Sketch) -> Labels:
    """Return the groups, 0 the ground, with the dust of each given to what lies around it, or to a thing close by where
    it is plainly of another color than what lies around it."""
    result = groups.copy()
    for group in range(1, int(groups.max()) + 1):
        mine = groups == group
        count, found, stats, _ = cv2.connectedComponentsWithStats(mine.astype(np.uint8))
        parts, areas = np.asarray(found, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA].astype(np.int64)
        if count <= 2:
            continue
        small = (areas < SPECK * groups.size) & (areas < SLIGHT * areas[1:].max())
        small[0] = False
        if not small.any():
            continue
        away = cv2.distanceTransform((~mine | small[parts]).astype(np.uint8), cv2.DIST_L2, 5)
        gap = np.full(count, np.inf, np.float32)
        np.minimum.at(gap, parts[mine], away[mine])
        for part in np.flatnonzero(small & (gap > FAR * min(groups.shape))).tolist():
            result[parts == part] = _owner(parts == part, group, groups, sketch)
    return result


def _owner(speck: NDArray[np.bool_], group: int, groups: Labels, sketch: Sketch) -> int:
    """Return the group that a `speck` of `group` goes to."""
    away = cv2.distanceTransform((~speck).astype(np.uint8), cv2.DIST_L2, 5)
    rim = (away > 1) & (away < 4) & (groups >= 0)
    if not rim.any():
        return group
    around = int(np.bincount(groups[rim]).argmax())
    contrast = np.linalg.norm(np.median(sketch.lab[speck], axis=0) - np.median(sketch.lab[rim], axis=0))
    if contrast > FOREIGN:
        close = (groups > 0) & (groups != group) & (away < FAR * min(groups.shape))
        if close.any():
            return int(groups[close][away[close].argmin()])
    return around

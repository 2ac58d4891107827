"""How clear the outline of a thing is, and where two things that touch part."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Floats, grown

Mask = NDArray[np.bool_]

INSIDE, OUTSIDE = 1.5, 2.5
"""Pixels from the outline at which the colors of both sides are compared."""
CLEAR = 12.0
"""CIELAB from which two colors are told apart at a glance."""
RIM = 2
"""Pixels along the picture's edge, where no outline is seen."""
SHARE, COVERED = 0.15, 0.85
"""The shares of two things that are one that either has at least, and that both have together."""
THIN = 2
"""Half the width in pixels of what is no part of a thing by itself."""
NECK = 0.5
"""The length of the border of two things that merely touch, at most, as a share of the root of the smaller one's
area."""


def clearness(mask: Mask, lab: Floats) -> float:
    """Return the share of the outline of `mask` (height, width) on which the colors of both sides of it, in `lab`
    (height, width, 3), differ clearly; 0 for one that is all along the picture's edge."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    down, across = np.gradient(cv2.GaussianBlur(np.asarray(outside - inside, np.float32), (0, 0), 1.5))
    outline = mask & (np.asarray(inside) <= INSIDE)
    outline[:RIM] = outline[-RIM:] = outline[:, :RIM] = outline[:, -RIM:] = False
    rows, columns = np.nonzero(outline)
    if not len(rows):
        return 0.0
    across, down = across[rows, columns], down[rows, columns]
    steep = np.hypot(across, down) + 1e-6
    near, far = (
        cv2.remap(
            lab,
            (columns + across / steep * away).astype(np.float32)[None],
            (rows + down / steep * away).astype(np.float32)[None],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )[0]
        for away in (-INSIDE, OUTSIDE)
    )
    return float((np.linalg.norm(far - near, axis=-1) > CLEAR).mean())


def parted(mask: Mask, parts: list[Mask]) -> tuple[Mask, Mask] | None:
    """Return the two things that `mask` (height, width) is where it is two that merely touch, None where it is one.

    One of the two is among `parts`; of these, the one with the shortest border with what is left counts.
    """
    area, best, found = int(mask.sum()), NECK, None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * THIN + 1, 2 * THIN + 1))
    for part in parts:
        one = part & mask
        if one.sum() < 0.9 * part.sum() or not SHARE * area < one.sum() < (1 - SHARE) * area:
            continue
        rest = cv2.morphologyEx((mask & ~grown(one, 1)).astype(np.uint8), cv2.MORPH_OPEN, disc)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(rest)
        if count < 2:
            continue
        other = np.asarray(labels) == 1 + int(np.asarray(stats)[1:, cv2.CC_STAT_AREA].argmax())
        if other.sum() < SHARE * area or one.sum() + other.sum() < COVERED * area:
            continue
        other = grown(other, THIN) & mask & ~one
        border = (grown(one, THIN) & other).sum() / THIN
        neck = float(border / min(one.sum(), other.sum()) ** 0.5)
        if neck < best:
            best, found = neck, (one, other)
    return found

"""Deciding what is the thing in a small copy of a picture of which a part is allowed: by regions, and by sight."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Sketch
from llm_dit.classical.seeing.networks import SUBJECT, missing
from llm_dit.classical.seeing.subject import MAYBE, SURELY, saliency

Mask = NDArray[np.bool_]

ROUNDS = 2
PINHOLE = 0.004
"""The share of a thing up to which a hole in it is none."""
SURE, WITHIN = 0.7, 0.94
"""How certain the map of the network must be, and how much of it must lie within what is allowed, to be followed."""
MISFIT = 0.09
"""How much worse than the regions what is seen may fill what is allowed, as intersection over union of their boxes."""
NEAR, CORE = 10, 5
"""Pixels around the map within which the thing ends, and from its rim in which what it is sure of stays the thing's."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the hints say of a sketch: `allowed` may be the thing, `on` is; both (height, width)."""

    allowed: Mask
    on: Mask


def decided(sketch: Sketch, labels: Labels, known: Known, rgb: Bytes | None) -> Floats:
    """Return how much each place of a sketch is the thing, 0–1, by its regions, `labels` (height, width).

    With colors, `rgb` (height, width, 3), and the network set up, what it sees is taken if it is certain, lies
    within what is allowed and fills it about as well as what the regions tell.
    """
    by_regions = _cut(sketch, known, _likely(labels, known))
    if rgb is None or SUBJECT in missing() or not known.allowed.any():
        return by_regions.astype(np.float32)
    likely = saliency(rgb)
    own = np.where(known.allowed, likely, np.float32(0))
    certainty = (own > SURELY).sum() / max(1, int((own > MAYBE).sum()))
    if certainty >= SURE and own.sum() >= WITHIN * likely.sum():
        seen = _cut_seen(sketch, known, own)
        if _filled(seen, known) >= _filled(by_regions, known) - MISFIT:
            return seen.astype(np.float32)
    return by_regions.astype(np.float32)


def _filled(thing: Mask, known: Known) -> float:
    """Return the intersection over the union of the boxes around a thing and around what is allowed."""
    top, low, left, right = _bounds(thing)
    top_, low_, left_, right_ = _bounds(known.allowed)
    shared = max(0, min(low, low_) - max(top, top_)) * max(0, min(right, right_) - max(left, left_))
    return shared / max(1, (low - top) * (right - left) + (low_ - top_) * (right_ - left_) - shared)


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1) if len(rows) else (0, 0, 0, 0)


def _likely(labels: Labels, known: Known) -> Mask:
    """Return a first guess: the regions of which most lies within what is allowed; others go on outside of it."""
    count = int(labels.max()) + 1
    seen = labels >= 0
    area = np.bincount(labels[seen], minlength=count)
    inside = np.bincount(labels[seen & known.allowed], minlength=count)
    taken = inside > 0.8 * np.maximum(area, 1)
    taken[np.unique(labels[known.on & seen])] = True
    guess = np.zeros(labels.shape, bool)
    guess[seen] = taken[labels[seen]]
    guess &= known.allowed
    # A thing of the ground's own paint: all of it, and the cut has it.
    return guess if guess.sum() > 0.02 * known.allowed.sum() else known.allowed


def _cut(sketch: Sketch, known: Known, likely: Mask) -> Mask:
    """Return the thing by the regions of a first guess."""
    trimap = np.full(likely.shape, cv2.GC_BGD, np.uint8)
    trimap[known.allowed] = cv2.GC_PR_BGD
    trimap[likely] = cv2.GC_PR_FGD
    trimap[known.on] = cv2.GC_FGD
    return _graph_cut(sketch, known, trimap)


def _graph_cut(sketch: Sketch, known: Known, trimap: Bytes) -> Mask:
    """Return the thing by a guess, `trimap` (height, width) of OpenCV's marks.

    Graph cuts with mixtures of Gaussians in CIELAB (Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004).
    """
    thing = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if thing.all() or not thing.any():
        return thing
    pixels = (sketch.lab * (2.55, 1, 1) + (0, 128, 128)).clip(0, 255).astype(np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, trimap, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    return _whole(found if found.any() else thing, known)


def _cut_seen(sketch: Sketch, known: Known, likely: Floats) -> Mask:
    """Return the thing by the map of the network, 0–1."""
    trimap = np.where(likely > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    near = cv2.dilate((likely > 0.3).astype(np.uint8), np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)) > 0
    trimap[~known.allowed | ~near] = cv2.GC_BGD
    core = cv2.erode((likely > 0.97).astype(np.uint8), np.ones((2 * CORE + 1, 2 * CORE + 1), np.uint8)) > 0
    trimap[known.on | core] = cv2.GC_FGD
    return _graph_cut(sketch, known, trimap)


def _whole(found: Mask, known: Known) -> Mask:
    """Return a mask without crumbs and pinholes: the parts that were pointed at, and those of about their size."""
    _, found_parts, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    parts, area = np.asarray(found_parts, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    meant = area >= 0.1 * area.max()
    meant[np.unique(parts[known.on])] = True
    meant[0] = False
    result = meant[parts]
    _, found_holes, stats, _ = cv2.connectedComponentsWithStats((~result).astype(np.uint8), connectivity=4)
    holes, area = np.asarray(found_holes, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA]
    small = area < max(4, PINHOLE * result.sum())
    small[0] = False
    return result | (small[holes] & known.allowed)

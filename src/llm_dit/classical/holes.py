"""Holes and gaps: what is seen through letters and between them belongs to what lies around them."""

import cv2
import numpy as np

from llm_dit.classical.lettering import is_stroke
from llm_dit.classical.regions import Regions
from llm_dit.classical.segment import Floats, Labels, Sketch, compact
from llm_dit.classical.surfaces import PAINT

SMALL = 0.02
"""The share of the picture that a hole or a gap takes at most."""
LEAST = 20
"""Pixels by which a surface is known."""


def open_holes(regions: Regions, sketch: Sketch) -> Labels:
    """Return the labels with holes and gaps of things given to the larger region that is seen through them.

    It looks there as it does nearby, as far as it is of one color or texture. A hole that it does not touch is seen
    through thin strokes and is none itself: that would be writing of its color on the thing.
    """
    labels = regions.labels.copy()
    strokes = is_stroke(regions)
    # Flecks of texture thin a hole out.
    is_long = 3.2 * regions.thick**2 < 0.3 * regions.area
    for one in np.flatnonzero((regions.area < SMALL * labels.size) & (regions.area > 2)).tolist():
        reach = round(4 + 1.2 * float(regions.area[one]) ** 0.5)
        left, top, right, bottom = regions.box[one].astype(int).tolist()
        window = (slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach))
        near, lab = regions.labels[window], sketch.lab[window]
        count = np.bincount(near[near >= 0], minlength=regions.count)
        wider = (regions.area > 4 * regions.area[one]) & (regions.thick > 1.5 * regions.thick[one])
        touched = regions.shared[one] > 0
        hosts = np.flatnonzero(regions.shared[one] > 0.2 * regions.shared[one].sum())
        thick = regions.thick[hosts].max(initial=0)
        through = not is_long[one] and bool(strokes[hosts].all()) and thick < 4 * regions.thick[one] + 2
        fits = (count >= LEAST) & wider & (touched | (through & (regions.thick > 1.5 * thick)))
        owner = _like(one, np.flatnonzero(fits).tolist(), near, lab)
        if owner is not None and _stands_out(regions, one, owner, hosts.tolist()):
            labels[window][near == one] = owner
    return compact(labels)


def _like(one: int, others: list[int], labels: Labels, lab: Floats) -> int | None:
    """Return which one of `others` looks nearby as `one` does, or None."""
    mine = labels == one
    deep = np.asarray(cv2.distanceTransform(mine.astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    own = np.median(lab[deep >= min(2.0, float(deep.max()))], axis=0)
    best, found = 1.0, None
    for other in others:
        values = lab[labels == other]
        spread = float(np.linalg.norm(values.std(axis=0)))
        miss = float(np.linalg.norm(own - np.median(values, axis=0))) / max(PAINT, 1.5 * spread)
        # A surface that changes has the hole's color somewhere beside it.
        miss = min(miss, float(np.percentile(np.linalg.norm(values - own, axis=-1), 10)) / PAINT)
        if miss < best:
            best, found = miss, other
    return found


def _stands_out(regions: Regions, one: int, owner: int, hosts: list[int]) -> bool:
    """Return whether `one` is more like `owner` than like anything else that it touches."""
    miss = float(np.linalg.norm(regions.mean[one] - regions.mean[owner]))
    return all(float(np.linalg.norm(regions.mean[one] - regions.mean[host])) > miss for host in hosts if host != owner)

"""Writing and thin strokes among the pieces of a picture, and what is seen through and between letters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.ground import Ground
from llm_dit.classical.layering.regions import Floats, Labels, Regions, Sketch, compact
from llm_dit.classical.layering.surfaces import PAINT, gap_from

LEAST_LETTERS = 4
"""Strokes of one width from which they are taken as writing."""


def find_lettering(regions: Regions) -> Labels:
    """Return for each piece the number of the writing that it is a letter of, −1 for none; piece 0 is the ground.

    Letters are strokes of one paint and one width, of like size and close together (Epshtein et al., "Detecting text
    in natural scenes with stroke width transform", CVPR 2010), and most of their outline lies on the ground.
    """
    side = (regions.box[:, 2:] - regions.box[:, :2]).max(axis=-1)
    strokes = is_stroke(regions)
    on_ground = regions.shared[0] / (regions.shared.sum(axis=-1) + 1e-6)
    free = (regions.area < 0.02 * regions.labels.size) & (regions.area > 12) & (regions.rim == 0)
    free[0] = False
    number, result = 0, np.full(regions.count, -1, np.int32)
    for first in np.argsort(-regions.area * (free & strokes), kind="stable")[: (free & strokes).sum()].tolist():
        if free[first]:
            line = _line_from(first, free, regions, side)
            weight = regions.area[line] / regions.area[line].sum()
            if len(line) >= LEAST_LETTERS and weight @ strokes[line] > 0.6 and weight @ on_ground[line] > 0.5:
                result[line] = number
                number += 1
    _add_companions(result, regions, side, on_ground)
    return result


def _add_companions(letters: Labels, regions: Regions, side: Floats, on_ground: Floats) -> None:
    """Give stops, dots and letters that are a little apart to the writing that they stand beside, in place."""
    for one in np.flatnonzero((letters < 0) & (on_ground > 0.5) & (regions.rim == 0)).tolist():
        fits = (letters >= 0) & (gap_from(regions.box, one) < 1.5 * side) & (side > 0.7 * side[one])
        fits &= np.linalg.norm(regions.mean - regions.mean[one], axis=-1) < 4 * PAINT
        fits &= regions.thick > 0.5 * regions.thick[one]
        if fits.any():
            letters[one] = letters[fits.argmax()]


def is_stroke(regions: Regions) -> NDArray[np.bool_]:
    """Return which pieces are long for their width."""
    return 3.2 * regions.thick**2 < 0.45 * regions.area


def _line_from(first: int, free: NDArray[np.bool_], regions: Regions, side: Floats) -> list[int]:
    """Return `first`, the pieces of its kind close to it, those close to these and so on, taken out of `free`."""
    members = [first]
    free[first] = False
    alike = np.linalg.norm(regions.mean - regions.mean[first], axis=-1) < 2 * PAINT
    for size, most in ((regions.thick, 2), (side, 4)):
        alike &= (size < most * size[first]) & (size[first] < most * size)
    # The list grows while it is walked.
    for one in members:
        near = np.flatnonzero(free & alike & (gap_from(regions.box, one) < np.maximum(side, side[one]))).tolist()
        free[near] = False
        members += near
    return members


# Holes and gaps: what is seen through letters and between them belongs to what lies around them.


SMALL = 0.02
"""The share of the picture that a hole or a gap takes at most."""
LEAST_PIXELS = 20
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
        fits = (count >= LEAST_PIXELS) & wider & (touched | (through & (regions.thick > 1.5 * thick)))
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


# Thin strokes on a known ground: which pixels are theirs, each pixel's own color tells.


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

"""Finding what belongs to the ground and to each layer above it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from llm_dit.classical.layering.grouping import busyness, group, group_things
from llm_dit.classical.layering.regions import (
    Floats,
    Labels,
    Mask,
    Palette,
    Regions,
    Report,
    Sketch,
    find_palette,
    measure,
    oversegment,
    smooth_merge,
)
from llm_dit.classical.layering.soft import Soft, find_soft, sort_soft, with_soft
from llm_dit.classical.layering.surfaces import (
    Ground,
    dissolve_slivers,
    find_ground,
    fit_ground,
    foreign_to,
    join_paint,
    open_holes,
    pieces_of,
    with_strays,
)
from llm_dit.color import norm

MANY = 160
"""Regions of one paint each, from which on they are parts of things rather than things."""
MANY_ON_KNOWN = 100
"""The same on a ground that is known everywhere, where no region is a patch of the ground's texture."""
FEW = 40
"""Regions of one paint each up to which they are the things of a drawing."""
BUSY = 0.5
"""The busyness from which a picture has more things than layers."""
PLAIN = 2.0
"""The noise of a ground up to which what has another color is none of its texture."""
LOST = 0.002
"""The share of the picture of what is looked for again in the ground."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a sketch shows: `groups` (height, width) of each pixel, 0 the ground's, 1… the others', −1 where nothing is;
    the `ground`, if there is one, and the `soft` things on it, if any."""

    groups: Labels
    ground: Ground | None
    soft: Soft | None


def find_surfaces(sketch: Sketch, seed: int, report: Report) -> tuple[Regions, Palette]:
    """Return the regions of one paint each of what is visible of a sketch, and its palette."""
    labels = oversegment(sketch)
    report("segmenting")
    labels = smooth_merge(labels, sketch.lab)
    palette = find_palette(sketch, seed)
    report("segmenting")
    regions = measure(labels, sketch, palette)
    report("grouping")
    regions = measure(dissolve_slivers(regions, sketch), sketch, palette)
    report("grouping")
    return measure(join_paint(regions, sketch, strict=True), sketch, palette), palette


def is_scene(regions: Regions, sketch: Sketch, layer_num: int) -> tuple[bool, bool]:
    """Return whether a picture has many more things than `layer_num`, and whether its ground is known nowhere.

    A drawing of few surfaces is none, however few layers are asked for.
    """
    busy = regions.count > MANY or (regions.count > FEW and busyness(regions, layer_num) >= BUSY)
    return busy, not _fit_beside(regions, None, sketch).known


def find_groups(sketch: Sketch, layer_num: int, surfaces: tuple[Regions, Palette], report: Report) -> Found:
    """Return the groups of a sketch whose `surfaces` are found, at most `layer_num`."""
    regions, palette = surfaces
    fit = _fit_beside(regions, None, sketch)
    if fit.known and fit.noise < PLAIN:
        # A rim that rises slowly enough joins a thing with the ground.
        lost = with_strays(regions.labels, find_ground(regions), fit, sketch, LOST)
        regions = regions if lost.max() < regions.count else measure(lost, sketch, palette)
    soft = find_soft(fit, sketch) if fit.known else None
    if soft is not None:
        # A wide soft edge bends the ground that it is told by.
        soft = find_soft(_fit_beside(regions, soft, sketch), sketch) or soft
        regions = measure(with_soft(regions.labels, find_ground(regions), soft), sketch, palette)
    if regions.count > MANY_ON_KNOWN:
        fit = _fit_beside(regions, soft, sketch)
        if regions.count > MANY or fit.known:
            numbers = _find_things(regions, fit, sketch, palette, layer_num, report)
            return Found(groups=numbers, ground=fit, soft=soft)
    busy = busyness(regions, layer_num)
    if busy < BUSY:
        regions = measure(join_paint(regions, sketch, strict=False), sketch, palette)
    report("grouping")
    regions = measure(dissolve_slivers(regions, sketch), sketch, palette)
    fit = _fit_beside(regions, soft, sketch)
    report("grouping")
    regions = measure(sort_soft(regions, find_ground(regions), fit, sketch), sketch, palette)
    regions = measure(open_holes(regions, sketch), sketch, palette)
    if soft is not None:
        regions = _with_contrast(regions, soft)
    ground = find_ground(regions)
    numbers = group(regions, palette.colors, ground, layer_num, busy, foreign_to(ground, regions, fit, sketch))
    report("grouping")
    groups = np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32)
    return Found(groups=groups, ground=fit, soft=soft)


def _fit_beside(regions: Regions, soft: Soft | None, sketch: Sketch) -> Ground:
    """Return the ground of `regions`, by what is seen of it beside soft things."""
    seen = regions.labels == find_ground(regions)
    if soft is not None:
        near = cv2.dilate((soft.thing >= 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        seen = seen & ~near if (seen & ~near).sum() > 0.2 * seen.sum() else seen
    return fit_ground(sketch.rgb, seen)


def _with_contrast(regions: Regions, soft: Soft) -> Regions:
    """Return the regions with soft things in contrast with the ground by their colors, for their edges hide it."""
    solid = (soft.alpha > 0.5) & (regions.labels >= 0)
    things = np.bincount(regions.labels[solid], minlength=regions.count) > 0.5 * regions.area
    ground, contrast = find_ground(regions), regions.contrast.copy()
    away = np.linalg.norm(regions.mean - regions.mean[ground], axis=-1)
    contrast[things, ground] = np.maximum(contrast[things, ground], away[things])
    contrast[ground] = contrast[:, ground]
    return replace(regions, contrast=contrast)


def _find_things(
    regions: Regions, fit: Ground, sketch: Sketch, palette: Palette, layer_num: int, report: Report
) -> Labels:
    """Return the groups of a picture of so many regions that they are parts of things; `fit` is its ground."""
    report("grouping")
    regions = measure(sort_soft(regions, find_ground(regions), fit, sketch), sketch, palette)
    pieces = pieces_of(regions.labels, find_ground(regions))
    regions = measure(with_strays(pieces, 0, fit, sketch) if fit.known else pieces, sketch, palette)
    report("grouping")
    # Rims that are one ring around several things lie between two colors only piece by piece.
    for _ in range(2):
        regions = measure(pieces_of(dissolve_slivers(regions, sketch), 0), sketch, palette)
    regions = measure(open_holes(regions, sketch), sketch, palette)
    numbers = group_things(regions, palette.colors, fit, sketch, layer_num)
    report("grouping")
    return np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32)


# Dust: specks far from the thing whose layer they would be in.


SPECK = 0.001
"""The share of the picture that dust takes at most."""
SLIGHT = 0.05
"""The share of the largest part of its layer that dust takes at most: dots of one size are things."""
FAR = 0.05
"""The share of the shorter side that dust is away from its layer's parts at least: a stop is beside its text."""
FOREIGN_CONTRAST = 16.0
"""CIELAB distance from which two colors have nothing in common."""


def sweep(groups: Labels, sketch: Sketch) -> Labels:
    """Return the groups, 0 the ground, with the dust of each given to what lies around it, or to a thing close by where
    it is plainly of another color than what lies around it."""
    result = groups.copy()
    for number in range(1, int(groups.max()) + 1):
        mine = groups == number
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
            result[parts == part] = _owner(parts == part, number, groups, sketch)
    return result


def _owner(speck: Mask, group: int, groups: Labels, sketch: Sketch) -> int:
    """Return the group that a `speck` of `group` goes to."""
    away = cv2.distanceTransform((~speck).astype(np.uint8), cv2.DIST_L2, 5)
    rim = (away > 1) & (away < 4) & (groups >= 0)
    if not rim.any():
        return group
    around = int(np.bincount(groups[rim]).argmax())
    contrast = np.linalg.norm(np.median(sketch.lab[speck], axis=0) - np.median(sketch.lab[rim], axis=0))
    if contrast > FOREIGN_CONTRAST:
        close = (groups > 0) & (groups != group) & (away < FAR * min(groups.shape))
        if close.any():
            return int(groups[close][away[close].argmin()])
    return around


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
    for number in range(1, int(groups.max()) + 1):
        count, found, stats, _ = cv2.connectedComponentsWithStats((groups == number).astype(np.uint8))
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


def _weak(seen: Floats, lower: Floats) -> Mask | None:
    """Return which pixels are less than half of the one paint of a piece over `lower`, None if it has several."""
    off = seen - lower
    strength = norm(off)
    paint = np.median(off[strength >= np.percentile(strength, 100 * (1 - FULL))], axis=0)
    length = float(np.linalg.norm(paint))
    if length < CLEAR:
        return None
    share = off @ paint / length**2
    miss = norm(off - share[:, None] * paint) / length
    return share < 0.5 if float((miss < ALIGNED).mean()) >= AGREED else None

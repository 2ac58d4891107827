"""Assigning the pixels of a sketch to the background and the layers above it; the layers' order and hidden parts."""

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
"""The number of one-paint regions from which they are parts of things rather than things."""
MANY_ON_KNOWN = 100
"""The same on a background that is known everywhere, where no region is part of the background's texture."""
FEW = 40
"""The number of one-paint regions up to which they are the things of a drawing."""
BUSY = 0.5
"""The busyness from which a picture has more things than layers."""
PLAIN = 2.0
"""The noise of a background up to which another color is not part of its texture."""
LOST = 0.002
"""The least share of the picture for something found again in the background."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The parts of a sketch: `groups` (height, width) numbers each pixel's layer, 0 the background, −1 transparent; the
    `ground`, if there is one; and its `soft` things, if any."""

    groups: Labels
    ground: Ground | None
    soft: Soft | None


def find_surfaces(sketch: Sketch, seed: int, report: Report) -> tuple[Regions, Palette]:
    """Return the regions of one paint among the visible pixels of a sketch, and its palette."""
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
    """Return whether a picture has many more things than `layer_num`, and whether its background is known nowhere.

    A drawing of few surfaces is not a scene, however small `layer_num` is.
    """
    busy = regions.count > MANY or (regions.count > FEW and busyness(regions, layer_num) >= BUSY)
    return busy, not _fit_beside(regions, None, sketch).known


def find_groups(sketch: Sketch, layer_num: int, surfaces: tuple[Regions, Palette], report: Report) -> Found:
    """Return at most `layer_num` groups of a sketch with these `surfaces`."""
    regions, palette = surfaces
    fit = _fit_beside(regions, None, sketch)
    if fit.known and fit.noise < PLAIN:
        # A rim that rises slowly enough would join a thing with the background.
        lost = with_strays(regions.labels, find_ground(regions), fit, sketch, LOST)
        regions = regions if lost.max() < regions.count else measure(lost, sketch, palette)
    soft = find_soft(fit, sketch) if fit.known else None
    if soft is not None:
        # A wide soft edge distorts the background that it was found on.
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
    """Return the background of `regions`, fitted to what is visible of it beside soft things."""
    seen = regions.labels == find_ground(regions)
    if soft is not None:
        near = cv2.dilate((soft.thing >= 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        seen = seen & ~near if (seen & ~near).sum() > 0.2 * seen.sum() else seen
    return fit_ground(sketch.rgb, seen)


def _with_contrast(regions: Regions, soft: Soft) -> Regions:
    """Return the regions with soft things' contrast to the background taken from their colors: soft edges hide it."""
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
    """Return the groups of a picture with so many regions that they are parts of things; `fit` is its background."""
    report("grouping")
    regions = measure(sort_soft(regions, find_ground(regions), fit, sketch), sketch, palette)
    pieces = pieces_of(regions.labels, find_ground(regions))
    regions = measure(with_strays(pieces, 0, fit, sketch) if fit.known else pieces, sketch, palette)
    report("grouping")
    # A rim that rings several things lies between two colors only piece by piece.
    for _ in range(2):
        regions = measure(pieces_of(dissolve_slivers(regions, sketch), 0), sketch, palette)
    regions = measure(open_holes(regions, sketch), sketch, palette)
    numbers = group_things(regions, palette.colors, fit, sketch, layer_num)
    report("grouping")
    return np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32)


# Dust: specks far from the thing whose layer they would be in.


SPECK = 0.001
"""The largest share of the picture for dust."""
SLIGHT = 0.05
"""The largest share of the largest part of its layer for dust: dots of equal size are things."""
FAR = 0.05
"""The least distance of dust from its layer's parts, as a share of the shorter side: a period is near its text."""
FOREIGN_CONTRAST = 16.0
"""CIELAB distance from which two colors are unrelated."""


def sweep(groups: Labels, sketch: Sketch) -> Labels:
    """Return the groups (0 is the background) with the dust of each moved to its surroundings, or to a nearby thing if
    its color clearly differs from its surroundings."""
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
    """Return the group to which a `speck` of `group` moves."""
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


# Thin strokes on a known background: each pixel's own color decides whether it belongs to them.


THIN = 6.0
"""The largest distance to the outline within strokes, in pixels, including closed gaps between them."""
FULL = 0.15
"""The share of a piece's pixels, those farthest from the background's color, that show its paint."""
ALIGNED = 0.35
"""The error allowed in a mixture of the two, as a share of the paint's distance from the background."""
AGREED = 0.85
"""The least share of a piece that must be such a mixture."""
ON_GROUND = 0.9
"""The least share of a piece's surroundings that must be background."""
CLEAR = 30.0
"""RGB distance between paint and background from which a single pixel can be classified."""


def thin_out(groups: Labels, ground: Ground, sketch: Sketch) -> Labels:
    """Return the groups (0 is the background) with the small gaps between thin strokes returned to the background.

    Segments have a minimum size, so that small letters include their holes and gaps; codecs with coarse chroma widen
    strokes. If a piece is a mixture of one paint and the background, its pixels with less than half of the paint
    become background.
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
    """Return which pixels of a piece are less than half its paint over `lower`, or None if it has several paints."""
    off = seen - lower
    strength = norm(off)
    paint = np.median(off[strength >= np.percentile(strength, 100 * (1 - FULL))], axis=0)
    length = float(np.linalg.norm(paint))
    if length < CLEAR:
        return None
    share = off @ paint / length**2
    miss = norm(off - share[:, None] * paint) / length
    return share < 0.5 if float((miss < ALIGNED).mean()) >= AGREED else None


# The stack: the order of layers, and their hidden parts.

FRAMING = 0.4
"""The share of the whole outline from which the lowest layer counts as lying behind everything."""
OUTLINED = 40
"""The most parts of a thing, those hidden most, that are completed by their outlines."""
LEAK = 0.03
"""The share of a completed shape that may lie where the picture shows something else."""


def stack_order(groups: Labels) -> list[int]:
    """Return the group numbers from bottom to top; group 0, the background, is the lowest of what fills the frame.

    An interrupted shape lies under the interrupting one: the convex hull of the lower shape covers more of the upper
    one than the reverse (the closure and convexity cues of figure and ground; Ren et al., "Figure/ground assignment in
    natural images", ECCV 2006).
    """
    bottom = [0] if fills_frame(groups) else []
    numbers = list(range(len(bottom), int(groups.max()) + 1))
    seen = [groups == number for number in numbers]
    hulls = [hull_of(mask) for mask in seen]
    covered = np.array([[float((hull & mask).sum()) / float(mask.sum()) for mask in seen] for hull in hulls])
    above = (covered.T - covered) if numbers else np.zeros((0, 0))
    left, order = list(range(len(numbers))), bottom
    while left:
        lowest = min(left, key=lambda one: float(above[one, left].sum()))
        left.remove(lowest)
        order.append(numbers[lowest])
    return order


def fills_frame(seen: Labels) -> bool:
    """Return whether the lowest of the layers `seen` lies behind everything visible: true for a picture that is opaque
    or cut out as a rectangle or an ellipse and whose lowest layer forms a good part of the outline."""
    shown = seen >= 0
    if shown.all():
        return True
    outline = shown & (cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) == 0)
    if float((seen[outline] == 0).mean()) < FRAMING:
        return False
    frames = _outlines(shown, np.zeros_like(shown))[1:]
    return min(float((frame != shown).sum()) for frame in frames) < LEAK * float(shown.sum())


def hull_of(mask: Mask) -> Mask:
    """Return the union of the convex hulls of the mask's parts."""
    hull = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        cv2.fillConvexPoly(hull, cv2.convexHull(contour), 1)
    return hull > 0


def complete(mask: Mask, covering: Mask, *, outlined: bool) -> Mask:
    """Return the mask continued under `covering` where its outline shows how.

    Parts joined by what covers them count as one thing. If it is `outlined`, an ellipse, a rectangle or the convex hull
    is accepted if it explains the visible part (good continuation, Kanizsa 1979); otherwise, and for the many small
    parts of confetti, only holes are closed.
    """
    if not outlined:
        return mask | _closed(mask, covering)
    count, parts = cv2.connectedComponents((mask | covering).astype(np.uint8))
    hidden = np.bincount(parts[covering], minlength=count) * (np.bincount(parts[mask], minlength=count) > 0)
    hidden[0] = 0
    largest = np.argsort(-hidden, kind="stable")[:OUTLINED]
    result = mask | _closed(mask & ~np.isin(parts, largest), covering)
    for part in largest[hidden[largest] > 0].tolist():
        inside = parts == part
        result |= _completed_part(mask & inside, covering & inside) & covering
    return result


def _completed_part(seen: Mask, covering: Mask) -> Mask:
    area = float(seen.sum())
    best, shape = LEAK, _closed(seen, covering)
    for candidate in _outlines(seen, covering):
        wrong = float((candidate & ~seen & ~covering).sum() + (seen & ~candidate).sum()) / area
        if wrong < best:
            best, shape = wrong, candidate
    return shape | seen


def _outlines(seen: Mask, covering: Mask) -> list[Mask]:
    """Return simple shapes that fit the visible part."""
    contours, _ = cv2.findContours(seen.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(contours).astype(np.int32)
    shapes = []
    hull = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    shapes.append(hull > 0)
    box = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(box, cv2.boxPoints(cv2.minAreaRect(points)).round().astype(np.int32), 1)
    shapes.append(box > 0)
    near = cv2.dilate(covering.astype(np.uint8), np.ones((5, 5), np.uint8))
    free = points[near[points[:, 0, 1], points[:, 0, 0]] == 0]
    height, width = seen.shape
    free = free[(free[:, 0, 0] > 1) & (free[:, 0, 1] > 1) & (free[:, 0, 0] < width - 2) & (free[:, 0, 1] < height - 2)]
    if len(free) > 20:
        oval = np.zeros(seen.shape, np.uint8)
        centre, axes, angle = cv2.fitEllipseDirect(free)
        if max(axes) < 3 * max(seen.shape) and min(axes) > 1:
            cv2.ellipse(oval, (centre, axes, angle), 1, -1)
            shapes.append(oval > 0)
    return shapes


def _closed(seen: Mask, covering: Mask) -> Mask:
    """Return the visible part with its covered holes filled."""
    count, parts = cv2.connectedComponents((~seen).astype(np.uint8))
    holes = np.asarray(parts, np.int32)
    border = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    inner = ~np.isin(np.arange(count), border)
    return inner[holes] & covering

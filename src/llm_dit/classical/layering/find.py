"""Finding what belongs to the ground and to each layer above it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from llm_dit.classical.layering.ground import Ground, fit_ground
from llm_dit.classical.layering.grouping import busyness, find_ground, group
from llm_dit.classical.layering.halos import sort_soft
from llm_dit.classical.layering.lettering import open_holes
from llm_dit.classical.layering.regions import (
    Labels,
    Palette,
    Regions,
    Sketch,
    find_palette,
    measure,
    oversegment,
    smooth_merge,
)
from llm_dit.classical.layering.soft import Soft, find_soft, with_soft
from llm_dit.classical.layering.surfaces import dissolve_slivers, join_paint
from llm_dit.classical.layering.things import foreign_to, group_things, is_known, pieces_of, with_strays

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

Report = Callable[[str], None]


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
    return busy, not is_known(_fit_beside(regions, None, sketch))


def find_groups(sketch: Sketch, layer_num: int, surfaces: tuple[Regions, Palette], report: Report) -> Found:
    """Return the groups of a sketch whose `surfaces` are found, at most `layer_num`."""
    regions, palette = surfaces
    fit = _fit_beside(regions, None, sketch)
    if is_known(fit) and fit.noise < PLAIN:
        # A rim that rises slowly enough joins a thing with the ground.
        lost = with_strays(regions.labels, find_ground(regions), fit, sketch, LOST)
        regions = regions if lost.max() < regions.count else measure(lost, sketch, palette)
    soft = find_soft(fit, sketch) if is_known(fit) else None
    if soft is not None:
        # A wide soft edge bends the ground that it is told by.
        soft = find_soft(_fit_beside(regions, soft, sketch), sketch) or soft
        regions = measure(with_soft(regions.labels, find_ground(regions), soft), sketch, palette)
    if regions.count > MANY_ON_KNOWN:
        fit = _fit_beside(regions, soft, sketch)
        if regions.count > MANY or is_known(fit):
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
    regions = measure(with_strays(pieces, 0, fit, sketch) if is_known(fit) else pieces, sketch, palette)
    report("grouping")
    # Rims that are one ring around several things lie between two colors only piece by piece.
    for _ in range(2):
        regions = measure(pieces_of(dissolve_slivers(regions, sketch), 0), sketch, palette)
    regions = measure(open_holes(regions, sketch), sketch, palette)
    numbers = group_things(regions, palette.colors, fit, sketch, layer_num)
    report("grouping")
    return np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32)

"""Finding what belongs to the ground and to each layer above it."""

from collections.abc import Callable

import numpy as np

from llm_dit.classical.ground import Ground, fit_ground
from llm_dit.classical.grouping import busyness, find_ground, group
from llm_dit.classical.halos import sort_soft
from llm_dit.classical.regions import Regions, measure, smooth_merge
from llm_dit.classical.segment import Labels, Palette, Sketch, find_palette, oversegment
from llm_dit.classical.surfaces import dissolve_slivers, join_paint
from llm_dit.classical.things import group_things, is_known, pieces_of, with_strays

MANY = 160
"""Regions of one paint each, from which on they are parts of things rather than things."""
MANY_ON_KNOWN = 100
"""The same on a ground that is known everywhere, where no region is a patch of the ground's texture."""

Report = Callable[[str], None]


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


def find_groups(sketch: Sketch, layer_num: int, seed: int, report: Report) -> tuple[Labels, Ground]:
    """Return for each pixel of the sketch its group: 0 the ground's, 1… the others', −1 where nothing is."""
    regions, palette = find_surfaces(sketch, seed, report)
    if regions.count > MANY_ON_KNOWN:
        fit = fit_ground(sketch.rgb, regions.labels == find_ground(regions))
        if regions.count > MANY or is_known(fit):
            return _find_things(regions, fit, sketch, palette, layer_num, report), fit
    busy = busyness(regions, layer_num)
    if busy < 0.5:
        regions = measure(join_paint(regions, sketch, strict=False), sketch, palette)
    report("grouping")
    regions = measure(dissolve_slivers(regions, sketch), sketch, palette)
    ground = find_ground(regions)
    fit = fit_ground(sketch.rgb, regions.labels == ground)
    report("grouping")
    regions = measure(sort_soft(regions, ground, fit, sketch), sketch, palette)
    numbers = group(regions, palette.colours, find_ground(regions), layer_num, busy)
    report("grouping")
    return np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32), fit


def _find_things(
    regions: Regions, fit: Ground, sketch: Sketch, palette: Palette, layer_num: int, report: Report
) -> Labels:
    """Return the groups of a picture of so many regions that they are parts of things; `fit` is its ground."""
    report("grouping")
    regions = measure(sort_soft(regions, find_ground(regions), fit, sketch), sketch, palette)
    pieces = pieces_of(regions.labels, find_ground(regions))
    regions = measure(with_strays(pieces, fit, sketch) if is_known(fit) else pieces, sketch, palette)
    report("grouping")
    # Rims that are one ring around several things lie between two colours only piece by piece.
    for _ in range(2):
        regions = measure(pieces_of(dissolve_slivers(regions, sketch), 0), sketch, palette)
    numbers = group_things(regions, palette.colours, fit, sketch, layer_num)
    report("grouping")
    return np.where(regions.labels >= 0, numbers[regions.labels], -1).astype(np.int32)

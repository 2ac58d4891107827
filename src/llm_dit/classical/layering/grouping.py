"""Grouping surfaces, or the pieces of a picture of many parts, into as many layers as are wanted."""

import numpy as np

from llm_dit.classical.layering.regions import Floats, Labels, Mask, Regions, Sketch
from llm_dit.classical.layering.surfaces import PAINT, Ground, gap_from, is_stroke, of_ground_color

FOREIGN = 5.0
"""By how much more it costs to leave in a known ground what is plainly of another color."""


class Groups:
    """Surfaces being joined, with what the costs are made of; joined rows stay in place and are marked dead."""

    def __init__(self, regions: Regions, colors: Floats, ground: int, busy: float, foreign: Mask | None = None) -> None:
        self.busy = busy
        self.foreign = np.zeros(regions.count, bool) if foreign is None else foreign.copy()
        self.member = np.arange(regions.count)
        self.alive = np.ones(regions.count, bool)
        self.area = regions.area / regions.area.sum()
        self.palette, self.context, self.mean = regions.palette.copy(), regions.context.copy(), regions.mean.copy()
        self.shared, self.total = regions.shared.copy(), regions.shared * regions.contrast
        self.rim, self.box = regions.rim.copy(), regions.box.copy()
        self.pixels = float(regions.area.sum())
        self.distance = np.linalg.norm(colors[:, None] - colors[None], axis=-1).astype(np.float32)
        self.ground = ground
        self.cost = np.full((regions.count, regions.count), np.inf, np.float32)
        for one in range(regions.count):
            self.cost[one] = self._costs(one)
        np.fill_diagonal(self.cost, np.inf)

    def join_cheapest(self) -> None:
        """Join the two groups whose union loses least."""
        i, j = divmod(int(self.cost.argmin()), len(self.cost))
        self.join(j, i) if i == self.ground else self.join(i, j)

    def join(self, gone: int, keep: int) -> None:
        """Let `keep` take `gone` in."""
        share = self.area[gone] / (self.area[gone] + self.area[keep])
        for values in (self.palette, self.context, self.mean):
            values[keep] += share * (values[gone] - values[keep])
        self.area[keep] += self.area[gone]
        self.rim[keep] += self.rim[gone]
        self.box[keep, :2] = np.minimum(self.box[keep, :2], self.box[gone, :2])
        self.box[keep, 2:] = np.maximum(self.box[keep, 2:], self.box[gone, 2:])
        for matrix in (self.shared, self.total):
            matrix[keep] += matrix[gone]
            matrix[:, keep] = matrix[keep]
            matrix[gone] = matrix[:, gone] = 0
            matrix[keep, keep] = 0
        self.foreign[keep] |= self.foreign[gone]
        self.alive[gone] = False
        self.member[self.member == gone] = keep
        self.cost[gone] = self.cost[:, gone] = np.inf
        self.cost[keep] = self._costs(keep)
        self.cost[:, keep] = self.cost[keep]

    def _costs(self, one: int) -> Floats:
        """Return what is lost by joining `one` with each other group: the cheapest of three reasons to join.

        One paint in several places; one texture of interleaved parts; a part of the thing it touches.
        """
        color = np.sqrt(np.maximum(self._energy(one), 0))
        context = np.abs(self.context - self.context[one]).sum(axis=-1) / 2
        border = self.shared[one]
        outline = np.minimum(self.shared.sum(axis=-1) + self.rim, self.shared[one].sum() + self.rim[one]) + 1e-6
        touch = np.minimum(border / outline, 1)
        smaller = np.minimum(self.area, self.area[one])
        size = (1 - self.busy) * np.minimum(1, smaller / 0.006) ** 0.5
        size += self.busy * np.minimum(1, smaller / 0.02) ** 0.5
        contrast = np.divide(self.total[one], border, out=np.full_like(border, np.inf), where=border > 0)
        alone = (self.shared[self.ground] + self.rim) / (self.shared.sum(axis=-1) + self.rim + 1e-6)
        bound = 1 - np.minimum(alone, alone[one])
        apart = ((0.2 + 0.2 * self.busy) * self._disparity(one) + 0.4 * self.busy * bound) * (1 - touch)
        paint = color / 20 + apart
        texture = np.where(border > 0, 2.0 * context + 0.4 * (1 - touch) + 2 * (1 - self._prevalent(one)), np.inf)
        part = np.minimum(contrast, 60) / 45 * size * (1.5 - 0.5 * touch)
        part = np.where(border > 0, part * self._grounded(one), np.inf)
        cost = np.minimum(np.minimum(paint, texture), part) * self._strangeness(one)
        cost[~self.alive] = np.inf
        cost[one] = np.inf
        return cost

    def _grounded(self, one: int) -> Floats:
        """Return by how much more it costs to give a thing to the ground than to another thing.

        What the picture's edge cuts is likelier to be ground too. In busy pictures things are made of many parts.
        """
        between = np.full(len(self.area), 0.75 - 0.5 * self.busy, np.float32)
        cut = np.minimum(1, self.rim / (self.rim + self.shared.sum(axis=-1) + 1e-6) / 0.35)
        ground = 1.6 - 0.7 * cut
        if one == self.ground:
            return ground
        between[self.ground] = ground[one]
        return between

    def _strangeness(self, one: int) -> Floats:
        """Return by how much more a join costs: much where a known ground cannot be what joins it."""
        if one == self.ground:
            return np.where(self.foreign, np.float32(FOREIGN), np.float32(1))
        strangeness = np.ones(len(self.area), np.float32)
        strangeness[self.ground] = FOREIGN if self.foreign[one] else 1
        return strangeness

    def _prevalent(self, one: int) -> Floats:
        """Return how common the smaller one's colors are around the larger one, 0–1: in a texture each is."""
        in_one = np.minimum(self.palette, 3 * self.context[one]).sum(axis=-1)
        in_other = np.minimum(self.palette[one], 3 * self.context).sum(axis=-1)
        return np.where(self.area < self.area[one], in_one, in_other)

    def _energy(self, one: int) -> Floats:
        """Return the energy distance of the color distributions (Székely and Rizzo, 2013)."""
        # OpenBLAS may have computed on numbers beside the rows, and dropped what came of it, when it says "invalid".
        with np.errstate(invalid="ignore"):
            cross = self.palette @ (self.distance @ self.palette[one])
            own = ((self.palette @ self.distance) * self.palette).sum(axis=-1)
        # On single colors this is their distance, squared to undo the caller's root.
        return np.maximum(2 * cross - own - own[one], 0) ** 2 / 4

    def _disparity(self, one: int) -> Floats:
        """Return how unlike two groups are in size and how far apart, 0 for pieces close by or of one size."""
        ratio = np.abs(np.log2(self.area / self.area[one]))
        gap = gap_from(self.box, one)
        reach = np.sqrt(np.maximum(self.area, self.area[one]) * self.pixels)
        return np.minimum(ratio / 3, gap / reach * 4)


def busyness(regions: Regions, layer_num: int) -> float:
    """Return 0 for a picture with about as many things as layers are wanted, up to 1 for one with many more.

    Parts of one texture count as one thing, slivers and specks as none.
    """
    things = np.flatnonzero((regions.area > 0.001 * regions.area.sum()) & (regions.thick > 3))
    things = things[np.argsort(-regions.area[things], kind="stable")]
    kinds = 0
    while len(things):
        kinds += 1
        context = np.abs(regions.context[things] - regions.context[things[0]]).sum(axis=-1) / 2
        context[0] = 0
        things = things[context >= 0.15]
    return float(np.clip((kinds / layer_num - 2) / 0.8, 0, 1))


def group(regions: Regions, colors: Floats, ground: int, layer_num: int, busy: float, foreign: Mask) -> Labels:
    """Return for each region its group, 0 the ground's, 1… the others', at most `layer_num` in all.

    `foreign` tells which regions are plainly of another color than a ground that takes nothing of the kind.
    """
    groups = Groups(regions, colors, ground, busy, foreign)
    while groups.alive.sum() > layer_num:
        groups.join_cheapest()
    return numbered(groups)


def numbered(groups: Groups) -> Labels:
    """Return for each region the number of its group, 0 the ground's."""
    ground = groups.member[groups.ground]
    others = np.flatnonzero(groups.alive & (np.arange(len(groups.alive)) != ground))
    numbers = np.zeros(len(groups.alive), np.int32)
    numbers[others] = np.arange(1, len(others) + 1)
    return numbers[groups.member]


# A picture of many parts: pieces become whole things, and those become layers.


APART = 60.0
"""CIELAB distance from which two colors are as different as can be."""
UNLIKE = 20.0
"""Energy distance of two distributions of color from which they have nothing in common."""
SPECK = 0.002
"""The share of the picture of what is hardly worth a layer."""


def group_things(regions: Regions, colors: Floats, fit: Ground, sketch: Sketch, layer_num: int) -> Labels:
    """Return for each piece its group, 0 the ground's, 1… the others', at most `layer_num` in all.

    Agglomerative clustering (Ward, "Hierarchical grouping to optimize an objective function", 1963): writing is taken
    as one thing, then whatever union loses least is made. Nothing but its own color is given to a ground that is
    known everywhere.
    """
    known = fit.known
    letters = find_lettering(regions)
    things = Things(regions, colors, letters >= 0, known)
    if known:
        for piece in np.flatnonzero(of_ground_color(regions, fit, sketch)).tolist():
            things.join(piece, 0)
    for writing in range(int(letters.max()) + 1):
        first, *others = np.flatnonzero((letters == writing) & things.alive).tolist() or [0]
        for other in others:
            things.join(other, first)
    while things.alive.sum() > layer_num:
        things.join_cheapest()
    return numbered(things)


class Things(Groups):
    """Pieces being joined, the ground piece 0: what touches, or what lies apart on the ground and is alike."""

    def __init__(self, regions: Regions, colors: Floats, writing: Mask, known: bool) -> None:
        self.writing = writing.copy()
        self.known = known
        self.outline = regions.shared.sum(axis=-1) + np.float32(1e-6)
        super().__init__(regions, colors, 0, 1.0)

    def join(self, gone: int, keep: int) -> None:
        """Let `keep` take `gone` in; whether the union is writing, the larger of both tells."""
        if self.area[gone] > self.area[keep]:
            self.writing[keep] = self.writing[gone]
        self.outline[keep] += self.outline[gone] - 2 * self.shared[keep, gone]
        super().join(gone, keep)

    def _costs(self, one: int) -> Floats:
        smaller = np.minimum(self.area, self.area[one])
        cost = np.minimum(self._part(one), self._alike(one))
        cost += (self.writing != self.writing[one]) * np.minimum(1, smaller / (5 * SPECK))
        # Ward's cost grows with the size of what is joined, so that layers go to what is large; specks get none.
        cost *= smaller**0.3 * np.minimum(1, smaller / (2 * SPECK)) ** 0.5
        ground = np.arange(len(cost)) == 0
        cost[ground | (one == 0)] *= 1e3 if self.known else 1.5
        cost[~self.alive] = np.inf
        cost[one] = np.inf
        return cost

    def _part(self, one: int) -> Floats:
        """Return what it costs to join what touches: the less, the more of an outline is shared."""
        border = self.shared[one]
        touch = np.minimum(border / np.minimum(self.outline, self.outline[one]), 1)
        contrast = np.divide(self.total[one], border, out=np.zeros_like(border), where=border > 0)
        cost = (0.12 + 0.36 * np.minimum(contrast / APART, 1)) * (1.2 - touch)
        return np.where(border > 0, cost, np.inf)

    def _alike(self, one: int) -> Floats:
        """Return what it costs to join things of one kind, such as the people of a crowd: parts of things are none."""
        color = np.minimum(np.sqrt(np.maximum(self._energy(one), 0)) / UNLIKE, 1)
        ratio = np.minimum(np.abs(np.log2(self.area / self.area[one])) / 3, 1)
        gap = gap_from(self.box, one) / self.pixels**0.5
        free = (self.shared[0] + self.rim) / (self.outline + self.rim)
        return 0.3 + color + 0.3 * ratio + 0.5 * gap + (1 - np.minimum(free, free[one]))


# Writing: strokes of one width in a row are one thing.


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


def _line_from(first: int, free: Mask, regions: Regions, side: Floats) -> list[int]:
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

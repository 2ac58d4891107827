"""Grouping regions: surfaces, or the pieces of a picture of many parts, into the requested number of layers; and the
regions of a thing, to its clearest outline."""

import heapq

import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Floats, Labels, Mask, Regions, Sketch
from llm_dit.classical.layering.surfaces import PAINT, Ground, gap_from, is_stroke, of_ground_color
from llm_dit.color import norm

FOREIGN = 5.0
"""The factor on the cost of leaving a clearly different color in a known background."""


class Groups:
    """Surfaces during grouping, with the inputs of the costs; merged rows stay in place and are marked dead."""

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
        """Join the two groups whose union costs least."""
        i, j = divmod(int(self.cost.argmin()), len(self.cost))
        self.join(j, i) if i == self.ground else self.join(i, j)

    def join(self, gone: int, keep: int) -> None:
        """Merge `gone` into `keep`."""
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
        """Return the cost of joining `one` with each other group: the cheapest of three reasons.

        They are: one paint in several places, one texture of interleaved parts, and a part of the thing it touches.
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
        """Return the factor on the cost of joining a thing with the background instead of another thing.

        What the picture's edge cuts is more likely background. In busy pictures things consist of many parts.
        """
        between = np.full(len(self.area), 0.75 - 0.5 * self.busy, np.float32)
        cut = np.minimum(1, self.rim / (self.rim + self.shared.sum(axis=-1) + 1e-6) / 0.35)
        ground = 1.6 - 0.7 * cut
        if one == self.ground:
            return ground
        between[self.ground] = ground[one]
        return between

    def _strangeness(self, one: int) -> Floats:
        """Return the factor on the cost of a join: high if it adds a foreign region to a known background."""
        if one == self.ground:
            return np.where(self.foreign, np.float32(FOREIGN), np.float32(1))
        strangeness = np.ones(len(self.area), np.float32)
        strangeness[self.ground] = FOREIGN if self.foreign[one] else 1
        return strangeness

    def _prevalent(self, one: int) -> Floats:
        """Return how common the colors of the smaller group are around the larger one, 0–1: high within a texture."""
        in_one = np.minimum(self.palette, 3 * self.context[one]).sum(axis=-1)
        in_other = np.minimum(self.palette[one], 3 * self.context).sum(axis=-1)
        return np.where(self.area < self.area[one], in_one, in_other)

    def _energy(self, one: int) -> Floats:
        """Return the energy distance of the color distributions (Székely and Rizzo, 2013)."""
        # OpenBLAS may report "invalid" for numbers beside the rows, whose results it drops.
        with np.errstate(invalid="ignore"):
            cross = self.palette @ (self.distance @ self.palette[one])
            own = ((self.palette @ self.distance) * self.palette).sum(axis=-1)
        # For single colors this is their distance; squaring undoes the caller's root.
        return np.maximum(2 * cross - own - own[one], 0) ** 2 / 4

    def _disparity(self, one: int) -> Floats:
        """Return how different two groups are in size, and how distant: 0 for pieces that are near or equal in size."""
        ratio = np.abs(np.log2(self.area / self.area[one]))
        gap = gap_from(self.box, one)
        reach = np.sqrt(np.maximum(self.area, self.area[one]) * self.pixels)
        return np.minimum(ratio / 3, gap / reach * 4)


def busyness(regions: Regions, layer_num: int) -> float:
    """Return 0 for a picture with about as many things as requested layers, up to 1 for one with many more.

    Parts of one texture count as one thing; slivers and specks do not count.
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
    """Return each region's group, 0 the background, 1… the others, at most `layer_num` in all.

    `foreign` marks regions whose color clearly differs from a background that absorbs no such regions.
    """
    groups = Groups(regions, colors, ground, busy, foreign)
    while groups.alive.sum() > layer_num:
        groups.join_cheapest()
    return numbered(groups)


def numbered(groups: Groups) -> Labels:
    """Return each region's group number, 0 the background."""
    ground = groups.member[groups.ground]
    others = np.flatnonzero(groups.alive & (np.arange(len(groups.alive)) != ground))
    numbers = np.zeros(len(groups.alive), np.int32)
    numbers[others] = np.arange(1, len(others) + 1)
    return numbers[groups.member]


# A picture of many parts: pieces become whole things, and those become layers.


APART = 60.0
"""CIELAB distance from which two colors count as completely different."""
UNLIKE = 20.0
"""Energy distance from which two color distributions are unrelated."""
SPECK = 0.002
"""The share of the picture below which a thing is hardly worth a layer."""


def group_things(regions: Regions, colors: Floats, fit: Ground, sketch: Sketch, layer_num: int) -> Labels:
    """Return each piece's group, 0 the background, 1… the others, at most `layer_num` in all.

    Agglomerative clustering (Ward, "Hierarchical grouping to optimize an objective function", 1963): writing counts
    as one thing; then the cheapest unions are made. A background that is known everywhere absorbs only its own color.
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
    """Pieces during grouping, piece 0 the background: joined if they touch, or lie apart on it and look alike."""

    def __init__(self, regions: Regions, colors: Floats, writing: Mask, known: bool) -> None:
        self.writing = writing.copy()
        self.known = known
        self.outline = regions.shared.sum(axis=-1) + np.float32(1e-6)
        super().__init__(regions, colors, 0, 1.0)

    def join(self, gone: int, keep: int) -> None:
        """Merge `gone` into `keep`; the larger of the two decides whether the union is writing."""
        if self.area[gone] > self.area[keep]:
            self.writing[keep] = self.writing[gone]
        self.outline[keep] += self.outline[gone] - 2 * self.shared[keep, gone]
        super().join(gone, keep)

    def _costs(self, one: int) -> Floats:
        smaller = np.minimum(self.area, self.area[one])
        cost = np.minimum(self._part(one), self._alike(one))
        cost += (self.writing != self.writing[one]) * np.minimum(1, smaller / (5 * SPECK))
        # Ward's cost grows with size, so that large things get the layers and specks get none.
        cost *= smaller**0.3 * np.minimum(1, smaller / (2 * SPECK)) ** 0.5
        ground = np.arange(len(cost)) == 0
        cost[ground | (one == 0)] *= 1e3 if self.known else 1.5
        cost[~self.alive] = np.inf
        cost[one] = np.inf
        return cost

    def _part(self, one: int) -> Floats:
        """Return the cost of joining pieces that touch: the more outline they share, the lower."""
        border = self.shared[one]
        touch = np.minimum(border / np.minimum(self.outline, self.outline[one]), 1)
        contrast = np.divide(self.total[one], border, out=np.zeros_like(border), where=border > 0)
        cost = (0.12 + 0.36 * np.minimum(contrast / APART, 1)) * (1.2 - touch)
        return np.where(border > 0, cost, np.inf)

    def _alike(self, one: int) -> Floats:
        """Return the cost of joining whole things of one kind, such as the people of a crowd, not parts of things."""
        color = np.minimum(np.sqrt(np.maximum(self._energy(one), 0)) / UNLIKE, 1)
        ratio = np.minimum(np.abs(np.log2(self.area / self.area[one])) / 3, 1)
        gap = gap_from(self.box, one) / self.pixels**0.5
        free = (self.shared[0] + self.rim) / (self.outline + self.rim)
        return 0.3 + color + 0.3 * ratio + 0.5 * gap + (1 - np.minimum(free, free[one]))


# Writing: strokes of one width in a row count as one thing.


LEAST_LETTERS = 4
"""The least number of strokes of one width that count as writing."""


def find_lettering(regions: Regions) -> Labels:
    """Return the number of the writing that each piece is a letter of, −1 for none; piece 0 is the background.

    Letters are strokes of one paint and one width, similar in size and near each other (Epshtein et al., "Detecting
    text in natural scenes with stroke width transform", CVPR 2010), with most of their outline on the background.
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
    """Add periods, dots and letters slightly apart to the writing beside them, in place."""
    for one in np.flatnonzero((letters < 0) & (on_ground > 0.5) & (regions.rim == 0)).tolist():
        fits = (letters >= 0) & (gap_from(regions.box, one) < 1.5 * side) & (side > 0.7 * side[one])
        fits &= np.linalg.norm(regions.mean - regions.mean[one], axis=-1) < 4 * PAINT
        fits &= regions.thick > 0.5 * regions.thick[one]
        if fits.any():
            letters[one] = letters[fits.argmax()]


def _line_from(first: int, free: Mask, regions: Regions, side: Floats) -> list[int]:
    """Return `first` and the pieces of its kind near it, near these, and so on; remove them from `free`."""
    members = [first]
    free[first] = False
    alike = np.linalg.norm(regions.mean - regions.mean[first], axis=-1) < 2 * PAINT
    for size, most in ((regions.thick, 2), (side, 4)):
        alike &= (size < most * size[first]) & (size[first] < most * size)
    # The list grows during the loop.
    for one in members:
        near = np.flatnonzero(free & alike & (gap_from(regions.box, one) < np.maximum(side, side[one]))).tolist()
        free[near] = False
        members += near
    return members


# Growing a thing from some of its regions.

GROUND, SLACK = 20.0, 4.0
"""CIELAB along the path from the picture's edge: the reach of the background, and the change that is ignored."""
UNSURE = 0.3
"""The weight of an outline that is not on the background; one that is weighs 1 more."""
SMALL, MOST = 0.01, 0.6
"""Shares of the picture: things below the first are less likely, and none is larger than the second."""
OTHER = 1.3
"""The least ratio of two growths' areas for them to count as different."""
FAR_OFF, FRAME = 60.0, 60.0
"""The CIELAB distance of transparent pixels from anything, and the cost of a region with all of the picture's edge."""


class Neighbors:
    """The regions of a sketch, their common borders, and their share of the picture's edge."""

    def __init__(self, labels: Labels, lab: Floats) -> None:
        """Take labels (height, width) and CIELAB colors (height, width, 3); transparency, −1, is the last region."""
        count = self.count = int(labels.max()) + 2
        labels = np.where(labels < 0, count - 1, labels).astype(np.int32)
        self.area = np.bincount(labels.ravel(), minlength=count).astype(np.float64)
        sums = [np.bincount(labels.ravel(), lab[..., c].ravel(), count) for c in range(3)]
        mean = np.stack(sums, -1) / np.maximum(self.area, 1)[:, None]
        borders = np.zeros(count * count, np.int64)
        for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
            differ = one != other
            borders += np.bincount(one[differ].astype(np.int64) * count + other[differ], minlength=count * count)
        self.length = borders.reshape(count, count).astype(np.float64)
        self.length += self.length.T
        self.gap = norm(mean[:, None] - mean[None])
        self.gap[-1] = self.gap[:, -1] = FAR_OFF
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        self.rim = np.bincount(edge, minlength=count).astype(np.float64)
        self.around = 2.0 * sum(labels.shape)
        self.ground = np.exp(-((self._from_rim() / GROUND) ** 2))

    def _from_rim(self) -> Floats:
        """Return each region's distance from the picture's edge, in CIELAB along the path with the least changes.

        As in "Saliency optimization from robust background detection" (Zhu et al., CVPR 2014).
        """
        far = np.where(self.rim > 0.01 * self.around, 0.0, np.inf)
        far[-1] = 0.0
        heap = [(0.0, region) for region in np.flatnonzero(far == 0).tolist()]
        while heap:
            way, region = heapq.heappop(heap)
            if way > far[region]:
                continue
            for other in np.flatnonzero(self.length[region]).tolist():
                there = way + max(0.0, self.gap[region, other] - SLACK)
                if there < far[other]:
                    far[other] = there
                    heapq.heappush(heap, (there, other))
        return np.minimum(far, 1e3)

    def grown_from(self, begun: NDArray[np.integer], never: NDArray[np.integer], most: int) -> list[Mask]:
        """Return things grown from the regions `begun`, as masks of regions (count): at most `most` that differ in
        size, the clearest outline on the background first. Regions of `never` and transparent pixels are excluded.
        """
        mine, blocked = np.zeros(self.count, bool), np.zeros(self.count, bool)
        blocked[never] = blocked[-1] = True
        mine[begun] = True
        outline, weighted = self.length.sum(axis=1) + self.rim, self.length * self.gap
        # Of the regions so far: the border with each other region, that border's contrast, and sums over the regions.
        touching, gaps = self.length[mine].sum(axis=0), weighted[mine].sum(axis=0)
        area, rim, inner = self.area[mine].sum(), self.rim[mine].sum(), (self.area * self.ground)[mine].sum()
        visible = max(1, self.area[:-1].sum())
        growths: list[tuple[float, float, Mask]] = []
        while True:
            open_ = ~mine
            border, contrast = touching[open_].sum(), gaps[open_].sum()
            outer = (touching[open_] * self.ground[open_]).sum() / max(border, 1)
            clear = contrast / max(border, 1) * (1 - min(1.0, 2 * rim / max(border + rim, 1)))
            size = min(1.0, area / visible / SMALL) ** 0.5
            score = clear * size * (UNSURE + outer) * (1 + UNSURE - inner / max(area, 1))
            growths.append((score, area, mine.copy()))
            near = (touching > 0) & open_ & ~blocked
            if not near.any() or area > MOST * visible:
                return _unlike(growths, most)
            # The next region is the one that the thing encloses most and differs from least.
            enclosed = touching / np.maximum(outline, 1)
            gap = gaps / np.maximum(touching, 1)
            cost = np.where(near, gap * (1 - enclosed) + FRAME * self.rim / self.around, np.inf)
            next_ = int(cost.argmin())
            mine[next_] = True
            touching += self.length[next_]
            gaps += weighted[next_]
            area, rim = area + self.area[next_], rim + self.rim[next_]
            inner += self.area[next_] * self.ground[next_]


def _unlike(growths: list[tuple[float, float, Mask]], most: int) -> list[Mask]:
    """Return the masks of the best growths, given as (score, area, mask), no two of similar size."""
    chosen: list[tuple[float, Mask]] = []
    for _, area, mask in sorted(growths, key=lambda growth: -growth[0]):
        if all(max(area, other) > OTHER * min(area, other) for other, _ in chosen):
            chosen.append((area, mask))
        if len(chosen) == most:
            break
    return [mask for _, mask in chosen]

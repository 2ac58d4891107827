"""Grouping surfaces into as many layers as are wanted, and clearing those of specks that lie far off."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Floats, Labels, Regions, Sketch


def find_ground(regions: Regions) -> int:
    """Return the region that lies behind everything: much of the picture's edge and a large area.

    Backgrounds are cut by the picture's edge, objects seldom are (Wei et al., "Geodesic saliency using background
    priors", ECCV 2012; Zhu et al., "Saliency optimization from robust background detection", CVPR 2014).
    """
    rim = regions.rim / max(float(regions.rim.sum()), 1.0)
    return int(np.argmax(rim + 0.7 * regions.area / regions.area.sum()))


FOREIGN = 5.0
"""By how much more it costs to leave in a known ground what is plainly of another color."""


class Groups:
    """Surfaces being joined, with what the costs are made of; joined rows stay in place and are marked dead."""

    def __init__(
        self, regions: Regions, colors: Floats, ground: int, busy: float, foreign: NDArray[np.bool_] | None = None
    ) -> None:
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
        cross = self.palette @ (self.distance @ self.palette[one])
        own = ((self.palette @ self.distance) * self.palette).sum(axis=-1)
        # On single colors this is their distance, squared to undo the caller's root.
        return np.maximum(2 * cross - own - own[one], 0) ** 2 / 4

    def _disparity(self, one: int) -> Floats:
        """Return how unlike two groups are in size and how far apart, 0 for pieces close by or of one size."""
        ratio = np.abs(np.log2(self.area / self.area[one]))
        gap = np.linalg.norm(
            np.maximum(0, np.maximum(self.box[one, :2] - self.box[:, 2:], self.box[:, :2] - self.box[one, 2:])), axis=-1
        )
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


def group(
    regions: Regions, colors: Floats, ground: int, layer_num: int, busy: float, foreign: NDArray[np.bool_]
) -> Labels:
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
    for group in range(1, int(groups.max()) + 1):
        mine = groups == group
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
            result[parts == part] = _owner(parts == part, group, groups, sketch)
    return result


def _owner(speck: NDArray[np.bool_], group: int, groups: Labels, sketch: Sketch) -> int:
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

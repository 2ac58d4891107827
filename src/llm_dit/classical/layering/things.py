"""Joining the pieces of a picture of many parts into whole things, and those into layers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.ground import Ground
from llm_dit.classical.layering.grouping import Groups, numbered
from llm_dit.classical.layering.lettering import find_lettering
from llm_dit.classical.layering.regions import MOST, Floats, Labels, Regions, Sketch, boxes, compact
from llm_dit.classical.layering.surfaces import PAINT, gap_from

APART = 60.0
"""CIELAB distance from which two colors are as different as can be."""
CLEAR = 8
"""Pixels clear of all outlines from which something is a thing of its own."""
UNLIKE = 20.0
"""Energy distance of two distributions of color from which they have nothing in common."""
STRAYS = MOST // 4
"""At most as many things are found on the ground that were part of it; the largest."""
SPECK = 0.002
"""The share of the picture of what is hardly worth a layer."""
BARE = 0.9
"""The share of all from which a ground of one color is no part of a pattern."""


def pieces_of(labels: Labels, ground: int) -> Labels:
    """Return the labels with every region but the ground, which becomes 0, cut into its connected pieces.

    There are at most `MOST` of them, or as many as regions: what is small beyond that stays with the largest piece of
    its region, for what joins the pieces takes the cube of their number in time.
    """
    result = np.where(labels == ground, 0, -1).astype(np.int32)
    number, count = 1, int(labels.max()) + 1
    areas, main = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]
    for one, (left, top, right, bottom) in enumerate(boxes(labels, count).astype(int).tolist()):
        if one != ground:
            window = (slice(top, bottom), slice(left, right))
            found, parts, stats, _ = cv2.connectedComponentsWithStats((labels[window] == one).astype(np.uint8))
            mine = parts > 0
            result[window][mine] = parts[mine] + (number - 1)
            areas.append(stats[1:, cv2.CC_STAT_AREA])
            main.append(np.full(found - 1, number + areas[-1].argmax(), np.int32))
            number += found - 1
    home, area = np.concatenate(main), np.concatenate(areas)
    others = np.flatnonzero(home != np.arange(number))
    small = others[np.argsort(-area[others], kind="stable")][max(0, MOST - (number - len(others))) :]
    kept = np.arange(number)
    kept[small] = home[small]
    return compact(np.where(result >= 0, kept[result], -1))


def group_things(regions: Regions, colors: Floats, fit: Ground, sketch: Sketch, layer_num: int) -> Labels:
    """Return for each piece its group, 0 the ground's, 1… the others', at most `layer_num` in all.

    Agglomerative clustering (Ward, "Hierarchical grouping to optimize an objective function", 1963): writing is taken
    as one thing, then whatever union loses least is made. Nothing but its own color is given to a ground that is
    known everywhere.
    """
    known = is_known(fit)
    letters = find_lettering(regions)
    things = Things(regions, colors, letters >= 0, known)
    if known:
        for piece in np.flatnonzero(_is_ground(regions, fit, sketch)).tolist():
            things.join(piece, 0)
    for writing in range(int(letters.max()) + 1):
        first, *others = np.flatnonzero((letters == writing) & things.alive).tolist() or [0]
        for other in others:
            things.join(other, first)
    while things.alive.sum() > layer_num:
        things.join_cheapest()
    return numbered(things)


def is_known(fit: Ground) -> bool:
    """Return whether the ground's color is known wherever it is hidden."""
    return fit.covers and fit.noise < 6


def foreign_to(ground: int, regions: Regions, fit: Ground, sketch: Sketch) -> NDArray[np.bool_]:
    """Return which regions are plainly of another color than the region `ground`, where that is known everywhere.

    There are none where less than nearly all is that ground: the colors of a pattern are plainly different and of one
    ground.
    """
    if not is_known(fit) or regions.area[ground] < BARE * regions.area.sum():
        return np.zeros(regions.count, bool)
    inside = regions.labels >= 0
    off = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) / regions.area
    off[ground] = 0
    return off > 2.5 * PAINT


def with_strays(labels: Labels, ground: int, fit: Ground, sketch: Sketch, least: float = 0.0) -> Labels:
    """Return the labels with what lies on the label `ground` in another color and with a sharp edge as new ones.

    Only what takes more than the share `least` of the picture counts. Shadows and glows have no sharp edge, they fade.
    """
    off = np.asarray(_off(fit, sketch), np.float32)
    count, parts = cv2.connectedComponents(((labels == ground) & (off > 2 * PAINT)).astype(np.uint8))
    rim = (parts > 0) & (cv2.erode((parts > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    around = np.ones((5, 5), np.uint8)
    fall = cv2.erode(off, around) / np.maximum(cv2.dilate(off, around), 1)
    size = np.maximum(np.bincount(parts[rim], minlength=count), 1)
    sharp = np.bincount(parts[rim], fall[rim], count) < 0.5 * size
    # What is nowhere clear of a thing's outline is that outline's blur.
    clear = cv2.erode((labels == ground).astype(np.uint8), around) > 0
    sharp &= np.bincount(parts[clear], minlength=count) > CLEAR
    sharp[0] = False
    area = np.bincount(parts.ravel(), minlength=count) * sharp
    sharp &= area > least * labels.size
    sharp[np.argsort(-area, kind="stable")[STRAYS:]] = False
    return compact(np.where(sharp[parts], parts + labels.max(), labels))


def _off(fit: Ground, sketch: Sketch) -> Floats:
    """Return how far each pixel is from the ground's color in CIELAB."""
    lab = cv2.cvtColor(np.asarray(fit.field, np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    return np.linalg.norm(sketch.lab - lab, axis=-1)


def _is_ground(regions: Regions, fit: Ground, sketch: Sketch) -> NDArray[np.bool_]:
    """Return which pieces have the color that the ground has at their place, the ground itself left out."""
    inside = regions.labels >= 0
    result = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) < PAINT * regions.area
    result[0] = False
    return result


class Things(Groups):
    """Pieces being joined, the ground piece 0: what touches, or what lies apart on the ground and is alike."""

    def __init__(self, regions: Regions, colors: Floats, writing: NDArray[np.bool_], known: bool) -> None:
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

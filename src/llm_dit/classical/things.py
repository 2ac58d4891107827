"""Joining the pieces of a picture of many parts into whole things, and those into layers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.ground import Ground
from llm_dit.classical.grouping import Groups, numbered
from llm_dit.classical.lettering import find_lettering
from llm_dit.classical.regions import Regions
from llm_dit.classical.segment import Floats, Labels, Sketch, compact
from llm_dit.classical.surfaces import PAINT, gap_from

APART = 60.0
"""CIELAB distance from which two colours are as different as can be."""
UNLIKE = 20.0
"""Energy distance of two distributions of colour from which they have nothing in common."""
SPECK = 0.002
"""The share of the picture below which a piece may go with writing, as the dot of an i does."""


def pieces_of(labels: Labels, ground: int) -> Labels:
    """Return the labels with every region but the ground, which becomes 0, cut into its connected pieces."""
    result = np.where(labels == ground, 0, -1).astype(np.int32)
    number = 1
    for one in range(int(labels.max()) + 1):
        if one != ground:
            count, parts = cv2.connectedComponents((labels == one).astype(np.uint8))
            result = np.where(parts > 0, np.asarray(parts, np.int32) + (number - 1), result)
            number += count - 1
    return compact(result)


def group_things(regions: Regions, colours: Floats, fit: Ground, sketch: Sketch, layer_num: int) -> Labels:
    """Return for each piece its group, 0 the ground's, 1… the others', at most `layer_num` in all.

    Agglomerative clustering (Ward, "Hierarchical grouping to optimize an objective function", 1963): writing is taken
    as one thing, then whatever union loses least is made. Nothing but its own colour is given to a ground that is
    known everywhere.
    """
    known = fit.covers and fit.noise < 4
    letters = find_lettering(regions)
    things = Things(regions, colours, letters >= 0, known)
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


def _is_ground(regions: Regions, fit: Ground, sketch: Sketch) -> NDArray[np.bool_]:
    """Return which pieces have the colour that the ground has at their place, the ground itself left out."""
    inside = regions.labels >= 0
    flat = regions.labels[inside]
    lab = cv2.cvtColor(np.asarray(fit.field, np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    off = np.linalg.norm(sketch.lab[inside] - lab[inside], axis=-1)
    result = np.bincount(flat, off, regions.count) < PAINT * regions.area
    result[0] = False
    return result


class Things(Groups):
    """Pieces being joined, the ground piece 0: what touches, or what lies apart on the ground and is alike."""

    def __init__(self, regions: Regions, colours: Floats, writing: NDArray[np.bool_], known: bool) -> None:
        self.writing = writing.copy()
        self.known = known
        super().__init__(regions, colours, 0, 1.0)

    def join(self, gone: int, keep: int) -> None:
        """Let `keep` take `gone` in; whether the union is writing, the larger of both tells."""
        if self.area[gone] > self.area[keep]:
            self.writing[keep] = self.writing[gone]
        super().join(gone, keep)

    def _costs(self, one: int) -> Floats:
        smaller = np.minimum(self.area, self.area[one])
        cost = np.minimum(self._part(one), self._alike(one))
        cost += (self.writing != self.writing[one]) * np.minimum(1, smaller / SPECK)
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
        outline = self.shared.sum(axis=-1) + 1e-6
        touch = np.minimum(border / np.minimum(outline, outline[one]), 1)
        contrast = np.divide(self.total[one], border, out=np.zeros_like(border), where=border > 0)
        cost = (0.12 + 0.36 * np.minimum(contrast / APART, 1)) * (1.2 - touch)
        return np.where(border > 0, cost, np.inf)

    def _alike(self, one: int) -> Floats:
        """Return what it costs to join things of one kind, such as the people of a crowd: parts of things are none."""
        colour = np.minimum(np.sqrt(np.maximum(self._energy(one), 0)) / UNLIKE, 1)
        ratio = np.minimum(np.abs(np.log2(self.area / self.area[one])) / 3, 1)
        gap = gap_from(self.box, one) / self.pixels**0.5
        free = (self.shared[0] + self.rim) / (self.shared.sum(axis=-1) + self.rim + 1e-6)
        return 0.3 + colour + 0.3 * ratio + 0.5 * gap + (1 - np.minimum(free, free[one]))

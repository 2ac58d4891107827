"""Finding things whose edge is soft: out of focus, feathered or blurred, on a ground that is known."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.ground import Ground
from llm_dit.classical.layering.matte import Edge, Plan, least_alpha, own_colors
from llm_dit.classical.layering.regions import Floats, Labels, Sketch, compact, nearest_label

Mask = NDArray[np.bool_]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]
STEEP = 0.22
"""Alpha a pixel by which a soft edge rises at most, on a copy smoothed by one pixel; a sharp edge rises faster."""
ALIGNED = 0.95
"""Cosine between two color differences from which they have one direction."""
AGREED = 0.92
"""The share of a thing's color difference from the ground that has one direction, if it is of one paint."""
MOST = 200
"""At most as many soft things are looked for, the largest."""


@dataclass(frozen=True, kw_only=True)
class Soft:
    """Soft things 0…n−1: `thing` (height, width) is each pixel's, −1 none; `alpha` (height, width) its share of the
    pixel, 0–1; `paint` (n, 3) the color of each, 0–255; `noise` by how many levels the ground may be off."""

    thing: Labels
    alpha: Floats
    paint: Floats
    noise: float

    def enlarged(self, width: int, height: int) -> "Soft":
        """Return the same for the picture's size."""
        thing = cv2.resize(self.thing.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        alpha = cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        return Soft(
            thing=thing.astype(np.int32), alpha=np.asarray(alpha, np.float32), paint=self.paint, noise=self.noise
        )

    def lay(self, number: int, plan: Plan, below: Floats, alpha: Floats, colors: Floats) -> None:
        """Give `alpha` (height, width) and `colors` (height, width, 3) of layer `number` its soft things, in place.

        A thing is that layer's of `plan` where most of its middle is seen; it lies over `below`.
        """
        seen = plan.rank
        solid = (self.thing >= 0) & (self.alpha > 0.5) & (seen >= 0)
        layers = int(seen.max()) + 1
        keys = self.thing[solid] * layers + seen[solid]
        counts = np.bincount(keys, minlength=layers * len(self.paint)).reshape(-1, layers)
        owned = counts.any(axis=-1) & (counts.argmax(axis=-1) == number)
        mine = (self.thing >= 0) & owned[self.thing] & (seen <= number)
        share = self.alpha[mine]
        edge = Edge(
            mixed=plan.rgb[mine],
            upper=self.paint[self.thing[mine]],
            lower=below[mine],
            guess=share,
            own=np.zeros(share.shape, bool),
            noise=np.full(share.shape, self.noise, np.float32),
        )
        alpha[mine] = np.maximum(share, least_alpha(edge))
        colors[mine] = own_colors(edge, alpha[mine])


def find_soft(ground: Ground, sketch: Sketch) -> Soft | None:
    """Return the soft things of one paint on `ground`, or None.

    Every pixel of such a thing is a mixture of its paint and of the ground's: I = αF + (1 − α)B.
    """
    off = cv2.GaussianBlur(sketch.rgb, (0, 0), 1.0) - ground.field
    strength = np.where(sketch.visible, np.linalg.norm(off, axis=-1), 0)
    thing, alpha = np.full(strength.shape, -1, np.int32), np.zeros(strength.shape, np.float32)
    paints: list[Floats] = []
    for places in _lumps(strength, ground.limit):
        found = _mixed(off[places], ground.field[places], strength[places])
        if found is None:
            continue
        share, paint, aligned = found
        if _is_soft(share, places):
            rows, columns = places[0][aligned], places[1][aligned]
            thing[rows, columns], alpha[rows, columns] = len(paints), share[aligned].clip(0, 1)
            paints.append(paint)
    return Soft(thing=thing, alpha=alpha, paint=np.stack(paints), noise=ground.limit) if paints else None


def with_soft(labels: Labels, ground: int, soft: Soft) -> Labels:
    """Return the labels with each soft thing as one region, and what is less than half it given to `ground`.

    Segments of its edge are no things.
    """
    inside = np.where(soft.alpha > 0.5, soft.thing + int(labels.max()) + 1, ground)
    return compact(np.where(soft.thing >= 0, inside, labels))


def _lumps(strength: Floats, limit: float) -> list[Places]:
    """Return the places of what lies on the ground, parted where its colors fade between two things."""
    found = []
    for part in _parts(strength > limit):
        cores = np.zeros(strength.shape, bool)
        cores[part] = strength[part] > 0.4 * float(np.percentile(strength[part], 90))
        inner = _parts(cores)
        if len(inner) < 2:
            found.append(part)
            continue
        labels = np.full(strength.shape, -1, np.int32)
        for number, one in enumerate(inner):
            labels[one] = number
        nearest = nearest_label(labels, labels >= 0)[part]
        found += [(part[0][nearest == number], part[1][nearest == number]) for number in range(len(inner))]
    return found


def _parts(mask: Mask) -> list[Places]:
    """Return the places of the largest connected parts of a mask."""
    _, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    labels, area = np.asarray(found, np.int32), stats[1:, cv2.CC_STAT_AREA]
    parts = []
    for one in (np.argsort(-area, kind="stable")[:MOST] + 1).tolist():
        left, top, width, height, size = stats[one].tolist()
        if size > 30:
            rows, columns = np.nonzero(labels[top : top + height, left : left + width] == one)
            parts.append((rows + top, columns + left))
    return parts


def _mixed(off: Floats, lower: Floats, strength: Floats) -> tuple[Floats, Floats, Mask] | None:
    """Return the alpha, the paint (3) and where they explain a lump of one paint, None for one of several."""
    top = strength >= np.percentile(strength, 95)
    paint = (off[top] + lower[top]).mean(axis=0)
    span = paint - lower
    length = np.linalg.norm(span, axis=-1) + 1e-3
    along = (off * span).sum(axis=-1) / length
    aligned = along > ALIGNED * strength
    if float(strength[aligned].sum()) < AGREED * float(strength.sum()):
        return None
    share = along / length
    # What is weak has no direction of its own.
    return share, paint, aligned | (share < 0.15)


def _is_soft(share: Floats, places: Places) -> bool:
    """Return whether alpha rises slowly at the edge of a lump and is high in its middle."""
    rows, columns = places[0] - places[0].min() + 1, places[1] - places[1].min() + 1
    alpha = np.zeros((int(rows.max()) + 2, int(columns.max()) + 2), np.float32)
    alpha[rows, columns] = share
    half = (alpha > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(half, cv2.DIST_L2, 3)
    edge, middle = (depth > 0) & (depth < 1.5), depth > 0.7 * depth.max()
    slope = np.hypot(*np.gradient(alpha))
    return bool(edge.any() and np.median(slope[edge]) < STEEP and np.percentile(alpha[middle], 5) > 0.7)

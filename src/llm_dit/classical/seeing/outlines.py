"""Outlines of things: growing a thing to its clearest outline, and separating two that touch."""

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Floats, Labels, Mask, grown
from llm_dit.color import norm

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


# The clearness of an outline, and separating two things that touch.


INSIDE, OUTSIDE = 1.5, 2.5
"""Distances from the outline in pixels, inside and outside, at which colors are compared."""
CLEAR = 12.0
"""CIELAB distance from which two colors differ clearly."""
RIM = 2
"""The width in pixels of the picture's edge, where outlines are not visible."""
SHARE, COVERED = 0.15, 0.85
"""The least share of the mask for each of two things in it, and for both together."""
THIN = 2
"""Half the width in pixels of parts too thin to be a thing."""
NECK = 0.5
"""The longest border between two things that merely touch, as a share of the square root of the smaller one's
area."""


def clearness(mask: Mask, lab: Floats) -> float:
    """Return the share of the outline of `mask` (height, width) with clearly different colors on both sides, in `lab`
    (height, width, 3); 0 if the outline lies entirely along the picture's edge."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    down, across = np.gradient(cv2.GaussianBlur(np.asarray(outside - inside, np.float32), (0, 0), 1.5))
    outline = mask & (np.asarray(inside) <= INSIDE)
    outline[:RIM] = outline[-RIM:] = outline[:, :RIM] = outline[:, -RIM:] = False
    rows, columns = np.nonzero(outline)
    if not len(rows):
        return 0.0
    across, down = across[rows, columns], down[rows, columns]
    steep = np.hypot(across, down) + 1e-6
    near, far = (
        cv2.remap(
            lab,
            (columns + across / steep * away).astype(np.float32)[None],
            (rows + down / steep * away).astype(np.float32)[None],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )[0]
        for away in (-INSIDE, OUTSIDE)
    )
    return float((norm(far - near) > CLEAR).mean())


def parted(mask: Mask, parts: list[Mask]) -> tuple[Mask, Mask] | None:
    """Return the two things in `mask` (height, width) if they merely touch, or None if it is one thing.

    One of the two is among `parts`, the one with the shortest border with the rest.
    """
    area, best, found = int(mask.sum()), NECK, None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * THIN + 1, 2 * THIN + 1))
    for part in parts:
        one = part & mask
        if one.sum() < 0.9 * part.sum() or not SHARE * area < one.sum() < (1 - SHARE) * area:
            continue
        rest = cv2.morphologyEx((mask & ~grown(one, 1)).astype(np.uint8), cv2.MORPH_OPEN, disc)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(rest)
        if count < 2:
            continue
        other = np.asarray(labels) == 1 + int(np.asarray(stats)[1:, cv2.CC_STAT_AREA].argmax())
        if other.sum() < SHARE * area or one.sum() + other.sum() < COVERED * area:
            continue
        other = grown(other, THIN) & mask & ~one
        border = (grown(one, THIN) & other).sum() / THIN
        neck = float(border / min(one.sum(), other.sum()) ** 0.5)
        if neck < best:
            best, found = neck, (one, other)
    return found

"""Whole things in a picture: candidates from the network, on the picture and squares of it, and from growing regions;
and the selection of the best by their outlines."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.grouping import Neighbors
from llm_dit.classical.layering.regions import (
    Bytes,
    Floats,
    Labels,
    Mask,
    Report,
    bounded,
    draw_sketch,
    grown,
    oversegment,
    smooth_merge,
)
from llm_dit.classical.seeing.networks import SUBJECT, is_set_up
from llm_dit.classical.seeing.subject import SURE, around, certainty, outlined, saliency, without_gaps
from llm_dit.color import norm

PIXELS = 120_000
"""The number of pixels of the copy on which things are found."""
SQUARE = 0.75
"""The side of the squares, as a share of the picture's shorter side."""
LEAST, MOST = 0.004, 0.8
"""The range of a thing's share of the picture."""
GAP = 0.01
"""The largest gap between two parts of one thing, as a share of the picture's longer side."""
NEAR = 12
"""The margin, in pixels of the copy, around the network's parts within which the outline lies."""
SEEDS = (9, 11)
"""The rows and columns of the grid from which things grow."""
ALIKE, APART = 0.95, 0.25
"""The overlap from which two candidates are the same, and the share of the smaller one up to which both are things."""
LIKELY = 0.4
"""The least score of a thing."""
STANDS_OUT, SEEN, CLEAR, OWN, RIM, SIZE, BIAS = 0.11, 0.24, 0.13, 0.22, 0.23, 0.17, 0.54
"""The weights of the score: it is likelier than its surroundings, it matches what the network sees, its outline is
clear, its colors are its own, how much of it is along the picture's edge, how small it is; and the intercept. A linear
regression of the overlap of candidates with true things, over scenes of `benchmarks.clipart` with seeds 0 to 196."""
MOST_RIM, SMALL = 0.6, 0.03
"""The limits of two of these: the length along the edge, as a share of the square root of the area, and the share of
the picture."""
BINS = 8
"""The number of histogram bins for each of lightness and the opponent colors."""
WHOLE, FILLS, OF_TINY = 0.05, 0.1, 0.4
"""How much lower than its part's the score of a whole thing may be: in general, for a certain subject of the picture,
and for such a subject if the part is a detail of it, such as an eye."""
LARGE, TINY = 0.25, 0.06
"""The least share of the picture for such a subject, and the largest share of it for a detail."""
SHOWN = 0.97
"""The least share of a thing that a window must show to judge it."""
EDGE = 3
"""The width in pixels of the mixed edge around a thing."""
RING = 0.25
"""The width of the surroundings for comparison, as a share of the square root of the area."""


@dataclass(frozen=True, eq=False)
class View:
    """The network's result for a `window` (left, top, right, bottom) of the copy: `likely` of its size, 0–1, and its
    connected `parts`, numbered from 1."""

    window: tuple[int, int, int, int]
    likely: Floats
    parts: Labels

    def part(self, values: NDArray) -> NDArray:
        """Return the part of `values` (height, width) of the copy inside the window."""
        left, top, right, low = self.window
        return values[top:low, left:right]

    def shows(self, mask: Mask) -> bool:
        """Return whether nearly all of a thing (height, width) of the copy lies in the window."""
        return bool(self.part(mask).sum() > SHOWN * mask.sum())


@dataclass(frozen=True, eq=False)
class _Copy:
    """The small copy: its small `regions` (height, width), the same `merged` into larger ones, their `neighbors`, and
    the network's `views` of it."""

    regions: Labels
    merged: Labels
    neighbors: Neighbors
    views: list[View]


def find_things(rgb: Bytes, most: int, report: Report, *, deep: bool = True) -> list[Mask]:
    """Return at most `most` things of `rgb` (height, width, 3) as masks, the likeliest first.

    There are none if the network is not installed. The network's maps of the whole and of overlapping squares are voted
    on by small regions, which have the picture's outlines; further candidates grow from places all over the picture to
    the clearest outline. A candidate's score is based on its agreement with the network in one of the windows, its
    outline, its colors and its position; of overlapping candidates the best one is kept.
    """
    if not is_set_up(SUBJECT):
        return []
    height, width = rgb.shape[:2]
    _, size = bounded(height, width, PIXELS)
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    views = _views_of(rgb, size, report, deep=deep)
    if not deep and certainty(views[0].likely) <= SURE:
        return []
    sketch = draw_sketch(np.dstack([small, np.full(size[::-1], 255, np.uint8)]))
    regions = oversegment(sketch)
    merged = smooth_merge(regions, sketch.lab)
    copy = _Copy(regions, merged, Neighbors(merged, sketch.lab), views)
    report("grouping")
    candidates = _candidates([*_seen(copy), *_grown(copy)] if deep else list(_seen(copy)))
    colors = _colors(sketch.lab)
    marks = [_mark(mask, views, sketch.lab, colors) for mask in candidates]
    report("grouping")
    found = _best(candidates, marks, most, views[0].likely)
    return [thing for mask in found if (thing := _at_full_size(rgb, mask, views)).any()]


def _views_of(rgb: Bytes, size: tuple[int, int], report: Report, *, deep: bool) -> list[View]:
    """Return the network's views of the whole of `rgb` (height, width, 3), for a copy of `size`, and, if `deep`, of
    squares."""
    height, width = rgb.shape[:2]
    windows = [(0, 0, width, height)]
    if deep:
        side = round(SQUARE * min(height, width))
        down, across = (
            np.linspace(0, one - side, min(3, 1 + round(2.5 * (one - side) / side))) for one in (height, width)
        )
        windows += [(int(left), int(top), int(left) + side, int(top) + side) for top, left in product(down, across)]
    views = []
    for left, top, right, low in windows:
        likely = saliency(np.ascontiguousarray(rgb[top:low, left:right]))
        x0, x1 = (round(x * size[0] / width) for x in (left, right))
        y0, y1 = (round(y * size[1] / height) for y in (top, low))
        likely = np.asarray(cv2.resize(likely, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA))
        parts = np.asarray(cv2.connectedComponents((likely > 0.5).astype(np.uint8))[1], np.int32)
        views.append(View((x0, y0, x1, y1), likely, parts))
        report("grouping")
    return views


def _candidates(masks: list[Mask]) -> list[Mask]:
    """Return the masks that may be things, without duplicates."""
    found: list[Mask] = []
    for mask in masks:
        same = ((mask & other).sum() > ALIKE * (mask | other).sum() for other in found)
        if LEAST < mask.mean() < MOST and not any(same):
            found.append(mask)
    return found


def _seen(copy: _Copy) -> Iterator[Mask]:
    """Yield the parts that the network sees in each window, with the outlines of regions."""
    shape = copy.regions.shape
    area = np.bincount(copy.regions.ravel())
    for view in copy.views:
        likely = np.zeros(shape, np.float32)
        view.part(likely)[:] = view.likely
        near = grown(likely > 0.5, max(1, round(GAP * max(shape))))
        count, found = cv2.connectedComponents(near.astype(np.uint8))
        for number in range(1, count):
            part = (likely > 0.5) & (np.asarray(found) == number)
            if part.mean() < LEAST:
                continue
            near_it = grown(part, NEAR)
            share = np.bincount(copy.regions.ravel(), np.where(near_it, likely, 0).ravel(), len(area)) / area
            yield (share > 0.5)[copy.regions] & near_it


def _grown(copy: _Copy) -> Iterator[Mask]:
    """Yield what grows from places all over the copy."""
    height, width = copy.merged.shape
    rows, columns = (((np.arange(count) + 0.5) / count) for count in SEEDS)
    begun = {int(copy.merged[int(row * height), int(column * width)]) for row, column in product(rows, columns)}
    for region in sorted(begun):
        yield copy.neighbors.grown_from(np.array([region]), np.array([], int), 1)[0][copy.merged]


def _best(candidates: list[Mask], marks: list[float], most: int, likely: Floats) -> list[Mask]:
    """Return at most `most` candidates with the highest `marks`, all of different things.

    A whole thing wins over its part if its score is nearly as high, or, with a lower score, if it fills much of the
    picture and is certainly its subject, by `likely` (height, width) for the whole picture. If there are too few
    things, those that consist of two that merely touch are separated.
    """
    chosen: list[Mask] = []
    subject = likely > 0.5
    fills = subject.mean() > LARGE and certainty(likely) > SURE
    large = [fills and (mask & subject).sum() > 0.75 * (mask | subject).sum() for mask in candidates]
    for number in np.argsort([-mark for mark in marks], kind="stable").tolist():
        if len(chosen) == most or marks[number] < LIKELY:
            break
        if not _free(candidates[number], chosen):
            continue
        whole = candidates[number]
        for mask, mark, is_large in zip(candidates, marks, large, strict=True):
            larger = mask.sum() > whole.sum() and (mask & candidates[number]).sum() > 0.9 * candidates[number].sum()
            tiny = is_large and candidates[number].sum() < TINY * mask.sum()
            fewer = OF_TINY if tiny else FILLS if is_large else WHOLE
            if larger and mark >= marks[number] - fewer and _free(mask, chosen):
                whole = mask
        chosen.append(whole & ~np.logical_or.reduce(chosen) if chosen else whole)
    for number, mask in enumerate(list(chosen)):
        pair = parted(mask, candidates) if len(chosen) < most else None
        if pair is not None:
            chosen[number] = pair[0]
            chosen.append(pair[1])
    return chosen


def _free(mask: Mask, chosen: list[Mask]) -> bool:
    """Return whether a candidate is a different thing from those chosen."""
    return all((mask & other).sum() < APART * min(mask.sum(), other.sum()) for other in chosen)


def _mark(mask: Mask, views: list[View], lab: Floats, colors: Labels) -> float:
    """Return the score of a candidate as a thing, about 0–1."""
    area = int(mask.sum())
    sights = [_agreement(view.part(mask), view.parts) for view in views if view.shows(mask)]
    rim = (mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()) / area**0.5
    near = grown(mask, EDGE)
    of_it, around = (np.bincount(colors[one], minlength=BINS**3) for one in (mask, ~near))
    of_it, around = of_it / max(1, of_it.sum()), around / max(1, around.sum())
    # The chi-squared distance of two histograms, 0–1.
    own = 0.5 * float(((of_it - around) ** 2 / np.maximum(of_it + around, 1e-9)).sum())
    small = np.log(min(area / mask.size, SMALL))
    out = max(_stands_out(mask, near, views))
    told = STANDS_OUT * out + SEEN * max(sights) + CLEAR * clearness(mask, lab) + OWN * own
    return told - RIM * min(rim, MOST_RIM) + SIZE * small + BIAS


def _agreement(mask: Mask, parts: Labels) -> float:
    """Return the intersection over union of a mask and those of `parts` (0 is none) that lie mostly inside it; both are
    (height, width)."""
    inside, size = np.bincount(parts[mask], minlength=int(parts.max()) + 1), np.bincount(parts.ravel())
    taken = 2 * inside > size
    taken[0] = False
    common = inside[taken].sum()
    return float(common / (size[taken].sum() + mask.sum() - common))


def _colors(lab: Floats) -> Labels:
    """Return the bin of each pixel's color, of `lab` (height, width, 3)."""
    bins = (lab / (100 / BINS, 128 / BINS, 128 / BINS) + (0, BINS / 2, BINS / 2)).clip(0, BINS - 1).astype(np.int32)
    return (bins[..., 0] * BINS + bins[..., 1]) * BINS + bins[..., 2]


def _stands_out(mask: Mask, near: Mask, views: list[View]) -> list[float]:
    """Return for each view how much likelier a thing (with its edge: `near`) is than its surroundings; 0 if the view
    does not show the whole thing."""
    reach = max(4, round(RING * mask.sum() ** 0.5))
    ring = grown(mask, reach) & ~near
    marks = []
    for view in views:
        inside, beside = view.part(mask), view.part(ring)
        told = view.shows(mask) and beside.any()
        marks.append(float(view.likely[inside].mean() - view.likely[beside].mean()) if told else 0.0)
    return marks


def _at_full_size(rgb: Bytes, mask: Mask, views: list[View]) -> Mask:
    """Return a thing of the copy at full size with the picture's nearby outline, using the view that shows it best."""
    height, width = rgb.shape[:2]
    likely = mask.astype(np.float32)
    view = views[int(np.argmax(_stands_out(mask, grown(mask, EDGE), views)))]
    view.part(likely)[:] = (view.part(likely) + view.likely * view.part(grown(mask, NEAR))) / 2
    likely = np.asarray(cv2.resize(likely, (width, height), interpolation=cv2.INTER_LINEAR))
    window = around(likely)
    part = np.ascontiguousarray(rgb[window])
    result = np.zeros((height, width), bool)
    result[window] = without_gaps(part, outlined(part, likely[window])) > 0.5
    return result


# The clearness of an outline, and separating two things that touch.


INSIDE, OUTSIDE = 1.5, 2.5
"""Distances from the outline in pixels, inside and outside, at which colors are compared."""
DIFFERENT = 12.0
"""CIELAB distance from which two colors differ clearly."""
FRAME = 2
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
    outline[:FRAME] = outline[-FRAME:] = outline[:, :FRAME] = outline[:, -FRAME:] = False
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
    return float((norm(far - near) > DIFFERENT).mean())


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

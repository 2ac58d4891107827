"""Whole things in a picture: what the network sees in it and in squares of it, what grows together, and of these what
is most like a thing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

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
from llm_dit.classical.seeing.outlines import Neighbors, clearness, parted
from llm_dit.classical.seeing.subject import SURE, around, certainty, outlined, saliency, without_gaps

PIXELS = 120_000
"""The size of the copy on which things are told apart."""
SQUARE = 0.75
"""The side of the squares that are looked at, as a share of the picture's shorter side."""
LEAST, MOST = 0.004, 0.8
"""The share of the picture that a thing has."""
GAP = 0.01
"""The gap up to which two parts are of one thing, as a share of the picture's longer side."""
NEAR = 12
"""Pixels of the copy around what the network sees in which its outline is."""
SEEDS = (9, 11)
"""Rows and columns of the places that things grow from."""
ALIKE, APART = 0.95, 0.25
"""The overlap from which two candidates are one, and the share of the smaller one up to which both can be things."""
LIKELY = 0.4
"""How much of a thing a candidate has, at least."""
STANDS_OUT, SEEN, CLEAR, OWN, RIM, SIZE, BIAS = 0.11, 0.24, 0.13, 0.22, 0.23, 0.17, 0.54
"""What it counts for that: that it is likelier than what lies around it, that it is what the network sees, that its
outline is clear, that its colors are its own, how much of it is along the picture's edge, and how small it is; and what
is added. A linear regression of the overlap of candidates with true things, over scenes of `benchmarks.clipart` with
seeds 0 to 196."""
MOST_RIM, SMALL = 0.6, 0.03
"""How much there is of it along the edge, as a share of the root of its area, and the share of the picture that it has,
up to where these count."""
BINS = 8
"""Into how many parts each of lightness and the opponent colors is divided, where colors are counted."""
WHOLE, FILLS, OF_TINY = 0.05, 0.1, 0.4
"""How much less of that than a part of it the whole of a thing may have, what is surely the subject of a picture, and
such a subject where the part is a detail of it, such as an eye."""
LARGE, TINY = 0.25, 0.06
"""The share of the picture that such a subject has at least, and the share of it that a detail has at most."""
SHOWN = 0.97
"""The share of a thing that a window shows, at least, to tell of it."""
EDGE = 3
"""Pixels around a thing that its edge is mixed into."""
RING = 0.25
"""The width of what is looked at around a thing, as a share of the root of its area."""


@dataclass(frozen=True, eq=False)
class View:
    """What the network sees in a `window` (left, top, right, bottom) of the copy: `likely` of its size, 0–1, and the
    `parts` of that, numbered from 1."""

    window: tuple[int, int, int, int]
    likely: Floats
    parts: Labels

    def part(self, values: NDArray) -> NDArray:
        """Return the part of `values` (height, width) of the copy that lies in the window."""
        left, top, right, low = self.window
        return values[top:low, left:right]

    def shows(self, mask: Mask) -> bool:
        """Return whether nearly all of a thing (height, width) of the copy lies in the window."""
        return bool(self.part(mask).sum() > SHOWN * mask.sum())


@dataclass(frozen=True, eq=False)
class _Copy:
    """The small copy: its `regions` (height, width), small ones, the `views` at it, and what its parts are to each
    other, `neighbors`, whose regions are `merged`."""

    regions: Labels
    merged: Labels
    neighbors: Neighbors
    views: list[View]


def find_things(rgb: Bytes, most: int, report: Report, *, deep: bool = True) -> list[Mask]:
    """Return at most `most` things of `rgb` (height, width, 3) as masks, what is likeliest to be one first.

    There are none where the network is not set up. The maps of the network of the whole and of squares that overlap
    are voted on by small regions, which have the outlines of the picture; beside them stands what grows from places
    all over the picture to the clearest outline. How much of a thing a candidate has is told by how well it agrees
    with what the network sees in one of the windows, by its outline, its colors and its place; of candidates that
    overlap the best one counts.
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
    """Return what the network sees in the whole of `rgb` (height, width, 3), for a copy of `size`, and, if `deep`, in
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
    """Return the masks that may be things, none of them twice."""
    found: list[Mask] = []
    for mask in masks:
        same = ((mask & other).sum() > ALIKE * (mask | other).sum() for other in found)
        if LEAST < mask.mean() < MOST and not any(same):
            found.append(mask)
    return found


def _seen(copy: _Copy) -> Iterator[Mask]:
    """Yield the parts of what the network sees in each window, with the outlines of regions."""
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
    """Return the candidates that have the highest `marks`, at most `most` of them, none of which are one thing.

    What nearly has the marks of a part of it is the whole thing, and so is, with fewer marks, what fills much of the
    picture and is certain to be its subject, by what is `likely` (height, width) in all of it. If there are too few
    things, those that are two that merely touch are parted.
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
    """Return whether a candidate is another thing than those that are chosen."""
    return all((mask & other).sum() < APART * min(mask.sum(), other.sum()) for other in chosen)


def _mark(mask: Mask, views: list[View], lab: Floats, colors: Labels) -> float:
    """Return how much of a thing a candidate has, about 0–1."""
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
    """Return the intersection over the union of a mask and of those of `parts`, 0 for none, that lie in it for the most
    part, both (height, width)."""
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
    """Return for each view how much more likely a thing (`near` is it with its edge) is than what lies
    around it; 0 where it does not show all."""
    reach = max(4, round(RING * mask.sum() ** 0.5))
    ring = grown(mask, reach) & ~near
    marks = []
    for view in views:
        inside, beside = view.part(mask), view.part(ring)
        told = view.shows(mask) and beside.any()
        marks.append(float(view.likely[inside].mean() - view.likely[beside].mean()) if told else 0.0)
    return marks


def _at_full_size(rgb: Bytes, mask: Mask, views: list[View]) -> Mask:
    """Return a thing of the copy with the outline that the picture has near it, by the look that shows it best."""
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

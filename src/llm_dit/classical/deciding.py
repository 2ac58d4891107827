"""Finding the thing that the user points at: within bounds by its colors and the network; at a click, by the agreement
of all candidates."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from llm_dit.classical.layering.grouping import Neighbors
from llm_dit.classical.layering.regions import (
    Bytes,
    Floats,
    Labels,
    Mask,
    Sketch,
    box_of,
    draw_sketch,
    oversegment,
    smooth_merge,
)
from llm_dit.classical.seeing.subject import Look, certainty, looks

SEEN, COLOR, PAINT, BIAS = 0.3, 0.7, 0.55, -1.0
"""The weights of the odds from the network, the pixel's color and its region's color, and the intercept: near the
result of a logistic regression over pixels of scenes with known truth, `benchmarks.clipart` with seeds 200 to 299."""
FIRM = 20.0
"""The weight of the odds relative to the outline's length, whose cost OpenCV sets to at most 50 per pixel."""
INSIDE = 0.8
"""The share of a region inside the allowed area from which it is part of the first guess."""
BINS = (12, 24, 24)
"""The bins of lightness and both opponent colors for the odds of colors; the latter are finer near gray."""
RARE = 2e-5
"""The assumed share of unseen colors: a color that cannot separate a thing from its surroundings has no weight."""
MOST_ODDS = 4.0
PINHOLE, CRUMB = 0.004, 0.02
"""The shares of a thing up to which a hole in it is filled, and a part beside it is dropped."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The hints for a sketch: `allowed` pixels may be the thing, `on` pixels are; both (height, width)."""

    allowed: Mask
    on: Mask


@dataclass(frozen=True, kw_only=True)
class Found:
    """A thing (height, width), and how much the colors of its regions are its own: −1 to 1."""

    thing: Mask
    own: float


def decided(sketch: Sketch, labels: Labels, known: Known, likely: Floats | None = None) -> Found:
    """Return the thing in a sketch according to the colors of its regions, `labels` (height, width), and `likely`
    (height, width), the network's probability of each pixel, 0–1.

    The colors outside the allowed area are those of the background. The evidence of each pixel is added up as log odds,
    and the outline has the lowest cost (Boykov and Jolly, "Interactive graph cuts", ICCV 2001).
    """
    guess = _first_guess(labels, known)
    if guess.all():
        # Nothing shows the background.
        guess = likely > 0.5 if likely is not None else guess
        if guess.all() or not guess.any():
            return Found(thing=known.allowed, own=0)
    color = _color_odds(sketch, guess)
    paint = _of_regions(labels, color)
    odds = COLOR * color + PAINT * paint + BIAS
    if likely is not None:
        odds += SEEN * certainty(likely, known.allowed) * _odds(likely)
    found = _min_cut(sketch.lab, odds, known)
    thing = _whole(found, known) if found.any() else guess
    return Found(thing=thing, own=float(paint[thing].mean()) / MOST_ODDS if thing.any() else 0)


def _first_guess(labels: Labels, known: Known) -> Mask:
    """Return the regions that lie mostly inside the allowed area; others continue outside."""
    taken = _of_regions(labels, known.allowed.astype(np.float32)) > INSIDE
    taken |= np.isin(labels, np.unique(labels[known.on]))
    guess = taken & known.allowed & (labels >= 0)
    # If the thing has the background's own paint, use the whole area: its colors say little.
    return guess if guess.sum() > 0.02 * known.allowed.sum() else known.allowed


def _of_regions(labels: Labels, values: Floats) -> Floats:
    """Return the mean of values (height, width) over each pixel's region; for transparency, the mean of all of it."""
    numbers = (labels + 1).ravel()
    area = np.bincount(numbers)
    return (np.bincount(numbers, values.ravel()) / np.maximum(area, 1)).astype(np.float32)[labels + 1]


def _odds(share: Floats) -> Floats:
    bounded = np.clip(share, 0.02, 0.98)
    return np.log(bounded / (1 - bounded))


def _color_odds(sketch: Sketch, guess: Mask) -> Floats:
    """Return the log odds (natural) that each pixel's color belongs to the thing rather than its surroundings.

    The guess may be wrong about a tenth of the thing.
    """
    light, chroma = sketch.lab[..., 0] / 100, sketch.lab[..., 1:] / 121
    fine = np.sign(chroma) * np.sqrt(np.abs(chroma))
    places = [light * BINS[0], *((fine[..., one] + 1) / 2 * BINS[one + 1] for one in range(2))]
    levels = [np.clip(place, 0, size - 1).astype(np.int32) for place, size in zip(places, BINS, strict=True)]
    bins = np.asarray(np.ravel_multi_index(levels, BINS), np.int32)
    share, seen = np.where(guess, 0.9, 0.0), sketch.visible
    of_thing = _counts(bins[seen], share[seen]) / max(float(share[seen].sum()), 1)
    # Transparency around a thing is background, too, without a color.
    around = _counts(bins[seen], 1 - share[seen]) / max(float((1 - share).sum()), 1)
    return np.log((of_thing + RARE) / (around + RARE)).clip(-MOST_ODDS, MOST_ODDS).astype(np.float32)[bins]


def _counts(bins: Labels, weight: Floats) -> Floats:
    """Return the frequency of each color, smoothed over its neighbors."""
    counts = np.bincount(bins, weight, int(np.prod(BINS))).reshape(BINS)
    for axis in range(3):
        first = np.moveaxis(counts, axis, 0)
        padded = np.concatenate([first[:1], first, first[-1:]])
        counts = np.moveaxis((padded[:-2] + 2 * first + padded[2:]) / 4, 0, axis)
    return counts.ravel()


def _min_cut(lab: Floats, odds: Floats, known: Known) -> Mask:
    """Return the thing that minimizes the cost of log odds (height, width) and the length of its outline.

    OpenCV's graph cut takes mixtures of Gaussians over three channels, but no odds. Here both mixtures are the same
    Gaussian at two places on a channel that holds the odds, so that the difference of their logarithms is linear in the
    odds; the other two channels hold the colors that the outline follows.
    """
    steps, variance = 2.5, 4.0
    pixels = np.empty((*odds.shape, 3), np.uint8)
    pixels[..., 0] = np.rint(128 + steps * odds.clip(-6, 6))
    pixels[..., 1:] = (128 + 1.6 * _two_colors(lab)).clip(0, 255)
    away = FIRM / steps * variance / 2
    ground, thing = np.zeros((2, 1, 65))
    for mixture, mean in ((ground, 128 - away), (thing, 128 + away)):
        # Five components have a weight, a mean of three values and a covariance of nine each; one is enough.
        mixture[0, 0], mixture[0, 5:8] = 1, (mean, 128, 128)
        mixture[0, 20:29] = np.diag([variance, 1e5, 1e5]).ravel()
    marks = np.where(odds > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[~known.allowed] = cv2.GC_BGD
    marks[known.on] = cv2.GC_FGD
    cv2.grabCut(pixels, marks, (0, 0, 1, 1), ground, thing, 1, cv2.GC_EVAL_FREEZE_MODEL)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


def _two_colors(lab: Floats) -> Floats:
    """Return the two principal components (height, width, 2) of the colors."""
    values = lab.reshape(-1, 3) - lab.reshape(-1, 3).mean(axis=0)
    _, axes = np.linalg.eigh(values.T @ values)
    return (values @ axes[:, :0:-1]).reshape(*lab.shape[:2], 2)


def _whole(found: Mask, known: Known) -> Mask:
    """Return a mask without crumbs and pinholes."""
    _, found_parts, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    parts, area = np.asarray(found_parts, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    meant = area >= CRUMB * area.max()
    meant[np.unique(parts[known.on])] = True
    meant[0] = False
    result = meant[parts]
    _, found_holes, stats, _ = cv2.connectedComponentsWithStats((~result).astype(np.uint8), connectivity=4)
    holes, area = np.asarray(found_holes, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA]
    small = area < max(4, PINHOLE * result.sum())
    small[0] = False
    return result | (small[holes] & known.allowed)


# At a click: the agreement of all candidates from the network and the regions.


Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""

LIKELY = (0.2, 0.5, 0.8)
"""The limits for the network's probability; where it is not certain, their results differ."""
GROWTHS = 3
"""The number of things grown from a point by their outlines."""
LEAST = 0.0003
"""The share of a picture up to which a part is a speck."""
AROUND = 0.3
"""The margin around a thing, as a share of its longer side, that shows the background."""
OWN, FILLED, WIDEST, CERTAIN = 1.5, 0.5, 0.25, 0.25
"""The weights of a candidate: its colors are its own, it fills its box, it is the widest of its look, and the network
is certain of it; agreement with the others has a weight of 1."""
SURE, EDGE = 0.7, 3
"""The certainty with which a closer look may enlarge a guess, and the margin in pixels around the result."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """The click-independent data of a picture: its colors over gray (height, width, 3), sketch, regions and their
    neighbors."""

    rgb: Bytes
    sketch: Sketch
    labels: Labels
    neighbors: Neighbors


def surveyed(small: Bytes) -> Survey:
    """Return the survey of a small picture (height, width, 4); the latest ones are cached."""
    return _surveyed(small.tobytes(), small.shape[0], small.shape[1])


@functools.lru_cache(maxsize=2)
def _surveyed(content: bytes, height: int, width: int) -> Survey:
    small = np.frombuffer(content, np.uint8).reshape(height, width, 4)
    sketch = draw_sketch(small)
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    return Survey(rgb=opaque(small), sketch=sketch, labels=labels, neighbors=Neighbors(labels, sketch.lab))


def opaque(picture: Bytes) -> Bytes:
    """Return the colors (height, width, 3) of a picture (height, width, 4) over gray."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    return np.rint(picture[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)


def propose(survey: Survey, stroke: Mask, never: Mask, places: Sequence[tuple[float, float]], *, sees: bool) -> Mask:
    """Return the thing (height, width) in a surveyed picture on which a stroke lies, and `never` does not.

    `places` are those of the stroke, x and y in pixels; `sees` is true if the network may be used.
    """
    labels, visible = survey.labels, survey.sketch.visible
    begun, off = np.unique(labels[stroke & visible]), np.unique(labels[never & visible])
    grown = [mask[labels] & visible for mask in survey.neighbors.grown_from(begun, off, GROWTHS if sees else 1)]
    if not sees or not len(begun):
        return grown[0]
    seen = list(looks(survey.rgb, places))
    guesses = [guess for one in seen for guess in _guesses_at(one, stroke)]
    for thing in grown:
        # The smallest window that contains the thing shows it best; the first is the whole picture.
        closest = next((one for one in reversed(seen) if one.holds(thing)), seen[0])
        guesses.append(_Guess(thing=thing, look=closest, worth=0))
    # Where the network is certain, the box is the same for every limit, so solve each box once.
    boxes = {(id(guess.look), box_of(guess.thing)): guess.look for guess in guesses}
    found = {key: _decided_in(survey, key[1], look, stroke & visible, never) for key, look in boxes.items()}
    tried = [found[id(guess.look), box_of(guess.thing)] for guess in guesses]
    return tried[int(np.argmax(_scores(guesses, tried)))].thing


@dataclass(frozen=True, kw_only=True, eq=False)
class _Guess:
    """A candidate, the look that shows it best, and its bonus score."""

    thing: Mask
    look: Look
    worth: float


def _guesses_at(look: Look, stroke: Mask) -> Iterator[_Guess]:
    """Yield the things that the network sees at a stroke."""
    for limit in LIKELY:
        parts = np.asarray(cv2.connectedComponents((look.likely > limit).astype(np.uint8))[1])
        at = parts[stroke]
        thing = np.isin(parts, np.unique(at[at > 0]))
        if thing.sum() > LEAST * thing.size:
            worth = WIDEST * (limit == min(LIKELY)) + CERTAIN * look.holds(thing) * look.certainty(thing)
            yield _Guess(thing=thing, look=look, worth=worth)


def _decided_in(survey: Survey, box: Box, look: Look, stroke: Mask, never: Mask) -> Found:
    """Return the thing within a box."""
    height, width = stroke.shape
    left, top, right, bottom = box
    longer = max(right - left, bottom - top)
    loose, more = round(1 + 0.03 * longer), round(3 + (0.03 + AROUND) * longer)
    rows, columns = slice(max(0, top - more), bottom + more), slice(max(0, left - more), right + more)
    allowed = np.zeros((height, width), bool)
    allowed[max(0, top - loose) : bottom + loose, max(0, left - loose) : right + loose] = True
    allowed &= survey.sketch.visible & ~never
    window = (rows, columns)
    sketch = replace(
        survey.sketch,
        rgb=survey.sketch.rgb[window],
        lab=survey.sketch.lab[window],
        visible=survey.sketch.visible[window],
    )
    known = Known(allowed=allowed[window], on=(stroke & allowed)[window])
    found = decided(sketch, survey.labels[window], known, look.likely[window])
    thing = np.zeros((height, width), bool)
    thing[window] = found.thing
    return Found(thing=thing, own=found.own)


def _scores(guesses: Sequence[_Guess], tried: Sequence[Found]) -> list[float]:
    """Return the score of the thing found from each guess."""
    scores = []
    for own, (guess, one) in enumerate(zip(guesses, tried, strict=True)):
        others = [_overlap(one.thing, other.thing) for number, other in enumerate(tried) if number != own]
        left, top, right, bottom = box_of(one.thing)
        filled = one.thing.sum() / max(1, (right - left) * (bottom - top))
        scores.append(float(np.mean(others or [0.0])) + OWN * one.own + FILLED * filled + guess.worth)
    return scores


def _overlap(one: Mask, other: Mask) -> float:
    """Return the intersection over the union of two masks."""
    return float((one & other).sum() / max(1, int((one | other).sum())))


def widened(allowed: Mask, likely: Floats) -> Mask:
    """Return the allowed area (height, width), enlarged to the whole thing in it if a closer look is certain of it."""
    parts = np.asarray(cv2.connectedComponents((likely > 0.5).astype(np.uint8))[1])
    inside = np.bincount(parts[allowed], minlength=int(parts.max()) + 1)
    thing = np.isin(parts, np.flatnonzero(2 * inside > np.bincount(parts.ravel()))) & (parts > 0)
    certain = certainty(likely, thing) >= SURE
    left, top, right, bottom = box_of(thing)
    height, width = thing.shape
    if not certain or min(left, top, width - right, height - bottom) <= 0:
        return allowed
    result = allowed.copy()
    result[max(0, top - EDGE) : bottom + EDGE, max(0, left - EDGE) : right + EDGE] = True
    return result

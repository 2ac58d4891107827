"""Deciding what is the thing in a small copy of a picture of which a part is allowed: by its colors, and by sight."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Floats, Labels, Sketch
from llm_dit.classical.seeing.subject import certainty

Mask = NDArray[np.bool_]

SEEN, COLOR, PAINT, BIAS = 0.3, 0.7, 0.55, -1.0
"""What the odds of what is seen, of a pixel's color and of its region's color count, and what is added: near the result
of a logistic regression over the pixels of scenes of known truth, `benchmarks.clipart` with seeds 200 to 299."""
FIRM = 20.0
"""What the odds count beside the length of the outline, whose cost OpenCV sets at up to 50 a pixel."""
INSIDE = 0.8
"""The share of a region within what is allowed from which it is a part of the first guess."""
BINS = (12, 24, 24)
"""Of lightness and both opponent colors, where odds of colors are counted; the latter are finer near gray."""
RARE = 2e-5
"""The share of a color that nobody has seen: what cannot tell a thing from its surroundings weighs nothing."""
MOST_ODDS = 4.0
PINHOLE, CRUMB = 0.004, 0.02
"""The shares of a thing up to which a hole in it is none, and a part beside it is none of its own."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the hints say of a sketch: `allowed` may be the thing, `on` is; both (height, width)."""

    allowed: Mask
    on: Mask


@dataclass(frozen=True, kw_only=True)
class Found:
    """A thing, (height, width), and how far the colors of its regions are its own: −1 to 1."""

    thing: Mask
    own: float


def decided(sketch: Sketch, labels: Labels, known: Known, likely: Floats | None = None) -> Found:
    """Return the thing in a sketch by the colors of its regions, `labels` (height, width), and by `likely`, how likely
    the network takes each pixel for one (height, width), 0–1.

    The colors outside of what is allowed are those of the ground. What each pixel tells is added up as odds, and the
    outline lies where it costs least (Boykov and Jolly, "Interactive graph cuts", ICCV 2001).
    """
    guess = _first_guess(labels, known)
    if guess.all():
        # Nothing tells what the ground is like.
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
    """Return the regions of which most lies within what is allowed; others go on outside of it."""
    taken = _of_regions(labels, known.allowed.astype(np.float32)) > INSIDE
    taken |= np.isin(labels, np.unique(labels[known.on]))
    guess = taken & known.allowed & (labels >= 0)
    # A thing of the ground's own paint: all of it, and its colors tell little.
    return guess if guess.sum() > 0.02 * known.allowed.sum() else known.allowed


def _of_regions(labels: Labels, values: Floats) -> Floats:
    """Return the mean of values (height, width) over the region of each pixel; of what is clear, that of all of it."""
    numbers = (labels + 1).ravel()
    area = np.bincount(numbers)
    return (np.bincount(numbers, values.ravel()) / np.maximum(area, 1)).astype(np.float32)[labels + 1]


def _odds(share: Floats) -> Floats:
    bounded = np.clip(share, 0.02, 0.98)
    return np.log(bounded / (1 - bounded))


def _color_odds(sketch: Sketch, guess: Mask) -> Floats:
    """Return the odds of each pixel's color, as natural logarithms, to be one of a thing rather than of what is around.

    The guess may be wrong about a tenth of the thing.
    """
    light, chroma = sketch.lab[..., 0] / 100, sketch.lab[..., 1:] / 121
    fine = np.sign(chroma) * np.sqrt(np.abs(chroma))
    places = [light * BINS[0], *((fine[..., one] + 1) / 2 * BINS[one + 1] for one in range(2))]
    levels = [np.clip(place, 0, size - 1).astype(np.int32) for place, size in zip(places, BINS, strict=True)]
    bins = np.asarray(np.ravel_multi_index(levels, BINS), np.int32)
    share, seen = np.where(guess, 0.9, 0.0), sketch.visible
    of_thing = _counts(bins[seen], share[seen]) / max(float(share[seen].sum()), 1)
    # What is clear around a thing is ground, too, of no color.
    around = _counts(bins[seen], 1 - share[seen]) / max(float((1 - share).sum()), 1)
    return np.log((of_thing + RARE) / (around + RARE)).clip(-MOST_ODDS, MOST_ODDS).astype(np.float32)[bins]


def _counts(bins: Labels, weight: Floats) -> Floats:
    """Return how often each color occurs, smoothed over its neighbors."""
    counts = np.bincount(bins, weight, int(np.prod(BINS))).reshape(BINS)
    for axis in range(3):
        first = np.moveaxis(counts, axis, 0)
        padded = np.concatenate([first[:1], first, first[-1:]])
        counts = np.moveaxis((padded[:-2] + 2 * first + padded[2:]) / 4, 0, axis)
    return counts.ravel()


def _min_cut(lab: Floats, odds: Floats, known: Known) -> Mask:
    """Return what is the thing where odds (height, width), as natural logarithms, weigh against its outline's length.

    OpenCV's graph cut takes mixtures of Gaussians over three channels, and no odds. Here both mixtures are one and the
    same Gaussian at two places on a channel that holds the odds, so that the difference of their logarithms is linear
    in it; the other two channels hold the colors that the outline follows.
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
    """Return the two directions (height, width, 2) in which the colors differ most."""
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

"""The subject of a picture as the network sees it, and the thing at a point."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, Mask, bounded, draw_sketch, measure_borders, oversegment
from llm_dit.classical.seeing.networks import SUBJECT, is_set_up, run
from llm_dit.color import norm

SIDE = 320
"""The side in pixels of the square on which the network was trained."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
LIKELY, CLOSER = 0.4, 0.25
"""The value from which a pixel likely belongs to a thing, and the margin of the closer look, as a share of its size."""
PART = 0.6
"""The share of each side for the parts of a picture that are tried if the whole shows no subject."""
SURE = 0.55
"""The least certainty of a subject: its certain area over its possible area."""
SURELY, MAYBE = 0.8, 0.2
LEAST, MOST = 0.002, 0.8
"""The range of a subject's share of the picture."""
ENCLOSED = 0.5
"""The largest ratio of a gap's border with the surroundings to its border with the subject."""
CUT_PIXELS = 200_000
"""The number of pixels at which a subject's outline is found."""
CORE = 7
"""The distance in such pixels from the map's rim beyond which certain pixels stay the subject's."""
ALIKE, STANDS_OUT = 12.0, 16.0
"""CIELAB distances: up to the first a part looks like the background, from the second it differs from the subject."""


@dataclass(frozen=True, eq=False)
class Subject:
    """`alpha` (height, width), each pixel's share of the subject, 0–1, with a sharp outline; and the certainty that it
    is one, 0–1."""

    alpha: Floats
    certainty: float

    @property
    def sure(self) -> bool:
        """Whether the certainty is sufficient to use the subject."""
        return self.certainty >= SURE


def find_subject(rgb: Bytes) -> Subject | None:
    """Return the subject of `rgb` (height, width, 3), or None if there is none or the network is not installed.

    The network runs on the whole picture and again on the area around the subject. The outline follows the picture's
    (Rother et al., "GrabCut", SIGGRAPH 2004), and background visible through the subject is excluded. If the whole
    shows no subject, parts of the picture are tried, which takes 2 more CPU seconds.
    """
    if not is_set_up(SUBJECT):
        return None
    likely = saliency(rgb)
    sureness = certainty(likely)
    if sureness < SURE:
        # A thing may be too small relative to the whole picture, or have too much beside it.
        for part in _parts(rgb):
            if certainty(part) > sureness and _fits(part):
                likely, sureness = part, certainty(part)
    likely = (likely + _closer(rgb, likely)) / 2
    if not _fits(likely):
        return None
    return Subject(alpha=without_gaps(rgb, outlined(rgb, likely)), certainty=certainty(likely))


def saliency(rgb: Bytes) -> Floats:
    """Return the probability of each pixel of `rgb` (height, width, 3) to be the subject, 0–1, at the size of `rgb`."""
    square = np.asarray(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(see(square), rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)).clip(0, 1)


def see(square: Bytes) -> Floats:
    """Return the network's output for a square (side, side, 3): each pixel's probability, about 0–1, of being subject.

    U²-Net-p (Qin et al., "U²-Net: Going deeper with nested U-structure for salient object detection", Pattern
    Recognition 2020).
    """
    values = (square.astype(np.float32) / max(float(square.max()), 1.0) - MEAN) / DEVIATION
    return run(SUBJECT, values.transpose(2, 0, 1)[None])[0, 0]


def certainty(likely: Floats, within: Mask | None = None) -> float:
    """Return the certainty of the network, 0–1: the certain area, restricted to `within` (height, width) if given, over
    the possible area."""
    surely = likely if within is None else likely[within]
    return float((surely > SURELY).sum() / max(1, int((likely > MAYBE).sum())))


def _fits(likely: Floats) -> bool:
    return LEAST < float((likely > 0.5).mean()) < MOST


def _closer(rgb: Bytes, likely: Floats) -> Floats:
    """Return the map of the part of the picture that contains the subject."""
    if not (likely > LIKELY).any():
        return likely
    window = around(likely)
    result = np.zeros_like(likely)
    result[window] = saliency(np.ascontiguousarray(rgb[window]))
    return result


def around(likely: Floats) -> tuple[slice, slice]:
    """Return the rows and columns of the likely pixels, at least one, with a margin."""
    rows, columns = (np.flatnonzero(likely.max(axis=axis) > LIKELY) for axis in (1, 0))
    tall, wide = (round((side[-1] - side[0]) * CLOSER) + 8 for side in (rows, columns))
    return slice(max(0, rows[0] - tall), rows[-1] + tall), slice(max(0, columns[0] - wide), columns[-1] + wide)


def _parts(rgb: Bytes) -> list[Floats]:
    """Return the maps of those of four overlapping parts of the picture that contain a whole subject."""
    height, width = rgb.shape[:2]
    tall, wide = round(PART * height), round(PART * width)
    found = []
    for top in (0, height - tall):
        for left in (0, width - wide):
            window = (slice(top, top + tall), slice(left, left + wide))
            part = saliency(np.ascontiguousarray(rgb[window]))
            frame = np.pad(np.zeros((tall - 2, wide - 2), bool), 1, constant_values=True)
            if (part[frame] > 0.5).sum() < 0.02 * frame.sum():
                result = np.zeros((height, width), np.float32)
                result[window] = part
                found.append(result)
    return found


def outlined(rgb: Bytes, likely: Floats) -> Mask:
    """Return the `likely` pixels (height, width), 0–1, as a mask whose outline follows the nearby outline in `rgb`."""
    height, width = likely.shape
    _, size = bounded(height, width, CUT_PIXELS)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)[..., ::-1].copy()
    share = np.asarray(cv2.resize(likely, size, interpolation=cv2.INTER_AREA))
    seeds = np.where(share > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[cv2.dilate((share > 0.3).astype(np.uint8), np.ones((25, 25), np.uint8)) == 0] = cv2.GC_BGD
    core = np.ones((2 * CORE + 1, 2 * CORE + 1), np.uint8)
    seeds[cv2.erode((share > 0.97).astype(np.uint8), core, borderValue=1) > 0] = cv2.GC_FGD
    cut = share > 0.5
    if min((share > 0.95).sum(), (seeds == cv2.GC_BGD).sum()) > 20:
        cv2.setRNGSeed(7)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cut = np.isin(cv2.grabCut(small, seeds, (0, 0, 1, 1), *models, 3, cv2.GC_INIT_WITH_MASK)[0], (1, 3))
    return np.asarray(cv2.resize(cut.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)) > 0.5


def without_gaps(rgb: Bytes, subject: Mask) -> Floats:
    """Return the subject without the background that is visible through it.

    A gap is a part that looks like the surrounding colors continued there, and differs from the subject's other parts.
    """
    height, width = subject.shape
    sketch = draw_sketch(np.dstack([rgb, np.full(subject.shape, 255, np.uint8)]))
    labels = oversegment(sketch)
    share = cv2.resize(subject.astype(np.float32), labels.shape[::-1], interpolation=cv2.INTER_AREA)
    count = int(labels.max()) + 1
    area = np.bincount(labels.ravel(), minlength=count)
    own = np.bincount(labels.ravel(), np.asarray(share).ravel(), count) > 0.6 * area
    if own.any():
        around = cv2.dilate((share > 0.3).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
        behind = spread(sketch.lab, around.astype(np.float32))
        off = norm(sketch.lab - behind)
        alike = np.bincount(labels.ravel(), (off < ALIKE).ravel(), count) > 0.5 * area
        shared, contrast = measure_borders(labels, sketch.lab, count)
        things = shared * (own & ~alike)
        beside = things.sum(axis=1)
        out = (contrast * things).sum(axis=1) > STANDS_OUT * beside
        outside = (shared * ~own).sum(axis=1)
        gaps = own & alike & out & (beside > 0.15 * shared.sum(axis=1)) & (outside < ENCLOSED * beside)
        if 4 * area[gaps].sum() < 3 * area[own].sum():
            seen = cv2.resize(gaps[labels].astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            return (subject & (np.asarray(seen) < 0.5)).astype(np.float32)
    return subject.astype(np.float32)


# What the network sees at a point.


POINTED = 192
"""The side in pixels of the square for a look at a point. The training size, 320, gives no better results there and
takes 0.6 CPU seconds instead of 0.2; at 160 things are missed."""
SCALES = (0.8, 0.45)
"""Sides of the squares around a point, as shares of the picture's shorter side."""
STEP = 0.125
"""The grid step of the squares' centers, as a share of their side: nearby points share their looks."""
KEPT = 48
"""The number of cached looks, 0.25 MB each, so that a further click on the same picture is quick."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """Each pixel's probability of being the thing, `likely` (height, width) 0–1, from a look at the rows and columns of
    `window` only."""

    likely: Floats
    window: tuple[slice, slice]

    def holds(self, thing: Mask) -> bool:
        """Return whether a thing (height, width) lies within the window and does not seem to continue outside."""
        rows, columns = self.window
        inner = np.zeros(thing.shape, bool)
        inner[_within(rows, thing.shape[0]), _within(columns, thing.shape[1])] = True
        return not bool((thing & ~inner).any())

    def certainty(self, thing: Mask) -> float:
        """Return the certainty that this is a thing, and that nothing else belongs to it, 0–1."""
        return certainty(self.likely, thing)


def _within(part: slice, size: int) -> slice:
    """Return a part of a side without its ends, unless they are the side's own."""
    return slice(part.start + (part.start > 0), min(part.stop, size) - (part.stop < size))


def look(rgb: Bytes) -> Floats:
    """Return the probability of each pixel of `rgb` (height, width, 3) to be the thing in it, 0–1, for selection."""
    square = cv2.resize(rgb, (POINTED, POINTED), interpolation=cv2.INTER_AREA)
    found = np.frombuffer(_seen(square.tobytes()), np.uint8).reshape(POINTED, POINTED)
    return np.asarray(cv2.resize(found, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32) / 255


@functools.lru_cache(maxsize=KEPT)
def _seen(content: bytes) -> bytes:
    found = see(np.frombuffer(content, np.uint8).reshape(POINTED, POINTED, 3))
    return np.rint(found.clip(0, 1) * 255).astype(np.uint8).tobytes()


def looks(rgb: Bytes, places: Sequence[tuple[float, float]]) -> Iterator[Look]:
    """Yield looks at `rgb` (height, width, 3): the whole picture, and squares centered near the middle of the `places`,
    x and y in pixels."""
    height, width = rgb.shape[:2]
    yield Look(likely=look(rgb), window=(slice(0, height), slice(0, width)))
    (left, top), (right, bottom) = np.min(places, axis=0), np.max(places, axis=0)
    for scale in SCALES:
        reach = scale * min(height, width) / 2
        if max(right - left, bottom - top) > reach:
            continue
        step = 2 * STEP * reach
        x, y = (round(middle / step) * step for middle in ((left + right) / 2, (top + bottom) / 2))
        rows = slice(max(0, int(y - reach)), max(0, int(y + reach)) + 1)
        columns = slice(max(0, int(x - reach)), max(0, int(x + reach)) + 1)
        result = np.zeros((height, width), np.float32)
        result[rows, columns] = look(np.ascontiguousarray(rgb[rows, columns]))
        yield Look(likely=result, window=(rows, columns))

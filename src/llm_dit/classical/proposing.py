"""Proposing the thing that somebody points at: of all that the network and the regions tell, what they agree on."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.deciding import Found, Known, decided
from llm_dit.classical.decompose import draw_sketch
from llm_dit.classical.growing import Neighbors
from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Sketch, box_of, oversegment, smooth_merge
from llm_dit.classical.seeing.pointed import Look, looks
from llm_dit.classical.seeing.subject import certainty

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""

LIKELY = (0.2, 0.5, 0.8)
"""How likely what is seen must be; where the network is not certain, these differ."""
GROWTHS = 3
"""Things that grow from a place, by their outlines."""
LEAST = 0.0003
"""The share of a picture that is no speck."""
AROUND = 0.3
"""How much of a thing's longer side lies around it where it is decided on, to know the ground by."""
OWN, FILLED, WIDEST, CERTAIN = 1.5, 0.5, 0.25, 0.25
"""What it counts that the colors of a thing are its own, that it fills the box around it, that it has all that may be
of it, and that the network is certain of it; that the others agree counts 1."""
SURE, EDGE = 0.7, 3
"""How certain a nearer look must be that a thing is larger than was guessed, and the pixels left around it then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What is known of a picture before anybody points at it: its colors over gray (height, width, 3), its sketch, its
    regions and how they lie."""

    rgb: Bytes
    sketch: Sketch
    labels: Labels
    neighbors: Neighbors


def surveyed(small: Bytes) -> Survey:
    """Return the survey of a small picture (height, width, 4); that of the last ones is kept."""
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
    """Return the thing (height, width) in a surveyed picture that a stroke lies on and `never` does not.

    `places` are those of the stroke, x and y in pixels; `sees` tells whether to look with the network, too.
    """
    labels, visible = survey.labels, survey.sketch.visible
    begun, off = np.unique(labels[stroke & visible]), np.unique(labels[never & visible])
    grown = [mask[labels] & visible for mask in survey.neighbors.grown_from(begun, off, GROWTHS if sees else 1)]
    if not sees or not len(begun):
        return grown[0]
    seen = list(looks(survey.rgb, places))
    guesses = [guess for one in seen for guess in _guesses_at(one, stroke)]
    for thing in grown:
        # The smallest part that has all of it tells most; the first has all of the picture.
        closest = next((one for one in reversed(seen) if one.holds(thing)), seen[0])
        guesses.append(_Guess(thing=thing, look=closest, worth=0))
    # What the network is certain of has the same box however likely it must be.
    boxes = {(id(guess.look), box_of(guess.thing)): guess.look for guess in guesses}
    found = {key: _decided_in(survey, key[1], look, stroke & visible, never) for key, look in boxes.items()}
    tried = [found[id(guess.look), box_of(guess.thing)] for guess in guesses]
    return tried[int(np.argmax(_scores(guesses, tried)))].thing


@dataclass(frozen=True, kw_only=True, eq=False)
class _Guess:
    """What may be a thing, the look that tells most of it, and what it counts."""

    thing: Mask
    look: Look
    worth: float


def _guesses_at(look: Look, stroke: Mask) -> Iterator[_Guess]:
    """Yield what the network sees where a stroke lies."""
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
    """Return how good the thing is that was found by each guess."""
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
    """Return what is allowed (height, width) with all of the thing in it that a nearer look is certain of."""
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

"""Selecting one thing in a picture by clicks, a box or a rough line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image

from llm_dit.classical.deciding import AROUND, Box, Known, decided, opaque, propose, surveyed, widened
from llm_dit.classical.layering.regions import (
    Bytes,
    Floats,
    Mask,
    bounded,
    box_of,
    draw_sketch,
    oversegment,
    smooth_merge,
)
from llm_dit.classical.seeing.networks import SUBJECT, is_set_up
from llm_dit.classical.seeing.subject import look
from llm_dit.errors import InputError

Point = tuple[float, float]
"""x and y in pixels from the picture's top left corner."""

MOST_POINTS = 1000
"""The most clicks, or points of a line."""
WORK_PIXELS, SURVEY_PIXELS = 90_000, 60_000
"""The most pixels of the copy for solving a part of the picture, and of the copy for a click."""
TILE = 768
"""The side in pixels of the tiles in which an outline is refined at full size."""
MOST_LOOKS = 4
"""The most strokes and things for the network; the rest use colors only, so that many clicks do not take minutes."""
CLOSED = 0.25
"""A line whose ends are nearer to each other than this share of its length encloses the thing."""


@dataclass(frozen=True, kw_only=True)
class _Hints:
    """The user's marks in pixels of the picture: `inside` are outlines that limit the selection, `strokes` and
    `without` points on and beside the thing; a click is a stroke of one point."""

    inside: Sequence[Sequence[Point]]
    strokes: Sequence[Sequence[Point]]
    without: Sequence[Sequence[Point]]


def select(
    image: Image.Image,
    *,
    points: Sequence[Point] = (),
    without: Sequence[Point] = (),
    box: tuple[float, float, float, float] | None = None,
    line: Sequence[Point] = (),
) -> Image.Image:
    """Return the indicated thing as a mask, an image of mode "L" in `image`'s size: 255 is the thing.

    All coordinates are in pixels from the top left corner. `points` lie on the thing, `without` on what is not wanted.
    `box` (left, top, right, bottom) encloses it, and so does a `line` whose ends meet; any other line is drawn on it.
    Transparent pixels of `image` are never selected. Raises `InputError` if no mark is given, if a coordinate is not
    finite, or if no mark lies in the picture.
    """
    hints = _hints(image.size, points, without, box, line)
    picture = np.asarray(image.convert("RGBA"))
    outlines = [*hints.inside, *_proposed(picture, hints)]
    drawn = len(hints.inside)
    mask = np.zeros(picture.shape[:2], np.uint8)
    for number, outline in enumerate(outlines[:MOST_LOOKS]):
        _add(mask, picture, replace(hints, inside=[outline]), sees=is_set_up(SUBJECT), widens=number >= drawn)
    if outlines[MOST_LOOKS:]:
        _add(mask, picture, replace(hints, inside=outlines[MOST_LOOKS:]), sees=False)
    return Image.fromarray(mask, "L")


def _add(mask: Bytes, picture: Bytes, hints: _Hints, *, sees: bool, widens: bool = False) -> None:
    """Add the thing within the outlines of hints to a mask (height, width); if `widens`, they may be too narrow."""
    left, top, right, bottom = _window(mask.shape[::-1], hints.inside)
    window = slice(top, bottom), slice(left, right)
    part = picture[window]
    alpha = _refined(part, _decide(part, hints, (left, top), sees=sees, widens=widens))
    mask[window] = np.maximum(mask[window], np.where(part[..., 3] > 0, alpha, 0))


def _hints(
    size: tuple[int, int],
    points: Sequence[Point],
    without: Sequence[Point],
    box: tuple[float, float, float, float] | None,
    line: Sequence[Point],
) -> _Hints:
    corners = [box[:2], box[2:]] if box is not None else []
    for param, places in (("points", points), ("without", without), ("line", line), ("box", corners)):
        if len(places) > MOST_POINTS or not all(math.isfinite(value) for place in places for value in place):
            raise InputError(
                f"Points must be two numbers of pixels each, x and y, at most {MOST_POINTS} of them.", param=param
            )
    inside: list[Sequence[Point]] = []
    strokes: list[Sequence[Point]] = [[place] for place in points]
    if box is not None:
        inside.append(_rectangle(*box))
    if _is_closed(line):
        inside.append(line)
    elif line:
        strokes.append(line)
    if not inside and not strokes:
        raise InputError(
            "Nothing is marked: give a point on the thing, a box around it or a line along it.", param="points"
        )
    for param, places in (("box", [p for outline in inside for p in outline]), ("points", [*points, *line])):
        if places and not _meets(size, places):
            raise InputError(f"The picture has {size[0]}×{size[1]} pixels: point at a place inside it.", param=param)
    return _Hints(inside=inside, strokes=strokes, without=[[place] for place in without])


def _is_closed(line: Sequence[Point]) -> bool:
    length = sum(math.dist(a, b) for a, b in pairwise(line))
    return len(line) > 2 and math.dist(line[0], line[-1]) < CLOSED * length


def _meets(size: tuple[int, int], places: Sequence[Point]) -> bool:
    """Return whether the bounding box of points overlaps the picture."""
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return min(xs) < size[0] and max(xs) >= 0 and min(ys) < size[1] and max(ys) >= 0


def _window(size: tuple[int, int], inside: Sequence[Sequence[Point]]) -> Box:
    """Return the part of a picture that contains outlines, with a margin."""
    xs, ys = [x for outline in inside for x, _ in outline], [y for outline in inside for _, y in outline]
    more = 8 + AROUND * max(max(xs) - min(xs), max(ys) - min(ys))
    left, top = max(0, math.floor(min(xs) - more)), max(0, math.floor(min(ys) - more))
    right, bottom = min(size[0], math.ceil(max(xs) + more)), min(size[1], math.ceil(max(ys) + more))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _proposed(picture: Bytes, hints: _Hints) -> list[Sequence[Point]]:
    """Return a box around a first guess for each stroke that lies in no outline, so that the guess is solved again at a
    larger scale."""
    strokes = [stroke for stroke in hints.strokes if not any(_meets_box(stroke, outline) for outline in hints.inside)]
    if not strokes:
        return []
    height, width = picture.shape[:2]
    small = _shrunk(picture, SURVEY_PIXELS)
    scale = (small.shape[1] / width, small.shape[0] / height)
    survey = surveyed(small)
    shape = survey.labels.shape
    never = _drawn(shape, hints.without, (0, 0), scale)
    outlines: list[Sequence[Point]] = []
    for number, stroke in enumerate(strokes):
        if any(_meets_box(stroke, outline) for outline in outlines):
            continue
        places = [(x * scale[0], y * scale[1]) for x, y in stroke]
        begun = _drawn(shape, [stroke], (0, 0), scale)
        thing = propose(survey, begun, never, places, sees=number < MOST_LOOKS and is_set_up(SUBJECT))
        xs, ys = [x for x, _ in stroke], [y for _, y in stroke]
        if thing.any():
            left, top, right, bottom = box_of(thing)
            xs += [left / scale[0], right / scale[0]]
            ys += [top / scale[1], bottom / scale[1]]
        outlines.append(_looser(xs, ys))
    return outlines


def _meets_box(stroke: Sequence[Point], outline: Sequence[Point]) -> bool:
    """Return whether a point of a stroke lies in the bounding box of an outline."""
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    return any(min(xs) <= x <= max(xs) and min(ys) <= y <= max(ys) for x, y in stroke)


def _looser(xs: Sequence[float], ys: Sequence[float]) -> Sequence[Point]:
    """Return the bounding box of points, slightly enlarged."""
    more = 3 + 0.03 * max(max(xs) - min(xs), max(ys) - min(ys))
    return _rectangle(min(xs) - more, min(ys) - more, max(xs) + more, max(ys) + more)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Sequence[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# Solving on a small copy.


def _decide(part: Bytes, hints: _Hints, corner: tuple[int, int], *, sees: bool, widens: bool) -> Floats:
    """Return each pixel's share of the thing, 0–1, at a small size, for a part of a picture at `corner`."""
    small = _shrunk(part, WORK_PIXELS)
    sketch = draw_sketch(small)
    shape = sketch.visible.shape
    scale = (shape[1] / part.shape[1], shape[0] / part.shape[0])
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    on = _drawn(shape, hints.strokes, corner, scale) & sketch.visible
    # A click on what is not wanted excludes all of its color.
    off = _drawn(shape, hints.without, corner, scale)
    off |= np.isin(labels, np.setdiff1d(labels[off & sketch.visible], labels[on]))
    allowed = _drawn(shape, hints.inside, corner, scale, filled=True)
    likely = look(opaque(small)) if sees and allowed.any() else None
    if likely is not None and widens:
        allowed = widened(allowed, likely)
    allowed &= sketch.visible & ~off
    known = Known(allowed=allowed, on=on & allowed)
    return decided(sketch, labels, known, likely).thing.astype(np.float32)


def _shrunk(part: Bytes, pixels: int) -> Bytes:
    height, width = part.shape[:2]
    scale, size = bounded(height, width, pixels)
    if scale == 1:
        return part
    # Pillow resamples RGBA premultiplied, so that transparent pixels do not affect colors.
    return np.asarray(Image.fromarray(part, "RGBA").resize(size, Image.Resampling.BOX))


def _drawn(
    shape: tuple[int, int],
    lines: Sequence[Sequence[Point]],
    corner: tuple[float, float],
    scale: tuple[float, float],
    *,
    filled: bool = False,
) -> Mask:
    """Return the pixels of a small copy (height, width) on or inside lines of points.

    The copy shows the part of the picture at `corner`."""
    mask = np.zeros(shape, np.uint8)
    radius = max(1, round(0.006 * max(shape)))
    for line in lines:
        places = np.array([((x - corner[0]) * scale[0], (y - corner[1]) * scale[1]) for x, y in line])
        places = np.rint(places.clip(-1e4, 1e4)).astype(np.int32)
        if filled:
            cv2.fillPoly(mask, [places], (1,))
        else:
            cv2.polylines(mask, [places], False, (1,), 2 * radius + 1)
            cv2.circle(mask, (int(places[0, 0]), int(places[0, 1])), radius, (1,), -1)
    return mask > 0


# The outline at full size.


def _refined(part: Bytes, rough: Floats) -> Bytes:
    """Return the alpha of the thing (height, width), 0–255, with edges that follow the picture's.

    A guided filter (He, Sun and Tang, "Guided image filtering", ECCV 2010) on the picture's own colors, tile by tile
    around the edges in each.
    """
    height, width = part.shape[:2]
    step = max(1.0, ((height * width) / rough.size) ** 0.5)
    radius = max(2, round(1.5 * step))
    wide = cv2.resize(np.rint(rough * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    alpha: Bytes = np.asarray(wide, np.uint8).reshape(height, width)
    result = alpha.copy()
    edges = cv2.morphologyEx(alpha, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            x0, y0, x1, y1 = box_of(edges[top : top + TILE, left : left + TILE])
            if x1 > 0:
                # Only pixels within the radius of an edge change, and they depend on pixels up to three times as far.
                y, x = max(0, top + y0 - 6 * radius), max(0, left + x0 - 6 * radius)
                outer = (slice(y, top + y1 + 6 * radius), slice(x, left + x1 + 6 * radius))
                found = _sharpened(part[outer], alpha[outer], radius)
                up, before = min(4 * radius, top + y0 - y), min(4 * radius, left + x0 - x)
                inner = found[up : top + y1 + 2 * radius - y, before : left + x1 + 2 * radius - x]
                rows, columns = inner.shape
                result[y + up : y + up + rows, x + before : x + before + columns] = inner
    return result


def _sharpened(part: Bytes, alpha: Bytes, radius: int) -> Bytes:
    guide = np.ascontiguousarray(part[..., :3]).astype(np.float32) / 255
    rough = alpha.astype(np.float32) / 255
    soft = np.asarray(cv2.ximgproc.guidedFilter(guide, rough, radius, 1e-5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core, reach = cv2.erode(rough, disc), cv2.dilate(rough, disc)
    # Where the picture is blurred or its colors hardly differ, the filter's edge is wider than the picture's; but light
    # from the thing in the pixels beside it belongs to the thing and must not stay behind.
    sharp = ((soft - 0.4) / 0.2).clip(0, 1)
    beside = cv2.dilate(sharp, np.ones((3, 3), np.uint8)) > 0.5
    sharp = np.where(beside, np.maximum(sharp, soft - 0.1).clip(0, 1), 0)
    return np.rint(np.where(core > 0.99, 1, np.where(reach < 0.01, 0, sharp)) * 255).astype(np.uint8)

"""Selecting one thing in a picture by clicks, a box or a rough line, without any learned model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.decompose import draw_sketch
from llm_dit.classical.growing import Neighbors
from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Sketch, oversegment, smooth_merge
from llm_dit.errors import InputError

Mask = NDArray[np.bool_]
Point = tuple[float, float]
"""x and y in pixels from the picture's top left corner."""

MOST_POINTS = 1000
"""Of all clicks, or of a line."""
WORK_PIXELS = 120_000
"""What is decided on: the part of the picture that counts, at most this large."""
MARGIN = 0.25
"""How much of a box's longer side lies around it, to know the ground by."""
TILE = 768
"""The side of the parts in which an outline is found at full size, in pixels."""
CLOSED = 0.25
"""A line whose ends are nearer to each other than this share of its length goes around the thing."""


def select(
    image: Image.Image,
    *,
    points: Sequence[Point] = (),
    without: Sequence[Point] = (),
    box: tuple[float, float, float, float] | None = None,
    line: Sequence[Point] = (),
) -> Image.Image:
    """Return the thing that is pointed at as a mask, an image of mode "L" in `image`'s size: 255 is the thing.

    All places are in pixels from the top left corner. `points` lie on the thing, `without` on what is not wanted. `box`
    (left, top, right, bottom) lies around it, and so does a `line` whose ends meet; any other line is drawn on it.
    What is clear in `image` is never selected. Raises `InputError` when nothing is pointed at, when a place is not
    finite, or when no place lies in the picture.
    """
    hints = _hints(image.size, points, without, box, line)
    picture = np.asarray(image.convert("RGBA"))
    hints = _closer(picture, hints)
    left, top, right, bottom = hints.window
    part = picture[top:bottom, left:right]
    rough = _decide(part, hints)
    alpha = _refined(part, rough)
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[top:bottom, left:right] = np.where(part[..., 3] > 0, alpha, 0)
    return Image.fromarray(mask, "L")


@dataclass(frozen=True, kw_only=True)
class _Hints:
    """What is pointed at: `window` (left, top, right, bottom) is the part of the picture that counts; `inside` are
    outlines in pixels of the picture beyond which nothing is selected, `strokes` and `without` places on the thing
    and beside it, a click a line of one place."""

    window: tuple[int, int, int, int]
    inside: Sequence[Sequence[Point]]
    strokes: Sequence[Sequence[Point]]
    without: Sequence[Sequence[Point]]


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
                f"Give places as two numbers of pixels each, x and y, at most {MOST_POINTS} of them.", param=param
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
        raise InputError("Point at something: give a place on it, a box around it or a line along it.", param="points")
    window = _window(size, inside)
    for param, places in (("box", [p for outline in inside for p in outline]), ("points", [*points, *line])):
        if places and not _meets(size, places):
            raise InputError(f"The picture has {size[0]}×{size[1]} pixels: point at a place in it.", param=param)
    return _Hints(window=window, inside=inside, strokes=strokes, without=[[place] for place in without])


def _is_closed(line: Sequence[Point]) -> bool:
    length = sum(math.dist(a, b) for a, b in pairwise(line))
    return len(line) > 2 and math.dist(line[0], line[-1]) < CLOSED * length


def _meets(size: tuple[int, int], places: Sequence[Point]) -> bool:
    """Return whether the box around places has anything of the picture in it."""
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return min(xs) < size[0] and max(xs) >= 0 and min(ys) < size[1] and max(ys) >= 0


def _window(size: tuple[int, int], inside: Sequence[Sequence[Point]]) -> tuple[int, int, int, int]:
    if not inside:
        return 0, 0, *size
    xs, ys = [x for outline in inside for x, _ in outline], [y for outline in inside for _, y in outline]
    more = 8 + MARGIN * max(max(xs) - min(xs), max(ys) - min(ys))
    left, top = max(0, math.floor(min(xs) - more)), max(0, math.floor(min(ys) - more))
    right, bottom = min(size[0], math.ceil(max(xs) + more)), min(size[1], math.ceil(max(ys) + more))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _closer(picture: Bytes, hints: _Hints) -> _Hints:
    """Return the hints with a box around a first guess of what each stroke is on that no outline has, so that it is
    looked at again, and nearer."""
    strokes = [stroke for stroke in hints.strokes if not any(_meets_box(stroke, outline) for outline in hints.inside)]
    if not strokes:
        return hints
    height, width = picture.shape[:2]
    hints = replace(hints, window=(0, 0, width, height))
    sketch = _sketched(picture)
    scale = (sketch.visible.shape[1] / width, sketch.visible.shape[0] / height)
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    neighbors = Neighbors(labels, sketch.lab)
    never = np.unique(labels[_drawn(sketch, hints, scale, hints.without) & sketch.visible])
    outlines = list(hints.inside)
    for stroke in strokes:
        begun = np.unique(labels[_drawn(sketch, hints, scale, [stroke]) & sketch.visible])
        guess = neighbors.grown_from(begun, never)[labels] & sketch.visible
        rows, columns = np.flatnonzero(guess.any(axis=1)), np.flatnonzero(guess.any(axis=0))
        xs, ys = [x for x, _ in stroke], [y for _, y in stroke]
        if len(rows):
            xs += [float(columns[0]) / scale[0], float(columns[-1] + 1) / scale[0]]
            ys += [float(rows[0]) / scale[1], float(rows[-1] + 1) / scale[1]]
        more = 3 + 0.03 * max(max(xs) - min(xs), max(ys) - min(ys))
        outlines.append(_rectangle(min(xs) - more, min(ys) - more, max(xs) + more, max(ys) + more))
    return replace(hints, inside=outlines, window=_window((width, height), outlines))


def _meets_box(stroke: Sequence[Point], outline: Sequence[Point]) -> bool:
    """Return whether a place of a stroke lies in the box around an outline."""
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    return any(min(xs) <= x <= max(xs) and min(ys) <= y <= max(ys) for x, y in stroke)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Sequence[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# Deciding on a small copy.


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the hints say of a sketch: `allowed` may be the thing, `on` is; both (height, width)."""

    allowed: Mask
    on: Mask


def _decide(part: Bytes, hints: _Hints) -> Floats:
    """Return for the window of a picture how much each place is the thing, 0–1, at a small size."""
    sketch = _sketched(part)
    scale = (sketch.visible.shape[1] / part.shape[1], sketch.visible.shape[0] / part.shape[0])
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    on = _drawn(sketch, hints, scale, hints.strokes) & sketch.visible
    # Who points at what is not wanted means all of its color.
    off = _drawn(sketch, hints, scale, hints.without)
    off |= np.isin(labels, np.setdiff1d(labels[off & sketch.visible], labels[on]))
    allowed = sketch.visible & ~off & _drawn(sketch, hints, scale, hints.inside, filled=True)
    known = _Known(allowed=allowed, on=on & allowed)
    return _cut(sketch, known, _likely(labels, known))


def _sketched(part: Bytes) -> Sketch:
    height, width = part.shape[:2]
    scale = min(1.0, (WORK_PIXELS / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale == 1:
        return draw_sketch(part)
    # Pillow resamples RGBA premultiplied: what is clear colors nothing.
    return draw_sketch(np.asarray(Image.fromarray(part, "RGBA").resize(size, Image.Resampling.BOX)))


def _drawn(
    sketch: Sketch,
    hints: _Hints,
    scale: tuple[float, float],
    lines: Sequence[Sequence[Point]],
    *,
    filled: bool = False,
) -> Mask:
    """Return the pixels of a sketch of the window that lines of places lie on, or go around."""
    mask = np.zeros(sketch.visible.shape, np.uint8)
    radius = max(1, round(0.006 * max(mask.shape)))
    for line in lines:
        places = np.array([((x - hints.window[0]) * scale[0], (y - hints.window[1]) * scale[1]) for x, y in line])
        places = np.rint(places.clip(-1e4, 1e4)).astype(np.int32)
        if filled:
            cv2.fillPoly(mask, [places], (1,))
        else:
            cv2.polylines(mask, [places], False, (1,), 2 * radius + 1)
            cv2.circle(mask, (int(places[0, 0]), int(places[0, 1])), radius, (1,), -1)
    return mask > 0


def _likely(labels: Labels, known: _Known) -> Mask:
    """Return a first guess: the regions of which most lies within what is allowed; others go on outside of it."""
    count = int(labels.max()) + 1
    seen = labels >= 0
    area = np.bincount(labels[seen], minlength=count)
    inside = np.bincount(labels[seen & known.allowed], minlength=count)
    taken = inside > 0.8 * np.maximum(area, 1)
    taken[np.unique(labels[known.on & seen])] = True
    guess = np.zeros(labels.shape, bool)
    guess[seen] = taken[labels[seen]]
    guess &= known.allowed
    # A thing of the ground's own paint: all of it, and the cut has it.
    return guess if guess.sum() > 0.02 * known.allowed.sum() else known.allowed


ROUNDS = 2
PINHOLE = 0.004
"""The share of a thing up to which a hole in it is none."""


def _cut(sketch: Sketch, known: _Known, likely: Mask) -> Floats:
    """Return how much each place is the thing, 0–1.

    Graph cuts with mixtures of Gaussians in CIELAB (Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004).
    """
    trimap = np.full(likely.shape, cv2.GC_BGD, np.uint8)
    trimap[known.allowed] = cv2.GC_PR_BGD
    trimap[likely] = cv2.GC_PR_FGD
    trimap[known.on] = cv2.GC_FGD
    thing = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if thing.all() or not thing.any():
        return thing.astype(np.float32)
    pixels = (sketch.lab * (2.55, 1, 1) + (0, 128, 128)).clip(0, 255).astype(np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, trimap, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    return _whole(found if found.any() else thing, known).astype(np.float32)


def _whole(found: Mask, known: _Known) -> Mask:
    """Return a mask without crumbs and pinholes: the parts that were pointed at, and those of about their size."""
    _, found_parts, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    parts, area = np.asarray(found_parts, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    meant = area >= 0.1 * area.max()
    meant[np.unique(parts[known.on])] = True
    meant[0] = False
    result = meant[parts]
    _, found_holes, stats, _ = cv2.connectedComponentsWithStats((~result).astype(np.uint8), connectivity=4)
    holes, area = np.asarray(found_holes, np.int32), np.asarray(stats)[:, cv2.CC_STAT_AREA]
    small = area < max(4, PINHOLE * result.sum())
    small[0] = False
    return result | (small[holes] & known.allowed)


# The outline at full size.


def _refined(part: Bytes, rough: Floats) -> Bytes:
    """Return the alpha of the thing (height, width), 0–255, along the edges that the picture has.

    A guided filter (He, Sun and Tang, "Guided image filtering", ECCV 2010) on the picture's own colors, tile by tile
    where there is an edge.
    """
    height, width = part.shape[:2]
    step = max(1.0, ((height * width) / rough.size) ** 0.5)
    radius = max(2, round(1.5 * step))
    wide = cv2.resize(np.rint(rough * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    alpha: Bytes = np.asarray(wide, np.uint8).reshape(height, width)
    result = alpha.copy()
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y, x = max(0, top - 6 * radius), max(0, left - 6 * radius)
            tile = (slice(y, top + TILE + 6 * radius), slice(x, left + TILE + 6 * radius))
            if alpha[tile].min() < alpha[tile].max():
                inner = (slice(top - y, top - y + TILE), slice(left - x, left - x + TILE))
                result[top : top + TILE, left : left + TILE] = _sharpened(part[tile], alpha[tile], radius)[inner]
    return result


def _sharpened(part: Bytes, alpha: Bytes, radius: int) -> Bytes:
    guide = np.ascontiguousarray(part[..., :3]).astype(np.float32) / 255
    rough = alpha.astype(np.float32) / 255
    soft = np.asarray(cv2.ximgproc.guidedFilter(guide, rough, 2 * radius, 1e-4))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core, reach = cv2.erode(rough, disc), cv2.dilate(rough, disc)
    sharp = ((soft - 0.1) / 0.8).clip(0, 1)
    return np.rint(np.where(core > 0.99, 1, np.where(reach < 0.01, 0, sharp)) * 255).astype(np.uint8)

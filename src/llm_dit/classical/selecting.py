"""Selecting one thing in a picture by clicks, a box or a rough line."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.classical.deciding import Known, decided
from llm_dit.classical.decompose import draw_sketch
from llm_dit.classical.growing import Neighbors
from llm_dit.classical.layering.regions import Bytes, Floats, Sketch, bounded, oversegment, smooth_merge
from llm_dit.classical.seeing.pointed import box_at
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
MOST_LOOKS = 4
"""Strokes at which the network looks; all further ones go by colors, so that many clicks take no minutes."""
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
    # Within a box that somebody drew, the regions alone were right as often as with what the network sees.
    sees = not hints.inside
    hints = _closer(picture, hints)
    left, top, right, bottom = hints.window
    part = picture[top:bottom, left:right]
    rough = _decide(part, hints, sees=sees)
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
    small = _shrunk(picture)
    scale = (small.shape[1] / width, small.shape[0] / height)
    rgb = _opaque(small)
    seen: list[Sequence[Point]] = []
    grown: list[Sequence[Point]] = []
    guess: Callable[[Sequence[Point]], Mask] | None = None
    for number, stroke in enumerate(strokes):
        if any(_meets_box(stroke, outline) for outline in seen):
            continue
        found = box_at(rgb, [(x * scale[0], y * scale[1]) for x, y in stroke]) if number < MOST_LOOKS else None
        if found is not None:
            left, top, right, bottom = found
            seen.append(_looser([left / scale[0], right / scale[0]], [top / scale[1], bottom / scale[1]]))
            continue
        guess = guess or _growths(small, hints, scale)
        mask = guess(stroke)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        xs, ys = [x for x, _ in stroke], [y for _, y in stroke]
        if len(rows):
            xs += [float(columns[0]) / scale[0], float(columns[-1] + 1) / scale[0]]
            ys += [float(rows[0]) / scale[1], float(rows[-1] + 1) / scale[1]]
        grown.append(_looser(xs, ys))
    outlines = [*hints.inside, *seen, *grown]
    return replace(hints, inside=outlines, window=_window((width, height), outlines))


def _growths(small: Bytes, hints: _Hints, scale: tuple[float, float]) -> Callable[[Sequence[Point]], Mask]:
    """Return what tells, in a small copy of the picture, the thing that grows from a stroke."""
    sketch = draw_sketch(small)
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    neighbors = Neighbors(labels, sketch.lab)
    never = np.unique(labels[_drawn(sketch, hints, scale, hints.without) & sketch.visible])

    def grow(stroke: Sequence[Point]) -> Mask:
        begun = np.unique(labels[_drawn(sketch, hints, scale, [stroke]) & sketch.visible])
        return neighbors.grown_from(begun, never)[labels] & sketch.visible

    return grow


def _meets_box(stroke: Sequence[Point], outline: Sequence[Point]) -> bool:
    """Return whether a place of a stroke lies in the box around an outline."""
    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    return any(min(xs) <= x <= max(xs) and min(ys) <= y <= max(ys) for x, y in stroke)


def _looser(xs: Sequence[float], ys: Sequence[float]) -> Sequence[Point]:
    """Return the box around places, a little larger."""
    more = 3 + 0.03 * max(max(xs) - min(xs), max(ys) - min(ys))
    return _rectangle(min(xs) - more, min(ys) - more, max(xs) + more, max(ys) + more)


def _rectangle(left: float, top: float, right: float, bottom: float) -> Sequence[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


# Deciding on a small copy.


def _decide(part: Bytes, hints: _Hints, *, sees: bool) -> Floats:
    """Return for the window of a picture how much each place is the thing, 0–1, at a small size."""
    small = _shrunk(part)
    sketch = draw_sketch(small)
    scale = (sketch.visible.shape[1] / part.shape[1], sketch.visible.shape[0] / part.shape[0])
    labels = smooth_merge(oversegment(sketch), sketch.lab)
    on = _drawn(sketch, hints, scale, hints.strokes) & sketch.visible
    # Who points at what is not wanted means all of its color.
    off = _drawn(sketch, hints, scale, hints.without)
    off |= np.isin(labels, np.setdiff1d(labels[off & sketch.visible], labels[on]))
    allowed = sketch.visible & ~off & _drawn(sketch, hints, scale, hints.inside, filled=True)
    known = Known(allowed=allowed, on=on & allowed)
    return decided(sketch, labels, known, _opaque(small) if sees else None)


def _shrunk(part: Bytes) -> Bytes:
    height, width = part.shape[:2]
    scale, size = bounded(height, width, WORK_PIXELS)
    if scale == 1:
        return part
    # Pillow resamples RGBA premultiplied: what is clear colors nothing.
    return np.asarray(Image.fromarray(part, "RGBA").resize(size, Image.Resampling.BOX))


def _opaque(part: Bytes) -> Bytes:
    """Return the colors (height, width, 3) over gray."""
    alpha = part[..., 3:].astype(np.float32) / 255
    return np.rint(part[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)


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

"""The letters of a line of text: which pixels of its box belong to them, and their shadow."""

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, Mask, grown, window_around
from llm_dit.color import norm

PAINTS = 8
"""The number of colors into which the pixels of a box are clustered; the letters' colors are among them."""
NEAR = (11.0, 5.0)
"""CIELAB distances up to which a pixel has the color of a paint; the smaller one separates black type on black."""
LEVEL, TILTED = 12.0, 2.5
"""Degrees up to which a box may belong to a level line, and from which it belongs to a tilted one."""
MARGIN, REACH = 0.5, 5.0
"""The margins of the search above and below a box, and before and after it, as shares of its height."""
TALL, THICK, WIDE = 1.25, 0.2, 4.0
"""The largest height, half stroke width and width of letters, as shares of the box's height."""
SPECK = 0.003
"""The least area of a part of a letter, as a share of the height squared."""
LEAST_SCORE, BESIDE_BEST = 0.25, 0.5
"""The least score of the letters of a line, and their least score relative to the best paint."""
ALIKE = 0.9
"""The relative score from which paints are equally good, so that the widest strokes decide which is the letters'."""
GAP = 0.55
"""The largest gap between letters of a line, as a share of its height."""
PLATE = 0.75
"""The share of its box from which a paint is the plate behind the letters."""
RIM = 0.7
"""The share of a part that must lie along other letters, or in columns of its own, to belong to the text."""
WIDER = 1.4
"""The largest ratio of the stroke width of other paints to that of the best one."""
OUTLINE = 0.12
"""The largest width of an outline, as a share of the height."""


@dataclass(frozen=True, eq=False)
class _Strip:
    """A level copy of a line and its surroundings: `lab` (height, width, 3), the transform `turn` (2, 3) from the
    picture, and the line's `box` (left, top, right, bottom)."""

    lab: Floats
    turn: NDArray[np.float64]
    box: tuple[int, int, int, int]

    @property
    def height(self) -> int:
        """The height of the box."""
        return self.box[3] - self.box[1]


@dataclass(frozen=True, eq=False)
class _Paint:
    """The parts of one color: their `labels` and measures, which may be letters, and which lie in the box."""

    color: Floats
    labels: NDArray[np.int32]
    stats: NDArray[np.int32]
    thick: Floats
    fits: Mask
    inside: Mask
    score: float


def find_letters(rgb: NDArray[np.uint8], corners: Floats) -> Floats:
    """Return each pixel's share of the letters, 0–1, of the line at `corners` (4, 2) in `rgb` (height, width, 3).

    Letters have few paints, each in strokes of one width that run through the whole line (after Epshtein et al.,
    "Detecting text in natural scenes with stroke width transform", CVPR 2010). Letters beside the box count if they
    continue the line, because the networks' boxes end early; an outline counts as part of its letters.
    """
    height, width = rgb.shape[:2]
    along = corners[1] - corners[0]
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    angles = ([0.0] if abs(angle) < LEVEL else []) + ([angle] if abs(angle) >= TILTED else [])
    found = [(_paints(strip), strip) for strip in (_straighten(rgb, corners, turn) for turn in angles)]
    paints, strip = max(found, key=lambda one: max((paint.score for paint in one[0]), default=0.0))
    paints.sort(key=lambda paint: -paint.score)
    # Rims and shadows are as long as their letters, but thinner.
    alike = [paint for paint in paints if paint.score >= ALIKE * paints[0].score]
    if alike:
        paints.insert(0, paints.pop(paints.index(max(alike, key=_stroke))))
    mask = np.zeros(strip.lab.shape[:2], bool)
    for paint in paints:
        if paint.score >= max(BESIDE_BEST * paints[0].score, LEAST_SCORE):
            mask |= _beside(_along(paint, strip), paint, paints[0], mask, strip.height)
    if mask.any():
        mask |= _outline(mask, strip)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(mask.astype(np.float32), strip.turn, (width, height), flags=flags), np.float32)


def _straighten(rgb: NDArray[np.uint8], corners: Floats, angle: float) -> _Strip:
    height, width = rgb.shape[:2]
    middle = corners.mean(axis=0)
    turn = np.asarray(cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, 1.0), np.float64)
    turned = corners @ turn[:, :2].T + turn[:, 2]
    (left, top), (right, bottom) = turned.min(axis=0), turned.max(axis=0)
    tall = bottom - top
    x0, x1, y0, y1 = left - REACH * tall, right + REACH * tall, top - MARGIN * tall, bottom + MARGIN * tall
    if angle == 0:
        x0, x1, y0, y1 = max(0, x0), min(width, x1), max(0, y0), min(height, y1)
    x0, y0 = int(x0), int(y0)
    turn[:, 2] -= (x0, y0)
    strip = cv2.warpAffine(rgb, turn, (max(1, int(x1) - x0), max(1, int(y1) - y0)), borderMode=cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(strip.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    box = (int(left - x0), max(0, int(top - y0)), int(right - x0), int(bottom - y0))
    return _Strip(np.asarray(lab, np.float32), turn, box)


def _paints(strip: _Strip) -> list[_Paint]:
    """Return the colors of the box as candidates for letters."""
    left, top, right, bottom = strip.box
    box = np.zeros(strip.lab.shape[:2], bool)
    box[top:bottom, left:right] = True
    pixels = strip.lab[box]
    if len(pixels) < PAINTS:
        return []
    sample = np.ascontiguousarray(pixels[:: max(1, len(pixels) // 6000)])
    cv2.setRNGSeed(7)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    colors = cv2.kmeans(sample, min(PAINTS, len(sample)), np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)[2]
    away = ((color, norm(strip.lab - color)) for color in colors)
    tried = (_paint(strip, box, color, off < near) for color, off in away for near in NEAR)
    return [paint for paint in tried if paint is not None]


def _paint(strip: _Strip, box: Mask, color: Floats, mine: Mask) -> _Paint | None:
    """Return the parts of a color, visible at `mine` (height, width), as a candidate for letters; None for no parts."""
    count, found, table, _ = cv2.connectedComponentsWithStats(mine.astype(np.uint8), connectivity=8)
    labels, stats = np.asarray(found, np.int32), np.asarray(table, np.int32)
    deep = cv2.distanceTransform(np.pad(mine, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    thick = np.zeros(count, np.float32)
    np.maximum.at(thick, labels[mine], np.asarray(deep, np.float32)[mine])
    tall, area = strip.height, stats[:, cv2.CC_STAT_AREA]
    top, low = stats[:, cv2.CC_STAT_TOP], stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT]
    fits = (low - top <= TALL * tall) & (thick <= THICK * tall) & (area >= max(4, SPECK * tall**2))
    fits &= (top > 0) & (low < strip.lab.shape[0]) & (stats[:, cv2.CC_STAT_WIDTH] < WIDE * tall)
    fits[0] = False
    inside = fits & (np.bincount(labels[box], minlength=count) > 0.6 * area)
    letters = inside[labels] & box
    if letters.sum() < 10:
        return None
    left, _, right, _ = strip.box
    cover = float(letters[:, left:right].any(axis=0).mean())
    pure = float(letters.sum() / (mine & box).sum())
    share = float(letters.sum() / box.sum())
    # Specks of a texture are many parts without a common stroke width.
    strokes = float((area * (thick > 0.5 * thick[inside].max()))[inside].sum() / area[inside].sum())
    # Letters fill a part of their box: less is a speck, more is the plate behind them.
    filled = min(1.0, share / 0.06) * float(np.clip((PLATE - share) / 0.2, 0, 1))
    # A color that is as common around the line belongs to the background; larger parts of its color do not count.
    like = mine & (thick <= THICK * tall)[labels]
    within, beyond = float(like[box].mean()), float(like[~box].mean())
    own = float(np.clip(1 - beyond / within, 0.1, 1))
    return _Paint(color, labels, stats, thick, fits, inside, cover * pure * strokes * filled * own)


def _along(paint: _Paint, strip: _Strip) -> Mask:
    """Return the parts of a paint that are letters of the line, including those beside its box."""
    stats, tall = paint.stats, strip.height
    left, wide = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_WIDTH]
    top, high = stats[:, cv2.CC_STAT_TOP], stats[:, cv2.CC_STAT_HEIGHT]
    kept = paint.inside.copy()
    usual = float(np.median(paint.thick[kept & (high > 0.35 * tall)])) if (kept & (high > 0.35 * tall)).any() else 0.0
    kept &= (paint.thick > 0.3 * usual) | (high > 0.35 * tall)
    in_line = paint.fits & (top >= strip.box[1] - 0.15 * tall) & (top + high <= strip.box[3] + 0.25 * tall)
    in_line &= (paint.thick > 0.45 * usual) & (paint.thick < 1.8 * usual)
    while kept.any():
        start, end = left[kept].min(), (left + wide)[kept].max()
        beside = (left >= end - 2) | (left + wide <= start + 2)
        new = in_line & ~kept & (left <= end + GAP * tall) & (left + wide >= start - GAP * tall)
        new &= ~beside | (high > 0.35 * tall)
        if not new.any():
            break
        kept |= new
    return kept[paint.labels]


def _beside(letters: Mask, paint: _Paint, best: _Paint, mask: Mask, tall: int) -> Mask:
    """Return the parts of a paint's `letters` that are rims of better paints' letters, `mask`, or letters beside them
    in strokes hardly wider than those of the best paint.

    What lies between letters and is not a rim is the surface behind them.
    """
    if paint is best:
        return letters
    count = len(paint.stats)
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    labels = np.where(letters, paint.labels, 0).ravel()
    area = np.maximum(np.bincount(labels, minlength=count), 1)
    kept = np.bincount(labels, (np.asarray(away) <= OUTLINE * tall + 1).ravel(), count) > RIM * area
    # A rim is thin, unless it fills an outline, which may have small gaps.
    open_ = cv2.dilate(np.pad(mask, 2).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    places = np.asarray(cv2.connectedComponents(open_.astype(np.uint8), connectivity=4)[1])
    filled = np.bincount(labels, (places != places[0, 0])[2:-2, 2:-2].ravel(), count) > RIM * area
    kept &= (paint.thick <= OUTLINE / 2 * tall + 1) | filled
    if _stroke(paint) < WIDER * _stroke(best):
        columns = np.flatnonzero(mask.any(axis=0))
        taken = np.ones(mask.shape[1], bool)
        taken[max(0, columns[0] - round(GAP * tall)) : columns[-1] + round(GAP * tall)] = False
        taken |= mask.any(axis=0)
        shared = np.bincount(labels, np.broadcast_to(taken, mask.shape).ravel(), count)
        kept |= shared < (1 - RIM) * area
    return letters & kept[paint.labels]


def _stroke(paint: _Paint) -> float:
    """Return half the stroke width of a paint, in pixels."""
    return float(np.average(paint.thick[paint.inside], weights=paint.stats[paint.inside, cv2.CC_STAT_AREA]))


def _outline(mask: Mask, strip: _Strip) -> Mask:
    """Return the outline of one paint around the letters of `mask`, all False if there is none."""
    away = np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    close, far = (away > 1.5) & (away <= 3), (away > 0.3 * strip.height) & (away < 0.5 * strip.height)
    none = np.zeros_like(mask)
    if close.sum() < 20 or far.sum() < 20:
        return none
    color = np.median(strip.lab[close], axis=0)
    alike = norm(strip.lab - color) < 2 * NEAR[0]
    if alike[close].mean() < 0.7 or alike[far].mean() > 0.5 * alike[close].mean():
        return none
    width, most = 3.0, OUTLINE * strip.height
    while width < most and alike[(away > width) & (away <= width + 1)].mean() > 0.6:
        width += 1
    return alike & (away <= width + 0.5) | (away <= 1.5)


# The shadow of letters.


COPY_TALL = 32
"""The largest height of letters, in pixels, on the copy on which their shadow is found."""
FALL, STEPS = 0.3, 13
"""The largest offset of a shadow, as a share of the letters' height, and the positions first tried on each axis."""
BLURS = (0.02, 0.06, 0.12, 0.2)
"""The blurs of a shadow: standard deviations, as shares of the letters' height."""
AROUND = 0.8
"""The margin around letters for the search, as a share of their height."""
DARK, AGREES = (0.12, 1.05), 0.55
"""The range of a shadow's measured darkness, where 1 is black, and its least coefficient of correlation with what is
darker."""
MIXED = 2
"""Pixels of the copy around letters that may be mixed with them."""
LEAST_BESIDE = 50
"""The least number of pixels of the copy, near the letters and farther around, that show a shadow."""


def find_shadow(rgb: Bytes, letters: Mask) -> Floats | None:
    """Return how dark the shadow of some `letters` (height, width) makes each pixel of `rgb` (height, width, 3), 0–1;
    None if they have no shadow.

    A shadow is the letters themselves, shifted and blurred. The result is the one that correlates best with how much
    darker the picture is beside the letters than farther around them.
    """
    stats = np.asarray(cv2.connectedComponentsWithStats(letters.astype(np.uint8))[2])[1:]
    tall = float(np.median(stats[:, cv2.CC_STAT_HEIGHT])) if len(stats) else 0
    if tall < 4:
        return None
    scale = min(1.0, COPY_TALL / tall)
    window = window_around(letters, round((AROUND + FALL) * tall) + 2)
    size = tuple(max(1, round(side * scale)) for side in letters[window].shape[::-1])
    small = np.asarray(cv2.resize(rgb[window].mean(axis=2).astype(np.float32), size, interpolation=cv2.INTER_AREA))
    shape = np.asarray(cv2.resize(letters[window].astype(np.float32), size, interpolation=cv2.INTER_AREA))
    tall *= scale
    beside = ~grown(shape > 0.02, MIXED)
    near = beside & grown(shape > 0.5, round((FALL + BLURS[-1]) * tall))
    far = beside & ~near
    if min(near.sum(), far.sum()) < LEAST_BESIDE:
        return None
    behind = spread(np.dstack([small] * 3), far.astype(np.float32))[..., 0]
    darker = (1 - small / np.maximum(behind, 1)).clip(-1, 1)
    shadow = _best(shape, darker, near, tall)
    if shadow is None:
        return None
    enlarged = cv2.resize(shadow, letters[window].shape[::-1], interpolation=cv2.INTER_LINEAR)
    result = np.zeros(letters.shape, np.float32)
    result[window] = np.asarray(enlarged).clip(0, 1)
    return result


def _best(shape: Floats, darker: Floats, near: Mask, tall: float) -> Floats | None:
    """Return the shadow of a `shape` (height, width), 0–1, that correlates best with `darker` at the pixels `near`.

    A linear change across the picture belongs to the background and is ignored.
    """
    rows, columns = np.nonzero(near)
    even = np.linalg.qr(np.stack([np.ones(len(rows)), rows, columns], axis=1))[0].astype(np.float32)
    values = _without(even, darker[near])
    size = max(float(np.linalg.norm(values)), 1e-6)

    def tried(down: float, across: float, blur: float) -> tuple[float, float, Floats]:
        soft = cv2.GaussianBlur(shape, (0, 0), max(0.3, blur * tall))
        moved = cv2.warpAffine(soft, np.array([[1, 0, across], [0, 1, down]], np.float32), soft.shape[::-1])
        here = _without(even, moved[near])
        length, common = max(float(np.linalg.norm(here)), 1e-6), float(here @ values)
        dark = common / length**2
        return (common / (length * size) if DARK[0] < dark < DARK[1] else 0.0), dark, np.asarray(moved)

    far = FALL * tall
    steps = np.linspace(-far, far, STEPS)
    place = max(product(steps, steps, BLURS), key=lambda place: tried(*place)[0])
    finer = np.linspace(-1, 1, 5) * far / STEPS
    near_it = product(place[0] + finer, place[1] + finer, place[2] * np.array([0.6, 0.8, 1, 1.25, 1.5]))
    agree, dark, shadow = tried(*max(near_it, key=lambda place: tried(*place)[0]))
    return shadow * min(dark, 1.0) if agree > AGREES else None


def _without(even: Floats, values: Floats) -> Floats:
    """Return values (n) without their projections on the columns of `even` (n, k), which have length 1."""
    return values - even @ (even.T @ values)

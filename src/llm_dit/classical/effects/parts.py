"""Locating a named part in a layer: by the subject, by a color, or by the typical look of such things; never a guess.

Also the effect that needs only the subject: removing its background.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import bleed
from llm_dit.classical.effects.adjustments import similarity
from llm_dit.classical.operations import (
    Floats,
    Operation,
    Part,
    Picture,
    Scene,
    chroma,
    refusal,
    sample_lab,
    smoothstep,
    strips,
    to_oklab,
)
from llm_dit.classical.seeing.networks import SUBJECT, is_set_up
from llm_dit.classical.seeing.subject import SURE, find_subject, saliency
from llm_dit.color import Rgb

# The image side for finding parts whose shape matters.
_SEARCH_SIDE = 480
# A color with a smaller share of the layer is a detail of something; with a larger share, it is the whole layer.
_LEAST, _ALL = 0.004, 0.97
# The chroma from which a color has a hue.
_COLORED = 0.055
# The least share of one hue among the colors with a hue for the meaning to be clear.
_CLEAR = 0.8
# The share of one hue from which a layer is a single piece of something, or a single tree with its trunk.
_ONE_COLOR, _MAINLY_ONE = 0.95, 0.65

_NATURAL: dict[str, tuple[Rgb, ...]] = {
    "sky": ((110, 170, 230), (60, 110, 200)),
    "plant": ((80, 140, 60),),
    "water": ((60, 120, 190), (60, 160, 180)),
    "sun": ((250, 200, 60),),
    "fire": ((240, 120, 30),),
    "snow": ((245, 248, 250),),
    "lips": ((200, 50, 70),),
}
# The vertical range of a garment's center, as shares of the height of the visible part.
_WORN: dict[str, tuple[float, float]] = {
    "upper garment": (0.2, 0.72),
    "lower garment": (0.45, 0.95),
    "hat": (0.0, 0.33),
    "shoes": (0.75, 1.0),
    "garment": (0.2, 0.95),
}
_NOWHERE: Floats = np.zeros(0, np.float32)
"""The result if it is not clear which pixels are meant."""


def find_part(picture: Picture, part: Part, scene: Scene) -> Floats | None:
    """Return each pixel's degree of membership in the part, 0–1, or None if the whole layer is meant.

    Raises `InstructionError` if it is not clear which pixels are meant.
    """
    match part.kind:
        case "thing":
            subject = None if is_cut_out(picture) else scene.subject(picture)
            if subject is None and not is_cut_out(picture) and not _has_one_color(picture, _MAINLY_ONE):
                raise refusal("unclear_part", part=part.name)
            return subject
        case "ground":
            if is_cut_out(picture):
                raise refusal("no_background")
            subject = scene.subject(picture)
            if subject is None:
                raise refusal("no_subject")
            return 1.0 - subject
        case "color":
            assert part.color
            mask = _like(picture, (part.color,))
            if _share(picture, mask) < _LEAST:
                raise refusal("no_such_color")
            return mask
        case "piece" | "scenery":
            alike = _ONE_COLOR if part.kind == "piece" else _MAINLY_ONE
            found = None if is_cut_out(picture) and _has_one_color(picture, alike) else _NOWHERE
        case "letters":
            found = _letters(picture)
        case "garment":
            found = _garment(picture, part.key)
        case "natural":
            found = _natural(picture, part.key)
    if found is not None and found.size == 0:
        raise refusal("unclear_part", part=part.name)
    return found


def _like(picture: Picture, colors: tuple[Rgb, ...]) -> Floats:
    """Return how well each pixel matches the name of one of the colors, 0–1."""
    masks = [similarity(color) for color in colors]
    found = np.empty_like(picture.alpha)
    for rows in strips(len(found)):
        lab = to_oklab(picture.colors[rows])
        found[rows] = np.max([mask(lab) for mask in masks], axis=0)
    return found


def _share(picture: Picture, mask: Floats) -> float:
    return float((mask * picture.alpha).sum() / picture.alpha.sum())


def _has_one_color(picture: Picture, alike: float) -> bool:
    """Whether most of the layer has a hue, more than the share `alike` of it the same one, or hardly any has a hue."""
    lab, weights = sample_lab(picture)
    _, weight, around = _hues(lab[:, 0], weights)
    return weight < 0.02 * weights.sum() or (around > alike and weight > 0.6 * weights.sum())


def _hues(lab: Floats, weights: Floats) -> tuple[float, float, float]:
    """Return the most common hue in radians, the weight of colors with a hue, and the share of this hue in it."""
    colored = weights * (np.hypot(lab[:, 1], lab[:, 2]) > _COLORED)
    hue = np.arctan2(lab[:, 2], lab[:, 1])
    counts, _ = np.histogram(hue, 72, (-np.pi, np.pi), weights=colored)
    smooth = sum(np.roll(counts, step) for step in range(-4, 5))
    middle = -np.pi + (int(np.argmax(smooth)) + 0.5) * np.pi / 36
    near = np.abs(np.angle(np.exp(1j * (hue - middle)))) < 0.45
    weight = float(colored.sum())
    return middle, weight, float(colored[near].sum()) / max(weight, 1e-6)


def _garment(picture: Picture, key: str) -> Floats | None:
    """Return the part of a figure in its one strong color other than skin, if it lies where the garment is worn."""
    lab, weights = sample_lab(picture)
    samples = lab[:, 0]
    weights = weights * (1.0 - _skin(samples))
    hue, weight, around = _hues(samples, weights)
    if around < _CLEAR or weight < 0.03 * weights.sum():
        return _NOWHERE

    mask = np.empty_like(picture.alpha)
    for rows in strips(len(mask)):
        values = to_oklab(picture.colors[rows])
        turn = np.abs(np.angle(np.exp(1j * (np.arctan2(values[..., 2], values[..., 1]) - hue))))
        mask[rows] = (1.0 - smoothstep(turn, 0.4, 0.65)) * smoothstep(chroma(values), 0.03, 0.06)
        mask[rows] *= 1.0 - _skin(values)
    if _share(picture, mask) > 0.85:
        return None
    _, top, _, bottom = picture.box
    seen = (mask * picture.alpha).sum(axis=1)
    middle = (float((np.arange(len(seen)) * seen).sum() / max(seen.sum(), 1e-6)) - top) / max(bottom - top, 1)
    low, high = _WORN[key]
    return mask if low <= middle <= high else _NOWHERE


def _skin(lab: Floats) -> Floats:
    """Return how well OKLab values match skin and brown hair, light or dark: orange with low chroma."""
    hue = np.arctan2(lab[..., 2], lab[..., 1])
    strong = np.hypot(lab[..., 1], lab[..., 2])
    return (1.0 - smoothstep(np.abs(hue - 0.95), 0.35, 0.5)) * (1.0 - smoothstep(strong, 0.1, 0.13))


def _natural(picture: Picture, key: str) -> Floats | None:
    """Return the pixels with the natural color of a thing; a sky must start at the top."""
    mask = _like(picture, _NATURAL[key])
    share = _share(picture, mask)
    if is_cut_out(picture) and share > 0.85:
        return None
    unsure = float((((mask > 0.2) & (mask < 0.8)) * picture.alpha).sum() / picture.alpha.sum())
    if share < 0.02 or share > _ALL or unsure > 0.35 * share:
        return _NOWHERE
    if key == "sky":
        return _from_the_top(picture, mask)
    return mask


def _from_the_top(picture: Picture, mask: Floats) -> Floats:
    """Return the part of a mask connected to the top of the visible part, or _NOWHERE if it is a small share."""
    left, top, right, _ = picture.box
    _, labels = cv2.connectedComponents((mask > 0.5).astype(np.uint8))
    touching = np.setdiff1d(labels[top : top + 3, left:right], [0])
    hanging = np.isin(labels, touching).astype(np.uint8)
    if _share(picture, hanging * mask) < 0.6 * _share(picture, mask):
        return _NOWHERE
    return mask * cv2.GaussianBlur(cv2.dilate(hanging, np.ones((5, 5), np.uint8)).astype(np.float32), (0, 0), 1.0)


def _letters(picture: Picture) -> Floats | None:
    """Return the thin strokes of one color on an even background; None if the layer contains nothing else."""
    height, width = picture.alpha.shape
    scale = min(_SEARCH_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    colors = cv2.resize(picture.colors, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(picture.alpha, size, interpolation=cv2.INTER_AREA) > 0.5
    if not seen.any():
        return _NOWHERE
    lab = to_oklab(np.asarray(colors, np.float32))
    tones = _two_tones(lab[seen])
    if tones is None:
        return None if _is_strokes(seen, seen) else _NOWHERE
    near = np.stack([np.linalg.norm(lab - tone, axis=-1) for tone in tones]).argmin(axis=0)
    strokes = [index for index in (0, 1) if _is_strokes(seen & (near == index), seen)]
    if len(strokes) != 1:
        return None if len(strokes) == 2 and _is_strokes(seen, seen) else _NOWHERE
    own, other = tones[strokes[0]], tones[1 - strokes[0]]
    way = own - other
    mask = np.empty_like(picture.alpha)
    for rows in strips(height):
        along = ((to_oklab(picture.colors[rows]) - other) @ way) / float(way @ way)
        mask[rows] = smoothstep(along, 0.15, 0.85)
    return mask


def _two_tones(samples: Floats) -> Floats | None:
    """Return the two colors of a layer, or None if it has one color or more than two."""
    if len(samples) < 16:
        return None
    values = np.ascontiguousarray(samples[:: max(1, len(samples) // 20_000)], np.float32)
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, labels, means = cv2.kmeans(values, 2, np.empty(0, np.int32), criteria, 3, cv2.KMEANS_PP_CENTERS)
    centres = np.asarray(means, np.float32)
    apart = float(np.linalg.norm(centres[0] - centres[1]))
    off = np.linalg.norm(values - centres[np.asarray(labels, np.intp)[:, 0]], axis=-1)
    return centres if apart > 0.2 and float((off < 0.4 * apart).mean()) > 0.85 else None


def _is_strokes(mask: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    """Whether a mask is thin for its area and all its pieces have one stroke width: writing rather than a shape."""
    area = int(mask.sum())
    if area < 12 or (area > 0.6 * seen.sum() and mask is not seen):
        return False
    deep = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    thick = 2.0 * float(np.quantile(deep[deep > 0], 0.95))
    return area > 6.0 * thick**2


# The subject, and removing its background: cut softly, with a clean edge.


# The long side of the image for finding the subject; its edge is refined at full size.
_SUBJECT_SIDE = 360
# A layer that fills less of its own box is already cut out.
_FILLS_BOX = 0.85
_BORDER_COLORS = 6
# Distances in OKLab below which nothing differs enough from the border to be a subject.
_STANDS_OUT = 0.1
_STRIP = 512
_WHITE = 1.0
_SURELY, _PERHAPS = 0.8, 0.2
# The least intersection over union of the subject and the network's map.
_AGREE = 0.6


def cutout(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Remove the subject's background: it becomes transparent, or white if the shape must stay.

    A layer that is already cut out, or without a distinct subject, does not change.
    """
    if is_cut_out(picture):
        return picture
    matte = scene.subject(picture)
    if matte is None:
        return picture
    subject = _clean_edge(_as_bytes(picture.colors), matte)
    if scene.shape == "keep":
        picture.colors[:] = _WHITE + (subject - _WHITE) * matte[..., None]
        return picture
    return replace(picture, colors=subject, alpha=picture.alpha * matte)


def is_cut_out(picture: Picture) -> bool:
    """Whether a layer is a thing without its background: it fills its own box only in part."""
    left, top, right, bottom = picture.box
    return bool((picture.alpha[top:bottom, left:right] > 0.5).mean() < _FILLS_BOX)


def _as_bytes(colors: Floats) -> NDArray[np.uint8]:
    """Return colors 0–1 as bytes."""
    return np.rint(colors.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def subject_of(picture: Picture) -> Floats | None:
    """Return each pixel's membership in the subject, 0–1 (height, width), or None if nothing stands out clearly."""
    left, top, right, bottom = picture.box
    inside = np.s_[top:bottom, left:right]
    colors = _as_bytes(picture.colors[inside])
    found = _seen(colors) if is_set_up(SUBJECT) else _by_standing_out(colors)
    if found is None:
        return None
    matte = np.zeros_like(picture.alpha)
    matte[inside] = found
    return matte


def _by_standing_out(colors: NDArray[np.uint8]) -> Floats | None:
    found = _salient(colors)
    return None if found is None else _refined(found, colors)


def _seen(colors: NDArray[np.uint8]) -> Floats | None:
    """Return the subject of the whole picture, or None. One thing among many does not count as a subject."""
    likely = saliency(colors)
    core = likely > _SURELY
    if core.sum() < SURE * (likely > _PERHAPS).sum() or not core.any():
        return None
    found = find_subject(colors)
    if found is None or not found.sure:
        return None
    outlined, whole = found.alpha > 0.5, likely > 0.5
    return found.alpha if (outlined & whole).sum() >= _AGREE * (outlined | whole).sum() else None


# Saliency relative to the border, if the network is not installed.


def _salient(colors: NDArray[np.uint8]) -> Floats | None:
    """Return a hard mask (0 or 1) of the subject at a small size, or None if nothing stands out.

    GrabCut (Rother et al., "GrabCut", SIGGRAPH 2004), initialized with the salient pixels.
    """
    height, width = colors.shape[:2]
    scale = min(_SUBJECT_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(colors, size, interpolation=cv2.INTER_AREA)
    if min(size) < 16:
        return None
    saliency = _saliency(to_oklab(small.astype(np.float32) / np.float32(255.0)))
    if saliency.max() < _STANDS_OUT:
        return None
    threshold = max(_otsu(saliency), 0.5 * _STANDS_OUT)
    mask = np.where(saliency > threshold, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[saliency > threshold + 0.35 * (saliency.max() - threshold)] = cv2.GC_FGD
    mask[_border(mask.shape, 1) & (saliency < threshold)] = cv2.GC_BGD
    if not (mask & 1).any() or (mask & 1).all():
        return None
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    mask = cv2.grabCut(small, mask, (0, 0, 1, 1), *models, 4, cv2.GC_INIT_WITH_MASK)[0]
    subject = _large_parts(np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    return subject.astype(np.float32) if 0.01 < subject.mean() < 0.92 else None


def _refined(mask: Floats, colors: NDArray[np.uint8]) -> Floats:
    """Return the mask at the size of `colors`, its edge aligned to theirs by a guided filter (He et al., ECCV 2010)."""
    height, width = colors.shape[:2]
    radius = max(round(1.2 * max(height, width) / max(mask.shape)), 2)
    rough = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    matte = np.empty_like(rough)
    for top in range(0, height, _STRIP):
        # The margin covers the filter's support, so that the strips join without a seam.
        first, last = max(top - 4 * radius, 0), min(top + _STRIP + 4 * radius, height)
        guide = colors[first:last].astype(np.float32) / np.float32(255.0)
        filtered = cv2.ximgproc.guidedFilter(guide, rough[first:last], 2 * radius, 1e-5)
        matte[top : top + _STRIP] = filtered[top - first : top - first + _STRIP]
    # Stretching the midrange removes the haze that the filter leaves beside the edge.
    return ((matte - 0.32) / 0.4).clip(0.0, 1.0)


def _saliency(lab: Floats) -> Floats:
    """Return each pixel's distance from the border, by the path between them and by color.

    The path distance is the minimum barrier distance (Zhang et al., "Minimum Barrier Salient Object Detection at 80
    FPS", ICCV 2015): the least range of a channel on any path to the border. The inside of a different thing is far.
    """
    border = _border(lab.shape[:2], max(2, round(0.02 * max(lab.shape[:2]))))
    barrier = sum(_barrier_distance(np.ascontiguousarray(lab[..., channel]), border) for channel in range(3))
    return np.asarray(cv2.GaussianBlur(barrier + 0.5 * _color_distance(lab, border), (0, 0), 1.5), np.float32)


def _barrier_distance(values: Floats, border: NDArray[np.bool_]) -> Floats:
    """Return the minimum barrier distance to `border`, by sweeps down, up, right and left until little changes."""
    highest, lowest = values.copy(), values.copy()
    distance = np.where(border, np.float32(0.0), np.float32(np.inf))
    planes = values, highest, lowest, distance
    for _ in range(3):
        for turned in (planes, tuple(plane.T for plane in planes)):
            for order in (range(1, len(turned[0])), range(len(turned[0]) - 2, -1, -1)):
                _sweep(turned, order)
    return distance


def _sweep(planes: tuple[Floats, ...], order: range) -> None:
    """Update each row with the path through the row before it, where its barrier is lower."""
    values, highest, lowest, distance = planes
    for row in order:
        before = row - order.step
        high, low = np.maximum(highest[before], values[row]), np.minimum(lowest[before], values[row])
        better = high - low + np.where(np.isinf(distance[before]), np.inf, 0.0) < distance[row]
        highest[row][better], lowest[row][better] = high[better], low[better]
        distance[row][better] = (high - low)[better]


def _color_distance(lab: Floats, border: NDArray[np.bool_]) -> Floats:
    """Return each pixel's distance from the nearest common color of the border, in OKLab."""
    samples = lab[border]
    count = min(_BORDER_COLORS, len(np.unique(samples.round(3), axis=0)))
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, labels, centres = cv2.kmeans(samples, count, np.empty(0), criteria, 2, cv2.KMEANS_PP_CENTERS)
    common = np.bincount(labels[:, 0], minlength=count) > 0.06 * len(samples)
    distances = [np.linalg.norm(lab - centre, axis=-1) for centre in centres[common]]
    return np.min(distances, axis=0).astype(np.float32)


def _border(shape: tuple[int, ...], width: int) -> NDArray[np.bool_]:
    """Return the border without the middle of its lower side, where people and things stand."""
    border = np.ones(shape, np.bool_)
    border[width:-width, width:-width] = False
    border[-width:, shape[1] // 8 : -shape[1] // 8] = False
    return border


def _otsu(values: Floats) -> float:
    """Return the threshold that separates the values best (Otsu, 1979)."""
    top = float(values.max())
    level, _ = cv2.threshold(np.rint(values / top * 255.0).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return level / 255.0 * top


def _large_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without specks and pinholes."""
    for wanted in (True, False):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == wanted).astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        limit = 0.04 * areas.max(initial=0) if wanted else 0.0015 * mask.size
        for label in range(1, count):
            if areas[label - 1] < limit:
                mask = np.where(labels == label, not wanted, mask)
    return mask


def _clean_edge(colors: NDArray[np.uint8], matte: Floats) -> Floats:
    """Return the colors with the background removed from the edge: the sure subject's colors are extended into it."""
    sure = np.dstack([colors, np.where(matte > 0.97, 255, 0).astype(np.uint8)])
    spread = np.asarray(bleed(Image.fromarray(sure, "RGBA")))[..., :3]
    own = np.clip((matte - 0.75) / 0.22, 0.0, 1.0)[..., None]
    return (spread * (1.0 - own) + colors * own).astype(np.float32) / np.float32(255.0)

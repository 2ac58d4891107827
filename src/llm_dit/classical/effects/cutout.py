"""Removing the background: what a layer shows in front of it, cut softly, with a clean edge."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import bleed
from llm_dit.classical.effects.picture import Floats, Picture, Scene, to_oklab
from llm_dit.classical.operations import Operation
from llm_dit.classical.seeing.networks import SUBJECT, is_set_up
from llm_dit.classical.seeing.subject import SURE, find_subject, saliency

# The long side at which the subject is looked for; its edge is refined at full size.
_SEARCH_SIDE = 360
# A layer that fills less of its own box has been cut out already.
_FILLS_BOX = 0.85
_BORDER_COLORS = 6
# Distances in OKLab below which nothing is different enough from the border to be a subject.
_STANDS_OUT = 0.1
_STRIP = 512
_WHITE = 1.0
_SURELY, _PERHAPS = 0.8, 0.2
# The least share that what is seen and its outline have in common.
_AGREE = 0.6


def cutout(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Take away what lies around the subject: it becomes transparent, or white where the shape has to stay.

    A layer that is cut out already, and one in which nothing stands out, stays as it is.
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
    """Whether a layer is a thing without what lay around it: it fills its own box in part only."""
    left, top, right, bottom = picture.box
    return bool((picture.alpha[top:bottom, left:right] > 0.5).mean() < _FILLS_BOX)


def _as_bytes(colors: Floats) -> NDArray[np.uint8]:
    """Return colors of 0–1 as bytes."""
    return np.rint(colors.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def subject_of(picture: Picture) -> Floats | None:
    """Return how far each pixel is of the subject, 0–1 (height, width), or None when nothing stands out clearly."""
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
    """Return the subject of all of the picture. A single thing of many is not what has a background."""
    likely = saliency(colors)
    core = likely > _SURELY
    if core.sum() < SURE * (likely > _PERHAPS).sum() or not core.any():
        return None
    found = find_subject(colors)
    if found is None or not found.sure:
        return None
    outlined, whole = found.alpha > 0.5, likely > 0.5
    return found.alpha if (outlined & whole).sum() >= _AGREE * (outlined | whole).sum() else None


# What stands out from the border, where the network is not set up.


def _salient(colors: NDArray[np.uint8]) -> Floats | None:
    """Return a hard mask (0 or 1) of the subject at a small size, or None when nothing stands out.

    GrabCut (Rother et al., "GrabCut", SIGGRAPH 2004), started from what is salient.
    """
    height, width = colors.shape[:2]
    scale = min(_SEARCH_SIDE / max(height, width), 1.0)
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
    """Return the mask at the size of `colors`, its edge drawn to theirs by a guided filter (He et al., ECCV 2010)."""
    height, width = colors.shape[:2]
    radius = max(round(1.2 * max(height, width) / max(mask.shape)), 2)
    rough = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    matte = np.empty_like(rough)
    for top in range(0, height, _STRIP):
        # The margin is what the filter sees, so that the strips join without a seam.
        first, last = max(top - 4 * radius, 0), min(top + _STRIP + 4 * radius, height)
        guide = colors[first:last].astype(np.float32) / np.float32(255.0)
        filtered = cv2.ximgproc.guidedFilter(guide, rough[first:last], 2 * radius, 1e-5)
        matte[top : top + _STRIP] = filtered[top - first : top - first + _STRIP]
    # Stretching the middle takes away the veil that the filter leaves beside the edge.
    return ((matte - 0.32) / 0.4).clip(0.0, 1.0)


def _saliency(lab: Floats) -> Floats:
    """Return how far each pixel is from the border, by what lies between and by color.

    The first is the minimum barrier distance (Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS",
    ICCV 2015): the least range of a channel on any way to the border. What a different thing encloses is far.
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
    """Offer each row the way through the row before it, and take it where its barrier is lower."""
    values, highest, lowest, distance = planes
    for row in order:
        before = row - order.step
        high, low = np.maximum(highest[before], values[row]), np.minimum(lowest[before], values[row])
        better = high - low + np.where(np.isinf(distance[before]), np.inf, 0.0) < distance[row]
        highest[row][better], lowest[row][better] = high[better], low[better]
        distance[row][better] = (high - low)[better]


def _color_distance(lab: Floats, border: NDArray[np.bool_]) -> Floats:
    """Return how far each pixel is from the nearest common color of the border, in OKLab."""
    samples = lab[border]
    count = min(_BORDER_COLORS, len(np.unique(samples.round(3), axis=0)))
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, labels, centres = cv2.kmeans(samples, count, np.empty(0), criteria, 2, cv2.KMEANS_PP_CENTERS)
    common = np.bincount(labels[:, 0], minlength=count) > 0.06 * len(samples)
    distances = [np.linalg.norm(lab - centre, axis=-1) for centre in centres[common]]
    return np.min(distances, axis=0).astype(np.float32)


def _border(shape: tuple[int, ...], width: int) -> NDArray[np.bool_]:
    """Return the border without the middle of its lower side: people and things stand on that."""
    border = np.ones(shape, np.bool_)
    border[width:-width, width:-width] = False
    border[-width:, shape[1] // 8 : -shape[1] // 8] = False
    return border


def _otsu(values: Floats) -> float:
    """Return the threshold that parts the values best (Otsu, 1979)."""
    top = float(values.max())
    level, _ = cv2.threshold(np.rint(values / top * 255.0).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return level / 255.0 * top


def _large_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask without specks and without pinholes."""
    for wanted in (True, False):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == wanted).astype(np.uint8))
        areas = stats[1:, cv2.CC_STAT_AREA]
        limit = 0.04 * areas.max(initial=0) if wanted else 0.0015 * mask.size
        for label in range(1, count):
            if areas[label - 1] < limit:
                mask = np.where(labels == label, not wanted, mask)
    return mask


def _clean_edge(colors: NDArray[np.uint8], matte: Floats) -> Floats:
    """Return the colors with the background's taken out of the edge: those of the sure subject spread into it."""
    sure = np.dstack([colors, np.where(matte > 0.97, 255, 0).astype(np.uint8)])
    spread = np.asarray(bleed(Image.fromarray(sure, "RGBA")))[..., :3]
    own = np.clip((matte - 0.75) / 0.22, 0.0, 1.0)[..., None]
    return (spread * (1.0 - own) + colors * own).astype(np.float32) / np.float32(255.0)

"""What lies softly on the ground: the shadows and lights of things, and mist."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.ground import Ground
from llm_dit.classical.layering.matte import Halo
from llm_dit.classical.layering.regions import Floats, Labels, Regions, Sketch, compact, depth, nearest_label

Mask = NDArray[np.bool_]
ALIGNED = 0.96
"""Cosine between two color differences from which they have one direction."""
SIMILAR = 0.8
"""Cosine from which a light may be that of a thing of another color."""
NEAR = 6
"""Pixels from its thing within which a shadow or glow begins."""
FAINT = 0.01
"""The alpha below which a shadow or glow has ended."""
LIKE_ONE = 0.97
"""The length of a sum over the sum of lengths, from which many differences are of one direction."""


def sort_soft(regions: Regions, ground: int, fit: Ground, sketch: Sketch) -> Labels:
    """Return the labels with the soft things sorted out: rings of shadow and glow given to the ground, where they are
    found again as halos, and mist on the ground made a region of its own."""
    labels = regions.labels.copy()
    for shell in _shells(regions, ground, fit, sketch):
        labels[regions.labels == shell] = ground
    return compact(_with_mist(labels, ground, fit, regions, sketch))


def _shells(regions: Regions, ground: int, fit: Ground, sketch: Sketch) -> list[int]:
    """Return the regions that are the outer part of a shadow or glow of the thing they surround."""
    found = []
    side = min(regions.labels.shape)
    candidates = (regions.shared[ground] > 0) & (regions.thick < 0.07 * side)
    candidates[ground] = False
    away = cv2.distanceTransform((regions.labels != ground).astype(np.uint8), cv2.DIST_L2, 3)
    means = _inner_means(regions.labels, sketch.rgb)
    for one in np.flatnonzero(candidates).tolist():
        left, top, right, bottom = regions.box[one].astype(int)
        rows, columns = np.nonzero(regions.labels[top:bottom, left:right] == one)
        places = (rows + top, columns + left)
        off = (sketch.rgb[places] - fit.field[places]).mean(axis=0)
        strength = float(np.linalg.norm(off))
        lower = fit.field[places].mean(axis=0)
        outline = regions.shared[one].sum()
        things = [
            other
            for other in np.flatnonzero(regions.shared[one] > 0.02 * outline).tolist()
            if other != ground and regions.area[other] > 0.5 * regions.area[one]
        ]
        dark = _cosine(off, -lower) > ALIGNED and strength < 0.8 * np.linalg.norm(lower)
        length = np.linalg.norm(sketch.rgb[places] - fit.field[places], axis=-1)
        rim = length[(away[places] > 1.5) & (away[places] < 3.5)]
        # A shadow fades: at its rim it is weaker than it becomes inside. The very first pixel is any edge's blur.
        fades = len(rim) > 0 and float(np.median(rim)) < 0.7 * float(np.percentile(length, 90))
        if things and fades and (dark or _glows(off, strength, lower, means[things])):
            found.append(one)
    return found


def _glows(off: Floats, strength: float, lower: Floats, things: Floats) -> bool:
    """Return whether `off` leads from the color `lower` towards that of one of `things` (n, 3)."""
    spans = things - lower
    return any(_cosine(off, span) > ALIGNED and strength < 0.9 * np.linalg.norm(span) for span in spans)


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-6))


def _with_mist(labels: Labels, ground: int, fit: Ground, regions: Regions, sketch: Sketch) -> Labels:
    """Return `labels` with large soft things on the ground that are no thing's halo as new regions."""
    on_ground = labels == ground
    strong = on_ground & (np.linalg.norm(fit.off, axis=-1) > 2 * fit.limit)
    if strong.any() and (labels != ground).any():
        strong &= ~explained(labels, ground, fit, sketch)[0]
    opened = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    next_label = int(labels.max()) + 1
    result = labels.copy()
    for part in range(1, count):
        if 0.006 * labels.size < stats[part, cv2.CC_STAT_AREA] < 0.5 * on_ground.sum():
            result[parts == part] = next_label
            next_label += 1
    return result


def explained(labels: Labels, ground: int, fit: Ground, sketch: Sketch) -> tuple[Mask, Mask, Floats, Labels]:
    """Say where on the ground the nearest thing's shadow or glow explains the picture.

    Returns four arrays: whether it does; whether as a shadow; with which alpha; the label of the nearest thing.
    """
    things = (labels >= 0) & (labels != ground)
    owner = nearest_label(labels, things)
    means = _inner_means(labels, sketch.rgb)
    on_ground = labels == ground
    lights = means.copy()
    for one, light in _lights(means, owner, on_ground, fit).items():
        lights[one] = light
    span = lights[owner] - fit.field
    strength = np.linalg.norm(fit.off, axis=-1)
    glow_length = np.linalg.norm(span, axis=-1) + 1e-3
    dark_length = np.linalg.norm(fit.field, axis=-1) + 1e-3
    glow = (fit.off * span).sum(axis=-1) / glow_length
    dark = -(fit.off * fit.field).sum(axis=-1) / dark_length
    strong = strength > fit.limit
    is_dark = strong & (dark > ALIGNED * strength) & (dark >= glow)
    is_glow = strong & (glow > ALIGNED * strength) & ~is_dark
    alpha = np.where(is_dark, dark / dark_length, np.where(is_glow, glow / glow_length, 0)).clip(0, 0.97)
    return (is_dark | is_glow) & on_ground, is_dark & on_ground, alpha.astype(np.float32), owner


def _lights(means: Floats, owner: Labels, on_ground: Mask, fit: Ground) -> dict[int, Floats]:
    """Return the colors (3) of things' light, where all of it is of one color that is not the thing's: a sun may
    shine paler than it is. `means` (n, 3) are the things' colors, `owner` (height, width) tells the nearest thing.
    """
    lights, count = dict[int, Floats](), len(means)
    strength = np.linalg.norm(fit.off, axis=-1)
    bright = on_ground & (strength > 2 * fit.limit) & (fit.off.sum(axis=-1) > 0)

    def total(values: Floats) -> Floats:
        return np.bincount(owner[bright], values[bright], count).astype(np.float32)

    pixels, length = total(np.ones_like(strength)), total(strength)
    along = np.stack([total(fit.off[..., channel]) for channel in range(3)], -1)
    around = np.stack([total(fit.field[..., channel]) for channel in range(3)], -1) / np.maximum(pixels[:, None], 1)
    agreed = (pixels > 50) & (np.linalg.norm(along, axis=-1) > LIKE_ONE * length)
    for one in np.flatnonzero(agreed).tolist():
        span = means[one] - around[one]
        if _cosine(along[one], span) > SIMILAR:
            way = along[one] / np.linalg.norm(along[one])
            room = np.where(way > 0, 255 - around[one], around[one]) / np.maximum(np.abs(way), 1e-6)
            # Clipping would give the light another hue.
            lights[one] = around[one] + way * min(float(np.linalg.norm(span)), float(room.min()))
    return lights


def find_halo(labels: Labels, fit: Ground, sketch: Sketch) -> Halo:
    """Return what lies softly around the things on ground 0, at the sketch's size.

    Under the things and along their outlines it is continued from what is seen of it.
    """
    found, dark, alpha, owner = explained(labels, 0, fit, sketch)
    found = _beside(found, labels > 0)
    known = (labels == 0) & (depth(labels) > 2.5)
    seen = np.where(found, alpha, 0).astype(np.float32)
    wide = spread(np.dstack([seen, seen * dark, seen * 0]), known.astype(np.float32))
    wide[known, 0] = seen[known]
    means = _inner_means(labels, sketch.rgb)
    strength = np.linalg.norm(fit.off, axis=-1)
    span = np.linalg.norm(means[owner] - fit.field, axis=-1) + 1e-3
    beside = (labels == 0) & (cv2.distanceTransform((labels <= 0).astype(np.uint8), cv2.DIST_L2, 3) < 5)
    beside &= (depth(labels) > 1.5) & ~dark
    soft = set()
    for one in range(1, int(labels.max()) + 1):
        rim = beside & (owner == one)
        if rim.sum() > 10 and float(np.median(strength[rim] / span[rim])) > 0.15:
            soft.add(one)
    darkness = np.divide(wide[..., 1], wide[..., 0], out=np.zeros_like(seen), where=wide[..., 0] > 1e-3)
    return Halo(
        alpha=np.where(wide[..., 0] < FAINT, 0, wide[..., 0]).clip(0, 0.97),
        dark=darkness.clip(0, 1),
        owner=owner,
        soft=frozenset(soft),
        lights=_lights(means, owner, labels == 0, fit),
    )


def _beside(found: Mask, things: Mask) -> Mask:
    """Return the parts of `found` that begin at a thing: a patch of the ground far off is none of its light."""
    away = cv2.distanceTransform((~things).astype(np.uint8), cv2.DIST_L2, 3)
    count, labels = cv2.connectedComponents(found.astype(np.uint8))
    parts = np.asarray(labels, np.int32)
    gap = np.full(count, np.inf, np.float32)
    np.minimum.at(gap, parts[found], away[found])
    return found & (gap < NEAR)[parts]


def _inner_means(labels: Labels, rgb: Floats) -> Floats:
    """Return the mean color (n, 3) of each label's deeper half."""
    inside = labels >= 0
    flat = labels[inside]
    count = int(labels.max()) + 1
    deep = depth(labels)[inside]
    weight = np.minimum(deep, 6.0) ** 3
    total = np.maximum(np.bincount(flat, weight, count), 1e-6)
    return np.stack([np.bincount(flat, weight * rgb[..., c][inside], count) / total for c in range(3)], -1).astype(
        np.float32
    )

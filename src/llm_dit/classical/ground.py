"""The ground: what lies behind everything, and what lies softly on it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.fill import spread
from llm_dit.classical.matte import Halo
from llm_dit.classical.regions import Regions, depth
from llm_dit.classical.segment import Floats, Labels, Sketch, compact

Mask = NDArray[np.bool_]
COARSE = 0.25
"""The ground is fitted on a copy this much smaller than the sketch."""
ALIGNED = 0.96
"""Cosine between two colour differences from which they have one direction."""

POWERS = [(i, j) for i in range(5) for j in range(5 - i)]
"""Those of x and y in a quartic."""
RIDGE = (1e-7, 1e-7, 1e-6, 1e-5, 1e-4)
"""The weight against a term of each degree."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`field` (height, width, 3) is the ground's smooth colour 0–255 everywhere, `off` how the picture differs from it
    (smoothed along the ground), `noise` the typical length of `off`; `covers` tells whether
    enough of it is seen to know it where it is not."""

    field: Floats
    off: Floats
    noise: float
    covers: bool

    @property
    def limit(self) -> float:
        """The length of `off` from which something lies on the ground."""
        return max(4.0, 4.0 * self.noise)


def fit_ground(rgb: Floats, mask: Mask) -> Ground:
    """Return the smooth ground that explains most of `mask` in `rgb` (height, width, 3), 0–255.

    A quartic in x and y by iteratively reweighted least squares (Holland and Welsch, 1977) takes flat grounds and
    gradients; what it leaves of them is averaged locally over what it explains (normalised convolution, Knutsson and
    Westin, 1993). Halos and shadows are outliers to both and do not colour the ground.
    """
    height, width = mask.shape
    size = (max(8, round(width * COARSE)), max(8, round(height * COARSE)))
    inner = mask & (depth(mask.astype(np.int32)) > 2)
    share = (inner if inner.sum() > 60 else mask).astype(np.float32)
    small = cv2.resize(np.dstack([rgb * share[..., None], share]), size, interpolation=cv2.INTER_AREA)
    known = small[..., 3] > 0.3
    if not known.any():
        known = small[..., 3] > 0
    values = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    low, high = np.percentile(values[known], (1, 99), axis=0)
    # A quartic runs wild where it has nothing to go by.
    field = _smooth_fit(values, known).clip(low - 12, high + 12)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR).clip(0, 255)
    off = _smoothed_along(rgb - field, mask)
    noise = 1.5 * float(np.median(np.abs(off[mask]).max(axis=-1)))
    return Ground(field=field, off=off, noise=noise, covers=bool(mask.mean() > 0.25))


def _smooth_fit(values: Floats, known: Mask) -> Floats:
    height, width = known.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) / width, np.arange(height, dtype=np.float32) / height)
    everywhere = _quartic(x.ravel(), y.ravel())
    basis, colours = everywhere[known.ravel()], values[known]
    weight = np.ones(len(colours), np.float32)
    factors, noise = np.zeros((basis.shape[1], 3), np.float32), 1.0
    for _ in range(8):
        weighted = basis * weight[:, None]
        # The normal equations are a hundred times faster than a decomposition; the ridge keeps narrow grounds solvable
        # and, the higher the power the more, the ground tame where nothing is seen of it.
        square = (basis.T @ weighted).astype(np.float64)
        ridge = np.trace(square) * np.diag([RIDGE[i + j] for i, j in POWERS])
        factors = np.linalg.solve(square + ridge, weighted.T @ colours).astype(np.float32)
        miss = np.abs(colours - basis @ factors).max(axis=-1)
        noise = max(1.0, 1.5 * float(np.median(miss)))
        weight = (1 / (1 + (miss / noise) ** 2) ** 2).astype(np.float32)
    field = (everywhere @ factors).reshape(height, width, 3).astype(np.float32)
    rest = values - field
    sure = (known & (np.abs(rest).max(axis=-1) < 2.5 * noise)).astype(np.float32)
    near = 0.05 * min(height, width) + 1
    total = cv2.GaussianBlur(sure, (0, 0), near)
    return field + cv2.GaussianBlur(rest * sure[..., None], (0, 0), near) / (total[..., None] + 0.02)


def _quartic(x: Floats, y: Floats) -> Floats:
    u, v = 2 * x - 1, 2 * y - 1
    return np.stack([u**i * v**j for i, j in POWERS], -1).astype(np.float32)


def _smoothed_along(values: Floats, mask: Mask) -> Floats:
    """Return `values` averaged over the pixels of `mask` nearby, 0 outside of it."""
    share = (mask & (depth(mask.astype(np.int32)) > 1.5)).astype(np.float32)
    total = cv2.boxFilter(cv2.boxFilter(share, -1, (5, 5)), -1, (5, 5))
    sums = cv2.boxFilter(cv2.boxFilter(values * share[..., None], -1, (5, 5)), -1, (5, 5))
    return np.where(mask[..., None], sums / (total[..., None] + 1e-3), 0).astype(np.float32)


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
    for one in np.flatnonzero(candidates).tolist():
        places = np.nonzero(regions.labels == one)
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
        if things and fades and (dark or _glows(off, strength, lower, things, regions, sketch)):
            found.append(one)
    return found


def _glows(off: Floats, strength: float, lower: Floats, things: list[int], regions: Regions, sketch: Sketch) -> bool:
    for thing in things:
        span = sketch.rgb[regions.labels == thing].mean(axis=0) - lower
        if _cosine(off, span) > ALIGNED and strength < 0.9 * np.linalg.norm(span):
            return True
    return False


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
    _, nearest = cv2.distanceTransformWithLabels(
        (~things).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner_of = np.zeros(int(nearest.max()) + 1, np.int32)
    owner_of[nearest[things]] = labels[things]
    owner = owner_of[nearest]
    means = _inner_means(labels, sketch.rgb)
    span = means[owner] - fit.field
    strength = np.linalg.norm(fit.off, axis=-1)
    glow_length = np.linalg.norm(span, axis=-1) + 1e-3
    dark_length = np.linalg.norm(fit.field, axis=-1) + 1e-3
    glow = (fit.off * span).sum(axis=-1) / glow_length
    dark = -(fit.off * fit.field).sum(axis=-1) / dark_length
    strong = strength > fit.limit
    is_dark = strong & (dark > ALIGNED * strength) & (dark >= glow)
    is_glow = strong & (glow > ALIGNED * strength) & ~is_dark
    alpha = np.where(is_dark, dark / dark_length, np.where(is_glow, glow / glow_length, 0)).clip(0, 0.97)
    on_ground = labels == ground
    return (is_dark | is_glow) & on_ground, is_dark & on_ground, alpha.astype(np.float32), owner


def find_halo(labels: Labels, fit: Ground, sketch: Sketch) -> Halo:
    """Return what lies softly around the things on ground 0, at the sketch's size.

    Under the things and along their outlines it is continued from what is seen of it.
    """
    found, dark, alpha, owner = explained(labels, 0, fit, sketch)
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
    return Halo(alpha=wide[..., 0].clip(0, 0.97), dark=darkness.clip(0, 1), owner=owner, soft=frozenset(soft))


def _inner_means(labels: Labels, rgb: Floats) -> Floats:
    """Return the mean colour (n, 3) of each label's deeper half."""
    inside = labels >= 0
    flat = labels[inside]
    count = int(labels.max()) + 1
    deep = depth(labels)[inside]
    weight = np.minimum(deep, 6.0) ** 3
    total = np.maximum(np.bincount(flat, weight, count), 1e-6)
    return np.stack([np.bincount(flat, weight * rgb[..., c][inside], count) / total for c in range(3)], -1).astype(
        np.float32
    )

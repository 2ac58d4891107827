"""The ground: what lies behind everything, also where it is hidden."""

from dataclasses import dataclass

import cv2
import numpy as np

from llm_dit.classical.layering.regions import MOST, Floats, Labels, Mask, Regions, Sketch, compact, depth
from llm_dit.classical.layering.surfaces import PAINT
from llm_dit.color import largest, norm

COARSE = 0.25
"""The ground is fitted on a copy this much smaller than the sketch."""
POWERS = sorted(((i, j) for i in range(5) for j in range(5 - i)), key=sum)
"""Those of x and y in a quartic, the lower first."""
TERMS = (3, 6, 10, 15)
"""How many of them a plane, a quadric, a cubic and a quartic have."""
RIDGE = (1e-7, 1e-7, 1e-6, 1e-5, 1e-4)
"""The weight against a term of each degree."""
EXPLAINED = 3.0
"""Levels up to which a surface explains a pixel."""


CLEAR = 8
"""Pixels clear of all outlines from which something is a thing of its own."""
STRAYS = MOST // 4
"""At most as many things are found on the ground that were part of it; the largest."""
BARE = 0.9
"""The share of all from which a ground of one color is no part of a pattern."""


def find_ground(regions: Regions) -> int:
    """Return the region that lies behind everything: much of the picture's edge and a large area.

    Backgrounds are cut by the picture's edge, objects seldom are (Wei et al., "Geodesic saliency using background
    priors", ECCV 2012; Zhu et al., "Saliency optimization from robust background detection", CVPR 2014).
    """
    rim = regions.rim / max(float(regions.rim.sum()), 1.0)
    return int(np.argmax(rim + 0.7 * regions.area / regions.area.sum()))


@dataclass(frozen=True, kw_only=True)
class Ground:
    """`field` (height, width, 3) is the ground's smooth color 0–255 everywhere, `off` how the picture differs from it
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

    @property
    def known(self) -> bool:
        """Whether its color is known wherever it is hidden."""
        return self.covers and self.noise < 6


def fit_ground(rgb: Floats, mask: Mask) -> Ground:
    """Return the smooth ground that explains most of `mask` in `rgb` (height, width, 3), 0–255.

    A polynomial in x and y by iteratively reweighted least squares (Holland and Welsch, 1977) takes flat grounds and
    gradients, of the lowest degree up to 4 that explains about as much as a higher one; what it leaves of them is
    averaged locally over what it explains (normalised convolution, Knutsson and Westin, 1993). Halos and shadows are
    outliers to both and do not color the ground.
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
    noise = 1.5 * float(np.median(largest(np.abs(off[mask]))))
    return Ground(field=field, off=off, noise=noise, covers=bool(mask.mean() > 0.25))


def _smooth_fit(values: Floats, known: Mask) -> Floats:
    height, width = known.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) / width, np.arange(height, dtype=np.float32) / height)
    everywhere = _powers(x.ravel(), y.ravel())
    basis, colors = everywhere[known.ravel()], values[known]
    # A glow in a corner bends a quartic and leaves a plane alone.
    fits = [_robust_fit(basis[:, :terms], colors) for terms in TERMS]
    shares = [float((miss < EXPLAINED).mean()) for _, miss in fits]
    chosen = next(index for index, share in enumerate(shares) if share >= 0.98 * max(shares))
    factors, miss = fits[chosen]
    field = (everywhere[:, : TERMS[chosen]] @ factors).reshape(height, width, 3).astype(np.float32)
    rest = values - field
    sure = (known & (largest(np.abs(rest)) < 2.5 * _noise(miss))).astype(np.float32)
    near = 0.05 * min(height, width) + 1
    total = cv2.GaussianBlur(sure, (0, 0), near)
    return field + cv2.GaussianBlur(rest * sure[..., None], (0, 0), near) / (total[..., None] + 0.02)


def _robust_fit(basis: Floats, colors: Floats) -> tuple[Floats, Floats]:
    """Return the factors (terms, 3) of `basis` (n, terms) for most of `colors` (n, 3), and by what each is missed."""
    weight = np.ones(len(colors), np.float32)
    factors, miss = np.zeros((basis.shape[1], 3), np.float32), np.zeros(len(colors), np.float32)
    for _ in range(8):
        weighted = basis * weight[:, None]
        # The normal equations are a hundred times faster than a decomposition; the ridge keeps narrow grounds solvable
        # and, the higher the power the more, the ground tame where nothing is seen of it.
        square = (basis.T @ weighted).astype(np.float64)
        ridge = np.trace(square) * np.diag([RIDGE[i + j] for i, j in POWERS[: basis.shape[1]]])
        factors = np.linalg.solve(square + ridge, weighted.T @ colors).astype(np.float32)
        miss = largest(np.abs(colors - basis @ factors))
        weight = (1 / (1 + (miss / _noise(miss)) ** 2) ** 2).astype(np.float32)
    return factors, miss


def _noise(miss: Floats) -> float:
    return max(1.0, 1.5 * float(np.median(miss)))


def _powers(x: Floats, y: Floats) -> Floats:
    u, v = 2 * x - 1, 2 * y - 1
    return np.stack([u**i * v**j for i, j in POWERS], -1).astype(np.float32)


def _smoothed_along(values: Floats, mask: Mask) -> Floats:
    """Return `values` averaged over the pixels of `mask` nearby, 0 outside of it."""
    share = (mask & (depth(mask.astype(np.int32)) > 1.5)).astype(np.float32)
    total = cv2.boxFilter(cv2.boxFilter(share, -1, (5, 5)), -1, (5, 5))
    sums = cv2.boxFilter(cv2.boxFilter(values * share[..., None], -1, (5, 5)), -1, (5, 5))
    return np.where(mask[..., None], sums / (total[..., None] + 1e-3), 0).astype(np.float32)


# What is on a ground.


def foreign_to(ground: int, regions: Regions, fit: Ground, sketch: Sketch) -> Mask:
    """Return which regions are plainly of another color than the region `ground`, where that is known everywhere.

    There are none where less than nearly all is that ground: the colors of a pattern are plainly different and of one
    ground.
    """
    if not fit.known or regions.area[ground] < BARE * regions.area.sum():
        return np.zeros(regions.count, bool)
    inside = regions.labels >= 0
    off = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) / regions.area
    off[ground] = 0
    return off > 2.5 * PAINT


def with_strays(labels: Labels, ground: int, fit: Ground, sketch: Sketch, least: float = 0.0) -> Labels:
    """Return the labels with what lies on the label `ground` in another color and with a sharp edge as new ones.

    Only what takes more than the share `least` of the picture counts. Shadows and glows have no sharp edge, they fade.
    """
    off = np.asarray(_off(fit, sketch), np.float32)
    count, parts = cv2.connectedComponents(((labels == ground) & (off > 2 * PAINT)).astype(np.uint8))
    rim = (parts > 0) & (cv2.erode((parts > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    around = np.ones((5, 5), np.uint8)
    fall = cv2.erode(off, around) / np.maximum(cv2.dilate(off, around), 1)
    size = np.maximum(np.bincount(parts[rim], minlength=count), 1)
    sharp = np.bincount(parts[rim], fall[rim], count) < 0.5 * size
    # What is nowhere clear of a thing's outline is that outline's blur.
    clear = cv2.erode((labels == ground).astype(np.uint8), around) > 0
    sharp &= np.bincount(parts[clear], minlength=count) > CLEAR
    sharp[0] = False
    area = np.bincount(parts.ravel(), minlength=count) * sharp
    sharp &= area > least * labels.size
    sharp[np.argsort(-area, kind="stable")[STRAYS:]] = False
    return compact(np.where(sharp[parts], parts + labels.max(), labels))


def of_ground_color(regions: Regions, fit: Ground, sketch: Sketch) -> Mask:
    """Return which pieces have the color that the ground has at their place, the ground itself left out."""
    inside = regions.labels >= 0
    result = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) < PAINT * regions.area
    result[0] = False
    return result


def _off(fit: Ground, sketch: Sketch) -> Floats:
    """Return how far each pixel is from the ground's color in CIELAB."""
    lab = cv2.cvtColor(np.asarray(fit.field, np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    return norm(sketch.lab - lab)

"""Joining regions into surfaces of one paint or texture, in one or many pieces; and the background behind them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import MOST, Floats, Labels, Mask, Regions, Sketch, boxes, compact, depth
from llm_dit.color import dot, largest, norm

SLIVER = 3.2
"""Depth in pixels up to which a region may be only the blur of an edge."""
BETWEEN = 0.3
"""The largest distance of a mixture from the line between two colors, as a share of its length."""
PAINT = 6.5
"""CIELAB distance up to which separate regions may have one paint."""


def pieces_of(labels: Labels, ground: int) -> Labels:
    """Return the labels with every region cut into connected pieces, except the background, which becomes 0.

    There are at most `MOST` pieces, or as many as regions: the smallest stay with the largest piece of their region,
    because joining takes the cube of their number in time.
    """
    result = np.where(labels == ground, 0, -1).astype(np.int32)
    number, count = 1, int(labels.max()) + 1
    areas, main = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]
    for one, (left, top, right, bottom) in enumerate(boxes(labels, count).astype(int).tolist()):
        if one != ground:
            window = (slice(top, bottom), slice(left, right))
            found, parts, stats, _ = cv2.connectedComponentsWithStats((labels[window] == one).astype(np.uint8))
            mine = parts > 0
            result[window][mine] = parts[mine] + (number - 1)
            areas.append(stats[1:, cv2.CC_STAT_AREA])
            main.append(np.full(found - 1, number + areas[-1].argmax(), np.int32))
            number += found - 1
    home, area = np.concatenate(main), np.concatenate(areas)
    others = np.flatnonzero(home != np.arange(number))
    small = others[np.argsort(-area[others], kind="stable")][max(0, MOST - (number - len(others))) :]
    kept = np.arange(number)
    kept[small] = home[small]
    return compact(np.where(result >= 0, kept[result], -1))


def dissolve_slivers(regions: Regions, sketch: Sketch) -> Labels:
    """Return the labels with the blurred rims between two colors assigned, pixel by pixel, to the nearer color.

    A rim is thin and its color lies between those of two neighbors: I = αF + (1 − α)B.
    """
    labels = regions.labels.copy()
    thin = np.flatnonzero(regions.thick < SLIVER)
    # A neighbor that is a sliver counts as part of a mixture only if its color is far from it.
    for sliver in thin.tolist():
        near = np.flatnonzero(regions.shared[sliver] > 0)
        pair = _mixed_of(regions.mean[sliver], near, regions)
        if pair is None:
            continue
        left, top, right, bottom = regions.box[sliver].astype(int)
        window = (slice(top, bottom), slice(left, right))
        mine = regions.labels[window] == sliver
        pixels = sketch.lab[window][mine]
        to_first, to_second = (norm(pixels - regions.mean[side]) for side in pair)
        labels[window][mine] = np.where(to_first < to_second, pair[0], pair[1])
    # Chains resolve over passes: a rim given to another rim is passed on in the next one.
    return compact(labels)


def _mixed_of(color: Floats, near: NDArray[np.intp], regions: Regions) -> tuple[int, int] | None:
    """Return the two neighbors whose mixture `color` is, or None."""
    one, other = np.triu_indices(len(near), 1)
    if not len(one):
        return None
    mean = regions.mean[near]
    span = mean[other] - mean[one]
    away = color - mean[one]
    length = norm(span) + np.float32(1e-6)
    along = dot(away, span) / length**2
    off = norm(away - along[:, None] * span) / length
    off[(along < 0.08) | (along > 0.92) | (length < 6)] = np.inf
    best = int(off.argmin())
    return (int(near[one[best]]), int(near[other[best]])) if off[best] < BETWEEN else None


def join_paint(regions: Regions, sketch: Sketch, *, strict: bool) -> Labels:
    """Return the labels with regions of one paint joined, wherever they lie: letters, dots, a background seen in gaps.

    The paint of a large region is a quadratic in x and y, so that a piece of a gradient is compared with the gradient's
    color at its position. Small pieces join large ones only if near; pieces of similar size join anywhere.
    """
    order = np.argsort(-regions.area, kind="stable")
    parent = np.arange(regions.count)
    centre = (regions.box[:, :2] + regions.box[:, 2:]) / 2
    free = np.ones(regions.count, bool)
    side = (regions.box[:, 2:] - regions.box[:, :2]).max(axis=-1)
    strokes = is_stroke(regions)
    purity, host = hosts(regions)
    for leader in order.tolist():
        if not free[leader]:
            continue
        paint = _paint_at(regions, sketch, leader, centre)
        difference = norm(regions.mean - paint)
        close, very = difference < PAINT, difference < PAINT / 2
        ratio = regions.area[leader] / regions.area
        reach = np.sqrt(regions.area[leader])
        gap = gap_from(regions.box, leader)
        # Strokes of one width are writing, on any surface (Epshtein et al., stroke width transform, CVPR 2010).
        width = regions.thick / regions.thick[leader]
        large = side / side[leader]
        writing = very & (large > 0.3) & (large < 3) & strokes & strokes[leader] & (width > 0.6) & (width < 1.7)
        alike = (ratio < 8) & writing | (ratio < 8) & ((not strict) | same_role(regions, leader, purity, host))
        fits = close & free & ((gap < 0.06 * reach) | (very & (gap < 0.3 * reach) & (not strict)) | alike)
        parent[fits] = leader
        free[fits] = False
        free[leader] = False
    parent = _follow(parent)
    return compact(np.where(regions.labels >= 0, parent[regions.labels], -1).astype(np.int32))


def is_stroke(regions: Regions) -> Mask:
    """Return which pieces are long relative to their width."""
    return 3.2 * regions.thick**2 < 0.45 * regions.area


def hosts(regions: Regions) -> tuple[Floats, NDArray[np.intp]]:
    """Return each region's largest share of outline with one other region, and that region; slivers do not count."""
    wide = regions.shared * (regions.thick > SLIVER)
    return wide.max(axis=-1) / (wide.sum(axis=-1) + 1e-6), wide.argmax(axis=-1)


def same_role(regions: Regions, one: int, purity: Floats, host: NDArray[np.intp]) -> Mask:
    """Return which regions lie on the same surface as `one`, with hardly any other neighbors."""
    grounds = regions.mean[host]
    alike = norm(grounds - grounds[one]) < 2 * PAINT
    return alike & (purity > 0.75) & bool(purity[one] > 0.75)


def _follow(parent: NDArray[np.intp]) -> NDArray[np.intp]:
    while (parent != parent[parent]).any():
        parent = parent[parent]
    return parent


def _paint_at(regions: Regions, sketch: Sketch, leader: int, centre: Floats) -> Floats:
    """Return the leader's paint (n, 3) at the points `centre` (n, 2), clamped to its own box."""
    if regions.area[leader] < 400 or regions.thick[leader] < 6:
        return np.broadcast_to(regions.mean[leader], (regions.count, 3))
    box = regions.box[leader]
    left, top, right, bottom = box.astype(int)
    rows, columns = np.nonzero(regions.labels[top:bottom, left:right] == leader)
    step = max(1, len(rows) // 3000)
    rows, columns = rows[::step] + top, columns[::step] + left
    span = np.maximum(box[2:] - box[:2], 1)
    basis = _quadratic((np.stack([columns, rows], -1).astype(np.float32) - box[:2]) / span)
    return _quadratic(((centre - box[:2]) / span).clip(0, 1)) @ _factors(basis, sketch.lab[rows, columns])


def is_flat(mask: Mask, sketch: Sketch) -> bool:
    """Return whether most of the interior of `mask` has one paint, including a gradient but not a texture."""
    deep = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = np.nonzero(deep if deep.sum() > 60 else mask)
    step = max(1, len(rows) // 3000)
    rows, columns = rows[::step], columns[::step]
    basis = _quadratic(np.stack([columns / mask.shape[1], rows / mask.shape[0]], -1).astype(np.float32))
    values = sketch.lab[rows, columns]
    common = norm(values - np.median(values, axis=0)) < 4 * PAINT
    miss = norm(values - basis @ _factors(basis[common], values[common]))
    return bool(common.any()) and float((miss < PAINT / 2).mean()) > 0.6


def _factors(basis: Floats, values: Floats) -> Floats:
    square = basis.T @ basis
    # The normal equations are much faster than a decomposition; the ridge keeps narrow regions solvable.
    return np.linalg.solve(square + (1e-6 * np.trace(square) + 1e-9) * np.eye(len(square)), basis.T @ values)


def _quadratic(places: Floats) -> Floats:
    x, y = places[:, 0], places[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).astype(np.float32)


def gap_from(box: Floats, one: int) -> Floats:
    """Return the distance of each box from that of `one`."""
    gap = np.maximum(0, np.maximum(box[one, :2] - box[:, 2:], box[:, :2] - box[one, 2:]))
    return np.linalg.norm(gap, axis=-1)


# Holes and gaps: what is visible through and between letters belongs to their surroundings.


SMALL = 0.02
"""The largest share of the picture for a hole or a gap."""
LEAST_PIXELS = 20
"""The least number of pixels that describe a surface."""


def open_holes(regions: Regions, sketch: Sketch) -> Labels:
    """Return the labels with holes and gaps of things given to the larger region visible through them.

    The hole must look like that region nearby, as far as it has one color or texture. If it does not touch the region,
    it must be enclosed by thin strokes and not be a stroke itself: that would be writing on the thing.
    """
    labels = regions.labels.copy()
    strokes = is_stroke(regions)
    # Specks of texture reduce the thickness of a hole.
    is_long = 3.2 * regions.thick**2 < 0.3 * regions.area
    for one in np.flatnonzero((regions.area < SMALL * labels.size) & (regions.area > 2)).tolist():
        reach = round(4 + 1.2 * float(regions.area[one]) ** 0.5)
        left, top, right, bottom = regions.box[one].astype(int).tolist()
        window = (slice(max(0, top - reach), bottom + reach), slice(max(0, left - reach), right + reach))
        near, lab = regions.labels[window], sketch.lab[window]
        count = np.bincount(near[near >= 0], minlength=regions.count)
        wider = (regions.area > 4 * regions.area[one]) & (regions.thick > 1.5 * regions.thick[one])
        touched = regions.shared[one] > 0
        hosts = np.flatnonzero(regions.shared[one] > 0.2 * regions.shared[one].sum())
        thick = regions.thick[hosts].max(initial=0)
        through = not is_long[one] and bool(strokes[hosts].all()) and thick < 4 * regions.thick[one] + 2
        fits = (count >= LEAST_PIXELS) & wider & (touched | (through & (regions.thick > 1.5 * thick)))
        owner = _like(one, np.flatnonzero(fits).tolist(), near, lab)
        if owner is not None and _stands_out(regions, one, owner, hosts.tolist()):
            labels[window][near == one] = owner
    return compact(labels)


def _like(one: int, others: list[int], labels: Labels, lab: Floats) -> int | None:
    """Return the one of `others` that looks like `one` nearby, or None."""
    mine = labels == one
    deep = np.asarray(cv2.distanceTransform(mine.astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    own = np.median(lab[deep >= min(2.0, float(deep.max()))], axis=0)
    best, found = 1.0, None
    for other in others:
        values = lab[labels == other]
        spread = float(np.linalg.norm(values.std(axis=0)))
        miss = float(np.linalg.norm(own - np.median(values, axis=0))) / max(PAINT, 1.5 * spread)
        # A varying surface has the hole's color somewhere beside it.
        miss = min(miss, float(np.percentile(norm(values - own), 10)) / PAINT)
        if miss < best:
            best, found = miss, other
    return found


def _stands_out(regions: Regions, one: int, owner: int, hosts: list[int]) -> bool:
    """Return whether `one` resembles `owner` more than anything else that it touches."""
    miss = float(np.linalg.norm(regions.mean[one] - regions.mean[owner]))
    return all(float(np.linalg.norm(regions.mean[one] - regions.mean[host])) > miss for host in hosts if host != owner)


# The background: behind everything, including where it is hidden.


COARSE = 0.25
"""The scale, relative to the sketch, of the copy on which the background is fitted."""
POWERS = sorted(((i, j) for i in range(5) for j in range(5 - i)), key=sum)
"""The powers of x and y in a quartic, the lower first."""
TERMS = (3, 6, 10, 15)
"""The number of terms of a plane, a quadric, a cubic and a quartic."""
RIDGE = (1e-7, 1e-7, 1e-6, 1e-5, 1e-4)
"""The ridge weight of a term of each degree."""
EXPLAINED = 3.0
"""The largest residual in levels of a pixel that a surface explains."""


CLEAR = 8
"""The distance from all outlines, in pixels, from which something is a separate thing."""
STRAYS = MOST // 4
"""The most things separated from the background, the largest."""
BARE = 0.9
"""The share of the picture from which a background of one color is not part of a pattern."""


def find_ground(regions: Regions) -> int:
    """Return the region behind everything: it has a large area and much of the picture's edge.

    The picture's edge often cuts backgrounds, but seldom objects (Wei et al., "Geodesic saliency using background
    priors", ECCV 2012; Zhu et al., "Saliency optimization from robust background detection", CVPR 2014).
    """
    rim = regions.rim / max(float(regions.rim.sum()), 1.0)
    return int(np.argmax(rim + 0.7 * regions.area / regions.area.sum()))


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A background: `field` (height, width, 3) is its smooth color 0–255 everywhere, `off` the picture's difference
    from it (smoothed along it), `noise` the typical length of `off`, and `covers` whether enough of it is visible to
    know it where it is hidden."""

    field: Floats
    off: Floats
    noise: float
    covers: bool

    @property
    def limit(self) -> float:
        """The length of `off` from which a pixel is not background."""
        return max(4.0, 4.0 * self.noise)

    @property
    def known(self) -> bool:
        """Whether its color is known wherever it is hidden."""
        return self.covers and self.noise < 6


def fit_ground(rgb: Floats, mask: Mask) -> Ground:
    """Return the smooth background that explains most of `mask` in `rgb` (height, width, 3), 0–255.

    A polynomial in x and y by iteratively reweighted least squares (Holland and Welsch, 1977) fits flat colors and
    gradients, with the lowest degree up to 4 that explains about as much as a higher one. Its residual is averaged
    locally over the inliers (normalized convolution, Knutsson and Westin, 1993). Halos and shadows are outliers to both
    and do not tint the background.
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
    # A quartic diverges where it has no data.
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
    # A glow in a corner bends a quartic but not a plane.
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
    """Return the coefficients (terms, 3) of `basis` (n, terms) for most of `colors` (n, 3), and each residual."""
    weight = np.ones(len(colors), np.float32)
    factors, miss = np.zeros((basis.shape[1], 3), np.float32), np.zeros(len(colors), np.float32)
    for _ in range(8):
        weighted = basis * weight[:, None]
        # The normal equations are a hundred times faster than a decomposition. The ridge keeps narrow backgrounds
        # solvable and, increasing with the power, limits extrapolation.
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
    """Return `values` averaged over the nearby pixels of `mask`, 0 outside it."""
    share = (mask & (depth(mask.astype(np.int32)) > 1.5)).astype(np.float32)
    total = cv2.boxFilter(cv2.boxFilter(share, -1, (5, 5)), -1, (5, 5))
    sums = cv2.boxFilter(cv2.boxFilter(values * share[..., None], -1, (5, 5)), -1, (5, 5))
    return np.where(mask[..., None], sums / (total[..., None] + 1e-3), 0).astype(np.float32)


# Things on a background.


def foreign_to(ground: int, regions: Regions, fit: Ground, sketch: Sketch) -> Mask:
    """Return which regions differ clearly in color from the region `ground`, if that is known everywhere.

    There are none unless the background fills nearly the whole picture: a pattern also has clearly different colors.
    """
    if not fit.known or regions.area[ground] < BARE * regions.area.sum():
        return np.zeros(regions.count, bool)
    inside = regions.labels >= 0
    off = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) / regions.area
    off[ground] = 0
    return off > 2.5 * PAINT


def with_strays(labels: Labels, ground: int, fit: Ground, sketch: Sketch, least: float = 0.0) -> Labels:
    """Return the labels with sharp-edged areas of another color on the label `ground` as new labels.

    Only areas above the share `least` of the picture count. Shadows and glows fade, so they have no sharp edge.
    """
    off = np.asarray(_off(fit, sketch), np.float32)
    count, parts = cv2.connectedComponents(((labels == ground) & (off > 2 * PAINT)).astype(np.uint8))
    rim = (parts > 0) & (cv2.erode((parts > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    around = np.ones((5, 5), np.uint8)
    fall = cv2.erode(off, around) / np.maximum(cv2.dilate(off, around), 1)
    size = np.maximum(np.bincount(parts[rim], minlength=count), 1)
    sharp = np.bincount(parts[rim], fall[rim], count) < 0.5 * size
    # What lies nowhere clear of a thing's outline is that outline's blur.
    clear = cv2.erode((labels == ground).astype(np.uint8), around) > 0
    sharp &= np.bincount(parts[clear], minlength=count) > CLEAR
    sharp[0] = False
    area = np.bincount(parts.ravel(), minlength=count) * sharp
    sharp &= area > least * labels.size
    sharp[np.argsort(-area, kind="stable")[STRAYS:]] = False
    return compact(np.where(sharp[parts], parts + labels.max(), labels))


def of_ground_color(regions: Regions, fit: Ground, sketch: Sketch) -> Mask:
    """Return which pieces have the background's color at their position, excluding the background itself."""
    inside = regions.labels >= 0
    result = np.bincount(regions.labels[inside], _off(fit, sketch)[inside], regions.count) < PAINT * regions.area
    result[0] = False
    return result


def _off(fit: Ground, sketch: Sketch) -> Floats:
    """Return each pixel's difference from the background's color in CIELAB."""
    lab = cv2.cvtColor(np.asarray(fit.field, np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    return norm(sketch.lab - lab)

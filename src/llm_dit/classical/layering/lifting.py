"""Cutting a thing out of a picture: its soft edge by closed-form matting, and inpainting behind it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, Mask, Report, bounded, grown, window_around
from llm_dit.color import dot, norm

MATTED_PIXELS = 160_000
"""The number of pixels, of a thing with its surroundings, above which matting uses a smaller copy."""
RADIUS = 1
"""The radius of the windows in which the colors of each side lie on a line."""
SMOOTH = 1e-5
"""The regularization against steep changes of alpha with color, for colors 0–1."""
TRUST, LEAN = 100.0, 0.05
"""The weights of known pixels and of guessed ones, relative to the cost of a color that does not fit."""
STEPS, CLOSE = 80, 3e-3
"""The most steps of the solver, and the share of the initial residual at which it stops."""


def closed_form(rgb: Bytes, own: Mask, other: Mask, guess: Mask) -> Floats:
    """Return the alpha (height, width), 0–1, of a thing in `rgb` (height, width, 3).

    It is 1 at `own` and 0 at `other`; between them colors decide, and `guess` where they do not.
    Closed-form matting (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting", PAMI 2008):
    in small windows the colors of each side are assumed to lie on a line. The Laplacian is applied by box filters
    (He, Sun and Tang, "Fast matting using large kernel matting Laplacian matrices", CVPR 2010) in conjugate gradients.
    """
    alpha = own.astype(np.float32)
    unknown = ~(own | other)
    if not unknown.any() or not own.any():
        return alpha
    rows, columns = np.nonzero(unknown.any(axis=1))[0], np.nonzero(unknown.any(axis=0))[0]
    window = (slice(max(0, rows[0] - 4), rows[-1] + 5), slice(max(0, columns[0] - 4), columns[-1] + 5))
    height, width = alpha[window].shape
    _, size = bounded(height, width, MATTED_PIXELS)
    small, mine, theirs, likely = (
        np.asarray(cv2.resize(values[window].astype(np.float32), size, interpolation=cv2.INTER_AREA))
        for values in (rgb, own, other, guess)
    )
    found = _solve(small.reshape(size[1], size[0], 3) / np.float32(255), mine > 0.99, theirs > 0.99, likely)
    found = np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR))
    alpha[window] = np.where(unknown[window], found, alpha[window])
    return alpha


def _solve(colors: Floats, own: Mask, other: Mask, guess: Floats) -> Floats:
    known = (own | other).astype(np.float32)
    laplacian = _Laplacian(colors)
    alpha = np.where(own, 1, np.where(other, 0, guess)).astype(np.float32)
    weight = np.where(known > 0, np.float32(TRUST), np.float32(LEAN) * guess)
    wanted = weight * alpha
    # Pixels with known surroundings need no solving, so only the band is processed.
    reach = 4 * RADIUS + 1
    asked = cv2.dilate(1 - known, np.ones((reach, reach), np.uint8)) > 0
    left = (wanted - laplacian(alpha) - weight * alpha) * asked
    along, size = left.copy(), float((left**2).sum())
    first = size
    for _ in range(STEPS):
        if size <= CLOSE**2 * max(first, 1e-12):
            break
        bent = (laplacian(along) + weight * along) * asked
        step = size / max(float((along * bent).sum()), 1e-12)
        alpha += step * along
        left -= step * bent
        size, before = float((left**2).sum()), size
        along = left + size / before * along
    return alpha.clip(0, 1)


class _Laplacian:
    """The matting Laplacian of `colors` (height, width, 3), applied without building the matrix."""

    def __init__(self, colors: Floats) -> None:
        self.colors = colors
        self.count = _sum(np.ones(colors.shape[:2], np.float32))
        self.mean = _sum(colors) / self.count[..., None]
        products = colors[..., :, None] * colors[..., None, :]
        spread = _sum(products.reshape(*colors.shape[:2], 9)).reshape(products.shape) / self.count[..., None, None]
        spread -= self.mean[..., :, None] * self.mean[..., None, :]
        spread += np.eye(3, dtype=np.float32) * (SMOOTH / self.count[..., None, None])
        self.inverse = np.linalg.inv(spread).astype(np.float32)

    def __call__(self, alpha: Floats) -> Floats:
        mean = _sum(alpha) / self.count
        tied = _sum(self.colors * alpha[..., None]) / self.count[..., None] - self.mean * mean[..., None]
        slope = np.einsum("hwij,hwj->hwi", self.inverse, tied)
        level = mean - dot(slope, self.mean)
        return self.count * alpha - dot(_sum(slope), self.colors) - _sum(level)


def _sum(values: Floats) -> Floats:
    side = 2 * RADIUS + 1
    parts = [
        cv2.boxFilter(part, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for part in cv2.split(values)
    ]
    return np.asarray(parts[0] if values.ndim == 2 else np.stack(parts, axis=-1), np.float32)


# Thin parts that stick out of a thing.


FAR = 0.06
"""The farthest that a stem or a strap may stick out, as a share of the picture's longer side."""
THICK = 25
"""The size of the median window in pixels: strokes up to half as wide differ from the local median."""
STANDS_OUT = 24.0
"""CIELAB distance from which a pixel differs from the local median."""
GRAIN, MOST = 4.0, 80
"""The largest CIELAB distance from its median of this percentage of a smooth background."""
BAND = 3
"""The width in pixels of the possibly mixed band on both sides of an outline."""
FREE = 0.5
"""The least share of a protruding part that is away from the thing: what lies along it is its edge or its shadow."""


def sticking_out(rgb: Bytes, thing: Mask) -> Mask:
    """Return what begins at a thing (height, width) in `rgb` (height, width, 3) and ends nearby on a smooth background:
    a stem, a strap, hair.

    It is thin and has contrast. What continues, such as the edge of a table, is excluded; on a busy background nothing
    is found.
    """
    reach = round(FAR * max(thing.shape))
    window = window_around(thing, reach + THICK)
    mine = thing[window]
    ring, edge = grown(mine, reach) & ~mine, grown(mine, BAND)
    plain = cv2.medianBlur(continued(rgb[window], edge), THICK)
    lab, around = (
        cv2.cvtColor(values.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB) for values in (rgb[window], plain)
    )
    off = norm(lab - around)
    away = ring & ~edge
    found = np.zeros_like(thing)
    if not away.any() or float(np.percentile(off[away], MOST)) > GRAIN:
        return found
    standing = ring & (off > STANDS_OUT)
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(standing.astype(np.uint8), connectivity=8)
    labels, area = np.asarray(numbers), np.asarray(stats)[:, cv2.CC_STAT_AREA]
    outer = ring & ~grown(mine, reach - 2)
    touching, ending, free = (
        np.bincount(labels[where], minlength=count) for where in (ring & grown(mine, 1), outer, away)
    )
    good = (touching > 0) & (ending == 0) & (free > FREE * area)
    good[0] = False
    found[window] = good[labels]
    return found


# Behind a thing: textures are synthesized, smooth backgrounds are continued.


FILLED_PIXELS = 80_000
"""The number of pixels at which holes are filled: structures are a few patches wide, and it takes half a second."""
AROUND = 0.75
"""The width of the surroundings searched for a hole's filling, as a share of its longer side."""
LEAST_AROUND = 48
"""The least such width in pixels."""
PATCH = 3
"""The radius of the compared patches."""
BLOCK = 4
"""The side of the blocks whose fine detail is restored, in pixels of the small copy."""
SOURCES = 12_000
"""The most patches used as sources of detail."""
TOLD = 1000
"""The number of blocks restored between two progress reports."""
PLAIN = 2.0
"""Levels of fine detail below which a background has none to restore."""


def fill_behind(
    rgb: Bytes, hole: Mask, seed: int = 0, report: Report | None = None, *, apart: Mask | None = None
) -> Bytes:
    """Return `rgb` (height, width, 3) with `hole` (height, width) filled from its surroundings.

    The holes are filled one by one, with calls of `report("filling")` before and during each, which may raise to stop.
    The method is PatchMatch (Barnes et al., SIGGRAPH 2009; Wexler et al., "Space-time completion of video", PAMI 2007)
    on a copy of bounded size; the detail that the copy lacks comes from patches that look alike (after Freeman et al.,
    "Example-based super-resolution", 2002). Without `pypatchmatch` the surrounding colors are continued smoothly.
    Pixels outside the hole do not change. No pixels come from `apart` (height, width), such as other things.
    """
    result = rgb.copy()
    count, found, table, _ = cv2.connectedComponentsWithStats(hole.astype(np.uint8), connectivity=8)
    labels, stats = np.asarray(found, np.int32), np.asarray(table)
    for number in range(1, count):
        if report is not None:
            report("filling")
        left, top, width, height = stats[number, :4].tolist()
        margin = max(LEAST_AROUND, round(AROUND * max(width, height)))
        window = (
            slice(max(0, top - margin), top + height + margin),
            slice(max(0, left - margin), left + width + margin),
        )
        mine = labels[window] == number
        other = hole[window] if apart is None else hole[window] | apart[window]
        filled = _fill(rgb[window], mine, other & ~mine, seed, report)
        result[window][mine] = filled[mine]
    return result


def continued(rgb: Bytes, hole: Mask) -> Bytes:
    """Return `rgb` (height, width, 3) with the colors around `hole` continued into it, as input for networks."""
    height, width = hole.shape
    _, size = bounded(height, width, FILLED_PIXELS)
    smooth = _smooth(_shrink(rgb, ~hole, size), ~_any(hole, size))
    return np.where(hole[..., None], _enlarge(smooth, width, height), rgb)


def _smooth(small: Bytes, free: Mask) -> Bytes:
    """Return a copy with the colors of the `free` pixels continued over the rest."""
    return np.rint(spread(small.astype(np.float32), free.astype(np.float32)).clip(0, 255)).astype(np.uint8)


def _fill(rgb: Bytes, hole: Mask, other: Mask, seed: int, report: Report | None) -> Bytes:
    """Return a crop with `hole` filled; `other` is neither filled nor a source."""
    height, width = hole.shape
    scale, size = bounded(height, width, FILLED_PIXELS)
    small = _shrink(rgb, ~(hole | other), size)
    inside, barred = (_any(mask, size) for mask in (hole, other))
    patched = _patch(small, inside, barred & ~inside, seed)
    if patched is None:
        return _enlarge(_smooth(small, ~(inside | barred)), width, height)
    whole = _enlarge(patched, width, height)
    if scale == 1:
        return whole
    return _with_detail(whole, rgb, patched, small, ~(inside | barred), inside, report)


def _patch(small: Bytes, inside: Mask, barred: Mask, seed: int) -> Bytes | None:
    """Return the copy filled by patches, or None if that is impossible."""
    free = ~(inside | barred)
    # At least one patch must be fully visible as a source.
    if not cv2.erode(free.astype(np.uint8), np.ones((2 * PATCH + 1, 2 * PATCH + 1), np.uint8), borderValue=0).any():
        return None
    try:
        from patchmatch import patch_match
    except ImportError:
        return None
    if not patch_match.patchmatch_available:
        return None
    patch_match.set_random_seed(seed & 0xFFFFFFFF)
    seen = np.ascontiguousarray(np.where(barred[..., None], 0, small).astype(np.uint8))
    return patch_match.inpaint(seen, inside, global_mask=barred if barred.any() else None, patch_size=PATCH)


def _with_detail(
    whole: Bytes, rgb: Bytes, patched: Bytes, small: Bytes, free: Mask, inside: Mask, report: Report | None
) -> Bytes:
    """Return the enlarged filling with the fine detail of similar places in the small copy."""
    height, width = whole.shape[:2]
    fine = rgb.astype(np.float32) - _enlarge(small, width, height)
    seen = _enlarge(free, width, height)
    if not seen.any() or float(np.abs(fine[seen]).mean()) < PLAIN:
        return whole
    reach = PATCH + 1
    rows, columns = np.nonzero(inside[reach:-reach:BLOCK, reach:-reach:BLOCK])
    targets = np.stack([rows, columns], axis=-1) * BLOCK + reach
    clear = cv2.erode(free.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8), borderValue=0)
    sources = np.argwhere(clear > 0)
    sources = sources[:: max(1, -(-len(sources) // SOURCES))]
    if not len(targets) or len(sources) < 2:
        return whole
    wanted, offered = (_patches(patched, places) for places in (targets, sources))
    index = cv2.flann.Index(offered, {"algorithm": 1, "trees": 2})  # pyright: ignore[reportArgumentType]
    nearest = np.asarray(index.knnSearch(wanted, 1, params={"checks": 24})[0], np.int32)[:, 0]
    total, weight = np.zeros_like(fine), np.zeros((height, width, 1), np.float32)
    across, down = width / small.shape[1], height / small.shape[0]
    half = max(1, round(BLOCK * max(across, down) * 0.75))
    ramp = (1 - np.abs(np.arange(-half, half + 1)) / (half + 1)).astype(np.float32)
    window = (ramp[:, None] * ramp)[..., None]
    for number, ((row, column), (from_row, from_column)) in enumerate(zip(targets, sources[nearest], strict=True)):
        if report is not None and number % TOLD == 0:
            report("filling")
        y, x, v, u = (round(value) for value in (row * down, column * across, from_row * down, from_column * across))
        up, left = min(half, y, v), min(half, x, u)
        low, right = min(half, height - 1 - y, height - 1 - v), min(half, width - 1 - x, width - 1 - u)
        part = window[half - up : half + low + 1, half - left : half + right + 1]
        total[y - up : y + low + 1, x - left : x + right + 1] += (
            part * fine[v - up : v + low + 1, u - left : u + right + 1]
        )
        weight[y - up : y + low + 1, x - left : x + right + 1] += part**2
    # The square root preserves the strength of overlapping grain.
    return np.rint((whole + total / np.sqrt(np.maximum(weight, 0.25))).clip(0, 255)).astype(np.uint8)


def _patches(picture: Bytes, places: NDArray[np.intp]) -> Floats:
    """Return the pixels (n, d) around each of `places` (n, 2: row, column)."""
    steps = np.arange(-PATCH, PATCH + 1)
    rows, columns = places[:, 0, None, None] + steps[:, None], places[:, 1, None, None] + steps
    return picture[rows, columns].reshape(len(places), -1).astype(np.float32)


def _shrink(rgb: Bytes, seen: Mask, size: tuple[int, int]) -> Bytes:
    """Return a copy of `size` in which pixels that are not `seen` do not affect the colors of those that are."""
    weight = seen.astype(np.float32)[..., None]
    values = cv2.resize(np.dstack([rgb * weight, weight]).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    values = values.reshape(size[1], size[0], 4)
    return np.rint(values[..., :3] / np.maximum(values[..., 3:], 1e-6)).clip(0, 255).astype(np.uint8)


def _any(mask: Mask, size: tuple[int, int]) -> Mask:
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(share).reshape(size[1], size[0]) > 0.01


def _enlarge(values: NDArray, width: int, height: int) -> NDArray:
    if values.dtype == np.bool_:
        return cv2.resize(values.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    larger = cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(larger).reshape(height, width, *values.shape[2:])

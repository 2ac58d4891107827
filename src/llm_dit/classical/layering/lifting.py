"""Lifting a thing off a picture: its soft edge by closed-form matting, and what lies behind it filled in."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, Mask, Report, bounded, grown, window_around
from llm_dit.color import dot, norm

MATTED_PIXELS = 160_000
"""The size of a thing with its surroundings from which the work is done on a smaller copy."""
RADIUS = 1
"""Of the windows in which the colors of both sides lie on a line each."""
SMOOTH = 1e-5
"""The weight against steep changes of alpha with color, of colors 0–1."""
TRUST, LEAN = 100.0, 0.05
"""The weights of what is known, and of what is guessed to be its own, beside the cost of a color that does not fit."""
STEPS, CLOSE = 80, 3e-3
"""Steps of the solver at most, and the share of the first miss at which it ends."""


def closed_form(rgb: Bytes, own: Mask, other: Mask, guess: Mask) -> Floats:
    """Return the alpha (height, width), 0–1, of a thing in `rgb` (height, width, 3) that is surely seen at `own` and
    surely not at `other`; what lies between is its own at `guess`, as far as the colors do not tell.

    Closed-form matting (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting", PAMI 2008):
    in small windows the colors of both sides are taken to lie on a line each. The Laplacian is applied by box filters
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
    # Where all around is known nothing is asked: the work is done on the band alone.
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
    """The matting Laplacian of `colors` (height, width, 3), applied without being built."""

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


# What sticks out of a thing.


FAR = 0.06
"""How far a stem or a strap may stick out, as a share of the picture's longer side."""
THICK = 25
"""Pixels: what is half as wide stands out from the median of what is around it."""
STANDS_OUT = 24.0
"""CIELAB from which a pixel stands out from the median of what is around it."""
GRAIN, MOST = 4.0, 80
"""CIELAB that so many percent of a smooth ground differ by from its median, at most."""
BAND = 3
"""Pixels on both sides of an outline that may be mixed."""
FREE = 0.5
"""The share of what sticks out that is away from the thing, at least: what lies along it is its edge or its shadow."""


def sticking_out(rgb: Bytes, thing: Mask) -> Mask:
    """Return what begins at a thing (height, width) in `rgb` (height, width, 3) and ends on a smooth ground near by: a
    stem, a strap, hair.

    It is thin and stands out. What goes on, such as the edge of a table, is none; on a busy ground nothing can be told.
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


# What lies behind: a texture goes on where a thing stood, a smooth ground is continued.


FILLED_PIXELS = 80_000
"""The size at which holes are filled: whole structures are a few patches wide there, and it takes half a second."""
AROUND = 0.75
"""What is seen around a hole, as a share of its longer side, in which its filling is looked for."""
LEAST_AROUND = 48
"""The same in pixels, at least."""
PATCH = 3
"""The radius of the patches that are compared."""
BLOCK = 4
"""The side of the blocks whose fine detail is brought back, in pixels of the small copy."""
SOURCES = 12_000
"""Patches that detail is taken from at most."""
TOLD = 1000
"""Blocks whose detail is brought back between two reports of progress."""
PLAIN = 2.0
"""Levels of fine detail below which a ground has none to bring back."""


def fill_behind(
    rgb: Bytes, hole: Mask, seed: int = 0, report: Report | None = None, *, apart: Mask | None = None
) -> Bytes:
    """Return `rgb` (height, width, 3) with `hole` (height, width) filled from what lies around it.

    The holes are filled one by one, with calls of `report("filling")` before and in each, which may raise to stop: by
    PatchMatch (Barnes et al., SIGGRAPH 2009; Wexler et al., "Space-time completion of video", PAMI 2007) on a copy of
    bounded size; the detail that the copy has lost comes from the patches that look alike (after Freeman et al.,
    "Example-based super-resolution", 2002). Without `pypatchmatch` the colors around are continued smoothly. What is
    not a hole stays as it is. Nothing is taken from what stands `apart` (height, width), such as other things.
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
    """Return `rgb` (height, width, 3) with the colors around `hole` continued into it, for networks to look at."""
    height, width = hole.shape
    _, size = bounded(height, width, FILLED_PIXELS)
    smooth = _smooth(_shrink(rgb, ~hole, size), ~_any(hole, size))
    return np.where(hole[..., None], _enlarge(smooth, width, height), rgb)


def _smooth(small: Bytes, free: Mask) -> Bytes:
    """Return a copy with the colors of what is `free` continued over the rest."""
    return np.rint(spread(small.astype(np.float32), free.astype(np.float32)).clip(0, 255)).astype(np.uint8)


def _fill(rgb: Bytes, hole: Mask, other: Mask, seed: int, report: Report | None) -> Bytes:
    """Return a crop with `hole` filled; what is `other` is neither filled nor taken from."""
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
    """Return the copy filled by patches, None where that cannot be had."""
    free = ~(inside | barred)
    # A patch that is wholly seen must be there to be copied.
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
    """Return the enlarged filling with the fine detail of the places that look alike in the small copy."""
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
    # The root keeps the strength of grain that is laid over itself.
    return np.rint((whole + total / np.sqrt(np.maximum(weight, 0.25))).clip(0, 255)).astype(np.uint8)


def _patches(picture: Bytes, places: NDArray[np.intp]) -> Floats:
    """Return the pixels (n, d) around each of `places` (n, 2: row, column)."""
    steps = np.arange(-PATCH, PATCH + 1)
    rows, columns = places[:, 0, None, None] + steps[:, None], places[:, 1, None, None] + steps
    return picture[rows, columns].reshape(len(places), -1).astype(np.float32)


def _shrink(rgb: Bytes, seen: Mask, size: tuple[int, int]) -> Bytes:
    """Return a copy of `size` in which nothing of what is not `seen` colors what is."""
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

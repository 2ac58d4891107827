"""Alpha and clean colors of layers whose regions are known, without traces of compression."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Mask, grown, nearest_label
from llm_dit.color import dot, largest, norm

STROKE, FULL = 9, 0.85
"""The width in pixels within which a stroke shows its paint somewhere, and the least share that counts as paint."""
FAINT, ROUGH = 2.0, 24.0
"""The least and the largest error, in levels, of the continued colors under a layer."""


@dataclass(frozen=True, kw_only=True)
class Halo:
    """Shadows, glows and mist: `alpha` (height, width), its darkness `dark` (0 the thing's light, 1 black), the layer
    `owner` of each pixel, the layers that are `soft` throughout, and the `lights` (3) of layers whose light has another
    color."""

    alpha: Floats
    dark: Floats
    owner: Labels
    soft: frozenset[int]
    lights: Mapping[int, Floats]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The inputs of matting: `rgb` (height, width, 3) 0–255; `clean`, the same without traces of upper layers;
    `traces`, the layer that left a trace at each pixel, −1 for none; `rank`, the visible layer, 0 the bottom, −1 for
    none; `whole`, each layer's mask as if nothing covered it; `scale` as in `Sketch`."""

    rgb: Floats
    clean: Floats
    traces: Labels
    rank: Labels
    whole: list[Mask]
    scale: float

    @property
    def band(self) -> int:
        """The reach of a border's blur in pixels: the edge's own, the codec's and the sketch's."""
        return 2 + round(1.5 * (1 / self.scale - 1))


def paint(plan: Plan, number: int, depth: Floats, below: Floats) -> Floats:
    """Return the colors of layer `number`, continued over the whole picture from its interior.

    Thin layers have no interior: there the deepest pixels of the strokes represent the paint, preferably those through
    which `below` shows least.
    """
    mine = plan.rank == number
    deep = min(plan.band + 1.0, float(np.percentile(depth[mine], 70)))
    sure = mine & (depth >= deep)
    if number and deep <= plan.band:
        away = np.where(sure, norm(plan.clean - below), 0).astype(np.float32)
        sure &= away >= FULL * cv2.dilate(away, np.ones((STROKE, STROKE), np.uint8))
    weight = sure.astype(np.float32)
    height, width = weight.shape
    small = (max(1, round(width * plan.scale)), max(1, round(height * plan.scale)))
    known = cv2.resize(np.dstack([plan.clean * weight[..., None], weight]), small, interpolation=cv2.INTER_AREA)
    known = known.reshape(small[1], small[0], 4)
    share = known[..., 3]
    colors = known[..., :3] / np.maximum(share[..., None], 1e-6)
    wide = spread(colors, (share > 0).astype(np.float32))
    return cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)


def matte(plan: Plan, number: int, colors: Floats, below: Floats, halo: Halo | None) -> tuple[Floats, Floats]:
    """Return alpha (height, width) and colors of layer `number` with paint `colors`, over `below`.

    Both are unmixed along visible borders; under other layers alpha is the completed mask.
    """
    mine = plan.rank == number
    covered = grown(plan.rank > number, plan.band)
    traces = plan.traces == number
    near, inside = grown(mine, plan.band) | traces, ~grown(~mine, plan.band)
    around, tint = np.zeros(mine.shape, np.float32), colors
    if halo is not None:
        around = np.where((halo.owner == number) & ~covered, halo.alpha, 0).astype(np.float32)
        tint = np.broadcast_to(halo.lights.get(number, colors), colors.shape) * (1 - halo.dark[..., None])
        below = below + (tint - below) * around[..., None]
        inside &= number not in halo.soft
    alpha = cv2.GaussianBlur(plan.whole[number].astype(np.float32), (0, 0), 0.5 / plan.scale)
    alpha[inside] = 1
    alpha[~near & ~covered] = 0
    lit = colors.copy()
    rows, columns = np.nonzero(near & ~inside & ~covered)
    edge = Edge(
        mixed=plan.rgb[rows, columns],
        upper=colors[rows, columns],
        lower=below[rows, columns],
        guess=alpha[rows, columns],
        own=~grown(~mine, round(0.5 / plan.scale))[rows, columns],
        noise=np.where(traces, 0, _noise_beside(plan, number, near, below))[rows, columns].astype(np.float32),
    )
    alpha[rows, columns], lit[rows, columns] = unmix(edge)
    return _with_halo(alpha, lit, around, tint) if around.any() else (alpha, lit)


def _with_halo(alpha: Floats, colors: Floats, around: Floats, tint: Floats) -> tuple[Floats, Floats]:
    """Return alpha and colors of a layer composited over its own shadow or glow of alpha `around` and colors `tint`."""
    rows, columns = np.nonzero(around > 1e-3)
    own = alpha[rows, columns]
    total = 1 - (1 - own) * (1 - around[rows, columns])
    share = (own / total)[:, None]
    alpha, colors = alpha.copy(), colors.copy()
    alpha[rows, columns] = total
    colors[rows, columns] = colors[rows, columns] * share + tint[rows, columns] * (1 - share)
    return alpha, colors


def _noise_beside(plan: Plan, number: int, near: Mask, below: Floats) -> float:
    """Return the difference, in levels, between `below` and the picture just outside the layer's soft edge."""
    ring = grown(near, 2 * plan.band) & ~near & (plan.rank < number)
    miss = largest(np.abs(plan.clean[ring] - below[ring]))
    return float(np.clip(1.5 * np.median(miss), FAINT, ROUGH)) if len(miss) else FAINT


# The two colors of a soft edge.


CONTRAST = 10.0
"""RGB distance between a layer and the one below from which the compositing equation determines alpha."""
WHITE, BLACK = (4.0, 8.0), (8.0, 24.0)
"""Levels near white and near black up to which a trace hardly shows, and from which it does: colors have no room to
carry it there, and an opaque speck would be worse."""
THIN = 0.15
"""The alpha up to which nothing counts as a speck."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Pixels (n, 3) of a soft edge: `mixed` as visible, and the colors `upper` and `lower` that may form the mixture.
    Per pixel (n): the `guess` of alpha, whether it is surely the upper layer's `own`, and the error of `lower`, its
    `noise`."""

    mixed: Floats
    upper: Floats
    lower: Floats
    guess: Floats
    own: Mask
    noise: Floats


def unmix(edge: Edge) -> tuple[Floats, Floats]:
    """Return alpha and the upper layer's own colors that explain the mixture.

    Alpha is the least squares solution of I = αF + (1 − α)B, or the guess if the two colors hardly differ. It is at
    least what any color F would need: the residue of blur, ringing and compression around an edge goes to the upper
    layer, so that no ghost remains in the lower one.
    """
    span = edge.upper - edge.lower
    length = dot(span, span)
    solved = dot(edge.mixed - edge.lower, span) / np.maximum(length, 1e-6)
    trust = np.clip(length / CONTRAST**2, 0, 1)
    # The last few percent at either end are noise, not coverage.
    solved = ((solved - 0.04) / 0.92).clip(0, 1)
    alpha = solved * trust + edge.guess * (1 - trust)
    # Well on its own side, what the two colors do not explain is more colors of the upper layer.
    miss = largest(np.abs(edge.mixed - edge.lower - alpha[:, None] * span))
    alpha += edge.own * (1 - alpha) * ((miss - 12) / 30).clip(0, 1)
    alpha = np.maximum(alpha, least_alpha(edge))
    return alpha, own_colors(edge, alpha)


def least_alpha(edge: Edge) -> Floats:
    """Return the least alpha with which a color 0–255 over `lower`, within its noise, gives `mixed`."""
    noise = edge.noise[:, None]
    off = edge.mixed - edge.lower
    room = np.where(off > 0, 255 - edge.lower, edge.lower)
    excess = np.abs(off) - noise
    light = ((np.abs(off) - WHITE[0]) / (WHITE[1] - WHITE[0])).clip(0, 1)
    dark = ((np.abs(off) - BLACK[0]) / (BLACK[1] - BLACK[0])).clip(0, 1)
    shown = np.where(off > 0, light, dark).clip(THIN)
    return largest(np.minimum(excess / np.maximum(room - noise, 1), shown)).clip(0, 1)


def own_colors(edge: Edge, alpha: Floats) -> Floats:
    """Return `upper` corrected as `mixed` requires, beyond noise: F = (I − (1 − α)B) / α."""
    miss = edge.mixed - edge.lower - alpha[:, None] * (edge.upper - edge.lower)
    noise = edge.noise[:, None] * (1 - alpha[:, None])
    excess = miss - miss.clip(-noise, noise)
    change = np.divide(excess, alpha[:, None], out=np.zeros_like(excess), where=alpha[:, None] > 0)
    return (edge.upper + change).clip(0, 255)


# Traces of compression and sharpening around things: ringing, blocks and halos on the layer behind.


Window = tuple[slice, slice]

REACH = 16
"""The reach of codec residue from an edge in pixels: a block of chroma at half resolution."""
SEEN = 3.0
"""Levels from which a trace on an even surface is visible."""
BUSY = 24.0
"""The strength in levels of a texture that hides all traces."""
BLURRED, SLOW = 3, 6.0
"""The width of an edge's own blur, and the averaging radius for an uneven surface, in pixels."""
COARSE = 4
"""The block side, in pixels, of the means with which surfaces are compared."""


def tidy(plan: Plan, number: int, field: Floats | None) -> None:
    """Remove the traces of upper layers from the visible part of layer `number`.

    Changes `plan.clean` in place to the layer's colors without them, and `plan.traces` to the layers that left them. A
    trace deviates from the surface more than the surface itself does away from all edges, and ends near the edge.
    `field` (height, width, 3) is the surface, if it is known.
    """
    above = plan.rank > number
    if not above.any():
        return
    window = _window(above)
    mine, above = (plan.rank == number)[window], above[window]
    away = cv2.distanceTransform((~above).astype(np.uint8), cv2.DIST_L2, 5)
    zone = mine & (away <= REACH)
    if not zone.any():
        return
    rgb = plan.rgb[window]
    if field is None:
        level = _surface(rgb, mine, away, np.zeros_like(rgb))
        level = level + _slow(rgb - level, mine & (away > BLURRED))
    else:
        level = _surface(rgb, mine, away, field[window])
    off = rgb - level
    strength = largest(np.abs(off))
    own, limit = _limit(strength, mine, away, zone)
    traces = _within_reach((strength > limit) & mine, away) & zone
    if not traces.any():
        return
    rows, columns = np.nonzero(traces)
    top, left = window[0].start, window[1].start
    plan.clean[rows + top, columns + left] = level[rows, columns] + off[rows, columns].clip(-own, own)
    plan.traces[rows + top, columns + left] = nearest_label(plan.rank[window], above)[rows, columns]


def _window(mask: Mask) -> Window:
    """Return the box around `mask` that contains its traces and the surface beside them."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    room = 5 * REACH
    return slice(max(0, top - room), top + height + room), slice(max(0, left - room), left + width + room)


def _surface(rgb: Floats, mine: Mask, away: Floats, base: Floats) -> Floats:
    """Return the surface (height, width, 3) of the layer visible at `mine`, continued from beyond the reach of traces.

    The difference from `base` is continued.
    """
    far = min(REACH + 1.0, float(np.percentile(away[mine], 70)))
    weight = (mine & (away >= far)).astype(np.float32)
    height, width = mine.shape
    small = (-(-width // COARSE), -(-height // COARSE))
    values = cv2.resize(np.dstack([(rgb - base) * weight[..., None], weight]), small, interpolation=cv2.INTER_AREA)
    values = values.reshape(small[1], small[0], 4)
    share = values[..., 3]
    wide = spread(values[..., :3] / np.maximum(share[..., None], 1e-6), (share > 0).astype(np.float32))
    return base + cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR).reshape(rgb.shape)


def _slow(values: Floats, mask: Mask) -> Floats:
    """Return the local mean of `values` over the pixels of `mask`, too coarse to follow a trace."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SLOW)[..., None]
    return cv2.GaussianBlur(values * mask[..., None].astype(np.float32), (0, 0), SLOW) / (share + 0.02)


def _limit(strength: Floats, mine: Mask, away: Floats, zone: Mask) -> tuple[float, float]:
    """Return the usual and the largest deviation of the surface from its mean; infinity if it hides all traces."""
    beside = mine & (away > REACH) & (away < 4 * REACH)
    usual, most = np.percentile(strength[beside], (80, 99.5)).tolist() if beside.sum() > 50 else (0.0, 0.0)
    if most > BUSY or (most > SEEN and (strength[zone] > most).mean() < 0.02):
        return usual, np.inf
    return max(SEEN - 1, usual), max(SEEN, most)


def _within_reach(traces: Mask, away: Floats) -> Mask:
    """Return the traces except those that continue beyond the reach of codecs."""
    count, found = cv2.connectedComponents(traces.astype(np.uint8))
    parts = np.asarray(found, np.int32)
    beyond = np.bincount(parts[traces & (away > REACH)], minlength=count)
    goes_on = beyond > 0.2 * np.bincount(parts.ravel(), minlength=count)
    return traces & ~goes_on[parts]


# The last step: alpha and colors whose composite is the picture.


def settle_alpha(alphas: Bytes, wanted: Bytes, owner: NDArray[np.integer]) -> None:
    """Change `alphas` (layers, height, width) in place so that they composite to `wanted` (height, width).

    Where their composite differs, and wherever the picture is translucent, only the layer `owner` has alpha.
    """
    through = np.ones(wanted.shape, np.float32)
    for alpha in alphas:
        through *= 1 - alpha.astype(np.float32) / 255
    off = (np.abs((1 - through) * 255 - wanted) > 0.5) | ((wanted > 0) & (wanted < 255))
    rows, columns = np.nonzero(off)
    alphas[:, rows, columns] = 0
    alphas[owner[rows, columns], rows, columns] = wanted[rows, columns]


def settle_colors(layers: Bytes, picture: Bytes) -> None:
    """Change the colors of `layers` (layers, height, width, 4; bottom first) in place so that they give `picture`.

    First the difference is distributed by the least change of all colors (`_share`), so that a faint edge of a layer
    keeps its color and the layer behind takes what the edge cannot. Where colors reach their bounds, the layers are
    solved one by one (`_solve`). The composite differs by at most half a level of rounding, twice that when written.
    """
    count = len(layers)
    clear = np.ones(picture.shape[:2], bool)
    mixed = np.zeros(picture.shape[:2], bool)
    for index in range(count - 1, -1, -1):
        alpha = layers[index, ..., 3]
        whole = clear & (alpha == 255)
        layers[index, ..., :3][whole] = picture[..., :3][whole]
        mixed |= clear & (alpha > 0) & (alpha < 255)
        clear &= alpha == 0
    rows, columns = np.nonzero(mixed)
    if len(rows):
        stack = layers[:, rows, columns].astype(np.float32)
        target = picture[rows, columns, :3].astype(np.float32)
        left = _share(stack, target)
        if left.any():
            hard = stack[:, left]
            _solve(hard, target[left])
            stack[:, left] = hard
        layers[:, rows, columns] = stack.astype(np.uint8)


def _share(stack: NDArray[np.float32], target: NDArray[np.float32]) -> Mask:
    """Change the colors of `stack` (layers, pixels, 4) in place by the least squares that give `target` (pixels, 3).

    Σ T α C = I, where T is the transmission of the layers above. The solution has the least Σ (α ΔC)²: it neither tints
    a faint edge much nor leaves much of a ghost in the layer behind. Colors at a bound stay there and the others
    compensate; all are rounded to integers. Returns where the error exceeds half a level.
    """
    alpha = stack[..., 3:] / 255
    through = np.ones_like(alpha)
    for index in range(len(stack) - 2, -1, -1):
        through[index] = through[index + 1] * (1 - alpha[index + 1])
    wanted = target * (1 - through[0] * (1 - alpha[0]))
    colors = stack[..., :3]
    change = np.divide(through, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    effect = through**2 * (alpha > 0)
    free = np.ones(colors.shape, np.float32)
    for _ in range(3):
        missing = wanted - (colors * through * alpha).sum(axis=0)
        colors += missing * change * free / np.maximum((effect * free).sum(axis=0), 1e-6)
        free = ((colors > 0) & (colors < 255)).astype(np.float32)
        np.clip(colors, 0, 255, out=colors)
    np.rint(colors, out=colors)
    return (np.abs(wanted - (colors * through * alpha).sum(axis=0)) > 0.5).any(axis=-1)


def _solve(stack: NDArray[np.float32], target: NDArray[np.float32]) -> None:
    """Solve the colors of `stack` (layers, pixels, 4) in place for `target` (pixels, 3), premultiplying on the way.

    From the top down each layer's color is solved from I = αF + (1 − α)B, where B comes from the layers below. F is
    clipped to 0–255 and the remainder passed to the layers below. A solution always exists: every layer equal to I.
    """
    alpha = stack[..., 3:] / 255
    below = [np.zeros_like(target)]
    through = np.ones_like(alpha[0])
    for index in range(len(stack)):
        below.append(below[-1] * (1 - alpha[index]) + stack[index, :, :3] * alpha[index])
        through *= 1 - alpha[index]
    wanted = target * (1 - through)
    asked = np.ones(target.shape, bool)
    for index in range(len(stack) - 1, -1, -1):
        a = alpha[index]
        use = asked & (a > 0)
        solved = np.divide(wanted - (1 - a) * below[index], a, out=np.zeros_like(wanted), where=a > 0)
        color = np.where(use, np.rint(solved.clip(0, 255)), stack[index, :, :3])
        stack[index, :, :3] = color
        clipped = (solved < -0.5) | (solved > 255.5)
        asked = np.where(use, clipped, asked) & (a < 1)
        rest = np.divide(wanted - a * color, 1 - a, out=np.zeros_like(wanted), where=a < 1)
        wanted = np.where(asked, rest, below[index])

"""Soft alphas and clean colors for layers whose places are known, and the two colors of a soft edge."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.regions import Floats, Labels, grown

Mask = NDArray[np.bool_]
STROKE, FULL = 9, 0.85
"""Pixels beside each other in which a stroke shows its paint somewhere, and the least share of it that counts as it."""
FAINT, ROUGH = 2.0, 24.0
"""Levels by which what lies under a layer may differ from its continued colors, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Halo:
    """What lies softly around things: `alpha` (height, width), how `dark` it is (0 the thing's light, 1 black), the
    layer `owner` it belongs to, which layers are `soft` all through, and the `lights` (3) that are of another color
    than their layers."""

    alpha: Floats
    dark: Floats
    owner: Labels
    soft: frozenset[int]
    lights: Mapping[int, Floats]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to matte: `rgb` (height, width, 3) 0–255, the same `clean` of the traces of what lies above, and in `traces`
    per pixel the layer that left one there, −1 for none; `rank` the seen layer, 0 the bottom, −1 nothing;
    `whole` for each layer the mask of it that would be seen without those above; `scale` as in `Sketch`."""

    rgb: Floats
    clean: Floats
    traces: Labels
    rank: Labels
    whole: list[Mask]
    scale: float

    @property
    def band(self) -> int:
        """How far from a border its blur may reach, in pixels: the edge's own, its compression's and the sketch's."""
        return 2 + round(1.5 * (1 / self.scale - 1))


def paint(plan: Plan, number: int, depth: Floats, below: Floats) -> Floats:
    """Return the colors of layer `number`, continued over the whole picture from well inside of it.

    Thin layers have no inside: there the deepest pixels of their strokes stand for the paint, and of these the ones
    that what is `below` shows through least.
    """
    mine = plan.rank == number
    deep = min(plan.band + 1.0, float(np.percentile(depth[mine], 70)))
    sure = mine & (depth >= deep)
    if number and deep <= plan.band:
        away = np.where(sure, np.linalg.norm(plan.clean - below, axis=-1), 0).astype(np.float32)
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
    """Return alpha (height, width) and colors of layer `number` whose paint is `colors`, over `below`.

    Along borders that are seen both are unmixed; under other layers stands the completed mask.
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
    """Return alpha and colors of a layer over its own shadow or glow of alpha `around` and colors `tint`."""
    rows, columns = np.nonzero(around > 1e-3)
    own = alpha[rows, columns]
    total = 1 - (1 - own) * (1 - around[rows, columns])
    share = (own / total)[:, None]
    alpha, colors = alpha.copy(), colors.copy()
    alpha[rows, columns] = total
    colors[rows, columns] = colors[rows, columns] * share + tint[rows, columns] * (1 - share)
    return alpha, colors


def _noise_beside(plan: Plan, number: int, near: Mask, below: Floats) -> float:
    """Return by how many levels what lies under the layer differs from `below` just outside of its soft edge."""
    ring = grown(near, 2 * plan.band) & ~near & (plan.rank < number)
    miss = np.abs(plan.clean[ring] - below[ring]).max(axis=-1)
    return float(np.clip(1.5 * np.median(miss), FAINT, ROUGH)) if len(miss) else FAINT


# Parting the colors of a soft edge into those of both sides.


CONTRAST = 10.0
"""RGB distance between a layer and what is under it from which the compositing equation tells its alpha."""
WHITE, BLACK = (4.0, 8.0), (8.0, 24.0)
"""Levels next to white and to black up to which a trace hardly shows, and from which it does: a color has no room to
carry it there, and an opaque speck would be worse."""
THIN = 0.15
"""The alpha up to which nothing is a speck."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Pixels (n, 3) of a soft edge: `mixed` as seen, the colors `upper` and `lower` that they may be mixed of; (n)
    `guess` of the alpha and whether each is surely the upper layer's `own`, how far `lower` may be off, its `noise`."""

    mixed: Floats
    upper: Floats
    lower: Floats
    guess: Floats
    own: NDArray[np.bool_]
    noise: Floats


def unmix(edge: Edge) -> tuple[Floats, Floats]:
    """Return alpha and the upper layer's own colors, such that the mixture is explained.

    Alpha is the least squares solution of I = αF + (1 − α)B; where the two are hardly different, the guess. It is never
    less than what any color F would need: what blur, ringing and compression leave around an edge is the upper
    layer's, lest it stay behind in the lower one as a ghost.
    """
    span = edge.upper - edge.lower
    length = (span**2).sum(axis=-1)
    solved = ((edge.mixed - edge.lower) * span).sum(axis=-1) / np.maximum(length, 1e-6)
    trust = np.clip(length / CONTRAST**2, 0, 1)
    # The last few percent at either end are noise of the picture, not coverage.
    solved = ((solved - 0.04) / 0.92).clip(0, 1)
    alpha = solved * trust + edge.guess * (1 - trust)
    # Well on its own side, what the two colors do not explain are more colors of the upper layer.
    miss = np.abs(edge.mixed - edge.lower - alpha[:, None] * span).max(axis=-1)
    alpha += edge.own * (1 - alpha) * ((miss - 12) / 30).clip(0, 1)
    alpha = np.maximum(alpha, least_alpha(edge))
    return alpha, own_colors(edge, alpha)


def least_alpha(edge: Edge) -> Floats:
    """Return the least alpha with which a color from 0 to 255 over `lower`, give or take its noise, gives `mixed`."""
    noise = edge.noise[:, None]
    off = edge.mixed - edge.lower
    room = np.where(off > 0, 255 - edge.lower, edge.lower)
    excess = np.abs(off) - noise
    light = ((np.abs(off) - WHITE[0]) / (WHITE[1] - WHITE[0])).clip(0, 1)
    dark = ((np.abs(off) - BLACK[0]) / (BLACK[1] - BLACK[0])).clip(0, 1)
    shown = np.where(off > 0, light, dark).clip(THIN)
    return np.minimum(excess / np.maximum(room - noise, 1), shown).max(axis=-1).clip(0, 1)


def own_colors(edge: Edge, alpha: Floats) -> Floats:
    """Return `upper` changed as far as `mixed` asks for: F = (I − (1 − α)B) / α, noise apart."""
    miss = edge.mixed - edge.lower - alpha[:, None] * (edge.upper - edge.lower)
    noise = edge.noise[:, None] * (1 - alpha[:, None])
    excess = miss - miss.clip(-noise, noise)
    change = np.divide(excess, alpha[:, None], out=np.zeros_like(excess), where=alpha[:, None] > 0)
    return (edge.upper + change).clip(0, 255)

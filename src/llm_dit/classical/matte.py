"""Soft alphas and clean colours for layers whose places are known."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.fill import spread
from llm_dit.classical.segment import Floats, Labels
from llm_dit.classical.unmix import Edge, unmix

Mask = NDArray[np.bool_]
STROKE, FULL = 9, 0.85
"""Pixels beside each other in which a stroke shows its paint somewhere, and the least share of it that counts as it."""
FAINT, ROUGH = 2.0, 24.0
"""Levels by which what lies under a layer may differ from its continued colours, at least and at most."""


@dataclass(frozen=True, kw_only=True)
class Halo:
    """What lies softly around things: `alpha` (height, width), how `dark` it is (0 the thing's light, 1 black), the
    layer `owner` it belongs to, which layers are `soft` all through, and the `lights` (3) that are of another colour
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
    """Return the colours of layer `number`, continued over the whole picture from well inside of it.

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
    colours = known[..., :3] / np.maximum(share[..., None], 1e-6)
    wide = spread(colours, (share > 0).astype(np.float32))
    return cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)


def matte(plan: Plan, number: int, colours: Floats, below: Floats, halo: Halo | None) -> tuple[Floats, Floats]:
    """Return alpha (height, width) and colours of layer `number` whose paint is `colours`, over `below`.

    Along borders that are seen both are unmixed; under other layers stands the completed mask.
    """
    mine = plan.rank == number
    covered = _grown(plan.rank > number, plan.band)
    traces = plan.traces == number
    near, inside = _grown(mine, plan.band) | traces, ~_grown(~mine, plan.band)
    around, tint = np.zeros(mine.shape, np.float32), colours
    if halo is not None:
        around = np.where((halo.owner == number) & ~covered, halo.alpha, 0).astype(np.float32)
        tint = np.broadcast_to(halo.lights.get(number, colours), colours.shape) * (1 - halo.dark[..., None])
        below = below + (tint - below) * around[..., None]
        inside &= number not in halo.soft
    alpha = cv2.GaussianBlur(plan.whole[number].astype(np.float32), (0, 0), 0.5 / plan.scale)
    alpha[inside] = 1
    alpha[~near & ~covered] = 0
    lit = colours.copy()
    rows, columns = np.nonzero(near & ~inside & ~covered)
    edge = Edge(
        mixed=plan.rgb[rows, columns],
        upper=colours[rows, columns],
        lower=below[rows, columns],
        guess=alpha[rows, columns],
        own=~_grown(~mine, round(0.5 / plan.scale))[rows, columns],
        noise=np.where(traces, 0, _noise_beside(plan, number, near, below))[rows, columns].astype(np.float32),
    )
    alpha[rows, columns], lit[rows, columns] = unmix(edge)
    return _with_halo(alpha, lit, around, tint) if around.any() else (alpha, lit)


def _with_halo(alpha: Floats, colours: Floats, around: Floats, tint: Floats) -> tuple[Floats, Floats]:
    """Return alpha and colours of a layer over its own shadow or glow of alpha `around` and colours `tint`."""
    rows, columns = np.nonzero(around > 1e-3)
    own = alpha[rows, columns]
    total = 1 - (1 - own) * (1 - around[rows, columns])
    share = (own / total)[:, None]
    alpha, colours = alpha.copy(), colours.copy()
    alpha[rows, columns] = total
    colours[rows, columns] = colours[rows, columns] * share + tint[rows, columns] * (1 - share)
    return alpha, colours


def _noise_beside(plan: Plan, number: int, near: Mask, below: Floats) -> float:
    """Return by how many levels what lies under the layer differs from `below` just outside of its soft edge."""
    ring = _grown(near, 2 * plan.band) & ~near & (plan.rank < number)
    miss = np.abs(plan.clean[ring] - below[ring]).max(axis=-1)
    return float(np.clip(1.5 * np.median(miss), FAINT, ROUGH)) if len(miss) else FAINT


def _grown(mask: Mask, radius: int) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0

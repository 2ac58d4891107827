"""Soft alphas and clean colours for layers whose places are known."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.fill import spread
from llm_dit.classical.segment import Floats, Labels

Mask = NDArray[np.bool_]
CONTRAST = 10.0
"""RGB distance between a layer and what is under it from which the compositing equation tells its alpha."""


@dataclass(frozen=True, kw_only=True)
class Halo:
    """What lies softly around things: `alpha` (height, width), how `dark` it is (0 the thing's own colour, 1 black),
    the layer `owner` it belongs to, and which layers are `soft` all through."""

    alpha: Floats
    dark: Floats
    owner: Labels
    soft: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to matte: `rgb` (height, width, 3) 0–255; `rank` per pixel the seen layer, 0 the bottom, −1 nothing;
    `whole` for each layer the mask of it that would be seen without those above; `scale` as in `Sketch`."""

    rgb: Floats
    rank: Labels
    whole: list[Mask]
    scale: float

    @property
    def band(self) -> int:
        """How far from a border its blur may reach, in pixels."""
        return 2 + round(0.5 / self.scale)


def paint(plan: Plan, number: int, depth: Floats) -> Floats:
    """Return the colours of layer `number`, continued over the whole picture from well inside of it.

    Thin layers have no inside: there the deepest pixels of their strokes stand for the paint.
    """
    mine = plan.rank == number
    deep = min(plan.band + 1.0, float(np.percentile(depth[mine], 70)))
    weight = (mine & (depth >= deep)).astype(np.float32)
    height, width = weight.shape
    small = (max(1, round(width * plan.scale)), max(1, round(height * plan.scale)))
    known = cv2.resize(np.dstack([plan.rgb * weight[..., None], weight]), small, interpolation=cv2.INTER_AREA)
    known = known.reshape(small[1], small[0], 4)
    share = known[..., 3]
    colours = known[..., :3] / np.maximum(share[..., None], 1e-6)
    wide = spread(colours, (share > 0).astype(np.float32))
    return cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 3)


def matte(plan: Plan, number: int, colours: Floats, below: Floats, halo: Halo | None) -> tuple[Floats, Floats]:
    """Return alpha (height, width) and colours of layer `number` whose paint is `colours`, over `below`.

    Along borders that are seen it is the least squares solution of I = αF + (1 − α)B; where the two are hardly
    different, the smoothed mask; under other layers, the completed mask.
    """
    mine = plan.rank == number
    covered = cv2.dilate((plan.rank > number).astype(np.uint8), _disc(plan.band)) > 0
    alpha = cv2.GaussianBlur(plan.whole[number].astype(np.float32), (0, 0), 0.5 / plan.scale)
    near = cv2.dilate(mine.astype(np.uint8), _disc(plan.band)) > 0
    inside = cv2.erode(mine.astype(np.uint8), _disc(plan.band), borderValue=1) > 0
    around = np.zeros_like(alpha)
    lit = colours
    around = tint = None
    if halo is not None:
        around = np.where((halo.owner == number) & ~covered, halo.alpha, 0).astype(np.float32)
        tint = colours * (1 - halo.dark[..., None])
        below = below + (tint - below) * around[..., None]
        if number in halo.soft:
            inside &= False
    rows, columns = np.nonzero(near & ~inside & ~covered)
    alpha[rows, columns] = _unmix(
        plan.rgb[rows, columns], colours[rows, columns], below[rows, columns], alpha[rows, columns]
    )
    alpha[inside] = 1
    alpha[~near & ~covered] = 0
    if around is not None and tint is not None and around.any():
        total = 1 - (1 - alpha) * (1 - around)
        share = np.divide(alpha, total, out=np.ones_like(alpha), where=total > 0)[..., None]
        lit = colours * share + tint * (1 - share)
        alpha = total
    return alpha, lit


def _unmix(mixed: Floats, upper: Floats, lower: Floats, guess: Floats) -> Floats:
    span = upper - lower
    length = (span**2).sum(axis=-1)
    solved = ((mixed - lower) * span).sum(axis=-1) / np.maximum(length, 1e-6)
    trust = np.clip(length / CONTRAST**2, 0, 1)
    # The last few percent at either end are noise of the picture, not coverage.
    solved = ((solved - 0.04) / 0.92).clip(0, 1)
    alpha = solved * trust + guess * (1 - trust)
    # What the two colours do not explain is the upper layer's, or its outline would stay behind as a ghost.
    miss = np.abs(mixed - lower - alpha[:, None] * span).max(axis=-1)
    return alpha + (1 - alpha) * ((miss - 12) / 30).clip(0, 1)


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)

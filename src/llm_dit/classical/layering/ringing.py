"""What compression and sharpening leave around things: ringing, blocks and halos on what lies behind them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.matte import Plan
from llm_dit.classical.layering.regions import Floats, nearest_label

Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

REACH = 16
"""Pixels from an edge in which codecs leave something: a block of chroma at half resolution."""
SEEN = 3.0
"""Levels from which a trace on an even surface can be seen."""
BUSY = 24.0
"""Levels of a texture that hides all traces."""
NEAR, SLOW = 3, 6.0
"""Pixels that an edge's own blur takes, and over which an uneven surface is averaged."""
COARSE = 4
"""Surfaces are compared with their mean over so many pixels in each direction."""


def tidy(plan: Plan, number: int, field: Floats | None) -> None:
    """Take the traces of what lies over layer `number` off what is seen of the layer.

    Changes `plan.clean` in place to what the layer shows without them, and `plan.traces` to the layers that they belong
    to. A trace is what stands out of the surface farther than the surface itself does away from all edges, and does not
    go on there. `field` (height, width, 3) is the surface, where it is known.
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
        level = level + _slow(rgb - level, mine & (away > NEAR))
    else:
        level = _surface(rgb, mine, away, field[window])
    off = rgb - level
    strength = np.abs(off).max(axis=-1)
    own, limit = _limit(strength, mine, away, zone)
    traces = _within_reach((strength > limit) & mine, away) & zone
    if not traces.any():
        return
    rows, columns = np.nonzero(traces)
    top, left = window[0].start, window[1].start
    plan.clean[rows + top, columns + left] = level[rows, columns] + off[rows, columns].clip(-own, own)
    plan.traces[rows + top, columns + left] = nearest_label(plan.rank[window], above)[rows, columns]


def _window(mask: Mask) -> Window:
    """Return the box around `mask` in which its traces and the surface beside them are seen."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    room = 5 * REACH
    return slice(max(0, top - room), top + height + room), slice(max(0, left - room), left + width + room)


def _surface(rgb: Floats, mine: Mask, away: Floats, base: Floats) -> Floats:
    """Return the surface (height, width, 3) of the layer seen at `mine`, continued from where no trace reaches.

    It is continued as it differs from `base`.
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
    """Return `values` averaged over the pixels of `mask` around, as slowly as no trace changes."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SLOW)[..., None]
    return cv2.GaussianBlur(values * mask[..., None].astype(np.float32), (0, 0), SLOW) / (share + 0.02)


def _limit(strength: Floats, mine: Mask, away: Floats, zone: Mask) -> tuple[float, float]:
    """Return how far the surface is off its own mean, usually and at most; infinity where it hides all traces."""
    beside = mine & (away > REACH) & (away < 4 * REACH)
    usual, most = np.percentile(strength[beside], (80, 99.5)).tolist() if beside.sum() > 50 else (0.0, 0.0)
    if most > BUSY or (most > SEEN and (strength[zone] > most).mean() < 0.02):
        return usual, np.inf
    return max(SEEN - 1, usual), max(SEEN, most)


def _within_reach(traces: Mask, away: Floats) -> Mask:
    """Return the traces without those that go on beyond the reach of codecs."""
    count, found = cv2.connectedComponents(traces.astype(np.uint8))
    parts = np.asarray(found, np.int32)
    beyond = np.bincount(parts[traces & (away > REACH)], minlength=count)
    goes_on = beyond > 0.2 * np.bincount(parts.ravel(), minlength=count)
    return traces & ~goes_on[parts]

"""Parting the colours of a soft edge into those of both sides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.segment import Floats

CONTRAST = 10.0
"""RGB distance between a layer and what is under it from which the compositing equation tells its alpha."""
WHITE, BLACK = (4.0, 8.0), (8.0, 24.0)
"""Levels next to white and to black up to which a trace hardly shows, and from which it does: a color has no room to
carry it there, and an opaque speck would be worse."""
THIN = 0.15
"""The alpha up to which nothing is a speck."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Pixels (n, 3) of a soft edge: `mixed` as seen, the colours `upper` and `lower` that they may be mixed of; (n)
    `guess` of the alpha and whether each is surely the upper layer's `own`, how far `lower` may be off, its `noise`."""

    mixed: Floats
    upper: Floats
    lower: Floats
    guess: Floats
    own: NDArray[np.bool_]
    noise: Floats


def unmix(edge: Edge) -> tuple[Floats, Floats]:
    """Return alpha and the upper layer's own colours, such that the mixture is explained.

    Alpha is the least squares solution of I = αF + (1 − α)B; where the two are hardly different, the guess. It is never
    less than what any colour F would need: what blur, ringing and compression leave around an edge is the upper
    layer's, lest it stay behind in the lower one as a ghost.
    """
    span = edge.upper - edge.lower
    length = (span**2).sum(axis=-1)
    solved = ((edge.mixed - edge.lower) * span).sum(axis=-1) / np.maximum(length, 1e-6)
    trust = np.clip(length / CONTRAST**2, 0, 1)
    # The last few percent at either end are noise of the picture, not coverage.
    solved = ((solved - 0.04) / 0.92).clip(0, 1)
    alpha = solved * trust + edge.guess * (1 - trust)
    # Well on its own side, what the two colours do not explain are more colours of the upper layer.
    miss = np.abs(edge.mixed - edge.lower - alpha[:, None] * span).max(axis=-1)
    alpha += edge.own * (1 - alpha) * ((miss - 12) / 30).clip(0, 1)
    alpha = np.maximum(alpha, least_alpha(edge))
    return alpha, own_colours(edge, alpha)


def least_alpha(edge: Edge) -> Floats:
    """Return the least alpha with which a colour from 0 to 255 over `lower`, give or take its noise, gives `mixed`."""
    noise = edge.noise[:, None]
    off = edge.mixed - edge.lower
    room = np.where(off > 0, 255 - edge.lower, edge.lower)
    excess = np.abs(off) - noise
    light = ((np.abs(off) - WHITE[0]) / (WHITE[1] - WHITE[0])).clip(0, 1)
    dark = ((np.abs(off) - BLACK[0]) / (BLACK[1] - BLACK[0])).clip(0, 1)
    shown = np.where(off > 0, light, dark).clip(THIN)
    return np.minimum(excess / np.maximum(room - noise, 1), shown).max(axis=-1).clip(0, 1)


def own_colours(edge: Edge, alpha: Floats) -> Floats:
    """Return `upper` changed as far as `mixed` asks for: F = (I − (1 − α)B) / α, noise apart."""
    miss = edge.mixed - edge.lower - alpha[:, None] * (edge.upper - edge.lower)
    noise = edge.noise[:, None] * (1 - alpha[:, None])
    excess = miss - miss.clip(-noise, noise)
    change = np.divide(excess, alpha[:, None], out=np.zeros_like(excess), where=alpha[:, None] > 0)
    return (edge.upper + change).clip(0, 255)

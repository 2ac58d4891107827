"""Soft alphas and clean colors: of layers whose places are known, and of a thing on any ground."""

from dataclasses import dataclass

import cv2
import numpy as np

from llm_dit.classical.layering.regions import Bytes, Floats, Mask, bounded

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
    own: Mask
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


# The soft edge of a thing on any ground: which share of each pixel beside its outline is its own.


PIXELS = 160_000
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
    _, size = bounded(height, width, PIXELS)
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
        level = mean - (slope * self.mean).sum(axis=-1)
        return self.count * alpha - (_sum(slope) * self.colors).sum(axis=-1) - _sum(level)


def _sum(values: Floats) -> Floats:
    side = 2 * RADIUS + 1
    parts = [
        cv2.boxFilter(part, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        for part in cv2.split(values)
    ]
    return np.asarray(parts[0] if values.ndim == 2 else np.stack(parts, axis=-1), np.float32)

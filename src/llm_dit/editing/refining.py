"""A motion improved by least squares on the points of one level."""

import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.levels import Level, length
from llm_dit.editing.motion import Motion

MAX_STEPS = 12
# Standard deviations of what models do: it decides only what the edges leave open, such as a shift along a line.
USUAL_SHIFT_PX, USUAL_ZOOM = 6.0, 0.015


def refine(level: Level, start: Motion) -> Motion:
    """Return `start` improved by Gauss-Newton steps on the points of one level.

    (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004; Geman and McClure's weights.)
    """
    state = level.state(start)
    error = float("inf")
    for _ in range(MAX_STEPS):
        step, error = _step(level, state)
        state = state + step
        if np.abs(step).max() < 0.01:
            break
    shift = (float(state[0] / level.scale), float(state[1] / level.scale))
    motion = Motion(shift=shift, zoom=float(1 + state[2] / level.radius))
    return Motion(shift=shift, zoom=motion.zoom, correlation=level.correlation(motion), error_px=error / level.scale)


def _step(level: Level, state: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the change of shift x, shift y and zoom that fits best, at most a pixel, and its standard error."""
    moved, weights = level.sample(state)
    # Noise and blur shorten the vectors of the edited picture; what matters is where they lie.
    longer = np.clip(length(level.vectors, weights) / (length(moved, weights) + 1e-6), 0.5, 2)
    residual = moved * longer - level.vectors
    squares = np.einsum("nc,nc->n", residual, residual)
    robust = weights / (1 + squares / 0.25) ** 2
    weighted = (level.slopes * robust[:, None, None]).reshape(-1, 3)
    variance = float((squares * robust).sum() / max(2 * float(robust.sum()), 1e-6)) + 1e-6
    usual = np.array([USUAL_SHIFT_PX * level.scale] * 2 + [USUAL_ZOOM * level.radius])
    # The blur of the edge fields makes about 12 neighbouring pixels one observation.
    normal = (weighted.T @ level.slopes.reshape(-1, 3)).astype(np.float64) / (12 * variance) + np.diag(usual**-2)
    pull = -weighted.T.astype(np.float64) @ residual.reshape(-1) / (12 * variance) - state / usual**2
    return np.linalg.solve(normal, pull).clip(-1, 1), float(np.sqrt(np.linalg.inv(normal).diagonal().max()))

"""How far an edited picture is shifted and zoomed against the one that was given, whatever happened to its colours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.levels import Level, length, make_level
from llm_dit.editing.motion import Motion, matrix
from llm_dit.editing.planes import Plane

SIDES = (128, 256, 512, 1024)
SEARCHED = 1
CANDIDATES = 3
ZOOMS = np.linspace(-0.042, 0.042, 15)
SEARCHED_SHIFT_PX = 18.0
MAX_STEPS = 12
# Standard deviations of what models do: it decides only what the edges leave open, such as a shift along a line.
USUAL_SHIFT_PX, USUAL_ZOOM = 6.0, 0.015
# Resampling costs more than undoing less than this would gain.
MIN_MOVE_PX = 0.25


def measure_motion(given: Plane, edited: Plane, weight: Plane) -> Motion:
    """Measure shift and zoom of `edited` against `given`, both (height, width, 3) in 0–1.

    `weight` (height, width), 0–1, says how much each place of the given picture is to be believed. A search over zoom
    by correlation of edge fields on a small picture is refined from coarse to fine by least squares with robust
    weights (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004; Geman and McClure's weights).
    """
    levels = [level for side in SIDES if len((level := make_level(given, edited, weight, side)).places)]
    if not levels:
        return Motion()
    search = levels[min(SEARCHED, len(levels) - 1)]
    candidates = [_refine(search, start) for start in [Motion(), *_search(search)]]
    start = max(candidates, key=lambda motion: motion.correlation)
    # A picture of sharp edges is measured best at its finest, one of glows and shadows where noise is averaged out.
    motions = [_refine(levels[0], start)]
    for level in levels[1:]:
        motions.append(_refine(level, motions[-1]))
    index = min(range(len(levels)), key=lambda at: motions[at].error_px / max(motions[at].correlation, 0.01) ** 2)
    return _if_better(levels[index], motions[index], float(np.hypot(*given.shape[:2])) / 2)


def _if_better(level: Level, motion: Motion, radius: float) -> Motion:
    """Return the motion, or none where it is too small to be told from none, or makes the edges agree less."""
    still = Motion(correlation=level.correlation(Motion()), error_px=motion.error_px)
    moves = float(np.hypot(*motion.shift)) + abs(motion.zoom - 1) * radius
    sure = moves > max(MIN_MOVE_PX, 3 * motion.error_px) and motion.correlation > still.correlation
    return motion if sure else still


def _search(level: Level) -> list[Motion]:
    """Return the best few of a set of zooms, each with its best shift in whole pixels of the level."""
    height, width = level.weight.shape
    reach = int(np.ceil(SEARCHED_SHIFT_PX * level.scale))
    spectrum = _spectrum(level.given * level.weight[..., None])
    found: list[tuple[float, Motion]] = []
    for zoom in 1 + ZOOMS:
        unzoomed = cv2.warpAffine(
            level.edited,
            matrix((0, 0), zoom, width, height),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        surface = np.fft.irfft2((np.conj(spectrum) * _spectrum(unzoomed)).sum(0), (2 * height, 2 * width))
        near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        shift = (float(zoom * (column - reach) / level.scale), float(zoom * (row - reach) / level.scale))
        found.append((float(near[row, column]), Motion(shift=shift, zoom=float(zoom))))
    return [motion for _, motion in sorted(found, key=lambda pair: -pair[0])[:CANDIDATES]]


def _spectrum(field: Plane) -> NDArray[np.complex128]:
    height, width = field.shape[:2]
    return np.fft.rfft2(field.transpose(2, 0, 1), (2 * height, 2 * width))


def _refine(level: Level, start: Motion) -> Motion:
    """Return `start` improved by Gauss-Newton steps on the points of one level."""
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

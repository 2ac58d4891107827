"""How far an edited picture is shifted and zoomed against the one that was given, whatever happened to its colours."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.edges import edge_field
from llm_dit.editing.planes import Plane

SIDES = (128, 256, 512, 1024)
SEARCHED = 1
CANDIDATES = 3
ZOOMS = np.linspace(-0.042, 0.042, 15)
MAX_SHIFT_PX = 16.0
MAX_ZOOM = 0.04
# Below this correlation of the edges, or above this standard error, a measurement is not believed.
MIN_CORRELATION = 0.2
MAX_ERROR_PX = 0.5
MAX_STEPS = 12


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A point p of the given picture lies at c + zoom · (p − c) + shift in the edited one; c is the middle.

    `correlation` (−1…1) says how well the edges agree, `error_px` the standard error at the picture's border, in
    pixels of the given picture.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    correlation: float = 0.0
    error_px: float = float("inf")

    @property
    def is_certain(self) -> bool:
        """Whether edges agree well enough to move the picture by this, and it is something a model does."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.error_px <= MAX_ERROR_PX
            and max(map(abs, self.shift)) <= MAX_SHIFT_PX
            and abs(self.zoom - 1) <= MAX_ZOOM
        )


def measure_motion(given: Plane, edited: Plane, weight: Plane) -> Motion:
    """Measure shift and zoom of `edited` against `given`, both (height, width, 3) in 0–1.

    `weight` (height, width), 0–1, says how much each place of the given picture is to be believed. A search over zoom
    by correlation of edge fields on a small picture is refined from coarse to fine by least squares with robust
    weights (Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004; Geman and McClure's weights).
    """
    if weight.sum() < 1:
        return Motion()
    levels = list(_levels(given, edited, weight))
    candidates = [_refine(*levels[SEARCHED], start) for start in _search(*levels[SEARCHED])]
    start = max(candidates, key=lambda motion: motion.correlation)
    # A picture of sharp edges is measured best at its finest, one of glows and shadows where noise is averaged out.
    motions = [_refine(*levels[0], start)]
    for level in levels[1:]:
        start = _refine(*level, start)
        motions.append(start)
    return min(motions, key=lambda motion: motion.error_px / max(motion.correlation, 0.01) ** 2)


def undo_motion(edited: Plane, motion: Motion) -> Plane:
    """Return `edited` moved back onto the picture that was given; what comes in from outside repeats the border."""
    height, width = edited.shape[:2]
    return cv2.warpAffine(
        edited,
        _matrix(motion.shift, motion.zoom, width, height),
        (width, height),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _levels(given: Plane, edited: Plane, weight: Plane) -> Iterator[tuple[Plane, Plane, Plane, float]]:
    """Yield (given, edited, weight, scale), coarse to fine: edge fields and the size against the full picture."""
    height, width = given.shape[:2]
    longest = max(height, width)
    for side in SIDES:
        scale = min(side / longest, 1.0)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (given, edited, weight)]
        yield edge_field(small[0], small[2]), edge_field(small[1], small[2]), small[2], scale


def _search(given: Plane, edited: Plane, weight: Plane, scale: float) -> list[Motion]:
    """Return the best few of a set of zooms, each with its best shift in whole pixels of the level."""
    height, width = weight.shape
    reach = int(np.ceil((MAX_SHIFT_PX + 2) * scale))
    spectrum = _spectrum(given * weight[..., None])
    found: list[tuple[float, Motion]] = []
    for zoom in 1 + ZOOMS:
        unzoomed = cv2.warpAffine(
            edited, _matrix((0, 0), zoom, width, height), (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        product = (np.conj(spectrum) * _spectrum(unzoomed)).sum(0)
        surface = np.fft.irfft2(product, (2 * height, 2 * width))
        near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        shift = (float(zoom * (column - reach) / scale), float(zoom * (row - reach) / scale))
        found.append((float(near[row, column]), Motion(shift=shift, zoom=float(zoom))))
    return [motion for _, motion in sorted(found, key=lambda pair: -pair[0])[:CANDIDATES]]


def _spectrum(field: Plane) -> NDArray[np.complex128]:
    height, width = field.shape[:2]
    return np.fft.rfft2(field.transpose(2, 0, 1), (2 * height, 2 * width))


def _refine(given: Plane, edited: Plane, weight: Plane, scale: float, start: Motion) -> Motion:
    """Return `start` improved by Gauss-Newton steps on the edge fields of one level."""
    height, width = weight.shape
    radius = max(height, width) / 2
    slopes = _slopes(given, radius)
    shift, zoom, error = np.array(start.shift) * scale, start.zoom, float("inf")
    for _ in range(MAX_STEPS):
        step, error = _step(given, _sample(edited, shift, zoom), weight, slopes)
        shift, zoom = shift + step[:2], zoom + step[2] / radius
        if np.abs(step).max() < 0.01:
            break
    return Motion(
        shift=(float(shift[0] / scale), float(shift[1] / scale)),
        zoom=float(zoom),
        correlation=_correlation(given, _sample(edited, shift, zoom), weight),
        error_px=error / scale,
    )


def _step(given: Plane, moved: Plane, weight: Plane, slopes: Plane) -> tuple[NDArray[np.float64], float]:
    """Return the change of shift x, shift y and zoom that fits best, at most a pixel, and its standard error."""
    # Noise and blur shorten the vectors of the edited picture; what matters is where they lie.
    length = np.clip(_length(given, weight) / (_length(moved, weight) + 1e-6), 0.5, 2)
    residual = moved * length - given
    robust = weight / (1 + (residual**2).sum(-1) / 0.25) ** 2
    weighted = (slopes * robust[..., None, None]).reshape(-1, 3)
    normal = (weighted.T @ slopes.reshape(-1, 3)).astype(np.float64) + 1e-6 * np.eye(3)
    step = np.linalg.solve(normal, -weighted.T @ residual.reshape(-1)).clip(-1, 1)
    variance = float(((residual**2).sum(-1) * robust).sum() / max(2 * float(robust.sum()), 1e-6))
    # The blur of the edge fields makes about 12 neighbouring pixels one observation.
    return step, float(np.sqrt(12 * variance * np.linalg.inv(normal).diagonal().max()))


def _slopes(field: Plane, radius: float) -> Plane:
    """Return how the field changes with shift x, shift y and zoom (in pixels at `radius`): (height, width, 2, 3)."""
    height, width = field.shape[:2]
    across = cv2.Scharr(field, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(field, cv2.CV_32F, 0, 1, scale=1 / 32)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :, None] / radius
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None, None] / radius
    return np.stack([across, down, across * x + down * y], -1).astype(np.float32)


def _sample(edited: Plane, shift: NDArray[np.float64], zoom: float) -> Plane:
    height, width = edited.shape[:2]
    matrix = _matrix((float(shift[0]), float(shift[1])), zoom, width, height)
    return cv2.warpAffine(edited, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _matrix(shift: tuple[float, float], zoom: float, width: int, height: int) -> NDArray[np.float64]:
    """Return the 2×3 matrix that takes a pixel of the given picture to its place in the edited one."""
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([np.eye(2) * zoom, middle * (1 - zoom) + shift])


def _correlation(given: Plane, moved: Plane, weight: Plane) -> float:
    agreement = float(((given * moved).sum(-1) * weight).sum())
    return agreement / (_length(given, weight) * _length(moved, weight) + 1e-9)


def _length(field: Plane, weight: Plane) -> float:
    return float(((field**2).sum(-1) * weight).sum()) ** 0.5

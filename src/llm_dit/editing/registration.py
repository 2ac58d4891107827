"""Measures an edited picture's shift and zoom against the given one, whatever happened to its colors.

The motion is measured between edge fields: on small pictures by search, then on larger ones by least squares.
"""

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import Plane

# A shift with a zoom, and its inverse.

MAX_SHIFT_PX = 16.0
MAX_ZOOM = 0.04
# Below this correlation of the edges, or above this standard error, a measurement is rejected.
MIN_CORRELATION = 0.2
MAX_ERROR_PX = 0.5


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A point p of the given picture lies at c + zoom · (p − c) + shift in the edited one; c is the center.

    `correlation` (−1…1) is that of the edges, `error_px` the standard error at the picture's border, in pixels of the
    given picture.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    correlation: float = 0.0
    error_px: float = float("inf")

    @property
    def is_certain(self) -> bool:
        """Whether the edges agree well enough for a correction, and the motion is plausible for a model."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.error_px <= MAX_ERROR_PX
            and max(map(abs, self.shift)) <= MAX_SHIFT_PX
            and abs(self.zoom - 1) <= MAX_ZOOM
        )


def undo_motion(edited: Plane, motion: Motion) -> Plane:
    """Return `edited` aligned to the given picture; the border is repeated outside."""
    height, width = edited.shape[:2]
    return cv2.warpAffine(
        edited,
        matrix(motion.shift, motion.zoom, width, height),
        (width, height),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def matrix(shift: tuple[float, float], zoom: float, width: int, height: int) -> NDArray[np.float64]:
    """Return the 2×3 matrix from pixels of the given picture to those of the edited one."""
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([np.eye(2) * zoom, middle * (1 - zoom) + shift])


# The edges of a picture, represented independently of color, contrast and light.


def edge_field(picture: Plane, weight: Plane, blur: float = 1.0) -> Plane:
    """Return the direction of the edges as a (height, width, 2) field of vectors of length 0 (flat) to 1 (edge).

    `picture` is (height, width, channels); `weight` (height, width) weights its contrast. The vectors
    are the double-angle form of the structure tensor of all channels (Di Zenzo, "A note on the gradient of a
    multi-image", 1986; Knutsson's double angle), divided by its trace: an edge keeps its vector if its colors
    change or are swapped. Comparing two such fields compares normalized gradient fields (Haber and
    Modersitzki, "Intensity gradient based registration and fusion of multi-modal images", MICCAI 2006).
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), blur).reshape(picture.shape)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32).reshape(picture.shape)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32).reshape(picture.shape)
    parts = (across**2 - down**2, 2 * across * down, across**2 + down**2)
    # numpy takes ten times as long to sum along an axis of three numbers.
    tensor = cv2.merge([reduce(np.add, cv2.split(part)) for part in parts])
    tensor = cv2.GaussianBlur(tensor, (0, 0), blur)
    # Edges below the picture's mean contrast are attenuated, because they are mostly noise.
    floor = float((tensor[..., 2] * weight).sum() / max(float(weight.sum()), 1e-6)) * 0.5 + 1e-7
    return tensor[..., :2] / (tensor[..., 2:] + floor)


# Where a motion of one pixel changes the edge field by less than this, newly painted textures outweigh it.
MIN_SLOPE = 0.1
MAX_POINTS = 60_000


@dataclass(frozen=True, kw_only=True)
class Level:
    """Both pictures at one size: `scale` relative to full size, edge fields (height, width, 2), the given one's points.

    Points have an offset from the center in pixels (n, 2), a vector (n, 2), its derivatives by shift x, shift y and
    zoom (in pixels at `radius`) (n, 2, 3), and a weight (n,).
    """

    scale: float
    radius: float
    given: Plane
    edited: Plane
    weight: Plane
    places: Plane
    vectors: Plane
    slopes: Plane
    weights: Plane

    def state(self, motion: Motion) -> NDArray[np.float64]:
        """Return shift x, shift y and zoom of a motion in this level's pixels, the zoom at `radius`."""
        return np.array([*np.array(motion.shift) * self.scale, (motion.zoom - 1) * self.radius])

    def sample(self, state: NDArray[np.float64]) -> tuple[Plane, Plane]:
        """Return the edited picture's vectors (n, 2) at the moved points, and their weights (n,), 0 outside of it."""
        height, width = self.edited.shape[:2]
        at = self.places * np.float32(1 + state[2] / self.radius) + state[:2].astype(np.float32)
        x, y = at[:, 0] + np.float32((width - 1) / 2), at[:, 1] + np.float32((height - 1) / 2)
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        # OpenCV requires maps of fewer than 32767 rows.
        rows = -(-len(x) // 1024)
        x, y = (np.resize(values, (rows, 1024)) for values in (x, y))
        vectors = cv2.remap(self.edited, x, y, cv2.INTER_LINEAR).reshape(-1, 2)[: len(at)]
        return vectors, self.weights * inside

    def correlation(self, motion: Motion) -> float:
        """Return the correlation of the edges after a motion, −1…1."""
        moved, weights = self.sample(self.state(motion))
        agreement = float(np.einsum("nc,nc,n->", self.vectors, moved, weights))
        return agreement / (length(self.vectors, weights) * length(moved, weights) + 1e-9)


def make_level(given: Plane, edited: Plane, weight: Plane, side: int, blur_px: float = 0) -> Level:
    """Return both pictures (height, width, 3), 0–1, and the weight (height, width) with `side` as the longer side.

    The given picture is blurred by `blur_px`, in its own pixels (Gaussian sigma).
    """
    height, width = given.shape[:2]
    scale = min(side / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (given, edited, weight)]
    if blur_px:
        small[0] = cv2.GaussianBlur(small[0], (0, 0), blur_px * scale)
    field = edge_field(small[0], small[2])
    radius = max(size) / 2
    slopes = _slopes(field, radius)
    # Blurred edges change by the same amount over a longer distance.
    enough = (MIN_SLOPE / (1 + blur_px * scale / 2)) ** 2
    telling = np.flatnonzero(np.einsum("hwcd,hwcd->hw", slopes, slopes) * small[2] > enough)
    telling = telling[:: len(telling) // MAX_POINTS + 1]
    rows, columns = np.divmod(telling, size[0])
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2], np.float32)
    return Level(
        scale=scale,
        radius=radius,
        given=field,
        edited=edge_field(small[1], small[2]),
        weight=small[2],
        places=np.stack([columns, rows], -1).astype(np.float32) - middle,
        vectors=field.reshape(-1, 2)[telling],
        slopes=slopes.reshape(-1, 2, 3)[telling],
        weights=small[2].reshape(-1)[telling],
    )


def length(vectors: Plane, weights: Plane) -> float:
    """Return the weighted norm of all vectors (n, 2) together."""
    return float(np.einsum("nc,nc,n->", vectors, vectors, weights)) ** 0.5


def _slopes(field: Plane, radius: float) -> Plane:
    """Return the field's derivatives by shift x, shift y and zoom (in pixels at `radius`): (height, width, 2, 3)."""
    height, width = field.shape[:2]
    across = cv2.Scharr(field, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(field, cv2.CV_32F, 0, 1, scale=1 / 32)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :, None] / radius
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None, None] / radius
    return np.stack([across, down, across * x + down * y], -1).astype(np.float32)


# The initial motion: a search over zooms, each with the shift of the highest correlation.

CANDIDATES = 3
ZOOMS = np.linspace(-0.042, 0.042, 15)
SEARCHED_SHIFT_PX = 18.0


def search_motions(level: Level) -> list[Motion]:
    """Return the best few of a set of zooms, each with its best shift in whole pixels of the level."""
    height, width = level.weight.shape
    reach = int(np.ceil(SEARCHED_SHIFT_PX * level.scale))
    # Padded so that no shift within reach wraps around.
    size = (cv2.getOptimalDFTSize(max(height, reach) + reach + 1), cv2.getOptimalDFTSize(max(width, reach) + reach + 1))
    spectrum = _spectrum(level.given * level.weight[..., None], size)
    found: list[tuple[float, Motion]] = []
    for zoom in 1 + ZOOMS:
        unzoomed = cv2.warpAffine(
            level.edited,
            matrix((0, 0), zoom, width, height),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        surface = np.fft.irfft2((np.conj(spectrum) * _spectrum(unzoomed, size)).sum(0), size)
        near = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        shift = (float(zoom * (column - reach) / level.scale), float(zoom * (row - reach) / level.scale))
        found.append((float(near[row, column]), Motion(shift=shift, zoom=float(zoom))))
    return [motion for _, motion in sorted(found, key=lambda pair: -pair[0])[:CANDIDATES]]


def _spectrum(field: Plane, size: tuple[int, int]) -> NDArray[np.complex128]:
    return np.fft.rfft2(field.transpose(2, 0, 1), size)


# Refining a motion by least squares on the points of one level.

MAX_STEPS = 12
# Standard deviations of models' motions: a prior that decides only what the edges leave open, such as a shift along a
# line.
USUAL_SHIFT_PX, USUAL_ZOOM = 6.0, 0.015


def refine(level: Level, start: Motion) -> Motion:
    """Return `start` refined by Gauss-Newton steps on the points of one level.

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
    """Return the best change of shift x, shift y and zoom, at most a pixel, and its standard error."""
    moved, weights = level.sample(state)
    # Noise and blur shorten the vectors of the edited picture; only their positions matter.
    longer = np.clip(length(level.vectors, weights) / (length(moved, weights) + 1e-6), 0.5, 2)
    residual = moved * longer - level.vectors
    squares = np.einsum("nc,nc->n", residual, residual)
    robust = weights / (1 + squares / 0.25) ** 2
    weighted = (level.slopes * robust[:, None, None]).reshape(-1, 3)
    variance = float((squares * robust).sum() / max(2 * float(robust.sum()), 1e-6)) + 1e-6
    usual = np.array([USUAL_SHIFT_PX * level.scale] * 2 + [USUAL_ZOOM * level.radius])
    # Because of the edge fields' blur, about 12 neighboring pixels are one observation.
    normal = (weighted.T @ level.slopes.reshape(-1, 3)).astype(np.float64) / (12 * variance) + np.diag(usual**-2)
    pull = -weighted.T.astype(np.float64) @ residual.reshape(-1) / (12 * variance) - state / usual**2
    return np.linalg.solve(normal, pull).clip(-1, 1), float(np.sqrt(np.linalg.inv(normal).diagonal().max()))


# The edited picture's blur relative to the given one, and the initial motion.

SIDE = 256
BLURS_PX = (4.0, 9.0, 20.0)
NEARER = (1.5, 1.22, 1.1, 1.05)
# An inexact blur makes a motion seem larger by up to this factor.
LEEWAY = 1.25
# A blur is accepted if it leaves less than this part of the disagreement, and enough points for measuring.
MAX_DISAGREEMENT, MIN_POINTS = 0.4, 0.5


def measure_blur(given: Plane, edited: Plane, weight: Plane) -> tuple[float, Motion]:
    """Return the blur (Gaussian sigma, pixels) of the given picture with the best agreement of edges, and the motion.

    Blur displaces edges that are curved or close to others, which looks like a motion (Bergholm, "Edge focusing", PAMI
    1987). So both pictures get the same blur, which is found by search (as Elder and Zucker, "Local scale control for
    edge detection and blur estimation", PAMI 1998, find it by scale).
    """
    sharp = make_level(given, edited, weight, SIDE)
    if not len(sharp.places):
        return 0.0, Motion()
    first = _best(sharp, [Motion(), *search_motions(sharp)])

    def blur(blur_px: float, starts: list[Motion]) -> tuple[float, Motion]:
        level = make_level(given, edited, weight, SIDE, blur_px)
        few = len(level.places) < MIN_POINTS * len(sharp.places)
        return blur_px, Motion() if few else _best(level, starts)

    tried = [blur(blur_px, [first]) for blur_px in BLURS_PX]
    best = _most_agreeing(tried, first)
    if not best[0] or 1 - best[1].correlation > MAX_DISAGREEMENT * (1 - first.correlation):
        return 0.0, first
    for factor in NEARER:
        best = _most_agreeing([best, *(blur(best[0] * by, [best[1]]) for by in (1 / factor, factor))], first)
    return best


def _best(level: Level, starts: list[Motion]) -> Motion:
    return max((refine(level, start) for start in starts), key=lambda motion: motion.correlation)


def _most_agreeing(tried: list[tuple[float, Motion]], sharp: Motion) -> tuple[float, Motion]:
    """Return the blur with the best agreement among those that measure a usual motion as exactly as no blur does."""
    usual = [
        (blur_px, motion)
        for blur_px, motion in tried
        if motion.error_px < sharp.error_px
        and max(map(abs, motion.shift)) <= LEEWAY * MAX_SHIFT_PX
        and abs(motion.zoom - 1) <= LEEWAY * MAX_ZOOM
    ]
    return max([(0.0, sharp), *usual], key=lambda pair: pair[1].correlation)


SIDES = (128, 256, 512, 1024)
# For smaller motions resampling would lose more than the correction gains.
MIN_MOVE_PX = 0.25


def measure_motion(given: Plane, edited: Plane, weight: Plane) -> Motion:
    """Measure shift and zoom of `edited` against `given`, both (height, width, 3) in 0–1.

    `weight` (height, width), 0–1, is the reliability of each place of the given picture. On a small picture blur, and
    zoom by correlation of edge fields, are searched; the result is refined from coarse to fine by least squares with
    robust weights (`refine`).
    """
    blur_px, start = measure_blur(given, edited, weight)
    made = (make_level(given, edited, weight, side, blur_px) for side in SIDES)
    levels = [level for level in made if len(level.places)]
    if not levels:
        return Motion()
    # Sharp edges are measured best at the finest level, glows and shadows at a coarse one that averages out noise.
    motions = [refine(levels[0], start)]
    for level in levels[1:]:
        motions.append(refine(level, motions[-1]))
    index = min(range(len(levels)), key=lambda at: motions[at].error_px / max(motions[at].correlation, 0.01) ** 2)
    return _if_better(levels[index], motions[index], float(np.hypot(*given.shape[:2])) / 2)


def _if_better(level: Level, motion: Motion, radius: float) -> Motion:
    """Return the motion, or no motion if it is too small to detect or makes the edges agree less."""
    still = Motion(correlation=level.correlation(Motion()), error_px=motion.error_px)
    moves = float(np.hypot(*motion.shift)) + abs(motion.zoom - 1) * radius
    sure = moves > max(MIN_MOVE_PX, 3 * motion.error_px) and motion.correlation > still.correlation
    return motion if sure else still

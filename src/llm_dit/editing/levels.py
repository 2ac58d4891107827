"""Two pictures at one size, as edge fields, and the points of the given one by which a motion can be measured."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.edges import edge_field
from llm_dit.editing.motion import Motion
from llm_dit.editing.planes import Plane

# Where the edge field changes less than this with a motion of a pixel, textures that were painted on outweigh it.
MIN_SLOPE = 0.1
MAX_POINTS = 60_000


@dataclass(frozen=True, kw_only=True)
class Level:
    """Both pictures at one size: `scale` to the full one, edge fields (height, width, 2), and the given one's points.

    Of the points the place from the middle in pixels (n, 2), the vector (n, 2), how it changes with shift x, shift y
    and zoom (in pixels at `radius`) (n, 2, 3), and the weight (n,).
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
        """Return the edited picture's vectors (n, 2) where the points went, and their weights (n,), 0 outside of it."""
        height, width = self.edited.shape[:2]
        at = self.places * np.float32(1 + state[2] / self.radius) + state[:2].astype(np.float32)
        x, y = at[:, 0] + np.float32((width - 1) / 2), at[:, 1] + np.float32((height - 1) / 2)
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        # OpenCV wants maps of fewer than 32767 rows.
        rows = -(-len(x) // 1024)
        x, y = (np.resize(values, (rows, 1024)) for values in (x, y))
        vectors = cv2.remap(self.edited, x, y, cv2.INTER_LINEAR).reshape(-1, 2)[: len(at)]
        return vectors, self.weights * inside

    def correlation(self, motion: Motion) -> float:
        """Return how well the edges agree after a motion, −1…1."""
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
    # Blurred edges change as much over a longer way.
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
    """Return the length of all vectors (n, 2) as one, each counted by its weight."""
    return float(np.einsum("nc,nc,n->", vectors, vectors, weights)) ** 0.5


def _slopes(field: Plane, radius: float) -> Plane:
    """Return how the field changes with shift x, shift y and zoom (in pixels at `radius`): (height, width, 2, 3)."""
    height, width = field.shape[:2]
    across = cv2.Scharr(field, cv2.CV_32F, 1, 0, scale=1 / 32)
    down = cv2.Scharr(field, cv2.CV_32F, 0, 1, scale=1 / 32)
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :, None] / radius
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None, None] / radius
    return np.stack([across, down, across * x + down * y], -1).astype(np.float32)

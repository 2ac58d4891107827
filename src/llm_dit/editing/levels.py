"""A shift with a zoom, and two pictures at one size, as edge fields, in which such a motion can be measured."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import Plane

# A shift with a zoom, and how to undo it.


MAX_SHIFT_PX = 16.0
MAX_ZOOM = 0.04
# Below this correlation of the edges, or above this standard error, a measurement is not believed.
MIN_CORRELATION = 0.2
MAX_ERROR_PX = 0.5


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


def undo_motion(edited: Plane, motion: Motion) -> Plane:
    """Return `edited` moved back onto the picture that was given; what comes in from outside repeats the border."""
    height, width = edited.shape[:2]
    return cv2.warpAffine(
        edited,
        matrix(motion.shift, motion.zoom, width, height),
        (width, height),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def matrix(shift: tuple[float, float], zoom: float, width: int, height: int) -> NDArray[np.float64]:
    """Return the 2×3 matrix that takes a pixel of the given picture to its place in the edited one."""
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([np.eye(2) * zoom, middle * (1 - zoom) + shift])


# Where edges run in a picture, said so that no change of color, contrast or light alters it.


def edge_field(picture: Plane, weight: Plane, blur: float = 1.0) -> Plane:
    """Return the direction of the edges as a (height, width, 2) field of vectors of length 0 (flat) to 1 (edge).

    `picture` is (height, width, channels); `weight` (height, width) says where its contrast is measured. The vectors
    are the double-angle form of the structure tensor of all channels (Di Zenzo, "A note on the gradient of a
    multi-image", 1986; Knutsson's double angle), divided by its trace: an edge keeps its vector when its colors
    change or trade places. Two pictures compared in it are compared by normalised gradient fields (Haber and
    Modersitzki, "Intensity gradient based registration and fusion of multi-modal images", MICCAI 2006).
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), blur).reshape(picture.shape)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32).reshape(picture.shape)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32).reshape(picture.shape)
    tensor = np.stack([(across**2 - down**2).sum(-1), 2 * (across * down).sum(-1), (across**2 + down**2).sum(-1)], -1)
    tensor = cv2.GaussianBlur(tensor, (0, 0), blur)
    # Below the mean contrast of the picture an edge counts less and less: that is where noise is.
    floor = float((tensor[..., 2] * weight).sum() / max(float(weight.sum()), 1e-6)) * 0.5 + 1e-7
    return tensor[..., :2] / (tensor[..., 2:] + floor)


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

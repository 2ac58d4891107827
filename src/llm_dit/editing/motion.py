"""A shift with a zoom, and how to undo it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.planes import Plane

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

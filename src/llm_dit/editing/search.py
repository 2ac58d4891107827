"""The first guess of a motion: zooms tried out, each with the shift of the highest correlation."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.editing.levels import Level
from llm_dit.editing.motion import Motion, matrix
from llm_dit.editing.planes import Plane

CANDIDATES = 3
ZOOMS = np.linspace(-0.042, 0.042, 15)
SEARCHED_SHIFT_PX = 18.0


def search_motions(level: Level) -> list[Motion]:
    """Return the best few of a set of zooms, each with its best shift in whole pixels of the level."""
    height, width = level.weight.shape
    reach = int(np.ceil(SEARCHED_SHIFT_PX * level.scale))
    # So much empty border that no shift within reach wraps around.
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

"""A line around a layer."""

import cv2
import numpy as np

from llm_dit.classical.effects.light import behind
from llm_dit.classical.effects.oklab import Floats
from llm_dit.classical.effects.picture import Picture, Scene
from llm_dit.classical.operations import Operation

_DARK: Floats = np.array([0.08, 0.08, 0.09], np.float32)
_LIGHT: Floats = np.ones(3, np.float32)


def outline(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Put a line of `size` pixels around what is visible, in the operation's color, or in one that shows against it.

    A layer that fills its canvas gets a frame inside it.
    """
    width = operation.size or max(0.016 * picture.extent * operation.amount, 1.5)
    seen = picture.alpha > 0.5
    color = np.array(operation.color, np.float32) / np.float32(255.0) if operation.color else _against(picture)
    if seen.all():
        rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in seen.shape)
        inside = np.minimum(rows[:, None], columns[None, :]).astype(np.float32)
        frame = (width + 0.5 - inside).clip(0.0, 1.0)[..., None]
        picture.colors[:] += frame * (color - picture.colors)
        return picture
    off = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances go from the middles of pixels, in steps; the softening takes the steps away.
    line = cv2.GaussianBlur((width + 1.0 - off).clip(0.0, 1.0), (0, 0), 0.6)
    return behind(picture, color, np.asarray(line, np.float32))


def _against(picture: Picture) -> Floats:
    """Return a dark color for a light layer and a light one for a dark layer."""
    light = float((picture.colors.mean(axis=-1) * picture.alpha).sum() / picture.alpha.sum())
    return _DARK if light > 0.4 else _LIGHT

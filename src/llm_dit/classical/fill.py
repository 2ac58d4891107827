"""Continuing colours to where they are not seen."""

import cv2
import numpy as np

from llm_dit.classical.segment import Floats


def spread(colours: Floats, weight: Floats) -> Floats:
    """Return `colours` (height, width, 3) continued smoothly from where `weight` (height, width) is above 0.

    A pull-push pyramid (Gortler et al., "The Lumigraph", SIGGRAPH 1996); all weights 0 give black.
    """
    return _pull_push(np.dstack([colours * weight[..., None], weight]).astype(np.float32))[..., :3]


def _pull_push(values: Floats) -> Floats:
    """Return weighted colours and weights with what is missing to a weight of 1 taken from coarser levels."""
    height, width = values.shape[:2]
    if height == 1 and width == 1:
        return values / np.maximum(values[..., 3:], 1e-12)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = cv2.resize(values, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 4)
    coarse /= np.maximum(coarse[..., 3:], 0.25)
    wide = cv2.resize(_pull_push(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    return values + wide.reshape(values.shape) * (1.0 - values[..., 3:])

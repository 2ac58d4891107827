"""Pictures as arrays of floats, 0–1: (height, width), or (height, width, channels)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[Any]


def as_float(image: Image.Image) -> Plane:
    """Return the pixels of an 8-bit image as 0–1, float32."""
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(values: Plane) -> Image.Image:
    """Return the 8-bit image of values 0–1; what lies outside is cut off."""
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def join(colors: Plane, alpha: Plane) -> Image.Image:
    """Return an RGBA image from straight colors (height, width, 3) and alpha (height, width)."""
    return to_image(np.concatenate([colors, alpha[..., None]], -1))

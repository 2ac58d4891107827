"""Products and lengths of the three channels of many pixels, taken a channel at a time.

NumPy reduces an axis of three about ten times as slowly as it adds three arrays; the results are the same bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[Any]
"""Floats (…, 3), such as colors in CIELAB."""


def dot(one: Channels, other: Channels) -> NDArray[Any]:
    """Return the scalar product (…) of the channels of each pixel."""
    return one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1] + one[..., 2] * other[..., 2]


def norm(values: Channels) -> NDArray[Any]:
    """Return the Euclidean length (…) of the channels of each pixel: of a difference, the distance of two colors."""
    return np.sqrt(dot(values, values))


def largest(values: Channels) -> NDArray[Any]:
    """Return the largest channel (…) of each pixel."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])

"""Making more layers than a picture has things."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.segment import Labels

Bytes = NDArray[np.uint8]


def split_to(groups: Labels, layer_num: int) -> Labels:
    """Return `groups` with the largest ones halved until there are `layer_num`, or no group has two pixels.

    A group in several pieces is halved between them, along its longer side; one piece is cut across. What is cut off
    the ground leaves it whole below.
    """
    groups = groups.copy()
    while groups.max() + 1 < layer_num:
        sizes = np.bincount(groups[groups >= 0])
        largest = int(sizes.argmax())
        if sizes[largest] < 2:
            break
        groups[_half(groups == largest)] = groups.max() + 1
    return groups


def _half(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = np.nonzero(mask)
    along = columns if np.ptp(columns) >= np.ptp(rows) else rows
    half = mask.copy()
    _, labels, _, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    parts, centres = np.asarray(labels, np.int32), np.asarray(middles)
    own = parts[rows, columns]
    sizes = np.bincount(own)
    if sizes.max() < 0.7 * len(rows):
        place = centres[own, 0 if along is columns else 1]
        chosen = place > np.median(place)
        if not chosen.any():
            chosen = own == sizes.argmax()
    else:
        chosen = along > np.median(along)
    if not chosen.any():
        chosen = np.arange(len(rows)) >= (len(rows) + 1) // 2
    half[rows, columns] = chosen
    return half


def tell_apart(layers: Bytes, picture: Bytes) -> None:
    """Make layers (n, height, width, 4) that are empty or the same differ, in place, without changing the composite.

    Where all layers show the picture's own colour, any alphas above an opaque bottom composite to it: one opaque
    pixel is enough. A picture without one keeps its layers as they are.
    """
    solid = np.argwhere(picture[..., 3] == 255)
    if not len(solid):
        return
    known: set[bytes] = set()
    for number, layer in enumerate(layers):
        place = tuple(solid[min(number, len(solid) - 1)])
        if layer[..., 3].any() and layer.tobytes() not in known:
            known.add(layer.tobytes())
            continue
        layers[(slice(None), *place, slice(0, 3))] = picture[place][:3]
        layer[(*place, 3)] = 255 - number
        if not any(int(other[(*place, 3)]) == 255 for other in layers):
            layers[0][(*place, 3)] = 255
        known.add(layer.tobytes())

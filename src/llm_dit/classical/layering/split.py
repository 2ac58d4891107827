"""Making more layers than a picture has things."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Regions

KINDS = 60
"""At most as many colors of a thing count, those of the largest regions."""
OTHER = 8.0
"""CIELAB distance from which two colors of a thing may be a layer each."""
WORTH = 0.004
"""The share of a thing from which a color of it is worth a layer."""


def allot(
    things: Labels, regions: Regions, sizes: NDArray[np.intp], opaque: NDArray[np.intp], layer_num: int
) -> list[int]:
    """Return for each of the n ≤ `layer_num` things its number of layers, `layer_num` in all.

    `things` and `regions` are of one sketch, `sizes` and `opaque` (n) the pixels of each thing in the picture. Layers
    go where most color is told apart by one more (the unions of Ward's clustering of each thing's colors, undone);
    what nothing asks for goes to what is largest and stays whole under a piece, as nothing see-through does.
    """
    count = len(sizes)
    both = (things >= 0) & (regions.labels >= 0)
    area = np.bincount(things[both] * regions.count + regions.labels[both], minlength=count * regions.count)
    gains = [
        (gain, -thing)
        for thing, own in enumerate(area.reshape(count, regions.count).astype(np.float32))
        for gain in _gains(own, regions.mean)
    ]
    shares = np.ones(count, int)
    for _, thing in sorted(gains, reverse=True)[: layer_num - count]:
        shares[-thing] += 1
    while shares.sum() < layer_num:
        whole = opaque > shares
        shares[np.argmax(np.where(whole, opaque, 0 if whole.any() else sizes) / shares)] += 1
    return shares.tolist()


def _gains(area: Floats, mean: Floats) -> list[float]:
    """Return what each union of a thing's colors, made cheapest first, would take away from telling them apart."""
    largest = np.argsort(-area, kind="stable")[:KINDS]
    largest = largest[area[largest] > WORTH * area.sum()]
    size, color = area[largest].copy(), mean[largest].copy()
    gains = []
    while len(size) > 1:
        away = np.linalg.norm(color[:, None] - color[None], axis=-1)
        cost = away * np.sqrt(size[:, None] * size[None] / (size[:, None] + size[None]))
        np.fill_diagonal(cost, np.inf)
        keep, gone = sorted(divmod(int(cost.argmin()), len(size)))
        if away[keep, gone] > OTHER:
            gains.append(float(cost[keep, gone]))
        share = size[gone] / (size[keep] + size[gone])
        color[keep] += share * (color[gone] - color[keep])
        size[keep] += size[gone]
        size, color = np.delete(size, gone), np.delete(color, gone, axis=0)
    return gains


def with_pieces(layers: Bytes, seen: Labels, count: int) -> None:
    """Fill what is left empty of `layers` (n, height, width, 4) with pieces cut off the first `count`, in place.

    `seen` (height, width) tells which layer is seen, −1 for none. A piece lies above the layer that it is a copy of,
    which stays whole below with its soft edge. Only where nothing is opaque, the piece is missing below.
    """
    alpha = np.take_along_axis(layers[..., 3], np.maximum(seen, 0)[None], axis=0)[0]
    pieces, number = _halved(np.where(alpha == 255, seen, -1), count, len(layers))
    if number < len(layers):
        pieces, _ = _halved(seen, count, len(layers))
    origin = list(range(count))
    for number in range(count, int(pieces.max()) + 1):
        mine = pieces == number
        origin.append(int(seen[mine][0]))
        rest = layers[origin[-1]]
        layers[number][mine] = rest[mine]
        rest[mine & (rest[..., 3] < 255)] = 0
    order = sorted(range(len(origin)), key=lambda number: (origin[number], number))
    layers[: len(order)] = layers[order]
    seen[...] = np.where(seen >= 0, np.argsort(order)[np.where(pieces >= 0, pieces, seen)], -1)


def _halved(groups: Labels, number: int, layer_num: int) -> tuple[Labels, int]:
    """Return `groups`, of numbers below `number`, with the largest halved until there are `layer_num`, and their count.

    No group of one pixel is halved, so that there may be fewer.

    A group in several pieces is halved between them, along its longer side; one piece is cut across.
    """
    groups = groups.copy()
    while number < layer_num:
        sizes = np.bincount(groups[groups >= 0], minlength=1)
        largest = int(sizes.argmax())
        if sizes[largest] < 2:
            break
        groups[_half(groups == largest)] = number
        number += 1
    return groups, number


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


def show_each(layers: Bytes, picture: Bytes, seen: Labels) -> None:
    """Give layers (n, height, width, 4) that are empty, or the same as another, what `seen` says is seen of them."""
    known: set[bytes] = set()
    for number, layer in enumerate(layers):
        if not layer[..., 3].any() or layer.tobytes() in known:
            mine = seen == number
            layers[:, mine] = 0
            layer[mine] = picture[mine]
            if (picture[mine, 3] == 255).all():
                layers[0, mine] = picture[mine]
        known.add(layer.tobytes())

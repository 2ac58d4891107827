"""Separating a picture's things by transparency, such as sprites or stickers, and allotting layers to them."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Floats, Labels, Mask, Regions, compact, nearest_label

HAZE = 8
"""Alpha (0–255) up to which nothing is connected: residue of blur and compression far around a thing."""
PART = 0.05
"""The share of the largest core in one haze from which another core is a separate thing."""
MOST = 256
"""The most separate things, the largest; the others join the nearest of these."""
SPECK = 2e-5
"""The share of the picture below which something is too small to be a thing."""
POINTS = 4000
"""The number of outline points, all things together, between which gaps are measured."""
APART = 100.0
"""CIELAB distance at which two colors count as completely different."""


def separate(picture: Bytes, most: int) -> Labels:
    """Return the thing at each pixel of `picture` (height, width, 4): 0…n−1 by size, n ≤ `most`; −1 for nothing.

    A thing is connected by alpha and includes its soft rim. Two solid cores that only share a soft rim are two things.
    If there are more than `most`, whole things are combined: near, small, enclosed or of one color.
    """
    alpha = picture[..., 3]
    if alpha.min() > 0 and alpha.max() - alpha.min() < HAZE:
        return np.zeros(alpha.shape, np.int32)
    cores = _largest(_cores(alpha), alpha)
    things = _with_rims(cores, alpha)
    mass = np.bincount(things[things >= 0], alpha[things >= 0])
    member = _grouped(things, cores, mass, picture, most)
    number = np.argsort(np.argsort(-np.bincount(member, mass, len(mass)), kind="stable"))
    return np.where(things >= 0, number[member][things], -1).astype(np.int32)


def _cores(alpha: NDArray[np.uint8]) -> Labels:
    """Return the labels of the solid parts, −1 elsewhere."""
    parts = _joined(alpha)
    peak = np.zeros(int(parts.max()) + 1, np.int32)
    np.maximum.at(peak, parts.ravel(), alpha.ravel())
    solid = ((parts > 0) & (alpha > (peak // 2)[parts])).astype(np.uint8)
    count, found, stats, _ = cv2.connectedComponentsWithStats(solid)
    cores = np.asarray(found, np.int32)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    home = np.zeros(count, np.int32)
    home[cores] = parts
    largest = np.zeros(len(peak), np.int32)
    np.maximum.at(largest, home, area)
    kept = area > PART * largest[home]
    kept |= area == largest[home]
    kept[0] = False
    return compact(np.where(kept[cores], cores, -1))


def _joined(alpha: NDArray[np.uint8]) -> Labels:
    """Return the labels 1… of parts connected by more than haze, 0 elsewhere."""
    shown = (alpha > min(HAZE, int(alpha.max()) // 4)).astype(np.uint8)
    return np.asarray(cv2.connectedComponents(shown)[1], np.int32)


def _largest(cores: Labels, alpha: NDArray[np.uint8]) -> Labels:
    """Return the labels with specks, and cores beyond the `MOST` largest, moved to the nearest other core."""
    mass = np.bincount(cores[cores >= 0], alpha[cores >= 0]) / 255
    order = np.argsort(-mass, kind="stable")
    kept = mass > SPECK * alpha.size
    kept[order[MOST:]] = False
    kept[order[0]] = True
    if kept.all():
        return cores
    nearest = nearest_label(cores, (cores >= 0) & kept[cores])
    values, first = np.unique(cores.ravel(), return_index=True)
    target = np.arange(len(mass))
    small = ~kept[values] & (values >= 0)
    target[values[small]] = nearest.ravel()[first[small]]
    return compact(np.where(cores >= 0, target[cores], -1))


def _with_rims(cores: Labels, alpha: NDArray[np.uint8]) -> Labels:
    """Return the cores grown over every visible pixel: each soft rim goes to the nearest core connected to it.

    A rim is divided between the cores that it connects, and never goes to one that is merely near; haze goes to the
    nearest rim.
    """
    solid = _grown(cores, _joined(alpha))
    shown = np.asarray(cv2.connectedComponents((alpha > 0).astype(np.uint8))[1], np.int32)
    return np.where(shown > 0, _grown(solid, shown, to_all=True), -1).astype(np.int32)


def _grown(labels: Labels, parts: Labels, *, to_all: bool = False) -> Labels:
    """Return the labels with each pixel of a part 1… given the nearest label of the same part.

    If the nearest label belongs to another part, it gets some label of its own; parts without a label stay −1, or get
    the nearest label with `to_all`.
    """
    inside = labels >= 0
    nearest = nearest_label(labels, inside)
    own = np.zeros(int(labels.max()) + 1, np.int32)
    own[labels[inside]] = parts[inside]
    main = np.full(int(parts.max()) + 1, -1, np.int32)
    main[parts[inside]] = labels[inside]
    elsewhere = (own[nearest] != parts) & (main[parts] >= 0 if to_all else parts > 0)
    grown = np.where(elsewhere, main[parts], nearest)
    return np.where(inside, labels, grown if to_all else np.where(parts > 0, grown, -1)).astype(np.int32)


def _grouped(things: Labels, cores: Labels, mass: Floats, picture: Bytes, most: int) -> NDArray[np.intp]:
    """Return each thing's group; the cheapest unions are made until there are at most `most`."""
    count = len(mass)
    member = np.arange(count)
    if count <= most:
        return member
    gap = _gaps(cores, count)
    color = _colors(things, picture, count)
    unlike = 1 + np.minimum(np.linalg.norm(color[:, None] - color[None], axis=-1) / APART, 1)
    cost = (gap + 1) * unlike * np.where(_enclosed(things, count), 0.4, 1)
    np.fill_diagonal(cost, np.inf)
    share = mass / mass.sum()
    for _ in range(count - most):
        # Large things get the layers.
        weighted = cost * np.minimum(share[:, None], share[None]) ** 0.3
        keep, gone = sorted(divmod(int(weighted.argmin()), count))
        cost[keep] = np.minimum(cost[keep], cost[gone])
        cost[:, keep] = cost[keep]
        cost[gone] = cost[:, gone] = cost[keep, keep] = np.inf
        share[keep] += share[gone]
        member[member == gone] = keep
    return np.unique(member, return_inverse=True)[1]


def _gaps(cores: Labels, count: int) -> Floats:
    """Return the distances (count, count) between the outlines of cores, in pixels."""
    inner = cv2.erode((cores >= 0).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    rows, columns = np.nonzero((cores >= 0) & (inner == 0))
    label = cores[rows, columns]
    order = np.argsort(label, kind="stable")
    ends = np.searchsorted(label[order], np.arange(count + 1))
    each = max(POINTS // count, 12)
    chosen = [order[np.linspace(a, b - 1, min(each, b - a)).astype(int)] for a, b in pairwise(ends.tolist())]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in chosen])[:-1]])
    places = np.stack([columns, rows], -1)[np.concatenate(chosen)].astype(np.float32)
    gaps = np.empty((count, count), np.float32)
    for number, one in enumerate(chosen):
        own = np.stack([columns[one], rows[one]], -1).astype(np.float32)
        square = (own**2).sum(-1)[:, None] + (places**2).sum(-1)[None] - 2 * own @ places.T
        gaps[number] = np.minimum.reduceat(np.sqrt(np.maximum(square, 0)).min(axis=0), starts)
    return np.minimum(gaps, gaps.T)


def _colors(things: Labels, picture: Bytes, count: int) -> Floats:
    """Return the mean CIELAB color (count, 3) of each thing."""
    inside = things >= 0
    flat, rgb = things[inside], picture[inside].astype(np.float32)
    weight = rgb[:, 3]
    sums = np.stack([np.bincount(flat, weight * rgb[:, channel], count) for channel in range(3)], -1)
    mean = (sums / np.bincount(flat, weight, count)[:, None] / 255).astype(np.float32)
    return cv2.cvtColor(mean[None], cv2.COLOR_RGB2LAB)[0]


def _enclosed(things: Labels, count: int) -> Mask:
    """Return for each pair of things whether one lies in the other's box."""
    rows, columns = np.nonzero(things >= 0)
    box = np.empty((count, 4))
    for place, values in ((0, columns), (1, rows)):
        low, high = np.full(count, np.inf), np.full(count, -np.inf)
        np.minimum.at(low, things[rows, columns], values)
        np.maximum.at(high, things[rows, columns], values)
        box[:, place], box[:, place + 2] = low, high
    inside = (box[:, None, :2] >= box[None, :, :2]).all(-1) & (box[:, None, 2:] <= box[None, :, 2:]).all(-1)
    return np.asarray(inside | inside.T, np.bool_)


# The number of layers for each thing.


KINDS = 60
"""The most colors of a thing that count, those of the largest regions."""
OTHER = 8.0
"""CIELAB distance from which two colors of a thing may each be a layer."""
WORTH = 0.004
"""The share of a thing from which one of its colors is worth a layer."""


def allot(
    things: Labels, regions: Regions, sizes: NDArray[np.intp], opaque: NDArray[np.intp], layer_num: int
) -> list[int]:
    """Return the number of layers for each of the n ≤ `layer_num` things, `layer_num` in total.

    `things` and `regions` are of one sketch, `sizes` and `opaque` (n) the pixels of each thing in the picture. Layers
    go where one more separates the most color (the unions of Ward's clustering of each thing's colors, undone). Layers
    that no color needs go to the largest things. They must stay whole under a piece, so opaque things come first.
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
    """Return the color variation that each union of a thing's colors would hide, cheapest union first."""
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


# More layers than things.


def with_pieces(layers: Bytes, seen: Labels, count: int) -> None:
    """Fill the empty ones of `layers` (n, height, width, 4) with pieces of the first `count`, in place.

    `seen` (height, width) is the visible layer, −1 for none. A piece lies above the layer from which it is copied; that
    layer stays whole below, with its soft edge. Only translucent pixels are removed from the layer below.
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
    """Return `groups`, numbered below `number`, with the largest halved until there are `layer_num`, and their count.

    A group of one pixel is not halved, so the count may be lower. A group in several pieces is divided between them,
    along its longer side; one piece is cut across.
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


def _half(mask: Mask) -> Mask:
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
    """Give layers (n, height, width, 4) that are empty or duplicates their visible part of the picture, by `seen`."""
    known: set[bytes] = set()
    for number, layer in enumerate(layers):
        if not layer[..., 3].any() or layer.tobytes() in known:
            mine = seen == number
            layers[:, mine] = 0
            layer[mine] = picture[mine]
            if (picture[mine, 3] == 255).all():
                layers[0, mine] = picture[mine]
        known.add(layer.tobytes())

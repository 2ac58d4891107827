"""Segmenting a picture into many small regions of one color or texture each, and measuring them."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.color import norm

# 32-bit floats throughout; OpenCV's stubs do not guarantee the type.
Floats = NDArray[Any]
Labels = NDArray[np.int32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

Report = Callable[[str], None]
"""Receives the phase of a running job, and may raise to stop it."""

PALETTE = 16
"""The number of colors that represent all others when neighborhoods are compared."""


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A small copy of the picture on which all decisions are made.

    `rgb` (height, width, 3) is 0–255, `lab` the same in CIELAB, `visible` marks alpha above a few levels, `scale` is
    this copy's size relative to the picture's.
    """

    rgb: Floats
    lab: Floats
    visible: Mask
    scale: float


SKETCH_PIXELS = 300_000
"""The number of pixels of the copy on which decisions about a large picture are made."""
SMALL_PIXELS = 450_000
"""A picture of at most this many pixels is not reduced: its thin strokes would not survive."""


def bounded(height: int, width: int, pixels: int) -> tuple[float, tuple[int, int]]:
    """Return the scale, at most 1, at which a picture has about `pixels` pixels, and its (width, height) there."""
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    return scale, (max(1, round(width * scale)), max(1, round(height * scale)))


def grown(mask: Mask, radius: int) -> Mask:
    """Return the mask dilated by `radius` pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of a mask (height, width), all 0 for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 0, 0)


def window_around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns of the box around a mask (height, width), including a margin."""
    left, top, right, low = box_of(mask)
    return slice(max(0, top - margin), low + margin), slice(max(0, left - margin), right + margin)


def draw_sketch(picture: Bytes) -> Sketch:
    """Return the small copy of `picture` (height, width, 4) for decisions."""
    height, width = picture.shape[:2]
    scale, size = bounded(height, width, SKETCH_PIXELS if height * width > SMALL_PIXELS else SMALL_PIXELS)
    alpha = picture[..., 3:].astype(np.float32) / 255
    values = np.dstack([picture[..., :3] * (alpha / 255), alpha]).astype(np.float32)
    values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 4)
    share = values[..., 3:]
    rgb = np.divide(values[..., :3], share, out=np.zeros_like(values[..., :3]), where=share > 0)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).reshape(size[1], size[0], 3)
    return Sketch(rgb=rgb * 255, lab=lab, visible=share[..., 0] > min(0.02, float(share.max()) / 2), scale=scale)


def oversegment(sketch: Sketch) -> Labels:
    """Return labels 0…n−1 of small regions, −1 where nothing is visible.

    Graph-based segmentation (Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation", IJCV 2004)
    in CIELAB: it follows gradients without cutting them and keeps thin strokes.
    """
    area = sketch.visible.size
    values = np.dstack([sketch.lab, np.where(sketch.visible, 0, 300).astype(np.float32)])
    segmenter = cv2.ximgproc.segmentation.createGraphSegmentation(0.5, 40.0, max(8, area // 24000))
    labels = np.asarray(segmenter.processImage(values), np.int32)
    return compact(np.where(sketch.visible, labels, -1))


def compact(labels: Labels) -> Labels:
    """Return the labels renumbered 0…n−1 in the same order; −1 stays."""
    # A lookup table of all numbers: sorting the pixels takes ten times as long.
    used = np.zeros(int(labels.max()) + 2, bool)
    used[labels + 1] = True
    number = np.cumsum(used, dtype=np.int32) - 1 - used[0]
    return number[labels + 1]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """A few representative colors: `colors` (n, 3) in CIELAB, `index` of each pixel, and `near` (n, height, width), the
    share of each color in the window around each pixel."""

    colors: Floats
    index: NDArray[np.uint8]
    near: Floats


def find_palette(sketch: Sketch, seed: int) -> Palette:
    """Return the palette of a sketch, by k-means++ on a sample of its pixels."""
    pixels = sketch.lab[sketch.visible]
    sample = np.ascontiguousarray(pixels[np.random.default_rng(seed).integers(0, len(pixels), 6000)])
    cv2.setRNGSeed(seed & 0x7FFFFFFF)
    count = min(PALETTE, len(np.unique(np.round(sample), axis=0)))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    _, _, colors = cv2.kmeans(sample, count, np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    distance = (colors**2).sum(axis=1) - 2 * sketch.lab.reshape(-1, 3) @ colors.T
    index = distance.argmin(axis=1).astype(np.uint8).reshape(sketch.visible.shape)
    side = max(5, round(min(index.shape) * 0.05)) | 1
    near = [cv2.boxFilter((index == color).astype(np.float32), -1, (side, side)) for color in range(count)]
    return Palette(colors=np.asarray(colors, np.float32), index=index, near=np.stack(near))


REACH = 4
"""The distance in pixels between the samples that measure a border's contrast: wider than an anti-aliased edge."""
SAME_PAINT = 4.5
"""CIELAB distance across a border below which both sides are one smooth surface."""
MOST = 1200
"""The most regions for the slower steps; a picture of noise has many more."""

Graph = list[dict[int, tuple[float, float]]]


@dataclass(frozen=True, kw_only=True)
class Regions:
    """A partition of the sketch into n regions.

    `labels` 0…n−1 (−1: invisible); `area` in pixels; `mean` CIELAB (n, 3); `palette` the share of each palette
    color (n, p) in the region itself and `context` in its neighborhood; `shared` (n, n) the length of common
    borders and `contrast` (n, n) the mean CIELAB difference across them; `rim` the border length with the picture's
    edge or invisible pixels; `box` (n, 4) left, top, right, bottom; `thick` the largest distance to the outline.
    """

    labels: Labels
    area: Floats
    mean: Floats
    palette: Floats
    context: Floats
    shared: Floats
    contrast: Floats
    rim: Floats
    box: Floats
    thick: Floats

    @property
    def count(self) -> int:
        """The number of regions."""
        return len(self.area)


def measure(labels: Labels, sketch: Sketch, palette: Palette) -> Regions:
    """Measure the regions of `labels`."""
    count = int(labels.max()) + 1
    inside = labels >= 0
    flat = labels[inside]
    area = np.bincount(flat, minlength=count).astype(np.float32)
    deep = depth(labels)[inside]
    # The blur along outlines would tint small regions.
    weight = np.minimum(deep, 4) ** 3
    sums = [np.bincount(flat, weight * sketch.lab[..., c][inside], count) for c in range(3)]
    mean = np.stack(sums, -1) / np.bincount(flat, weight, count)[:, None]
    thick = np.zeros(count, np.float32)
    np.maximum.at(thick, flat, deep)
    colors = len(palette.colors)
    own = np.bincount(flat * colors + palette.index[inside], minlength=count * colors).reshape(count, colors)
    shared, contrast = measure_borders(labels, sketch.lab, count)
    return Regions(
        labels=labels,
        area=area,
        mean=mean.astype(np.float32),
        palette=(own / area[:, None]).astype(np.float32),
        context=_context(labels, palette, area),
        shared=shared,
        contrast=contrast,
        rim=_rim(labels, count),
        box=boxes(labels, count),
        thick=thick,
    )


def measure_borders(labels: Labels, lab: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the length of common borders and the mean difference across them, both (count, count) and symmetric."""
    rows, columns, pairs, gaps = _border_sums(labels, lab, count)
    length = np.zeros((count, count), np.float32)
    total = np.zeros((count, count), np.float32)
    length[rows, columns] = length[columns, rows] = pairs
    total[rows, columns] = total[columns, rows] = gaps
    return length / REACH, np.divide(total, length, out=np.zeros_like(total), where=length > 0)


def _border_sums(labels: Labels, lab: Floats, count: int) -> tuple[Labels, Labels, Floats, Floats]:
    """Return, for each pair of neighbors, both labels, the number of sample pairs and the sum of their differences."""
    keys, gaps = [], []
    for one, other, a, b in (
        (labels[:, :-REACH], labels[:, REACH:], lab[:, :-REACH], lab[:, REACH:]),
        (labels[:-REACH], labels[REACH:], lab[:-REACH], lab[REACH:]),
    ):
        differ = (one != other) & (one >= 0) & (other >= 0)
        p, q = one[differ].astype(np.int64), other[differ]
        keys.append(np.minimum(p, q) * count + np.maximum(p, q))
        gaps.append(norm(a[differ] - b[differ]))
    values, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    rows, columns = np.divmod(values, count)
    pairs = np.bincount(inverse, minlength=len(values)).astype(np.float32)
    sums = np.bincount(inverse, np.concatenate(gaps), len(values)).astype(np.float32)
    return rows.astype(np.int32), columns.astype(np.int32), pairs, sums


def _context(labels: Labels, palette: Palette, area: Floats) -> Floats:
    """Return the mean palette histogram of the windows around each region's pixels: equal for interleaved stripes."""
    flat = (labels + np.intp(1)).ravel()
    sums = [np.bincount(flat, near.ravel(), len(area) + 1)[1:] for near in palette.near]
    return (np.stack(sums, axis=-1) / area[:, None]).astype(np.float32)


def _rim(labels: Labels, count: int) -> Floats:
    """Return the length of each region's outline on the edge of the picture or of its visible part."""
    framed = np.pad(labels, 1, constant_values=-1)
    beside = ((slice(1, -1), slice(2, None)), (slice(1, -1), slice(0, -2)), (slice(2, None), slice(1, -1)))
    sides = (*beside, (slice(0, -2), slice(1, -1)))
    edge = np.concatenate([labels[framed[side] < 0] for side in sides])
    return np.bincount(edge[edge >= 0], minlength=count).astype(np.float32)


def boxes(labels: Labels, count: int) -> Floats:
    """Return left, top, right and bottom of each of `count` labels."""
    rows, columns = np.nonzero(labels >= 0)
    flat = labels[rows, columns]
    box = np.empty((count, 4), np.float32)
    for place, values in ((0, columns), (1, rows)):
        low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        np.minimum.at(low, flat, values)
        np.maximum.at(high, flat, values)
        box[:, place], box[:, place + 2] = low, high + 1
    return box


def depth(labels: Labels) -> Floats:
    """Return each pixel's distance to the outline of its region, about 1 at the outline."""
    same = np.ones(labels.shape, np.uint8)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    same[1:][down] = same[:-1][down] = 0
    same[:, 1:][right] = same[:, :-1][right] = 0
    # Regions continue beyond the picture's edge.
    # Without any outline the distance transform is unbounded.
    reach = np.float32(max(labels.shape))
    return np.minimum(np.asarray(cv2.distanceTransform(same, cv2.DIST_L2, 3), np.float32), reach) + np.float32(1)


def nearest_label(labels: Labels, mask: Mask) -> Labels:
    """Return for each pixel the label of the nearest pixel of `mask`."""
    _, found = cv2.distanceTransformWithLabels((~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.asarray(found, np.int32)
    of = np.zeros(int(nearest.max()) + 1, np.int32)
    of[nearest[mask]] = labels[mask]
    return of[nearest]


def smooth_merge(labels: Labels, lab: Floats) -> Labels:
    """Return the labels with regions merged, weakest border first, where colors continue across the border.

    Hierarchical merging on the region adjacency graph (Haris et al., "Hybrid image segmentation using watersheds and
    fast region merging", IEEE TIP 1998), with the border's own contrast as the cost. In a picture of noise, merging
    continues until at most `MOST` regions remain.
    """
    if labels.max() < 0:  # fully transparent
        return labels
    limit = SAME_PAINT
    blurred = cv2.GaussianBlur(lab, (0, 0), 0.7)
    while True:
        labels = _merge(labels, blurred, limit)
        if labels.max() < MOST:
            return labels
        limit *= 1.6


def _merge(labels: Labels, lab: Floats, limit: float) -> Labels:
    count = int(labels.max()) + 1
    graph: Graph = [{} for _ in range(count)]
    sums = _border_sums(labels, lab, count)
    for i, j, pairs, total in zip(*(values.tolist() for values in sums), strict=True):
        graph[i][j] = graph[j][i] = (pairs, total)
    parent = _merge_cheapest(graph, limit)
    return compact(np.where(labels >= 0, parent[labels], -1).astype(np.int32))


def _merge_cheapest(graph: Graph, limit: float) -> Labels:
    """Merge nodes in order of their border's mean contrast, up to `limit`; return each node's new number."""
    parent = np.arange(len(graph), dtype=np.int32)
    heap = [(t / b, i, j, b) for i, near in enumerate(graph) for j, (b, t) in near.items() if i < j and t < limit * b]
    heapq.heapify(heap)
    while heap:
        _, i, j, pairs = heapq.heappop(heap)
        # An entry is stale if its border has disappeared or grown since.
        if graph[i].get(j, (0.0, 0.0))[0] != pairs:
            continue
        keep, gone = (i, j) if len(graph[i]) >= len(graph[j]) else (j, i)
        parent[gone] = keep
        for other, b, t in _absorb(graph, keep, gone):
            if t < limit * b:
                heapq.heappush(heap, (t / b, min(keep, other), max(keep, other), b))
    for node in range(len(parent)):
        while parent[node] != parent[parent[node]]:
            parent[node] = parent[parent[node]]
    return parent


def _absorb(graph: Graph, keep: int, gone: int) -> list[tuple[int, float, float]]:
    """Move the borders of `gone` to `keep`; return the borders that changed: neighbor, sample pairs, sum."""
    changed = []
    for other, (b, t) in graph[gone].items():
        del graph[other][gone]
        if other == keep:
            continue
        b0, t0 = graph[keep].get(other, (0.0, 0.0))
        graph[keep][other] = graph[other][keep] = (b + b0, t + t0)
        changed.append((other, b + b0, t + t0))
    graph[gone] = {}
    return changed

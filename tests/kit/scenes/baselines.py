"""Two simple ways to take a picture apart, to be better than: RGBA layers with hard masks, bottom to top."""

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Labels = NDArray[np.int32]
SUPERPIXEL_SIDE = 8
"""The grid of the superpixels, in pixels: small enough for the strokes of text."""
CLOSE = 3.0
"""A CIELAB distance that is hardly seen: superpixels closer than this are one from the start."""
FILL_SIDE = 200
"""The ground is inpainted at this longer side, in pixels; at full size that takes longer than the decomposition."""


def color_layers(image: Image.Image, layer_num: int, seed: int = 0) -> list[Image.Image]:
    """Return a layer for each of `layer_num` clusters of color: k-means in CIELAB with k-means++ starts."""
    rgb = np.asarray(image.convert("RGB"))
    pixels = _lab(rgb).reshape(-1, 3)
    cv2.setRNGSeed(seed)
    sample = pixels[np.random.default_rng(seed).integers(0, len(pixels), 20_000)]
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 0.1)
    _, _, centres = cv2.kmeans(sample, layer_num, np.zeros(0, np.int32), criteria, 5, cv2.KMEANS_PP_CENTERS)
    distances = np.stack([np.square(pixels - centre).sum(axis=1) for centre in centres])
    return _stack(rgb, distances.argmin(axis=0).reshape(rgb.shape[:2]).astype(np.int32))


def superpixel_layers(image: Image.Image, layer_num: int, seed: int = 0) -> list[Image.Image]:
    """Return a layer for each of `layer_num` regions merged from superpixels.

    SLICO superpixels (Achanta et al., 2012): neighbors of nearly one color are united, so that gradients hold
    together; then the pair that adds least to the sum of squared color distances is merged (Ward, 1963), neighbors
    until 200 regions are left, then any two, so that scattered things can be one layer.
    """
    rgb = np.asarray(image.convert("RGB"))
    lab = _lab(rgb)
    superpixels = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLICO, SUPERPIXEL_SIDE)
    superpixels.iterate(8)
    united = _unite_close(np.asarray(superpixels.getLabels(), np.int32), lab)
    regions = _merge_neighbors(united, lab, 200)
    return _stack(rgb, _merge_alike(regions, lab, layer_num))


def _unite_close(labels: Labels, lab: NDArray[np.float32]) -> Labels:
    """Unite all neighbors whose mean colors are closer than `CLOSE`."""
    labels = _compact(labels)
    _, means = _statistics(labels, lab)
    parents = list(range(len(means)))
    for a, others in enumerate(_neighbors(labels)):
        for b in others:
            first, second = sorted((_root(parents, a), _root(parents, b)))
            if first != second and np.linalg.norm(means[a] - means[b]) < CLOSE:
                parents[second] = first
    roots = np.array([_root(parents, index) for index in range(len(parents))], np.int32)
    return _compact(roots[labels])


def _merge_neighbors(labels: Labels, lab: NDArray[np.float32], regions_left: int) -> Labels:
    """Merge adjacent regions, the pair that adds least to the sum of squares first, until `regions_left` are left."""
    sizes, means = _statistics(labels, lab)
    parents = list(range(len(sizes)))
    neighbors = _neighbors(labels)
    queue = [(_growth(sizes, means, a, b), a, b) for a in range(len(sizes)) for b in neighbors[a] if a < b]
    heapq.heapify(queue)
    left = len(sizes)
    while queue and left > regions_left:
        cost, a, b = heapq.heappop(queue)
        if parents[a] != a or parents[b] != b or cost != _growth(sizes, means, a, b):
            continue  # one of them has grown since; its new cost is in the queue
        means[a] = (means[a] * sizes[a] + means[b] * sizes[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        parents[b] = a
        neighbors[a] = (neighbors[a] | neighbors[b]) - {a, b}
        for other in neighbors[a]:
            neighbors[other] = (neighbors[other] - {b}) | {a}
            first, second = min(a, other), max(a, other)
            heapq.heappush(queue, (_growth(sizes, means, first, second), first, second))
        left -= 1
    roots = np.array([_root(parents, region) for region in range(len(parents))], np.int32)
    return _compact(roots[labels])


def _merge_alike(labels: Labels, lab: NDArray[np.float32], regions_left: int) -> Labels:
    """Merge regions anywhere in the picture, the pair that adds least to the sum of squares first."""
    sizes, means = _statistics(labels, lab)
    groups = np.arange(len(sizes))
    while len(sizes) > regions_left:
        gaps = np.square(means[:, None] - means[None]).sum(axis=-1)
        costs = gaps * (sizes[:, None] * sizes[None] / (sizes[:, None] + sizes[None]))
        np.fill_diagonal(costs, np.inf)
        a, b = sorted(int(index) for index in np.unravel_index(int(costs.argmin()), costs.shape))
        means[a] = (means[a] * sizes[a] + means[b] * sizes[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        means, sizes = np.delete(means, b, axis=0), np.delete(sizes, b)
        groups[groups == b] = a
        groups[groups > b] -= 1
    return groups[labels].astype(np.int32)


def _stack(rgb: NDArray[np.uint8], labels: Labels) -> list[Image.Image]:
    """Return the region with most of the picture's border as a filled ground, and the others on it, large first."""
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    ground = int(np.bincount(border).argmax())
    areas = np.bincount(labels.ravel())
    others = [int(label) for label in np.argsort(-areas, kind="stable") if label != ground]
    opaque = np.full(labels.shape, 255, np.uint8)
    bottom = np.dstack([_filled(rgb, labels != ground), opaque])
    tops = [np.dstack([rgb, np.where(labels == label, opaque, 0)]) for label in others]
    return [Image.fromarray(layer.astype(np.uint8), "RGBA") for layer in (bottom, *tops)]


def _filled(rgb: NDArray[np.uint8], holes: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the picture with its holes inpainted (Telea, 2004), small, and scaled back up."""
    height, width = holes.shape
    scale = FILL_SIDE / max(height, width)
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    mask = cv2.resize(holes.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
    colors = cv2.resize(rgb, small, interpolation=cv2.INTER_AREA)
    inpainted = cv2.inpaint(colors, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    grown = cv2.resize(inpainted, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(holes[..., None], grown, rgb)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)


def _statistics(labels: Labels, lab: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the size of each region and its mean color."""
    sizes = np.bincount(labels.ravel()).astype(np.float64)
    sums = [np.bincount(labels.ravel(), weights=lab[..., channel].ravel()) for channel in range(3)]
    return sizes, np.stack(sums, axis=-1) / sizes[:, None]


def _growth(sizes: NDArray[np.float64], means: NDArray[np.float64], a: int, b: int) -> float:
    """Return what merging two regions adds to the sum of squared distances from the mean (Ward, 1963)."""
    gap = means[a] - means[b]
    return float(sizes[a] * sizes[b] / (sizes[a] + sizes[b]) * gap.dot(gap))


def _neighbors(labels: Labels) -> list[set[int]]:
    sides = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    pairs = np.concatenate([np.stack([first.ravel(), second.ravel()], axis=-1) for first, second in sides])
    neighbors: list[set[int]] = [set() for _ in range(int(labels.max()) + 1)]
    for a, b in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        neighbors[a].add(b)
        neighbors[b].add(a)
    return neighbors


def _root(parents: list[int], region: int) -> int:
    """Return the region that `region` ended up in, and shorten the way there."""
    while parents[region] != region:
        parents[region] = parents[parents[region]]
        region = parents[region]
    return region


def _compact(labels: Labels) -> Labels:
    """Return the labels renumbered from 0 without gaps."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)

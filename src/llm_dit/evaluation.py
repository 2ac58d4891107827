"""The field's metric for comparing a decomposition with known layers.

It is that of Suzuki et al., "LayerD: Decomposing Raster Graphic Designs into Layers", ICCV 2025
(https://arxiv.org/abs/2509.25134), as computed by https://github.com/CyberAgentAILab/LayerD; Yin et al.,
"Qwen-Image-Layered", 2025 (https://arxiv.org/abs/2512.15603) use it as well:

1. Layers that do not overlap are merged: from the top, repeatedly, all layers with none above them.
2. Both stacks are aligned in their order by dynamic time warping; two layers cost (RGB L1 + 1 − alpha soft IoU) / 2.
3. RGB L1 and alpha soft IoU are the means over the aligned pairs.
4. How finely a picture is divided is a matter of taste. So up to five times the two neighbors, in either stack, whose
   merging improves the pairs most are merged, and steps 2 and 3 are repeated.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.errors import InputError

MAX_EDITS = 5
LEAST_LAYERS = 2
"""Of a stack in which two are merged, at least one more."""

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """The similarity of two stacks after some merges: `rgb_l1` is 0 at best, `alpha_iou` 1; both are within 0–1."""

    edits: int
    rgb_l1: float
    alpha_iou: float


class _Sheet:
    """A layer for comparison: its straight planes (4, height, width), and where it is not transparent.

    Transparent pixels are black, because files store different invisible colors.
    """

    def __init__(self, image: Image.Image) -> None:
        pixels = np.array(image)
        pixels[pixels[..., 3] == 0] = 0
        self.image = Image.fromarray(pixels, "RGBA")
        self.planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        self.shown = (self.planes[3] > 0).astype(np.uint8)
        self.area = int(np.count_nonzero(self.shown))
        self.weight = _sum(self.planes[3])


class _Measure:
    """Compares sheets, and caches each pair."""

    def __init__(self) -> None:
        self._known: dict[tuple[_Sheet, _Sheet], tuple[float, float]] = {}

    def of(self, found: _Sheet, truth: _Sheet) -> tuple[float, float]:
        """Return RGB L1, over the non-transparent pixels of the second, and alpha soft IoU."""
        pair = found, truth
        if pair not in self._known:
            less, more = np.minimum(found.planes, truth.planes), np.maximum(found.planes[:3], truth.planes[:3])
            shared = _sum(less[3])
            either = found.weight + truth.weight - shared
            colors = _sum((more - less[:3]) * truth.shown)
            self._known[pair] = colors / 765 / max(truth.area, 1), shared / either if either else 0.0
        return self._known[pair]

    def cost(self, found: _Sheet, truth: _Sheet) -> float:
        l1, iou = self.of(found, truth)
        return (l1 + 1 - iou) / 2


def compare(found: Sequence[Image.Image], truth: Sequence[Image.Image], max_edits: int = MAX_EDITS) -> list[Likeness]:
    """Return the similarity of two stacks, first unmerged, then after each merge that improves it.

    Both are RGBA images of one size, bottom first. Raises `InputError` for an empty stack or different sizes.
    """
    if not found or not truth or len({image.size for image in (*found, *truth)}) != 1:
        raise InputError("Both stacks need layers, all of the same size.", param="layers")
    measure = _Measure()
    ours, theirs = _apart(found), _apart(truth)
    results: list[Likeness] = []
    while True:
        pairs = _aligned(ours, theirs, measure)
        l1, iou = zip(*(measure.of(ours[i], theirs[j]) for i, j in pairs), strict=True)
        results.append(Likeness(edits=len(results), rgb_l1=fmean(l1), alpha_iou=fmean(iou)))
        own = _best_merge(ours, theirs, pairs, measure)
        other = _best_merge(theirs, ours, [(j, i) for i, j in pairs], measure)
        if len(results) > max_edits or own is other is None:
            return results
        if other is None or (own is not None and own[0] > other[0]):
            ours = _merged(ours, own)
        else:
            theirs = _merged(theirs, other)


def mean_of(results: Sequence[Sequence[Likeness]]) -> list[Likeness]:
    """Return the mean over pictures after each number of merges; a picture without further merges keeps its figures."""
    most = max(map(len, results), default=0)
    levels = [[result[min(edits, len(result) - 1)] for result in results] for edits in range(most)]
    return [
        Likeness(
            edits=edits, rgb_l1=fmean(one.rgb_l1 for one in level), alpha_iou=fmean(one.alpha_iou for one in level)
        )
        for edits, level in enumerate(levels)
    ]


def _sum(levels: NDArray[np.uint8]) -> int:
    return int(levels.sum(dtype=np.int64))


def _apart(layers: Sequence[Image.Image]) -> list[_Sheet]:
    """Return a stack with non-overlapping layers merged, bottom first."""
    shown = [np.asarray(layer.getchannel("A")) > 0 for layer in layers]
    left, groups = list(range(len(layers))), list[list[int]]()
    while left:
        top = [
            number
            for place, number in enumerate(left)
            if not any((shown[number] & shown[above]).any() for above in left[place + 1 :])
        ]
        groups.insert(0, top)
        left = [number for number in left if number not in top]
    return [_Sheet(reduce(Image.alpha_composite, [layers[number] for number in group])) for group in groups]


def _aligned(ours: Sequence[_Sheet], theirs: Sequence[_Sheet], measure: _Measure) -> Pairs:
    """Return the pairs of the cheapest path through both stacks, which advances at most one layer in each per step."""
    total = np.full((len(ours) + 1, len(theirs) + 1), np.inf)
    total[0, 0] = 0
    for i, one in enumerate(ours, 1):
        for j, other in enumerate(theirs, 1):
            before = min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            total[i, j] = measure.cost(one, other) + before
    i, j = len(ours), len(theirs)
    path: Pairs = []
    while i and j:
        path.append((i - 1, j - 1))
        # The diagonal wins ties.
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda at: total[at])
    return path[::-1]


def _best_merge(
    layers: Sequence[_Sheet], others: Sequence[_Sheet], pairs: Pairs, measure: _Measure
) -> tuple[float, int, _Sheet] | None:
    """Return the best gain from merging two neighbors, the index of the lower one, and the merged layer, or None.

    Layers aligned with the two are then compared with the merged layer, or some of them with the layer above.
    """

    def likeness(layer: _Sheet, to: Sequence[_Sheet]) -> float:
        return sum(1 - measure.cost(layer, other) for other in to)

    best: tuple[float, int, _Sheet] | None = None
    if len(layers) <= LEAST_LAYERS:
        return None
    for lower, (first, second) in enumerate(itertools.pairwise(layers)):
        with_first, with_second = (
            [others[other] for own, other in pairs if own == number] for number in (lower, lower + 1)
        )
        before = likeness(first, with_first) + likeness(second, with_second)
        both = _Sheet(Image.alpha_composite(first.image, second.image))
        choices = [likeness(both, with_second)]
        for above in layers[lower + 2 : lower + 3]:
            choices += [likeness(above, with_first), likeness(above, with_second)]
        gain = likeness(both, with_first) + max(choices) - before
        if gain > 0 and (best is None or gain > best[0]):
            best = gain, lower, both
    return best


def _merged(layers: Sequence[_Sheet], merge: tuple[float, int, _Sheet] | None) -> list[_Sheet]:
    if merge is None:
        return list(layers)
    _, lower, both = merge
    return [*layers[:lower], both, *layers[lower + 2 :]]

"""The quality of a decomposition: against known layers by the field's metric, and without them by its score.

The metric is that of Suzuki et al., "LayerD: Decomposing Raster Graphic Designs into Layers", ICCV 2025
(https://arxiv.org/abs/2509.25134), as computed by https://github.com/CyberAgentAILab/LayerD; Yin et al.,
"Qwen-Image-Layered", 2025 (https://arxiv.org/abs/2512.15603) use it as well:

1. Layers that do not overlap are merged: from the top, repeatedly, all layers with none above them.
2. Both stacks are aligned in their order by dynamic time warping; two layers cost (RGB L1 + 1 − alpha soft IoU) / 2.
3. RGB L1 and alpha soft IoU are the means over the aligned pairs.
4. How finely a picture is divided is a matter of taste. So up to five times the two neighbors, in either stack, whose
   merging improves the pairs most are merged, and steps 2 and 3 are repeated.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from llm_dit.errors import InputError
from llm_dit.layer import Box

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


# The score of a decomposition: how well its layers rebuild the picture, and the use of each layer.

Floats = NDArray[np.float32]
Verdict = Literal["useful", "empty", "duplicate", "unseen"]

FAINT = 8
"""Levels of alpha up to which a pixel counts as transparent, because a model never draws exactly 0."""
LEAST = 1e-4
"""The mean alpha up to which a layer is empty."""
ALIKE = 0.9
"""The common share of alpha from which two layers may be duplicates …"""
SAME_COLOR = 8.0
"""… if their colors differ by at most this many levels on average."""
NOTHING, TRACE = 2.0, 0.05
"""A layer is invisible if the picture without it is worse by fewer levels than this, over the layer's area and over the
whole picture."""
POOR_DB = 30.0
"""In dB; below this value the difference is obvious."""
WORTH = 0.5
"""Levels that a layer must add to count for the automatic number: the best fit to scenes with known layers,
`tests/kit/scenes` with seed 3."""
GRID_PIXELS = 262_144
"""The contribution of layers is measured on a grid of this many pixels."""


@dataclass(frozen=True, kw_only=True)
class LayerScore:
    """The use of one layer.

    `box` (left, top, right, bottom) surrounds its visible alpha, None if there is none; `coverage` is its mean alpha,
    0–1. `adds` is how much worse the picture would be without it, in levels of 255 on average; below 0 it would be
    better. `verdict` is "empty", "duplicate" of the lower layer with the number `like` (1 is the bottom), "unseen" if
    the picture is the same without it, or "useful".
    """

    name: str
    box: Box | None
    coverage: float
    adds: float
    verdict: Verdict
    like: int | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well layers rebuild their picture, and what each adds, bottom first.

    `mean` and `worst` are the difference between composite and picture in levels of 255, over all channels; `psnr` is
    the peak signal-to-noise ratio in dB, None if nothing differs. Transparent pictures are compared over black and over
    white, and the worse value counts.
    """

    mean: float
    worst: int
    psnr: float | None
    layers: tuple[LayerScore, ...]

    @property
    def useful(self) -> int:
        """Number of useful layers: a good number to ask for."""
        return sum(layer.verdict == "useful" for layer in self.layers)

    @property
    def worth_asking(self) -> int:
        """The automatic number of layers, from a decomposition into more: layers that add little do not count."""
        return 1 + sum(layer.verdict == "useful" and layer.adds >= WORTH for layer in self.layers[1:])

    @property
    def sentence(self) -> str:
        """Return a summary in a sentence."""
        count, useful = len(self.layers), self.useful
        said = f"{useful} of {_layers(count)} {'is' if useful == 1 else 'are'} useful"
        if useful == count:
            said = "The layer is useful" if count == 1 else f"All {count} layers are useful"
        faults = self._faults()
        if faults:
            said += f"; {', '.join(faults)}" + (f": try {_layers(useful)}" if useful else "")
        if self.psnr is not None and self.psnr < POOR_DB:
            said += "; together they rebuild the picture poorly: try another seed or more steps"
        return f"{said}."

    @property
    def figures(self) -> str:
        """Return the figures of how well the layers rebuild the picture."""
        if self.psnr is None:
            return "rebuilds exactly"
        return f"rebuilds to {self.psnr:.1f} dB, mean difference {self.mean:.2g}, worst {self.worst} of 255"

    def as_json(self) -> dict[str, Any]:
        """Return the score for JSON."""
        return {**asdict(self), "useful": self.useful, "sentence": self.sentence}

    def _faults(self) -> list[str]:
        empty, unseen = (
            [f"“{layer.name}”" for layer in self.layers if layer.verdict == verdict] for verdict in ("empty", "unseen")
        )
        return [
            *([f"{_listed(empty)} {'is' if len(empty) == 1 else 'are'} empty"] if empty else []),
            *(
                f"“{layer.name}” repeats “{self.layers[layer.like - 1].name}”"
                for layer in self.layers
                if layer.like is not None
            ),
            *([f"{_listed(unseen)} add{'s' if len(unseen) == 1 else ''} nothing visible"] if unseen else []),
        ]


def score_of(
    picture: Image.Image, composite: Image.Image, layers: Sequence[Image.Image], names: Sequence[str]
) -> Score:
    """Return the score of RGBA layers of one size, bottom first, and of their composite.

    A picture of another size is first resized to the layers' size.
    """
    picture = picture.convert("RGBA")
    if picture.size != composite.size:
        picture = picture.resize(composite.size, Image.Resampling.LANCZOS)
    mean, worst, psnr = _difference(picture, composite)
    step = max(1, math.ceil((picture.width * picture.height / GRID_PIXELS) ** 0.5))
    small = (max(1, picture.width // step), max(1, picture.height // step))
    planes = [_planes(layer, small) for layer in layers]
    gains = _gains(_planes(picture, small), planes)
    verdicts = _verdicts(planes, [_seen(layer) for layer in layers], gains)
    scores = (
        LayerScore(name=name, box=_box(layer), coverage=coverage(layer), adds=gain, verdict=verdict, like=like)
        for name, layer, gain, (verdict, like) in zip(names, layers, gains, verdicts, strict=True)
    )
    return Score(mean=mean, worst=worst, psnr=psnr, layers=tuple(scores))


def coverage(image: Image.Image) -> float:
    """Return the mean alpha of an image, 0 (fully transparent) to 1 (opaque)."""
    alpha = (image if image.mode == "RGBA" else image.convert("RGBA")).getchannel("A")
    total = sum(level * count for level, count in enumerate(alpha.histogram()))
    return total / 255.0 / (image.width * image.height)


def thinned(picture: Image.Image, layers: Sequence[Image.Image]) -> list[Image.Image]:
    """Return RGBA layers, bottom first, without empty and invisible ones, at least one.

    A layer that nearly repeats the one directly below is merged into it, so that the stack looks the same. Layers are
    removed one at a time, because removing one may make another visible.
    """
    kept = list(layers)
    while len(kept) > 1:
        scores = score_of(picture, reduce(Image.alpha_composite, kept), kept, [""] * len(kept)).layers
        number = next((number for number, layer in enumerate(scores) if _can_go(number, layer)), None)
        if number is None:
            break
        if scores[number].verdict == "duplicate":
            kept[number - 1] = Image.alpha_composite(kept[number - 1], kept[number])
        del kept[number]
    return kept


def _can_go(number: int, layer: LayerScore) -> bool:
    return layer.verdict in ("empty", "unseen") or (layer.verdict == "duplicate" and layer.like == number)


def _difference(first: Image.Image, second: Image.Image) -> tuple[float, int, float | None]:
    """Return the mean and the largest difference in levels, and the PSNR in dB."""
    opaque = all(each.getchannel("A").getextrema()[0] == 255 for each in (first, second))
    found: list[tuple[float, float, int]] = []
    for ground in ("black",) if opaque else ("black", "white"):
        counts = ImageChops.difference(_over(first, ground), _over(second, ground)).histogram()
        levels = np.reshape(counts, (3, 256)).sum(axis=0)
        share, at = levels / levels.sum(), np.arange(256)
        found.append((float(share @ at**2), float(share @ at), int(np.flatnonzero(levels)[-1])))
    square, mean, worst = max(found)
    return mean, worst, 10 * math.log10(255**2 / square) if square else None


def _over(image: Image.Image, ground: str) -> Image.Image:
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, mask=image)
    return flat


def _planes(image: Image.Image, size: tuple[int, int]) -> Floats:
    """Return a subsampled picture as (4, height, width): colors 0–255, times alpha, and alpha 0–1."""
    pixels = np.asarray(image.resize(size, Image.Resampling.NEAREST))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    planes[3] /= 255
    planes[:3] *= planes[3]
    return planes


def _gains(picture: Floats, layers: Sequence[Floats]) -> list[float]:
    """Return how many levels more the composite differs from the picture without each layer.

    A layer changes the composite by its change of the picture below it, dimmed by everything above, so two passes are
    enough for any number of layers.
    """
    below = [np.zeros_like(picture)]
    for layer in layers:
        below.append(below[-1] * (1 - layer[3]) + layer)
    rest = below[-1] - picture
    error, through = _error(rest), np.ones_like(picture[3])
    gains: list[float] = []
    for layer, under in zip(reversed(layers), reversed(below[:-1]), strict=True):
        gains.append(_error(rest - through * (layer - layer[3] * under)) - error)
        through *= 1 - layer[3]
    return gains[::-1]


def _error(difference: Floats) -> float:
    """Return the mean of a difference of `_planes` over black or over white, whichever is larger."""
    colors = np.abs(difference[:3])
    if difference[3].any():
        colors = np.maximum(colors, np.abs(difference[:3] - 255 * difference[3]))
    return float(colors.mean())


def _verdicts(
    layers: Sequence[Floats], seen: Sequence[float], gains: Sequence[float]
) -> list[tuple[Verdict, int | None]]:
    """Return each layer's verdict, and the number of the layer that it repeats; `seen` are their visible alphas."""
    twins = {
        number: twin
        for number in range(len(layers))
        if seen[number] > LEAST and (twin := _twin(number, layers, seen)) is not None
    }
    return [
        ("empty", None)
        if seen[number] <= LEAST
        else ("duplicate", twins[number] + 1)
        if number in twins
        # Of two equal layers, the picture does not need both.
        else ("unseen", None)
        if gain < TRACE and gain < NOTHING * seen[number] and number not in twins.values()
        else ("useful", None)
        for number, gain in enumerate(gains)
    ]


def _twin(number: int, layers: Sequence[Floats], seen: Sequence[float]) -> int | None:
    """Return the number of the nearest lower layer that is almost equal."""
    layer = layers[number][:, ::2, ::2]
    for below in range(number - 1, -1, -1):
        if min(seen[number], seen[below]) < ALIKE * max(seen[number], seen[below]):
            continue
        other = layers[below][:, ::2, ::2]
        shared = np.minimum(layer[3], other[3])
        if shared.sum() < ALIKE * np.maximum(layer[3], other[3]).sum():
            continue
        # At the edges both are dimmed equally, by about the same alpha.
        if np.abs(layer[:3] - other[:3]).mean(axis=0).sum() < SAME_COLOR * shared.sum():
            return below
    return None


def _seen(layer: Image.Image) -> float:
    """Return the mean alpha without faint pixels, 0–1."""
    levels = np.asarray(layer.getchannel("A").histogram())
    return float(levels[FAINT + 1 :] @ np.arange(FAINT + 1, 256)) / 255 / float(levels.sum())


def _box(layer: Image.Image) -> Box | None:
    return layer.getchannel("A").point([0] * (FAINT + 1) + [255] * (255 - FAINT)).getbbox()


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1)) if len(names) > 1 else names[0]


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"

"""How good a decomposition is: how well its layers rebuild the picture, and what each of them is worth."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from llm_dit.layer import Box

Floats = NDArray[np.float32]
Verdict = Literal["useful", "empty", "duplicate", "unseen"]

FAINT = 8
"""Levels of alpha up to which a pixel counts as clear: what a model draws is nowhere at 0."""
LEAST = 1e-4
"""The mean alpha up to which a layer is empty."""
ALIKE = 0.9
"""The share of their alphas in common from which two layers may be the same …"""
SAME_COLOR = 8.0
"""… with colors that differ by no more levels than that on average."""
NOTHING, TRACE = 2.0, 0.05
"""Levels by which the picture is worse without a layer, over its own area and over all of the picture, below which
nobody sees that the layer is gone."""
POOR_DB = 30.0
"""Below it the difference is seen at once."""
WORTH = 0.5
"""Levels that a layer must add to be asked for: nearest to the number of layers of scenes of known truth,
`tests/kit/scenes` with seed 3."""
GRID_PIXELS = 262_144
"""What each layer adds is measured on a grid of so many pixels."""


@dataclass(frozen=True, kw_only=True)
class LayerScore:
    """What one layer is worth.

    `box` (left, top, right, bottom) is around what is seen of its alpha, None when that is nothing; `coverage` is its
    mean alpha, 0–1. `adds` is by how many levels of 255 the picture would be worse without it, on average; below 0 it
    would be better. `verdict` is "empty", "duplicate" of the lower layer whose number is `like` (1 is the bottom),
    "unseen" when the picture is the same without it, or "useful".
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

    `mean` and `worst` are the difference of the composite from the picture in levels of 255, over its channels; `psnr`
    is the peak signal-to-noise ratio in dB, None where nothing differs. What is transparent is compared over black and
    over white, and the worse of both counts.
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
        """How many layers the picture has something for, where more were tried: small ones go with others."""
        return 1 + sum(layer.verdict == "useful" and layer.adds >= WORTH for layer in self.layers[1:])

    @property
    def sentence(self) -> str:
        """Return what a person should know, in a sentence."""
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
        """Return how well the layers rebuild the picture, in figures."""
        if self.psnr is None:
            return "rebuilds exactly"
        return f"rebuilds to {self.psnr:.1f} dB, mean difference {self.mean:.2g}, worst {self.worst} of 255"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
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

    A picture of another size is first resized to that of the layers.
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
    """Return the mean alpha of an image, 0 (nothing to see) to 1 (opaque everywhere)."""
    alpha = (image if image.mode == "RGBA" else image.convert("RGBA")).getchannel("A")
    total = sum(level * count for level, count in enumerate(alpha.histogram()))
    return total / 255.0 / (image.width * image.height)


def thinned(picture: Image.Image, layers: Sequence[Image.Image]) -> list[Image.Image]:
    """Return RGBA layers, bottom first, without those that are empty or that nobody sees, at least one.

    One that nearly repeats the layer right below it is put over that one, so that the stack looks the same. They go
    one at a time: of two that hide each other one is seen again.
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
    """Return every so many-th pixel as (4, height, width): colors 0–255, times alpha, and alpha 0–1."""
    pixels = np.asarray(image.resize(size, Image.Resampling.NEAREST))
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    planes[3] /= 255
    planes[:3] *= planes[3]
    return planes


def _gains(picture: Floats, layers: Sequence[Floats]) -> list[float]:
    """Return by how many levels the composite differs more from the picture without each layer.

    What a layer changes of the composite is what it changes of what is below it, dimmed by all that is above: two
    passes do for any number of layers.
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
    """Return the mean of what a difference, as of `_planes`, is over black or over white, whichever is more."""
    colors = np.abs(difference[:3])
    if difference[3].any():
        colors = np.maximum(colors, np.abs(difference[:3] - 255 * difference[3]))
    return float(colors.mean())


def _verdicts(
    layers: Sequence[Floats], seen: Sequence[float], gains: Sequence[float]
) -> list[tuple[Verdict, int | None]]:
    """Return what each layer is, and the number of the one that it repeats; `seen` are their alphas that are seen."""
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
        # Of two that are the same, the picture can do without either.
        else ("unseen", None)
        if gain < TRACE and gain < NOTHING * seen[number] and number not in twins.values()
        else ("useful", None)
        for number, gain in enumerate(gains)
    ]


def _twin(number: int, layers: Sequence[Floats], seen: Sequence[float]) -> int | None:
    """Return the number of the nearest lower layer that is nearly the same."""
    layer = layers[number][:, ::2, ::2]
    for below in range(number - 1, -1, -1):
        if min(seen[number], seen[below]) < ALIKE * max(seen[number], seen[below]):
            continue
        other = layers[below][:, ::2, ::2]
        shared = np.minimum(layer[3], other[3])
        if shared.sum() < ALIKE * np.maximum(layer[3], other[3]).sum():
            continue
        # At the edges both are dimmed alike, by an alpha that is much the same.
        if np.abs(layer[:3] - other[:3]).mean(axis=0).sum() < SAME_COLOR * shared.sum():
            return below
    return None


def _seen(layer: Image.Image) -> float:
    """Return the mean alpha without what is faint, 0–1."""
    levels = np.asarray(layer.getchannel("A").histogram())
    return float(levels[FAINT + 1 :] @ np.arange(FAINT + 1, 256)) / 255 / float(levels.sum())


def _box(layer: Image.Image) -> Box | None:
    return layer.getchannel("A").point([0] * (FAINT + 1) + [255] * (255 - FAINT)).getbbox()


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1)) if len(names) > 1 else names[0]


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"

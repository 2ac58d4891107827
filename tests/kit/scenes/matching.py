"""How well predicted layers match true ones.

Two alphas are compared by soft IoU, Σ min(a, b) / Σ max(a, b) (Ruzicka similarity), on two readings of a layer:

- *seen*: alpha times what the layers above let through. Every pixel of it can be checked against the picture, so it
  is the headline.
- *whole*: alpha itself, hidden parts included. An opaque bottom layer always matches an opaque bottom layer here,
  and what lies hidden under something opaque is a guess even for a person; it is reported beside the headline.

Predicted and true layers are paired so that the sum of seen IoUs is greatest; nothing forces bottom to bottom. Both
readings and the colors are then taken from these pairs. A true layer without a partner scores 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class LayerScore:
    """How well one true layer was found; IoUs are 0–1, color errors mean absolute differences of RGB in 0–255.

    `color` is taken where both are seen by more than half, `edge_color` where either is only partly seen, weighted
    by the smaller of the two. None says that there is no such pixel.
    """

    seen: float
    whole: float
    color: float | None
    edge_color: float | None


@dataclass(frozen=True, kw_only=True)
class SceneScore:
    """The scores of the true layers, bottom to top.

    `fill_color` is the color error of the predicted bottom layer where the true bottom layer is hidden: how well
    the ground was filled in. None when nothing hides it.
    """

    layers: tuple[LayerScore, ...]
    fill_color: float | None


def score(predicted: Sequence[Image.Image], truth: Sequence[Image.Image]) -> SceneScore:
    """Compare two stacks of RGBA layers of one size, bottom to top."""
    theirs, ours = _Stack.of(predicted), _Stack.of(truth)
    seen = soft_iou_table(ours.seen, theirs.seen)
    pairs = best_pairs(seen)
    layers = [
        _layer_score(ours, theirs, index, partner, float(seen[index, partner]))
        if partner is not None
        else LayerScore(seen=0.0, whole=0.0, color=None, edge_color=None)
        for index, partner in enumerate(pairs)
    ]
    hidden = ours.seen[0] < 0.5
    error = np.abs(ours.colors[0] - theirs.colors[0]).mean(axis=-1)
    return SceneScore(layers=tuple(layers), fill_color=_mean(error, hidden))


def soft_iou(first: Floats, second: Floats) -> float:
    """Return Σ min / Σ max of two alphas in 0–1; 0 when both are empty."""
    shared = float(np.minimum(first, second).sum(dtype=np.float64))
    either = float(first.sum(dtype=np.float64)) + float(second.sum(dtype=np.float64)) - shared
    return shared / either if either > 0 else 0.0


def soft_iou_table(truth: Floats, predicted: Floats) -> Floats:
    """Return the soft IoU of each true layer (row) with each predicted one (column); both (layers, height, width)."""
    return np.array([[soft_iou(one, other) for other in predicted] for one in truth])


def best_pairs(table: Floats) -> list[int | None]:
    """Return the column for each row so that the sum is greatest, each column at most once; None for a row left over.

    Exact: dynamic programming over the set of columns taken so far, fine for up to about 15 of them.
    """
    rows, columns = table.shape
    best: dict[int, tuple[float, list[int | None]]] = {0: (0.0, [])}
    for row in range(rows):
        grown: dict[int, tuple[float, list[int | None]]] = {}
        for taken, (total, pairs) in best.items():
            for column in (*range(columns), None):
                bit = 0 if column is None else 1 << column
                gain = 0.0 if column is None else float(table[row, column])
                if not taken & bit and total + gain > grown.get(taken | bit, (-1.0,))[0]:
                    grown[taken | bit] = (total + gain, [*pairs, column])
        best = grown
    return max(best.values(), key=lambda entry: entry[0])[1]


def seen_alpha(alphas: Floats) -> Floats:
    """Return what each of (layers, height, width) adds to the picture; over an opaque bottom layer it sums to 1."""
    through = np.cumprod((1 - alphas)[::-1], axis=0)[::-1]
    return alphas * np.concatenate([through[1:], np.ones_like(through[:1])])


@dataclass(frozen=True, kw_only=True)
class _Stack:
    """Straight colors (layers, height, width, 3) in 0–255, alphas and seen alphas (layers, height, width) in 0–1."""

    colors: Floats
    whole: Floats
    seen: Floats

    @classmethod
    def of(cls, layers: Sequence[Image.Image]) -> "_Stack":
        values = np.stack([np.asarray(layer.convert("RGBA"), np.float32) for layer in layers])
        whole = values[..., 3] / np.float32(255)
        return cls(colors=values[..., :3], whole=whole, seen=seen_alpha(whole))


def _layer_score(ours: _Stack, theirs: _Stack, index: int, partner: int, seen: float) -> LayerScore:
    error = np.abs(ours.colors[index] - theirs.colors[partner]).mean(axis=-1)
    both = np.minimum(ours.seen[index], theirs.seen[partner])
    either = np.maximum(ours.seen[index], theirs.seen[partner])
    edge = (both < 0.98) & (either > 0.02)
    return LayerScore(
        seen=seen,
        whole=soft_iou(ours.whole[index], theirs.whole[partner]),
        color=_mean(error, both > 0.5),
        edge_color=_mean(error, both * edge),
    )


def _mean(error: Floats, weight: NDArray[np.bool_] | Floats) -> float | None:
    total = float(weight.sum(dtype=np.float64))
    return float((error * weight).sum(dtype=np.float64)) / total if total > 0 else None

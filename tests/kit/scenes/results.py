"""What an examination of decomposers gives, and its means by kind of ground and by feature."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TypeVar

from tests.kit.scenes.matching import LayerScore, SceneScore

T = TypeVar("T")

GROUPS: dict[str, tuple[str, ...]] = {
    "flat": ("flat",),
    "gradient": ("gradient",),
    "graphics": ("flat", "gradient"),
    "textured": ("textured",),
    "all": ("flat", "gradient", "textured"),
}
"""The kinds of ground that are averaged together."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One decomposer's work on one scene; `seconds` are of processor time, all threads together."""

    scene: str
    kind: str
    features: list[tuple[str, ...]]
    method: str
    seconds: float
    score: SceneScore

    @property
    def seen(self) -> float:
        """The scene's headline: the mean seen IoU of its layers."""
        return fmean(layer.seen for layer in self.score.layers)


@dataclass(frozen=True, kw_only=True)
class Means:
    """Means over scenes or layers; `seen` and `whole` are soft IoUs, colors errors in 0–255, None for no pixels.

    `seen` and `whole` are over scenes; `seen_by_layer` is over all their layers and `objects` over those above the
    ground; colors are over layers, `fill_color` over scenes; `seconds` is the median.
    """

    scenes: int
    seen: float
    whole: float
    seen_by_layer: float
    objects: float
    color: float | None
    edge_color: float | None
    fill_color: float | None
    seconds: float


def group_means(results: Sequence[Result]) -> Means:
    """Return the means of one method's results."""
    layers = [layer for result in results for layer in result.score.layers]
    return Means(
        scenes=len(results),
        seen=fmean(result.seen for result in results),
        whole=fmean(fmean(layer.whole for layer in result.score.layers) for result in results),
        seen_by_layer=fmean(layer.seen for layer in layers),
        objects=fmean(layer.seen for result in results for layer in result.score.layers[1:]),
        color=_mean(layer.color for layer in layers),
        edge_color=_mean(layer.edge_color for layer in layers),
        fill_color=_mean(result.score.fill_color for result in results),
        seconds=median(result.seconds for result in results),
    )


def by_kind(results: Sequence[Result]) -> dict[str, dict[str, Means]]:
    """Return group → method → means, for groups that have scenes."""
    table = {
        group: _by_method([result for result in results if result.kind in kinds], group_means)
        for group, kinds in GROUPS.items()
    }
    return {group: means for group, means in table.items() if means}


def by_feature(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return feature → method → mean seen IoU of the layers that have the feature."""
    features = sorted({word for result in results for words in result.features for word in words})

    def layers_with(feature: str) -> Callable[[Sequence[Result]], float]:
        return lambda chosen: fmean(layer.seen for result in chosen for layer in _having(result, feature))

    return {
        feature: _by_method([result for result in results if _having(result, feature)], layers_with(feature))
        for feature in features
    }


def summarise(results: Sequence[Result]) -> dict[str, object]:
    """Return everything the tables show, ready for JSON."""
    kinds = {group: {method: asdict(means) for method, means in row.items()} for group, row in by_kind(results).items()}
    return {"headline": "mean over scenes of seen soft IoU", "by_kind": kinds, "by_feature": by_feature(results)}


def _having(result: Result, feature: str) -> list[LayerScore]:
    pairs = zip(result.features, result.score.layers, strict=True)
    return [layer for words, layer in pairs if feature in words]


def _by_method(results: Sequence[Result], reduce: Callable[[Sequence[Result]], T]) -> dict[str, T]:
    methods = dict.fromkeys(result.method for result in results)
    return {method: reduce([result for result in results if result.method == method]) for method in methods}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

"""The tables that `decompose_quality` prints."""

from collections.abc import Sequence

from tests.kit.scenes.results import Result, by_feature, by_kind

WORST = 12


def print_report(results: Sequence[Result]) -> None:
    """Print quality by ground and by feature, every measure by method, and our worst scenes."""
    methods = list(dict.fromkeys(result.method for result in results))
    _print_headline(results, methods)
    _print_measures(results)
    _print_features(results, methods)
    _print_worst([result for result in results if result.method == methods[0]])


def _print_headline(results: Sequence[Result], methods: Sequence[str]) -> None:
    print("\nSoft IoU of what is seen of each layer, mean over scenes (the headline)")
    others = methods[1:]
    _row("ground", "scenes", *methods, *[f"error of {name} / ours" for name in others])
    for group, row in by_kind(results).items():
        ours = row[methods[0]]
        ratios = [f"{(1 - row[name].seen) / max(1 - ours.seen, 1e-9):.2f}×" for name in others]
        _row(group, str(ours.scenes), *[f"{row[name].seen:.3f}" for name in methods], *ratios)


def _print_measures(results: Sequence[Result]) -> None:
    print("\nEvery measure: soft IoU 0–1; color errors 0–255; processor seconds, median")
    _row("ground", "method", "seen", "whole", "by layer", "objects", "color", "edges", "fill", "seconds")
    for group, row in by_kind(results).items():
        for method, means in row.items():
            shares = (means.seen, means.whole, means.seen_by_layer, means.objects)
            errors = (means.color, means.edge_color, means.fill_color)
            cells = [f"{share:.3f}" for share in shares] + [
                "–" if error is None else f"{error:.1f}" for error in errors
            ]
            _row(group, method, *cells, f"{means.seconds:.2f}")


def _print_features(results: Sequence[Result], methods: Sequence[str]) -> None:
    print("\nSoft IoU of what is seen, mean over the layers with a feature")
    _row("feature", "layers", *methods)
    for feature, row in by_feature(results).items():
        count = sum(feature in words for result in results if result.method == methods[0] for words in result.features)
        _row(feature, str(count), *[f"{row[name]:.3f}" for name in methods])


def _print_worst(ours: Sequence[Result]) -> None:
    print(f"\nOur worst {min(WORST, len(ours))} scenes: seen IoU, and of each true layer, bottom to top")
    for result in sorted(ours, key=lambda result: result.seen)[:WORST]:
        print(f"{result.scene:<24}{result.seen:.3f}   {' '.join(f'{layer.seen:.2f}' for layer in result.score.layers)}")


def _row(*cells: str) -> None:
    head, *rest = cells
    print(f"{head:<15}" + "".join(f"{cell:>{max(12, len(cell) + 2)}}" for cell in rest))

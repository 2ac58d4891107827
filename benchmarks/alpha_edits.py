"""How true an edited layer is to what it should be, against two other ways of getting one through an opaque model.

    python -m benchmarks.alpha_edits [--pairs 216] [--first 0] [--json benchmarks/out/alpha_edits.json]

Every pair is a layer and an edit whose truth is known. The error is the mean difference, in levels of 255, of the
composites over black, white and green, where the layer is or nearly is. `alpha_pairs` describes the other ways,
`simulated_editor` what stands in for the model, `simulated_layers` and `simulated_edits` what is drawn and done.

`context` are edits of layers that are shown over scenery: ours against the answer under the layer's own alpha.

Floors: at most half the error of either other way, over all pairs and for each kind of layer; an edit that changes
nothing moves nothing by half a pixel. Shift and zoom are wanted within 0.5 px and 0.2 %: the share that reaches it is
printed, of the pairs whose object keeps its outline. In the others the object itself is larger or smaller than the
zoom says.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.kit.edits.alpha_figures import summarize, summarize_context, summarize_shapes
from tests.kit.edits.alpha_pairs import measure_context_pair, measure_pair, measure_shape_pair
from tests.kit.report import write_report

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("all", "by_kind", "by_ground", "by_edit", "by_motion")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=216)
    parser.add_argument("--first", type=int, default=0, help="number of the first pair, which seeds it")
    parser.add_argument("--shape-pairs", type=int, default=72)
    parser.add_argument("--context-pairs", type=int, default=72)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/alpha_edits.json")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.workers) as pool:
        outcomes = list(pool.map(measure_pair, range(arguments.first, arguments.first + arguments.pairs)))
        shapes = list(pool.map(measure_shape_pair, range(arguments.first, arguments.first + arguments.shape_pairs)))
        context = list(
            pool.map(measure_context_pair, range(arguments.first, arguments.first + arguments.context_pairs))
        )
    figures = summarize(outcomes) | {"new_shape": summarize_shapes(shapes), "context": summarize_context(context)}
    for part in PARTS:
        print_rows(part, figures[part])
    print_rows("registration", figures["registration"])
    print_rows("context", figures["context"])
    for name in ("worst_kind", "unmoved", "new_shape", "passed"):
        print(f"{name}: {figures[name]}")
    write_report(arguments.json, figures | {"pairs": [asdict(outcome) for outcome in outcomes]})
    return 0 if figures["passed"] else 1


def print_rows(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table with one line per row."""
    columns = next(iter(rows.values()))
    print(f"{title:13}" + "".join(f"{column:>12}" for column in columns))
    for name, row in rows.items():
        print(f"{name:13}" + "".join(f"{value:12g}" for value in row.values()))
    print()


if __name__ == "__main__":
    sys.exit(main())

"""Edits within a region: whether every byte outside stays, and how steep the seam is against the pictures around it.

    python -m benchmarks.region_edits [--pairs 200] [--first 0] [--json benchmarks/out/region_edits.json]

`tests/kit/edits/region_pairs.py` describes the pairs, the two other ways and what a seam's ratio is. The error is the
mean difference from the true edit inside, in levels of 255; kept is how much of the model's change there is inside.

Floors: outside, every byte is the same in all pairs; the seam is no steeper than the pictures in 97 of 100 where a
thing is edited, and in 88 where all that the model sees is, which ends at the region's border, whatever is there. Of
such a change two thirds are kept, of that of a thing three quarters.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.alpha_edits import print_rows
from tests.kit.edits.region_pairs import measure_region_pair, summarize_regions
from tests.kit.report import write_report

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first pair, which seeds it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/region_edits.json")
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.pairs)
    with ProcessPoolExecutor(arguments.workers) as pool:
        outcomes = list(pool.map(measure_region_pair, numbers))
    figures = summarize_regions(outcomes)
    thing, everything = figures["thing"]["ours"], figures["all"]["ours"]
    passed = (
        figures["outside_same"] == len(numbers)
        and thing["steeper"] <= 0.03
        and everything["steeper"] <= 0.12
        and thing["kept"] >= 0.75
        and everything["kept"] >= 0.66
    )
    print(f"every byte outside the same in {figures['outside_same']} of {len(numbers)}\n")
    for name in ("thing", "all"):
        print_rows(f"edit of {name}", figures[name])
    print(f"steeper than the pictures: {figures['steeper']:.1%}; passed: {passed}")
    write_report(arguments.json, figures | {"passed": passed, "pairs": [asdict(outcome) for outcome in outcomes]})
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

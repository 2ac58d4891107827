"""Measure how well pictures are taken apart, on synthetic scenes with known layers, beside two simple baselines.

`python -m benchmarks.decompose_quality --seed 0`. The headline is the mean over scenes of the soft IoU of what is
*seen* of each layer: every pixel of it can be checked against the picture. The soft IoU of *whole* alphas stands
beside it: hidden parts are a guess, and any opaque bottom layer scores 1 there. `tests/kit/scenes/matching.py` says
more.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.contact import contact_sheet
from benchmarks.report import print_report
from tests.kit.report import write_report
from tests.kit.scenes.matching import LayerScore
from tests.kit.scenes.methods import METHODS, examine
from tests.kit.scenes.results import Result, by_kind, summarise
from tests.kit.scenes.scenes import make_scene, scene_names

FLOORS = {"graphics": 0.92, "textured": 0.85}
"""The headline that ours must reach, by ground."""


def run(seed: int, names: Sequence[str], sheets: Path | None) -> list[Result]:
    """Examine every method on every named scene of a seed; contact sheets go to the folder `sheets`."""
    results: list[Result] = []
    for name in names:
        scene = make_scene(name, seed)
        rows: list[tuple[str, list[Image.Image]]] = [(f"{name}, seed {seed}: truth", [scene.image, *scene.layers])]
        for method in METHODS:
            result, found = examine(scene, method)
            results.append(result)
            rows.append((_caption(method, result.score.layers), [scene.image, *found]))
        if sheets:
            contact_sheet(rows).save(sheets / f"{name}-{seed}.png")
    return results


def main() -> int:
    """Parse the command line, run, print the tables, write the JSON; return 1 when ours misses a floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the scenes; use one that nothing was tuned on")
    parser.add_argument("--scenes", type=int, metavar="K", help="only K scenes, spread over all of them")
    parser.add_argument("--only", metavar="TEXT", default="", help="only scenes whose names contain TEXT")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/out/decompose_quality.json"))
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write a contact sheet for each scene")
    arguments = parser.parse_args()
    names = [name for name in scene_names() if arguments.only in name]
    if not names:
        parser.error(f"no scene is named like {arguments.only!r}; there are {', '.join(scene_names())}")
    if arguments.scenes:
        names = [names[index] for index in sorted({*np.linspace(0, len(names) - 1, arguments.scenes).astype(int)})]
    if arguments.sheets:
        arguments.sheets.mkdir(parents=True, exist_ok=True)
    results = run(arguments.seed, names, arguments.sheets)
    print_report(results)
    missed = _print_floors(results)
    summary = {"seed": arguments.seed, "passed": not missed, "floors": FLOORS, **summarise(results)}
    write_report(arguments.json, {**summary, "scenes": [asdict(result) for result in results]})
    return int(missed)


def _print_floors(results: Sequence[Result]) -> bool:
    """Print whether ours reaches its floors; return whether it misses one."""
    reached = {group: row["ours"].seen for group, row in by_kind(results).items() if group in FLOORS}
    print()
    for group, seen in reached.items():
        print(f"{group}: {seen:.3f}, floor {FLOORS[group]:.2f}: {'reached' if seen >= FLOORS[group] else 'MISSED'}")
    return any(seen < FLOORS[group] for group, seen in reached.items())


def _caption(method: str, layers: Sequence[LayerScore]) -> str:
    return f"{method}: seen IoU of the true layers {' '.join(f'{layer.seen:.2f}' for layer in layers)}"


if __name__ == "__main__":
    sys.exit(main())

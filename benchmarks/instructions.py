"""Does every documented instruction do what it says, on every layer?

    python -m benchmarks.instructions [--json benchmarks/out/instructions.json]

Each example of `llm_dit/classical/reference.py` runs on each test layer under shape "keep". The quantity that belongs
to its effect has to move the right way, unless the layer leaves it no room (`edit_measures.py` says when), and the
alpha has to stay byte-identical. Transparency has to be refused under "keep", and is measured under "new".
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from llm_dit.classical.instructions.reference import TOPICS
from tests.kit.edits.layers import drawn_layers, picture_layers
from tests.kit.edits.trials import GOOD, Trial, try_instruction
from tests.kit.report import write_report

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/instructions.json")
    arguments = parser.parse_args()
    layers = {**drawn_layers(), **picture_layers()}
    begun = time.process_time()
    trials = list(run_trials(layers))
    print_table(trials)
    outcomes = Counter(trial.outcome for trial in trials)
    passed = all(trial.outcome in GOOD for trial in trials)
    spent = time.process_time() - begun
    print(f"\n{len(trials)} trials on {len(layers)} layers in {spent:.0f} s of CPU: {dict(outcomes)}")
    figures = {"passed": passed, "outcomes": outcomes, "layers": list(layers), "trials": [asdict(t) for t in trials]}
    write_report(arguments.json, figures)
    return 0 if passed else 1


def run_trials(layers: dict[str, Image.Image]) -> Iterator[Trial]:
    """Yield a trial for every documented example on every layer."""
    for example in (example for topic in TOPICS for example in topic.examples):
        for name, layer in layers.items():
            yield try_instruction(example, name, layer)


def print_table(trials: list[Trial]) -> None:
    """Print a line for each instruction, and one for each trial that went wrong."""
    by_instruction: dict[str, list[Trial]] = {}
    for trial in trials:
        by_instruction.setdefault(trial.instruction, []).append(trial)
    print(f"{'instruction':36} {'measure':30} {'moved':>5} {'no room':>8} {'nothing':>8} {'wrong':>6}")
    for instruction, own in by_instruction.items():
        count = Counter(trial.outcome for trial in own)
        wrong = sum(trial.outcome not in GOOD for trial in own)
        counts = f"{count['moved']:5} {count['no room']:8} {count['nothing to do']:8} {wrong:6}"
        print(f"{instruction:36} {own[0].measure:30} {counts}")
        for trial in own:
            if trial.outcome not in GOOD:
                print(f"    {trial.outcome} on {trial.layer}: {trial.before} → {trial.after}")


if __name__ == "__main__":
    raise SystemExit(main())

"""Does every documented instruction do what it says, on every layer, and do 120 that people type do what they mean?

    python -m benchmarks.instructions [--json benchmarks/out/instructions.json]

Each example of `llm_dit/classical/instructions/reference.toml` runs on each test layer under shape "keep". The quantity
that belongs to its effect has to move the right way, unless the layer leaves it no room (`measures.py` says when), and
the alpha has to stay byte-identical. What needs a new shape is refused under "keep" and measured under "new".

Then the 120 of `tests/kit/edits/asked.py`, forty things in English, Chinese and sloppy English: each is applied as
meant, refused with a way to get there, refused without one, or applied wrongly, by its measure of what it means. So are
the 80 wordings of `held_out.py`, which count for nothing but that none may be applied wrongly.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from llm_dit.classical.instructions.english import TOPICS
from tests.kit.edits.asked import LANGUAGES, asked
from tests.kit.edits.held_out import held_out
from tests.kit.edits.judged import Judged, Verdict, judge
from tests.kit.edits.layers import drawn_layers, picture_layers
from tests.kit.edits.pictured import pictured
from tests.kit.edits.trials import GOOD, Trial, try_instruction
from tests.kit.report import write_report

LEAST_AS_MEANT = 85
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/instructions.json")
    arguments = parser.parse_args()
    people = pictured()
    named = {name: one.layer for name, one in people.items() if one.parts}
    layers = {**drawn_layers(), **named, **picture_layers()}
    begun = time.process_time()
    trials = list(run_trials(layers))
    print_table(trials)
    outcomes = Counter(trial.outcome for trial in trials)
    passed = all(trial.outcome in GOOD for trial in trials)
    spent = time.process_time() - begun
    print(f"\n{len(trials)} trials on {len(layers)} layers in {spent:.0f} s of CPU: {dict(outcomes)}\n")
    judged = [judge(one, people) for one in asked()]
    verdicts = print_verdicts(judged)
    print("\nheld out when they were written:")
    others = print_verdicts([judge(one, people) for one in held_out()])
    passed = passed and verdicts["as meant"] >= LEAST_AS_MEANT and verdicts["WRONG"] + others["WRONG"] == 0
    figures = {
        "passed": passed,
        "outcomes": outcomes,
        "verdicts": verdicts,
        "held_out": others,
        "layers": list(layers),
        "trials": [asdict(t) for t in trials],
        "asked": [
            {
                "kind": one.asked.kind.name,
                "instruction": one.asked.instruction,
                "verdict": one.verdict,
                "said": one.said,
            }
            for one in judged
        ],
    }
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


def print_verdicts(judged: list[Judged]) -> Counter[Verdict]:
    """Print what came of the instructions that people type, those that were not applied one by one."""
    for one in judged:
        if one.verdict != "as meant":
            print(f"{one.verdict:18} {one.asked.instruction:46} {one.where:12} {one.said}")
    for language in LANGUAGES:
        print(f"{language:10} {dict(Counter(one.verdict for one in judged if one.asked.language == language))}")
    verdicts = Counter[Verdict](one.verdict for one in judged)
    print(f"all {len(judged):6} {dict(verdicts)}")
    return verdicts


if __name__ == "__main__":
    raise SystemExit(main())

"""Take blurred things off opaque grounds: is each whole with its soft rim, and is the ground clean behind it?

`python -m benchmarks.soft_edges --seed 0`. Each picture has a plain, gradient or lightly grainy ground and one to three
things of any color, small and large, blurred by 1 to 40 pixels. The figures are the soft IoU of each thing's alpha with
its layer's, and the ghost: by how many levels the bottom layer differs from the true ground where things hide it.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.kit.report import write_report
from tests.kit.scenes.soft_edges import Trial, examine

WHOLE = 0.9
"""The soft IoU from which a thing is whole."""
RIGHT = 0.9
"""The least share of the things that are."""
GHOST = 8.0
"""The most levels, mean over what things hide, median over the pictures."""


def main() -> int:
    """Examine the pictures and print the figures; return 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the first picture; use one that nothing was tuned on")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/out/soft_edges.json"))
    arguments = parser.parse_args()
    trials: list[Trial] = []
    for seed in range(arguments.seed, arguments.seed + arguments.pictures):
        trials.append(examine(seed))
        if min(trials[-1].whole) < WHOLE:
            print(trials[-1], flush=True)
    pairs = [(blur, whole) for trial in trials for blur, whole in zip(trial.blurs, trial.whole, strict=True)]
    for blur in sorted({blur for blur, _ in pairs}):
        own = [whole for other, whole in pairs if other == blur]
        print(f"blur {blur:>4.0f} px: soft IoU median {np.median(own):.3f}, worst {min(own):.3f}, {len(own)} things")
    right = float(np.mean([whole >= WHOLE for _, whole in pairs]))
    ghost = float(np.median([trial.ghost for trial in trials]))
    print(
        f"{right:.0%} of {len(pairs)} things whole (soft IoU ≥ {WHOLE}); ghost {ghost:.1f} levels (median of pictures)"
    )
    passed = right >= RIGHT and ghost <= GHOST
    write_report(arguments.json, {"passed": passed, "trials": [asdict(trial) for trial in trials]})
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())

"""Take blurred things off opaque grounds: is each whole with its soft rim, and is the ground clean behind it?

`python -m benchmarks.soft_edges --seed 0`. Each picture has a plain, gradient or lightly grainy ground and one to three
things of any color, small and large, blurred by 1 to 40 pixels. The figures are the soft IoU of each thing's alpha with
its layer's, and the ghost: by how many levels the bottom layer differs from the true ground where things hide it.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import write_report
from benchmarks.matching import soft_iou
from benchmarks.outlines import blob, box, fill, oval, soften, star
from llm_dit.pipelines.classical import ClassicalPipeline

WHOLE = 0.9
"""The soft IoU from which a thing is whole."""
RIGHT = 0.9
"""The least share of the things that are."""
GHOST = 8.0
"""The most levels, mean over what things hide, median over the pictures."""
CONTRAST = 40.0
"""The least RGB distance of a thing's color from the ground's."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One picture: the blur of its things in pixels, the soft IoU of each, and the mean ghost in levels."""

    seed: int
    blurs: list[float]
    whole: list[float]
    ghost: float


def examine(seed: int) -> Trial:
    """Make the picture of a seed, take it apart and compare."""
    rng = np.random.default_rng([34, seed])
    size = (int(rng.integers(360, 760)), int(rng.integers(300, 620)))
    ground = np.full((size[1], size[0], 3), rng.uniform(20, 235, 3), np.float32)
    if seed % 3 == 1:
        ground += np.linspace(-1, 1, size[0], dtype=np.float32)[None, :, None] * rng.uniform(-30, 30, 3).astype(
            np.float32
        )
    ground = ground.clip(0, 255)
    picture, alphas, blurs = ground.copy(), [], []
    taken = np.zeros(size[::-1], np.float32)
    wanted = int(rng.integers(1, 4))
    for _ in range(200):
        if len(alphas) == wanted:
            break
        blur = float(rng.choice([1, 2, 4, 8, 14, 24, 40]))
        radius = float(max(3 * blur, min(size) * rng.choice([0.06, 0.12, 0.2, 0.28])))
        room = radius + 3 * blur
        if 2 * room > min(size):
            continue
        centre = (float(rng.uniform(room, size[0] - room)), float(rng.uniform(room, size[1] - room)))
        outline = (
            oval(centre, radius, radius * rng.uniform(0.6, 1), rng.uniform(0, 3)),
            box(centre, 1.6 * radius, 1.4 * radius, 0.2 * radius, rng.uniform(0, 3)),
            star(centre, radius, 0.6 * radius, 5, rng.uniform(0, 3)),
            blob(centre, 0.8 * radius, rng),
        )[int(rng.integers(4))]
        alpha = soften(fill(size, outline), blur)
        paint = rng.uniform(0, 255, 3).astype(np.float32)
        # What is opaque nowhere may as well be of another color.
        if (
            alpha.max() < 0.98
            or ((alpha > 0.004) & (taken > 0)).any()
            or np.linalg.norm(paint - ground.mean(axis=(0, 1))) < CONTRAST
        ):
            continue
        taken += alpha > 0.004
        picture += (paint - picture) * alpha[..., None]
        alphas.append(alpha)
        blurs.append(blur)
    grain = 3.0 if seed % 3 == 2 else 0.0
    shown = (picture + rng.normal(0, grain, picture.shape)) if grain else picture
    image = Image.fromarray(np.rint(shown.clip(0, 255)).astype(np.uint8), "RGB")
    layers = ClassicalPipeline().decompose(image, layer_num=1 + len(alphas), seed=seed, output_size="original")
    found = [np.asarray(layer.getchannel("A"), np.float32) / np.float32(255) for layer in layers[2:]]
    hidden = taken > 0
    ghost = np.abs(np.asarray(layers[1].convert("RGB"), np.float32) - ground).max(axis=-1)
    whole = [max(soft_iou(alpha, layer) for layer in found) for alpha in alphas]
    return Trial(seed=seed, blurs=blurs, whole=whole, ghost=float(ghost[hidden].mean()))


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

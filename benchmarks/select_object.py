"""Select object on scenes of known truth: by a box, and by one click.

`python -m benchmarks.select_object [SEEDS] [FIRST] [--folder FOLDER]`: of each thing in the scenes of
`benchmarks.clipart` the soft intersection over union with what is selected by a box around it, drawn a little loosely,
and by a click on it, with the standard error of the mean; and the CPU time of each.

`python -m benchmarks.select_object --images FOLDER`: how long the page waits for an outline, over HTTP, of pictures in
a folder: a click in the middle, one beside it, and a box. The first click of all starts the process that answers.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.clipart import VARIANTS, Scene, collect, make_scene
from llm_dit import select
from tests.kit.scenes.matching import soft_iou
from tests.kit.service import serve

LOOSE = 8
"""Pixels by which a box is drawn too wide, at most; two of them too narrow."""
WHOLE = 0.8
"""The agreement from which a thing is found whole."""
LEAST = 0.01
"""The share of a picture that a thing shows at least, to be pointed at."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=40)
    parser.add_argument("first", type=int, nargs="?", default=5000)
    parser.add_argument("--folder", type=Path, default=Path("clipart"))
    parser.add_argument("--images", type=Path, help="pictures to wait for outlines of, over HTTP")
    given = parser.parse_args()
    if given.images:
        wait_for_outlines(sorted(given.images.glob("*.png")))
        return
    drawings, grounds = collect(given.folder)
    print(f"{'':10} {'things':>6} {'box':>15} {'whole':>6} {'s':>6} {'click':>15} {'whole':>6} {'s':>6} {'most':>6}")
    for variant in VARIANTS:
        rows = [
            row
            for seed in range(given.first, given.first + given.seeds)
            for row in measured(make_scene(seed, drawings, grounds, variant), random.Random(seed))
        ]
        by_box, by_click, box_s, click_s = np.array(rows).T
        both = told(by_box, box_s) + told(by_click, click_s)
        print(f"{variant:10} {len(rows):6} {both} {max(box_s.max(), click_s.max()):6.2f}", flush=True)


def wait_for_outlines(files: list[Path]) -> None:
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as service, service.connect() as client:
        for file in files:
            headers = {"Content-Type": "image/png"}
            kept = client.post("/api/images", content=file.read_bytes(), headers=headers).json()
            width, height = kept["width"], kept["height"]
            middle, beside = ([[width * 0.5 + off, height * 0.55 + off]] for off in (0, 5))
            asked = (
                {"points": middle},
                {"points": beside},
                {"box": [0.2 * width, 0.3 * height, 0.8 * width, 0.9 * height]},
            )
            rows.append([_waited(client, {"layers": [{"image": kept["image"]}], **hints}) for hints in asked])
    print(f"the first click of all {rows[0][0]:.2f} s")
    for name, seconds in zip(("a click", "one beside it", "a box"), zip(*rows[1:], strict=True), strict=True):
        print(f"{name:14} median {median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f}")


def _waited(client: httpx.Client, fields: dict[str, object]) -> float:
    started = time.perf_counter()
    client.post("/api/qwen-image/select", json=fields).raise_for_status()
    return time.perf_counter() - started


def told(found: NDArray[np.float64], seconds: NDArray[np.float64]) -> str:
    """Return the mean agreement with its standard error, the share of whole things, and the mean of the seconds."""
    error = found.std() / len(found) ** 0.5
    return f"  {found.mean():.3f} ± {error:.3f} {(found >= WHOLE).mean():6.0%} {seconds.mean():6.2f}"


def measured(scene: Scene, chance: random.Random) -> list[tuple[float, float, float, float]]:
    """Return of each thing the agreement by a box and by a click, and the CPU seconds of both."""
    rows: list[tuple[float, float, float, float]] = []
    for piece in scene.pieces:
        inside = np.argwhere(piece.seen > 0.5)
        if piece.name == "type" or len(inside) < LEAST * piece.seen.size:
            continue
        (top, left), (low, right) = inside.min(axis=0), inside.max(axis=0)
        loose = [chance.uniform(-2, LOOSE) for _ in range(4)]
        y, x = inside[chance.randrange(len(inside))]
        box = (left - loose[0], top - loose[1], right + loose[2], low + loose[3])
        by_box, box_s = timed(scene, piece.seen, box=box)
        by_click, click_s = timed(scene, piece.seen, points=[(float(x), float(y))])
        rows.append((by_box, by_click, box_s, click_s))
    return rows


def timed(scene: Scene, seen: NDArray[np.float32], **hints: object) -> tuple[float, float]:
    """Return the soft intersection over union of a selection with the truth, and its CPU seconds."""
    started = time.process_time()
    mask = select(scene.image, **hints)  # pyright: ignore[reportArgumentType]
    seconds = time.process_time() - started
    found = np.asarray(mask, np.float32) / 255
    return soft_iou(found, seen), seconds


if __name__ == "__main__":
    main()

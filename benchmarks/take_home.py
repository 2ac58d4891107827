"""What taking a large stack home costs: each format in a process of its own, from a generator of layers.

`python -m benchmarks.take_home [--megapixels 12.2] [--layers 6] [--fill 1.0]` writes a stack of photograph-like layers
of a size in every format and reports seconds, the file's size and the process's largest memory. Exit code 1 when a
format needs more than 400 MB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from llm_dit.exports.formats import EXPORT_NAMES, write_export
from llm_dit.layer import Layer
from tests.kit.report import write_report

ROOT = Path(__file__).parents[1]
MOST_MB = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=12.2)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--fill", type=float, default=1.0, help="Of the canvas that a layer covers.")
    parser.add_argument("--formats", nargs="*", default=EXPORT_NAMES)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/take_home.json")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments)))
        return 0
    figures = {}
    for name in arguments.formats:
        command = [sys.executable, "-m", "benchmarks.take_home", "--one", name]
        for option in ("megapixels", "layers", "fill"):
            command += [f"--{option}", str(getattr(arguments, option))]
        figures[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
        print(name, figures[name], flush=True)
    passed = all(one["most_mb"] <= MOST_MB for one in figures.values())
    print("passed" if passed else "MISSED")
    write_report(arguments.json, {"figures": figures, "passed": passed})
    return 0 if passed else 1


def measure(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    height = round((arguments.megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(height * 4 / 3)
    started = time.perf_counter()
    with tempfile.TemporaryFile() as file:
        layers = stack(width, height, arguments.layers, arguments.fill)
        write_export(layers, name, file, width=width, height=height)  # type: ignore[arg-type]
        size = file.seek(0, 2)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "file_mb": round(size / 1e6, 1),
        "most_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def stack(width: int, height: int, count: int, fill: float) -> Iterator[Layer]:
    """Yield layers of a smooth ground with the noise of a camera, each made when it is asked for."""
    for number in range(count):
        chance = np.random.default_rng(number)
        pixels = np.empty((height, width, 4), np.uint8)
        for top in range(0, height, 256):
            rows = pixels[top : top + 256]
            rows[..., :3] = chance.integers(0, 8, (*rows.shape[:2], 3), np.uint8) + np.uint8(40 * number % 200)
            rows[..., 3] = 255
        if number:
            pixels[round(height * fill) :] = 0
        yield Layer(image=Image.fromarray(pixels, "RGBA"), name=f"Layer {number}", opacity=0.9 if number else 1.0)
        del pixels


if __name__ == "__main__":
    sys.exit(main())

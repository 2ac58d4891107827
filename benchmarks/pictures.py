"""Take real pictures apart: how long it takes, and whether the layers keep what they promise.

`python -m benchmarks.pictures --images DIR`. For each picture: wall seconds (median of 3 runs) and seconds of
processor time (all threads together), the largest difference between composite and input in any channel, and whether
the bottom layer is opaque, no layer is empty and no two are equal.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.contact import contact_sheet
from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline
from tests.kit.report import write_report

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3
MAX_SECONDS = 10.0
"""Of a processor, the median of the pictures."""
MAX_DIFFERENCE = 1
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one picture gave; `difference` is the largest of any channel, in levels of 0–255."""

    picture: str
    size: tuple[int, int]
    seconds: float
    processor_seconds: float
    difference: int
    is_bottom_opaque: bool
    empty_layers: int
    equal_pairs: int

    @property
    def is_sound(self) -> bool:
        """Whether the layers keep what they promise."""
        fits = self.difference <= MAX_DIFFERENCE and self.is_bottom_opaque
        return fits and not self.empty_layers and not self.equal_pairs


def measure(name: str, image: Image.Image, layer_num: int) -> tuple[Measurement, Decomposition]:
    """Take one opaque RGBA picture apart `RUNS` times; return the measurement and the last result."""
    runs = [_timed(image, layer_num) for _ in range(RUNS)]
    layers = runs[-1][2]
    composite, bottom, *tops = (np.asarray(layer, np.int16) for layer in layers)
    stack = [bottom, *tops]
    pairs = itertools.combinations(stack, 2)
    measurement = Measurement(
        picture=name,
        size=image.size,
        seconds=statistics.median(run[0] for run in runs),
        processor_seconds=statistics.median(run[1] for run in runs),
        difference=int(np.abs(composite - np.asarray(image, np.int16)).max()),
        is_bottom_opaque=bool((bottom[..., 3] == 255).all()),
        empty_layers=sum(not layer[..., 3].any() for layer in stack),
        equal_pairs=sum(np.array_equal(one, other) for one, other in pairs),
    )
    return measurement, layers


def _timed(image: Image.Image, layer_num: int) -> tuple[float, float, Decomposition]:
    """Return wall seconds, processor seconds and the layers of one run."""
    begun, worked = time.perf_counter(), time.process_time()
    layers = ClassicalPipeline().decompose(image, layer_num=layer_num, seed=0, output_size="original")
    return time.perf_counter() - begun, time.process_time() - worked, layers


def print_table(rows: Sequence[Measurement]) -> None:
    """Print one line a picture, and the median time."""
    print(f"{'picture':<16}{'size':>12}{'seconds':>10}{'cpu s':>8}{'|diff|':>8}{'opaque':>8}{'empty':>7}{'equal':>7}")
    for row in rows:
        size, opaque = f"{row.size[0]}×{row.size[1]}", "yes" if row.is_bottom_opaque else "NO"
        times = f"{row.seconds:>10.2f}{row.processor_seconds:>8.2f}"
        print(
            f"{row.picture:<16}{size:>12}{times}{row.difference:>8}{opaque:>8}{row.empty_layers:>7}{row.equal_pairs:>7}"
        )
    print(f"median {median_seconds(rows):.2f} s of a processor, floor {MAX_SECONDS:.0f} s")


def median_seconds(rows: Sequence[Measurement]) -> float:
    """Return the median seconds of a processor."""
    return statistics.median(row.processor_seconds for row in rows)


def main() -> int:
    """Measure every picture of a folder; return 1 when a floor is missed and 2 when there is no picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="DIR", default=ROOT.parent / "shared/images")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/pictures.json")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet of the layers")
    arguments = parser.parse_args()
    folder: Path = arguments.images
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        print("No pictures found: give a folder with PNG, JPEG or WebP files as --images DIR.", file=sys.stderr)
        return 2
    rows: list[Measurement] = []
    thumbnails: list[tuple[str, list[Image.Image]]] = []
    for path in paths:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
        row, layers = measure(path.name, image, arguments.layers)
        rows.append(row)
        thumbnails.append((f"{path.name}: {', '.join(layers.names[1:])}", [image, *layers[1:]]))
    print_table(rows)
    if arguments.sheet:
        contact_sheet(thumbnails).save(arguments.sheet)
    passed = all(row.is_sound for row in rows) and median_seconds(rows) <= MAX_SECONDS
    write_report(
        arguments.json, {"layers": arguments.layers, "passed": passed, "pictures": [asdict(row) for row in rows]}
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

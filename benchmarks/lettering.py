"""Measure what taking lettering off a compressed picture leaves behind, and what the lettering drags along.

`python -m benchmarks.lettering --seeds 100 140`. For each picture of one text on one ground, taken apart into two
layers: the *ghost* left in the ground around the strokes, against the ground the picture was made of (mean and 99th
percentile of levels, and the mean difference that the strokes' place makes, by which words are read); the alpha in
the letters' *holes*; the share of the layer that is *dust* far from any stroke; by how many pixels its *frame* is
larger than the lettering's; and by how much its alpha is off along the *edges*.

What a codec left in a hole or beside an edge has to be somewhere, for the layers give the picture exactly: if not in
the ground, then in the layer, with at least the alpha that a color from 0 to 255 needs for it. *over* is by how much
the mean alpha in the holes and the error along the edges exceed what is forced so over the true ground, which may be
off by the ghost's floor. The floors are for this and not for the raw figures, which no method can bring below it.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.contact import contact_sheet
from benchmarks.printed import Printed, make_printed
from llm_dit.pipelines.classical import ClassicalPipeline
from tests.kit.report import write_report

NEAR = 12
"""Pixels around the strokes in which a ghost is looked for."""
FAR = 24
"""Pixels from any stroke from which a pixel of the layer is dust."""
SHOWN = 8
"""The least alpha, of 255, that counts as a pixel of a layer."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one picture gave; levels are of 0–255, alphas 0–1."""

    ghost: float
    worst: float
    words: float
    holes: float
    dust: float
    frame: float
    edges: float
    holes_over: float
    edges_over: float


FLOORS = {"ghost": 4, "worst": 16, "words": 3, "dust": 0.001, "frame": 16, "holes_over": 0.05, "edges_over": 0.1}
"""What the 90th percentile of each of these figures must not exceed."""


def examine(printed: Printed) -> tuple[Figures, list[Image.Image]]:
    """Take a picture apart; return the figures and the layers."""
    image = printed.image.convert("RGBA")
    layers = ClassicalPipeline().decompose(image, layer_num=2, seed=0, output_size="original")[1:]
    ground = np.asarray(layers[0].convert("RGB"), np.float32)
    alpha = np.asarray(layers[1].getchannel("A"), np.float32) / np.float32(255)
    off = ground - printed.ground
    strokes = printed.mask > 0.5
    away = cv2.distanceTransform((~strokes).astype(np.uint8), cv2.DIST_L2, 5)
    near = away <= NEAR
    miss = np.abs(off).max(axis=-1)
    ring = near & ~cv2.dilate(strokes.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    shown = alpha * 255 >= SHOWN
    rim = cv2.dilate(((printed.mask > 0.02) & (printed.mask < 0.98)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    holes = printed.holes
    needed = _needed_alpha(printed)
    in_holes, forced = (float(values[holes].mean()) if holes.any() else 0.0 for values in (alpha, needed))
    edges = float(np.abs(alpha - printed.mask)[rim].mean())
    figures = Figures(
        ghost=float(miss[near].mean()),
        worst=float(np.percentile(miss[near], 99)),
        words=float(np.abs(off[strokes].mean(axis=0) - off[ring].mean(axis=0)).max()),
        holes=in_holes,
        dust=float((shown & (away > FAR)).sum() / max(shown.sum(), 1)),
        frame=_growth(shown, printed.mask > 0.02),
        edges=edges,
        holes_over=in_holes - forced,
        edges_over=edges - float(np.maximum(needed - printed.mask, 0)[rim].mean()),
    )
    return figures, list(layers)


def _needed_alpha(printed: Printed) -> np.ndarray:
    """Return the least alpha (height, width) with which any layer over the true ground gives the picture.

    The ground may be off by as much as its ghost may be.
    """
    off = np.asarray(printed.image.convert("RGB"), np.float32) - printed.ground
    room = np.maximum(np.where(off > 0, 255 - printed.ground, printed.ground), 1)
    return ((np.abs(off) - FLOORS["ghost"]) / room).max(axis=-1).clip(0, 1)


def _growth(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return by how many pixels the frame of `found` reaches out of that of `wanted`, at the worst side."""
    left, top, width, height = cv2.boundingRect(wanted.astype(np.uint8))
    x, y, wide, high = cv2.boundingRect(found.astype(np.uint8))
    return float(max(left - x, top - y, x + wide - left - width, y + high - top - height, 0))


def main() -> int:
    """Examine the pictures of a range of seeds, print the figures, write the JSON; return 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs=2, default=(100, 160), metavar=("FROM", "TO"))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/out/lettering.json"))
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet of the layers")
    arguments = parser.parse_args()
    rows: list[tuple[Printed, Figures]] = []
    thumbnails: list[tuple[str, Sequence[Image.Image]]] = []
    names = [field.name for field in fields(Figures)]
    print(f"{'picture':<46}" + "".join(f"{name:>11}" for name in names))
    for seed in range(*arguments.seeds):
        printed = make_printed(seed)
        figures, layers = examine(printed)
        rows.append((printed, figures))
        thumbnails.append((printed.name, [printed.image, *layers]))
        print(f"{printed.name:<46}" + "".join(f"{value:>11.3f}" for value in asdict(figures).values()), flush=True)
    tall = {name: float(np.percentile([getattr(figures, name) for _, figures in rows], 90)) for name in names}
    missed = [name for name, floor in FLOORS.items() if tall[name] > floor]
    print(f"{'90th percentile':<46}" + "".join(f"{tall[name]:>11.3f}" for name in names))
    print(f"{'floor':<46}" + "".join(f"{FLOORS[name]:>11.3f}" if name in FLOORS else f"{'':>11}" for name in names))
    print(f"missed: {', '.join(missed) or 'none'}")
    if arguments.sheet:
        contact_sheet(thumbnails).save(arguments.sheet)
    pictures = [{"picture": printed.name, **asdict(figures)} for printed, figures in rows]
    write_report(arguments.json, {"passed": not missed, "percentile 90": tall, "pictures": pictures})
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())

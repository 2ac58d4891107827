"""How long a stack of ten layers of 2048 × 2048 takes to composite, by blend mode, and to export, by format.

Run as `python -m benchmarks.stacks`; writes benchmarks/out/stacks.json.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from llm_dit.color import BLEND_MODES
from llm_dit.exports.formats import EXPORT_NAMES, export
from llm_dit.layers import Layer, composite
from tests.kit.report import write_report

SIDE, LAYERS, RUNS = 2048, 10, 3


def main() -> None:
    stack = draw_stack()
    seconds = {"whole layers": timed(lambda: composite([whole(layer) for layer in stack], SIDE, SIDE))}
    seconds |= {mode: timed(lambda mode=mode: composite(with_mode(stack, mode), SIDE, SIDE)) for mode in BLEND_MODES}
    scaled = [dataclasses.replace(layer, scale=1.3, flip_x=True) for layer in stack]
    seconds["scaled, mirrored"] = timed(lambda: composite(scaled, SIDE, SIDE))
    for name, value in seconds.items():
        print(f"composite  {name:<18}{value:6.2f} s")
    files: dict[str, tuple[float, int]] = {}
    for name in EXPORT_NAMES:
        started = time.perf_counter()
        size = len(export(stack, name, width=SIDE, height=SIDE))
        files[name] = (time.perf_counter() - started, size)
        print(f"export     {name:<18}{files[name][0]:6.2f} s {size / 1e6:8.1f} MB")
    write_report(Path(__file__).parent / "out/stacks.json", {"composite_s": seconds, "export_s_bytes": files})


def draw_stack() -> list[Layer]:
    """Return an opaque ground and soft discs on clear layers, all with the colors and the grain of photographs."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    layers: list[Layer] = []
    for index in range(LAYERS):
        rough = rng.uniform(20, 235, (12, 12, 3)).astype(np.float32)
        colors = cv2.resize(rough, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 1.5, (SIDE, SIDE, 1))
        x, y, radius = rng.uniform(0.2, 0.8) * SIDE, rng.uniform(0.2, 0.8) * SIDE, rng.uniform(0.15, 0.4) * SIDE
        alpha = np.full((SIDE, SIDE), 255.0) if index == 0 else (radius - np.hypot(columns - x, rows - y)) * 16
        pixels = np.dstack([colors, alpha]).clip(0, 255)
        pixels[..., :3] *= pixels[..., 3:] > 0
        layers.append(Layer(image=Image.fromarray(pixels.astype(np.uint8), "RGBA"), name=f"Layer {index}"))
    return layers


def whole(layer: Layer) -> Layer:
    """Return the layer with no clear pixel, the worst there is to composite."""
    image = layer.image.copy()
    image.putalpha(200)
    return dataclasses.replace(layer, image=image)


def with_mode(stack: Sequence[Layer], mode: str) -> list[Layer]:
    return [stack[0], *(dataclasses.replace(layer, blend=mode) for layer in stack[1:])]  # type: ignore[arg-type]


def timed(work: Callable[[], object]) -> float:
    """Return the median seconds of a few runs."""
    taken: list[float] = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


if __name__ == "__main__":
    main()

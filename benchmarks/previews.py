"""What previews cost a run of Qwen-Image-Layered, at full size with random weights.

    python -m benchmarks.previews --output previews.json
    python -m benchmarks.previews --tiny --device cpu --steps 12

Nothing is downloaded: the models are built as in `benchmarks.qwen_placement`. After a run to warm up, runs
with and without previews take turns; each preview is made into PNGs, as the service does. The pictures of both must be
the same to the bit. `ratio` is what a run with previews takes of one without: at most 1.02 passes. Random weights take
the same time as trained ones; what the previews show is noise.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.qwen_placement import Ours, build, fuse, make_run, peak_gb, synchronize
from llm_dit.images import encode_png
from llm_dit.qwen.forward.vae import Previewing
from llm_dit.qwen.placement.devices import choose_device, forget_peak, name_device
from llm_dit.qwen.sampling.running import Runner, watch_steps
from llm_dit.runs import Progress
from tests.kit.report import part, report_parts

MOST = 1.02


class Watched:
    """One run: when its steps ended, what its previews took and weighed, its pictures and its peak."""

    def __init__(self, pipeline: Any, previewing: Previewing, options: argparse.Namespace, *, shown: bool) -> None:
        self.ended: list[float] = []
        self.shown_at: dict[int, list[float]] = {}
        self.bytes: list[int] = []
        side = options.resolution
        device = pipeline.vae.device
        previews = previewing.of_run(pipeline, (side, side), options.layers, self._show if shown else None)
        forget_peak(device)
        run = make_run(options, options.steps)
        pictures = Runner().run(pipeline, run, watch_steps(options.steps, self._on_progress, previews))
        self.pictures, self.peak_gb = torch.from_numpy(pictures), peak_gb(device)
        # From the first step's end to the last one's: what comes before is the text encoder's.
        self.denoise_s = self.ended[-1] - self.ended[0]

    def _on_progress(self, progress: Progress) -> None:
        if progress.phase == "denoising":
            self.ended.append(time.perf_counter())

    def _show(self, layer: int, picture: Image.Image) -> None:
        self.bytes.append(len(encode_png(picture)))
        self.shown_at.setdefault(len(self.ended), []).append(time.perf_counter())

    @property
    def preview_ms(self) -> list[float]:
        """Milliseconds from the end of a step to its last layer's PNG."""
        return [1000 * (times[-1] - self.ended[step - 1]) for step, times in self.shown_at.items()]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    device = choose_device(options.device)
    started = time.perf_counter()
    pipeline = build(options.tiny, device)
    fuse(pipeline, in_fp8=False)
    placed = Ours(pipeline, options.case, device)
    built_s = time.perf_counter() - started
    previewing = Previewing()
    started = time.perf_counter()
    previewing.of_run(pipeline, (64, 64), 1, lambda *_: None)
    synchronize(device)
    fit_s = time.perf_counter() - started
    Watched(pipeline, previewing, argparse.Namespace(**{**vars(options), "steps": 2}), shown=False)
    without: list[Watched] = []
    shown: list[Watched] = []
    for _ in range(options.repeats):
        without.append(Watched(pipeline, previewing, options, shown=False))
        shown.append(Watched(pipeline, previewing, options, shown=True))
        print(f"without {without[-1].denoise_s:.2f} s, with {shown[-1].denoise_s:.2f} s", flush=True)
    ratio = statistics.median(run.denoise_s for run in shown) / statistics.median(run.denoise_s for run in without)
    spent = [ms for run in shown for ms in run.preview_ms]
    figures = {
        "device": name_device(device),
        "tiny": options.tiny,
        **placed.describe(),
        "resolution": options.resolution,
        "layers": options.layers,
        "steps": options.steps,
        "built_s": round(built_s, 1),
        "fit_s": round(fit_s, 3),
        "step_s": round(statistics.median(run.denoise_s for run in without) / (options.steps - 1), 4),
        "ratio": round(ratio, 4),
        "previews_a_run": len(spent) / options.repeats,
        "preview_ms": [round(ms, 2) for ms in spent],
        "png_bytes": round(statistics.mean(size for run in shown for size in run.bytes)) if spent else None,
        "peak_gb": {"without": without[-1].peak_gb, "with": shown[-1].peak_gb},
    }
    wrong = [] if all(torch.equal(run.pictures, without[0].pictures) for run in shown) else ["other pictures"]
    wrong += [] if spent else ["no preview was made: take more steps"]
    wrong += [] if ratio <= MOST or options.tiny else [f"{ratio:.3f} times the time, at most {MOST} is wanted"]
    return part(wrong, **figures)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--case", choices=["resident", "24", "16", "8", "True"], default="resident")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--resolution", type=int, choices=[640, 1024], default=640)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/out/previews.json"))
    options = parser.parse_args(arguments)
    return report_parts(options.output, {"previews": measure(options)})


if __name__ == "__main__":
    sys.exit(main())

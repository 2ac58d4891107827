"""Peak memory of Qwen-Image-2.1 against the plan, at full size with random weights; seconds beside it.

    python -m benchmarks.qwen_image_21 --out qwen_image_21.json
    python -m benchmarks.qwen_image_21 --tiny --device cpu

Nothing is downloaded: the models are built on the device from the real configurations, and every case runs the real
pipeline, at 1024². A case is a placement and how many references an edit has. `off` is by what part of the plan the
measurement differs from it, as CUDA tells it of all tensors; `phases_gb` are the peaks of each phase.
"""

# pyright: reportArgumentType=false, reportPrivateImportUsage=false

import argparse
import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImage21Pipeline
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from benchmarks.qwen_placement import sample, size_of
from llm_dit.qwen.editors import QWEN_IMAGE_21, TEXT, processor_of, working
from llm_dit.qwen.forward.vae import SingleFrameVae21
from llm_dit.qwen.loading.loader import Scheduler
from llm_dit.qwen.placement.devices import choose_device, measure_machine
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import GB, NONE, Needs, Weights, plan_placement
from llm_dit.qwen.sampling.running import Run, pace_of
from tests.kit.checkpoints import (
    CHAT_TEMPLATE,
    make_scheduler,
    make_text_encoder_21,
    make_tokenizer,
    make_transformer_21,
    make_vae_21,
)
from tests.kit.full_size import full_text_encoder_21, full_transformer_21, full_vae_21

PLACEMENTS = ("resident", "model", "24")
"""A number is cpu_offload="auto" on a device of so many GB."""
REFERENCES = (0, 3, 10)
PROMPT = "put the hat of the picture beside it on the cat, and keep all else as it is, " * 4


def build(tiny: bool, device: torch.device) -> Any:
    """Return the pipeline with random weights on `device`, bfloat16 at full size."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    parts: tuple[Any, ...]
    if tiny:
        parts = (make_text_encoder_21(tokenizer), make_transformer_21(), make_vae_21())
    else:
        torch.set_default_dtype(torch.bfloat16)
        with device:
            parts = (full_text_encoder_21(tokenizer), full_transformer_21(), full_vae_21())
        torch.set_default_dtype(torch.float32)
    text_encoder, transformer, vae = (part.eval().to(device) for part in parts)
    vae.__class__ = SingleFrameVae21
    vae.fold()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        Qwen2VLImageProcessorPil(patch_size=16, min_pixels=32 * 32, max_pixels=4096 * 4096).save_pretrained(folder)
        processor = processor_of(Path(folder))
    pipeline = QwenImage21Pipeline(
        scheduler=Scheduler.from_config(make_scheduler().config),
        vae=vae,
        text_encoder=text_encoder,
        processor=processor,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def measure(pipeline: Any, device: torch.device, placement: str, references: int, steps: int) -> dict[str, Any]:
    """Return what an edit takes, and what was planned for just that."""
    machine, needs = measure_machine(device), working(1 + references, TEXT)
    weights = Weights(
        transformers=(size_of(pipeline.transformer),),
        text_encoders=(size_of(pipeline.text_encoder),),
        vaes=size_of(pipeline.vae),
        modulations=(0,),
        blocks=len(pipeline.transformer.transformer_blocks),
        rates=NONE,
        needs=(Needs(largest=needs, usual=needs),),
    )
    # Machines that grow their memory as it is used report too little.
    machine = replace(machine, free_host=max(machine.free_host, 2 * weights.total))
    if placement.isdecimal():
        plan = plan_placement("auto", replace(machine, free_device=int(placement) * GB), weights)
    else:
        plan = plan_placement("model" if placement == "model" else False, machine, weights)
    placed = Placement([pipeline], plan, device)
    runs = [sample(pipeline, device, make_run(references, each)) for each in (1, steps)]
    placed.after_run()
    placed.remove()
    times, peaks = runs[-1]
    peak = max(peaks.values())
    return {
        "placement": placement,
        "references": references,
        "strategy": plan.strategy,
        "kept_blocks": plan.kept_blocks,
        "planned_gb": round(plan.peak / GB, 2),
        "peak_gb": peak,
        "off": round(peak / (plan.peak / GB) - 1, 3),
        "phases_gb": peaks,
        "first_step_s": round(times[1] - times[0], 3),
        "step_s": round((times[-2] - times[1]) / max(steps - 1, 1), 3),
        "decode_s": round(times[-1] - times[-2], 3),
    }


def make_run(references: int, steps: int) -> Run:
    picture = Image.new("RGBA", (1024, 1024), "orange")
    return Run(
        image=picture,
        size=picture.size,
        prompt=PROMPT,
        negative_prompt=" ",
        scale=1.0,
        steps=steps,
        generator=torch.Generator("cpu").manual_seed(0),
        pace=pace_of("exact", steps, fused=False),
        editor=QWEN_IMAGE_21,
        references=(picture,) * references,
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--placements", nargs="+", choices=PLACEMENTS, default=list(PLACEMENTS))
    parser.add_argument("--references", nargs="+", type=int, default=list(REFERENCES))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", type=Path, help="JSON, written after every case")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    pipeline = build(options.tiny, device)
    report: dict[str, Any] = {
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "tiny": options.tiny,
        "transformer_gb": round(size_of(pipeline.transformer) / GB, 3),
        "text_encoder_gb": round(size_of(pipeline.text_encoder) / GB, 3),
        "vae_gb": round(size_of(pipeline.vae) / GB, 3),
        "cases": [],
    }
    for placement in options.placements:
        for references in options.references:
            result = measure(pipeline, device, placement, references, options.steps)
            report["cases"].append(result)
            print(json.dumps(result), flush=True)
            if options.out:
                options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

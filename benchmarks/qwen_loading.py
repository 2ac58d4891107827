"""Seconds from files to a pipeline that runs, and one run of both models, with random weights of the real width.

    python -m benchmarks.qwen_loading --folder /tmp/checkpoints --blocks 12 --out loading.json
    python -m benchmarks.qwen_loading --folder /tmp/checkpoints --tiny --device cpu

Writes both checkpoints in the real layout, with the real text encoder and `--blocks` of the transformer's 60 blocks,
so that they fit on a small disk; then loads them with plain diffusers and with ours, takes a picture apart, edits a
layer, cancels a run, and looks whether the next one gives the same again. The files were just written, so most of them
are read from the system's cache: this is how fast weights are loaded, not how fast a disk is.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import QwenImageLayeredPipeline  # pyright: ignore[reportPrivateImportUsage]
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from benchmarks.qwen_placement import peak_gb, reset_peak, synchronize
from llm_dit.pipelines.base import Canceled, Progress
from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from llm_dit.qwen.checkpoints import EDIT, LAYERED
from llm_dit.qwen.devices import choose_device, choose_dtype
from llm_dit.qwen.failures import free_memory
from llm_dit.qwen.loading import ImageProcessor
from llm_dit.qwen.placement import CpuOffload
from tests.kit.checkpoints import make_scheduler, make_tokenizer, model_index, write_checkpoints
from tests.kit.full_size import full_text_encoder, full_transformer, full_vae

PICTURE = Image.new("RGBA", (640, 640), "orange")
RUN: dict[str, Any] = {"num_inference_steps": 2, "seed": 1}


def write_full(folder: Path, blocks: int, device: torch.device) -> None:
    """Write `layered` and `edit`; they share the text encoder's files, as the real ones share their content."""
    tokenizer = make_tokenizer()
    torch.set_default_dtype(torch.bfloat16)
    for name in ("layered", "edit"):
        layered, out = name == "layered", folder / name
        with device:
            full_transformer(blocks=blocks, layered=layered).save_pretrained(out / "transformer")
            full_vae(layered=layered).save_pretrained(out / "vae")
            if layered:
                full_text_encoder(tokenizer).save_pretrained(out / "text_encoder")
            else:
                (out / "text_encoder").symlink_to(folder / "layered/text_encoder")
        make_scheduler().save_pretrained(out / "scheduler")
        for part in ("tokenizer", "processor"):
            tokenizer.save_pretrained(out / part)
        Qwen2VLImageProcessorPil().save_pretrained(out / "processor")
        (out / "model_index.json").write_text(json.dumps(model_index(LAYERED if layered else EDIT)))
    torch.set_default_dtype(torch.float32)
    free_memory()


def timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    synchronize(device)
    started = time.perf_counter()
    result = work()
    synchronize(device)
    return round(time.perf_counter() - started, 2), result


def load_plain(folder: Path, device: torch.device) -> float:
    """Return the seconds that plain diffusers takes to bring the layered model to the device."""
    # As the checkpoint names it, the processor wants torchvision.
    images = Qwen2VLImageProcessorPil.from_pretrained(folder / "layered/processor")
    arguments: dict[str, Any] = {
        "dtype": choose_dtype(None, device),
        "processor": ImageProcessor(images, make_tokenizer()),
    }
    seconds, _ = timed(
        lambda: QwenImageLayeredPipeline.from_pretrained(folder / "layered", **arguments).to(device), device
    )
    free_memory()
    return seconds


def measure(folder: Path, cpu_offload: CpuOffload, device: torch.device) -> tuple[dict[str, Any], list[Image.Image]]:
    def open_pipe() -> QwenImageDiffusersPipeline:
        return QwenImageDiffusersPipeline.from_pretrained(
            folder / "layered", folder / "edit", cpu_offload=cpu_offload, device=str(device)
        )

    load_s, pipe = timed(open_pipe, device)
    reset_peak(device)
    decompose_s, layers = timed(lambda: pipe.decompose(PICTURE, "a house", layer_num=2, **RUN), device)
    load_edit_s, _ = timed(pipe.load_edit_model, device)
    edit_s, edited = timed(lambda: pipe.edit_layer(layers[2], "make it blue", **RUN), device)
    held = held_gb(device)
    cancel(pipe)
    again = pipe.decompose(PICTURE, "a house", layer_num=2, **RUN)
    result = {
        "cpu_offload": cpu_offload,
        "placement": pipe.placement.reason,
        "load_s": load_s,
        "load_edit_s": load_edit_s,
        "decompose_s": decompose_s,
        "edit_s": edit_s,
        "edited_size": edited.size,
        "peak_gb": peak_gb(device),
        "held_gb": held,
        "held_after_cancel_gb": held_gb(device),
        "same_after_cancel": largest_difference(layers, again) == 0,
    }
    return result, [*layers, edited]


def cancel(pipe: QwenImageDiffusersPipeline) -> None:
    def stop(progress: Progress) -> None:
        if progress.phase == "denoising":
            raise Canceled

    try:
        pipe.decompose(PICTURE, "a house", layer_num=2, progress=stop, **RUN)
    except Canceled:
        return
    raise AssertionError("the run was not canceled")


def held_gb(device: torch.device) -> float:
    return round(torch.cuda.memory_allocated(device) / 1e9, 2) if device.type == "cuda" else 0.0


def largest_difference(first: list[Image.Image], second: list[Image.Image]) -> int:
    pairs = zip(first, second, strict=True)
    return max(int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max()) for a, b in pairs)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the checkpoints are written")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--out", type=Path, help="JSON")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    if options.tiny:
        write_checkpoints(options.folder)
    else:
        write_full(options.folder, options.blocks, device)
    weights = (options.folder / "layered").rglob("*.safetensors")
    report: dict[str, Any] = {
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "blocks": options.blocks,
        "layered_gb": round(sum(file.stat().st_size for file in weights) / 1e9, 2),
        "plain_diffusers_load_s": load_plain(options.folder, device),
    }
    pictures = []
    for cpu_offload in (False, "stream"):
        report[f"cpu_offload={cpu_offload}"], made = measure(options.folder, cpu_offload, device)
        pictures.append(made)
        free_memory()
    report["largest_difference_of_offloading"] = largest_difference(*pictures)
    print(json.dumps(report, indent=2))
    if options.out:
        options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

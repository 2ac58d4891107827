"""Peak memory and seconds for each placement of Qwen-Image-Layered, at full size with random weights.

    python -m benchmarks.qwen_placement --out placement.json
    python -m benchmarks.qwen_placement --fast --cases 24 --steps 8
    python -m benchmarks.qwen_placement --tiny --device cpu --cases resident True

Nothing is downloaded: the models are built on the device from the real configurations, and every placement runs the
real pipeline. Random weights take the same time and memory as trained ones; what they draw is noise. A case with a
number is cpu_offload="auto" on a device that is made to have no more than so many GB. Before ours run diffusers' own
ways over the same weights: "plain" with all of them on the device, `enable_model_cpu_offload`, and group offloading of
blocks on a stream. Reading weights from a disk is not
measured here; `place_s` is what it takes to bring them from where the case before left them.
"""

# pyright: reportArgumentType=false, reportPossiblyUnboundVariable=false, reportPrivateImportUsage=false

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    QwenImageLayeredPipeline,
)
from diffusers.hooks import HookRegistry, apply_group_offloading
from PIL import Image

from llm_dit.qwen.forward.quantized import put_in_fp8
from llm_dit.qwen.forward.transformer import Transformer
from llm_dit.qwen.forward.vae import SingleFrameVae
from llm_dit.qwen.loading.loader import Scheduler
from llm_dit.qwen.placement.devices import choose_device, forget_peak, measure_machine, peak_memory
from llm_dit.qwen.placement.placing import Placement
from llm_dit.qwen.placement.plan import FUSED, GB, Plan, Size, Weights, plan_placement
from llm_dit.qwen.sampling.running import Run, Runner, pace_of
from tests.kit.checkpoints import (
    make_scheduler,
    make_text_encoder,
    make_tokenizer,
    make_transformer,
    make_vae,
)
from tests.kit.full_size import full_text_encoder, full_transformer, full_vae

OF_DIFFUSERS = ("plain", "diffusers-model", "diffusers-group")
CASES = (*OF_DIFFUSERS, "resident", "48", "24", "16", "8", "True")


def build(tiny: bool, device: torch.device) -> QwenImageLayeredPipeline:
    """Return the pipeline with random weights on `device`, bfloat16 at full size."""
    tokenizer = make_tokenizer()
    if tiny:
        parts = (make_text_encoder(tokenizer, 0), make_transformer(True), make_vae(True))
    else:
        torch.set_default_dtype(torch.bfloat16)
        with device:
            parts = (full_text_encoder(tokenizer), full_transformer(), full_vae())
        torch.set_default_dtype(torch.float32)
    text_encoder, transformer, vae = (part.eval().to(device) for part in parts)
    pipeline = QwenImageLayeredPipeline(
        scheduler=Scheduler.from_config(make_scheduler().config),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        processor=None,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def fuse(pipeline: Any, *, in_fp8: bool) -> None:
    """Put our transformer and VAE in the place of diffusers', over the same weights, or over those in fp8."""
    pipeline.transformer.__class__, pipeline.vae.__class__ = Transformer, SingleFrameVae
    if in_fp8:
        put_in_fp8(pipeline.transformer)
    pipeline.transformer.take_apart()
    pipeline.vae.fold()


def size_of(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.parameters())


def measure(pipeline: Any, case: str, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Place the weights, run once to warm up, run `options.steps` steps, and take the weights back to the host."""
    started = time.perf_counter()
    if case.isdecimal():
        limit_memory(device, int(case))
    if case in OF_DIFFUSERS:
        placed = DiffusersOffload(pipeline, case, device)
    else:
        placed = Ours(pipeline, make_plan(case, pipeline, device, options), device)
    synchronize(device)
    place_s = time.perf_counter() - started
    sample(pipeline, device, make_run(options, 1))
    placed.after_run()
    times, peaks = sample(pipeline, device, make_run(options, options.steps))
    reserved = round(torch.cuda.max_memory_reserved(device) / 1e9, 2) if device.type == "cuda" else 0.0
    placed.after_run()
    result = {
        "case": case,
        **placed.describe(),
        "peak_gb": max(peaks.values()),
        "peaks_gb": peaks,
        "reserved_gb": reserved,
        "place_s": round(place_s, 2),
        "encode_and_first_step_s": round(times[1] - times[0], 3),
        "step_s": round((times[-2] - times[1]) / max(options.steps - 1, 1), 3),
        "decode_s": round(times[-1] - times[-2], 3),
        "total_s": round(times[-1] - times[0], 3),
    }
    placed.remove()
    limit_memory(device, None)
    return result


class Ours:
    """A placement by `plan_placement`."""

    def __init__(self, pipeline: Any, plan: Plan, device: torch.device) -> None:
        self._placement = Placement([pipeline], plan, device)
        self.after_run, self.remove = self._placement.after_run, self._placement.remove

    def describe(self) -> dict[str, Any]:
        plan = self._placement.plan
        return {
            "placement": plan.strategy,
            "text_encoder": plan.text_encoder,
            "kept_blocks": plan.kept_blocks,
            "modulation_away": plan.modulation_away,
            "pinned": plan.pinned,
            "planned_peak_gb": round(plan.usual_peak / 1e9, 2),
            "planned_for_gb": round(plan.peak / 1e9, 2),
        }


class DiffusersOffload:
    """What diffusers offers by itself."""

    def __init__(self, pipeline: Any, case: str, device: torch.device) -> None:
        self._pipeline, self._case = pipeline, case
        pipeline.to("cpu")
        if case == "plain":
            pipeline.to(device)
            return
        if case == "diffusers-model":
            pipeline.enable_model_cpu_offload(device=device)
            return
        on_gpu = device.type == "cuda"
        pipeline.vae.to(device)
        for part in (pipeline.text_encoder, pipeline.transformer):
            apply_group_offloading(
                part,
                onload_device=device,
                offload_type="block_level" if part is pipeline.transformer else "leaf_level",
                num_blocks_per_group=1,
                use_stream=on_gpu,
                record_stream=on_gpu,
            )

    def describe(self) -> dict[str, Any]:
        return {"placement": self._case}

    def after_run(self) -> None:
        self._pipeline.maybe_free_model_hooks()

    def remove(self) -> None:
        self._pipeline.remove_all_hooks()
        for part in (self._pipeline.text_encoder, self._pipeline.transformer):
            registry = HookRegistry.check_if_exists_or_initialize(part)
            for name in ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading"):
                registry.remove_hook(name, recurse=True)
        self._pipeline.to("cpu")


def make_run(options: argparse.Namespace, steps: int) -> Run:
    return Run(
        image=Image.new("RGBA", (options.resolution, options.resolution), "orange"),
        size=(options.resolution, options.resolution),
        prompt="a house with a garden in front of a wood, on a sunny day in autumn",
        negative_prompt=" ",
        scale=4.0,
        steps=steps,
        pace=pace_of("fast" if options.fast else "exact", steps, fused=True),
        generator=torch.Generator("cpu").manual_seed(0),
        layers=options.layers,
        resolution=options.resolution,
    )


def sample(pipeline: Any, device: torch.device, run: Run) -> tuple[list[float], dict[str, float]]:
    """Return the times of the start, of the end of every step, and of the end; and the peak of each phase, in GB."""
    times, peaks = [time.perf_counter()], dict[str, float]()
    forget_peak(device)

    def end_phase(name: str) -> None:
        synchronize(device)
        peaks[name] = max(peaks.get(name, 0), peak_gb(device))
        forget_peak(device)

    def before_transformer(*_: Any) -> None:
        if "encode" not in peaks:
            end_phase("encode")

    def note(*_: Any) -> None:
        end_phase("denoise")
        times.append(time.perf_counter())

    hook = pipeline.transformer.register_forward_pre_hook(before_transformer, prepend=True)
    with torch.no_grad():
        Runner().run(pipeline, run, note)
    hook.remove()
    end_phase("decode")
    times.append(time.perf_counter())
    return times, peaks


def compare_decoding(pipeline: Any, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Decode all layers at once and one after the other: seconds, peaks, and whether the pictures are the same."""
    vae = pipeline.vae
    side = options.resolution // pipeline.vae_scale_factor
    latents = torch.randn(options.layers, 16, 1, side, side, device=device, dtype=vae.dtype)
    result: dict[str, Any] = {}
    pictures = []
    for name, switch in (("whole", vae.disable_slicing), ("sliced", vae.enable_slicing)):
        switch()
        for _ in range(2):
            forget_peak(device)
            before, started = peak_gb(device), time.perf_counter()
            with torch.no_grad():
                picture = vae.decode(latents, return_dict=False)[0]
            synchronize(device)
        result[name] = {"s": round(time.perf_counter() - started, 3), "peak_gb": round(peak_gb(device) - before, 2)}
        pictures.append(picture)
    vae.disable_slicing()
    result["equal"] = torch.equal(*pictures)
    result["largest_difference"] = float((pictures[0].float() - pictures[1].float()).abs().max())
    return result


def limit_memory(device: torch.device, gigabytes: int | None) -> None:
    """Make the device as small as `gigabytes`, so that a placement that takes more fails."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(
            1.0 if gigabytes is None else gigabytes * 1e9 / whole, device.index or 0
        )


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()


def peak_gb(device: torch.device) -> float:
    """Return the most that was allocated since the last reset; 0 on a device that does not tell."""
    peak = peak_memory(device)
    return round(peak[0] / 1e9, 2) if peak else 0.0


def make_plan(case: str, pipeline: Any, device: torch.device, options: argparse.Namespace) -> Plan:
    weights = Weights(
        transformers=(size_of(pipeline.transformer),),
        text_encoders=(size_of(pipeline.text_encoder),),
        vaes=size_of(pipeline.vae),
        modulations=(size_of(pipeline.transformer.modulations),),
        blocks=len(pipeline.transformer.transformer_blocks),
        rates=FUSED,
        usual=Size(options.resolution, options.layers),
    )
    machine = measure_machine(device)
    # Machines that grow their memory as it is used report too little.
    machine = replace(machine, free_host=max(machine.free_host, 2 * weights.total))
    if case.isdecimal():
        return plan_placement("auto", replace(machine, free_device=int(case) * GB), weights)
    if case == "True":  # a card on which it streams
        return plan_placement(True, replace(machine, free_device=min(machine.free_device, 48 * GB)), weights)
    return plan_placement(False, machine, weights)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--fast", action="store_true", help="weights in fp8, and steps reused")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--resolution", type=int, choices=[640, 1024], default=640)
    parser.add_argument("--out", type=Path, help="JSON, written after every placement")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    started = time.perf_counter()
    pipeline = build(options.tiny, device)
    report: dict[str, Any] = {
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "tiny": options.tiny,
        "resolution": options.resolution,
        "layers": options.layers,
        "steps": options.steps,
        "transformer_gb": round(size_of(pipeline.transformer) / 1e9, 3),
        "text_encoder_gb": round(size_of(pipeline.text_encoder) / 1e9, 3),
        "vae_gb": round(size_of(pipeline.vae) / 1e9, 3),
        "build_s": round(time.perf_counter() - started, 2),
        "placements": [],
        "plain_decode": compare_decoding(pipeline, device, options),
    }
    fused = False
    for case in sorted(options.cases, key=CASES.index):
        if case not in OF_DIFFUSERS and not fused:
            fuse(pipeline, in_fp8=options.fast)
            fused = True
            report["sliced_decode"] = compare_decoding(pipeline, pipeline.vae.device, options)
        result = measure(pipeline, case, device, options)
        report["placements"].append(result)
        print(json.dumps(result), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

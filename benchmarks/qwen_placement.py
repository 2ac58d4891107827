"""Peak memory and seconds for each placement of Qwen-Image-Layered, at full size with random weights.

    PYTHONPATH=src:. python benchmarks/qwen_placement.py --out placement.json
    PYTHONPATH=src:. python benchmarks/qwen_placement.py --tiny --device cpu --placements resident stream

Nothing is downloaded: the models are built on the device from the real configurations, and every placement runs the
real pipeline. Random weights take the same time and memory as trained ones; what they draw is noise. Reading weights
from a disk is not measured; `place_s` is what it takes to bring them from where the placement before left them.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageLayeredPipeline,
    QwenImageTransformer2DModel,
)
from PIL import Image
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from llm_dit.qwen.devices import choose_device, measure_machine
from llm_dit.qwen.offloading import Placement
from llm_dit.qwen.placement import Plan, Weights, plan_placement
from tests.qwen.checkpoints import SPECIAL_TOKENS, make_text_encoder, make_tokenizer, make_transformer, make_vae

PLACEMENTS = ("resident", "model", "stream", "sequential")


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
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        processor=None,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def full_transformer() -> Any:
    """20.4 B parameters: 60 blocks, 24 heads of 128, as in the checkpoint's config."""
    return QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=60,
        attention_head_dim=128,
        num_attention_heads=24,
        joint_attention_dim=3584,
        axes_dims_rope=(16, 56, 56),
        use_additional_t_cond=True,
        use_layer3d_rope=True,
    )


def full_vae() -> Any:
    return AutoencoderKLQwenImage(
        base_dim=96,
        z_dim=16,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=2,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 16,
        latents_std=[1.0] * 16,
        input_channels=4,
    )


def full_text_encoder(tokenizer: Any) -> Any:
    """8.3 B parameters: Qwen2.5-VL-7B."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_parameters": {"mrope_section": [16, 24, 24], "rope_type": "default", "rope_theta": 1000000.0},
            "vocab_size": 152064,
            "max_position_embeddings": 128000,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 3584,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        tie_word_embeddings=False,
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def size_of(module: torch.nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.parameters())


def measure(pipeline: Any, plan: Plan, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Place the weights, run once to warm up, run `options.steps` steps, and take the weights back to the host."""
    started = time.perf_counter()
    placement = Placement([pipeline], plan, device)
    synchronize(device)
    placed = time.perf_counter() - started
    sample(pipeline, placement, device, options, steps=1)
    reset_peak(device)
    times = sample(pipeline, placement, device, options, steps=options.steps)
    result = {
        "placement": plan.strategy,
        "text_encoder": plan.text_encoder,
        "pinned": plan.pinned,
        "planned_peak_gb": round(plan.peak / 1e9, 2),
        "peak_allocated_gb": peak_gb(device),
        "place_s": round(placed, 2),
        "encode_and_first_step_s": round(times[1] - times[0], 3),
        "step_s": round((times[-2] - times[1]) / max(options.steps - 1, 1), 3),
        "decode_s": round(times[-1] - times[-2], 3),
        "total_s": round(times[-1] - times[0], 3),
    }
    placement.remove()
    return result


def sample(
    pipeline: Any, placement: Placement, device: torch.device, options: argparse.Namespace, *, steps: int
) -> list[float]:
    """Return the times of the start, of the end of every step, and of the end."""
    times = [time.perf_counter()]

    def note(_pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        synchronize(device)
        times.append(time.perf_counter())
        return tensors

    pipeline(
        image=Image.new("RGBA", (640, 640), "orange"),
        prompt="a house with a garden in front of a wood, on a sunny day in autumn",
        negative_prompt=" ",
        true_cfg_scale=4.0,
        layers=options.layers,
        resolution=options.resolution,
        num_inference_steps=steps,
        cfg_normalize=True,
        generator=torch.Generator("cpu").manual_seed(0),
        callback_on_step_end=note,
        output_type="np",
    )
    placement.after_run()
    synchronize(device)
    times.append(time.perf_counter())
    return times


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: torch.device) -> float | None:
    return round(torch.cuda.max_memory_allocated(device) / 1e9, 2) if device.type == "cuda" else None


def make_plan(name: str, pipeline: Any, device: torch.device) -> Plan:
    weights = Weights(
        transformers=(size_of(pipeline.transformer),),
        text_encoders=(size_of(pipeline.text_encoder),),
        vaes=size_of(pipeline.vae),
    )
    # `free_host` does not count: machines that grow their memory as it is used report too little.
    machine = measure_machine(device)
    plan = plan_placement(name, machine, weights)  # pyright: ignore[reportArgumentType]
    if device.type == "cpu":
        return Plan(strategy=name, text_encoder="swap", peak=plan.peak, reason=plan.reason)  # pyright: ignore
    return Plan(strategy=plan.strategy, text_encoder=plan.text_encoder, pinned=True, peak=plan.peak, reason=plan.reason)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--placements", nargs="+", choices=PLACEMENTS, default=list(PLACEMENTS))
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
    }
    for name in options.placements:
        result = measure(pipeline, make_plan(name, pipeline, device), device, options)
        report["placements"].append(result)
        print(json.dumps(result), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

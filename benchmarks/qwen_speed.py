"""What a step, a caption and a decoding take, beside plain diffusers over the same weights in the same process.

    python -m benchmarks.qwen_speed --out speed.json
    python -m benchmarks.qwen_speed --parts steps --device cuda:0 --second cuda:1
    python -m benchmarks.qwen_speed --tiny --device cpu
    python -m benchmarks.qwen_speed --parts steps fp8 --cases layered-640 --fast

Nothing is downloaded: the models are built on the device at full size, with random weights, in bfloat16. A step is two
forwards, one led by a text of 300 tokens and one by 8. `host_ms` is what the host takes to launch one. The error is
against diffusers in float32, over all blocks at a small size, the mean of some inputs. A second device runs the second
branch.

With `--fast` the same weights are then put in fp8, with the layers of `checkpoints.NOT_IN_FP8` as they are and then
all, with attention in 16 bits and, where fa3-fwd is installed, in 8; and whole runs of 50 steps are timed that compute
half of them. The part `fp8` has each layer's error, for random numbers and for some that have outliers.
"""

# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import diffusers
import torch
from PIL import Image
from torch import nn
from transformers import Qwen2VLImageProcessorPil

from benchmarks.qwen_placement import peak_gb, size_of, synchronize
from llm_dit.qwen.forward import quantized
from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.forward.operations import MANY
from llm_dit.qwen.forward.quantized import (
    Fp8Linear,
    PackedLinear,
    ScaledTools,
    bounds_of,
    packed_shape,
    quantize_weight,
)
from llm_dit.qwen.forward.tools import ATTENTIONS, Trial, tools_for
from llm_dit.qwen.forward.transformer import Branch, Shapes, Transformer
from llm_dit.qwen.forward.vae import SingleFrameVae
from llm_dit.qwen.loading.checkpoints import is_in_fp8
from llm_dit.qwen.loading.loader import ImageProcessor
from llm_dit.qwen.loading.single_file import PACKED
from llm_dit.qwen.placement.devices import choose_device, forget_peak, free_memory, name_device
from llm_dit.qwen.placement.placing import Pair, _part
from llm_dit.qwen.placement.swapping import tensors_of
from llm_dit.qwen.sampling.encoding import Writer, recorder_of
from llm_dit.qwen.sampling.running import Residuals, reusing
from tests.kit.checkpoints import make_text_encoder, make_tokenizer, make_transformer, make_vae
from tests.kit.full_size import full_text_encoder, full_transformer, full_vae

TEXTS = (300, 8)
CASES = {"layered-640": (True, 640), "layered-1024": (True, 1024), "edit-1024": (False, 1024)}
LAYERS = 4
SCHEDULE = 50
SMALL, INPUTS = 512, 3
"""Side and number of the inputs that the error is taken of: large enough for the products of many rows (`MANY`)."""
QUESTION = "<|vision_start|><|image_pad|><|vision_end|>"


class Bench:
    """A device, full-size or tiny models, and how often everything is done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = choose_device(options.device)
        self.second = choose_device(options.second) if options.second else None
        self.cases, self.fast = options.cases, options.fast
        self.tiny, self.repeat, self.tokens = options.tiny, options.repeat, options.tokens
        self.warm_s = 0 if self.device.type == "cpu" else options.warm
        self.dtype = torch.float32 if options.tiny else torch.bfloat16

    def make(self, full: Callable[[], Any], tiny: Callable[[], Any]) -> Any:
        if self.tiny:
            return tiny().eval()
        torch.set_default_dtype(self.dtype)
        with self.device:
            made = full().eval()
        torch.set_default_dtype(torch.float32)
        return made.requires_grad_(False)

    def numbers(self, *shape: int, seed: int = 0) -> torch.Tensor:
        generator = torch.Generator().manual_seed(10 * seed + len(shape))
        return torch.randn(shape, generator=generator).to(self.device, self.dtype)

    def timed(self, work: Callable[[], Any], repeat: int | None = None, *, warm_s: float = 0) -> dict[str, float]:
        """Return the median milliseconds of `work` and of its launching, and its peak above what is held, in GB.

        It runs for `warm_s` before: a card that has just begun is cool, and computes faster than one in a long run.
        """
        whole, host = list[float](), list[float]()
        began = time.perf_counter()
        while time.perf_counter() - began < warm_s:
            work()
            synchronize(self.device)
        held = torch.cuda.memory_allocated(self.device) / 1e9 if self.device.type == "cuda" else 0
        forget_peak(self.device)
        for _ in range(repeat or self.repeat):
            synchronize(self.device)
            started = time.perf_counter()
            work()
            host.append(time.perf_counter() - started)
            synchronize(self.device)
            whole.append(time.perf_counter() - started)
        return {
            "ms": round(1000 * median(whole), 2),
            "host_ms": round(1000 * median(host), 2),
            "above_weights_gb": round(peak_gb(self.device) - held, 2),
        }


class Step:
    """A step's input, and who predicts it."""

    def __init__(self, bench: Bench, transformer: Any, *, layered: bool, side: int, seed: int = 0) -> None:
        cells = 2 if bench.tiny else side // 16
        self.shapes: Shapes = [[(1, cells, cells)] * (LAYERS + 2 if layered else 2)]
        width = transformer.config.joint_attention_dim
        self.tokens = bench.numbers(1, len(self.shapes[0]) * cells**2, transformer.config.in_channels, seed=seed)
        self.branches = [Branch(embeds=bench.numbers(1, text, width, seed=seed)) for text in TEXTS]
        self.schedule = torch.linspace(1, 0.02, SCHEDULE).to(bench.device, bench.dtype)
        self.layered = layered

    @torch.no_grad()
    def plain(self, transformer: Any, dtype: torch.dtype | None = None) -> list[torch.Tensor]:
        kind = dtype or self.tokens.dtype
        more: dict[str, Any] = {}
        if self.layered:
            more["additional_t_cond"] = torch.zeros(1, dtype=torch.long, device=self.tokens.device)
        return [
            transformer(
                hidden_states=self.tokens.to(kind),
                timestep=self.schedule[9:10].to(kind),
                encoder_hidden_states=branch.embeds.to(kind),
                encoder_hidden_states_mask=None,
                img_shapes=self.shapes,
                return_dict=False,
                **more,
            )[0]
            for branch in self.branches
        ]

    @torch.no_grad()
    def ours(self, predict: Any, **more: Any) -> list[torch.Tensor]:
        named = {"branches": self.branches, "schedule": self.schedule, "step": 9, "shapes": self.shapes} | more
        return predict(self.tokens, **named)


@contextmanager
def in_float32(transformer: Any) -> Iterator[None]:
    """Have plain diffusers compute in float32, each block brought to it only while it runs."""
    homes: dict[nn.Parameter, torch.Tensor] = {}

    def widen(module: nn.Module, *_: Any) -> None:
        for parameter in module.parameters():
            homes[parameter] = parameter.data
            parameter.data = parameter.data.float()

    def restore(module: nn.Module, *_: Any) -> None:
        for parameter in module.parameters():
            parameter.data = homes.pop(parameter)

    ends = [child for child in transformer.children() if child is not transformer.transformer_blocks]
    hooks: list[Any] = []
    for block in transformer.transformer_blocks:
        hooks += [block.register_forward_pre_hook(widen), block.register_forward_hook(restore)]
    for end in ends:
        widen(end)
    yield
    for end in ends:
        restore(end)
    for hook in hooks:
        hook.remove()


def error(found: list[list[torch.Tensor]], exact: list[list[torch.Tensor]]) -> float:
    """Return how far predictions are from the exact ones, as a part of those: the mean over inputs and branches."""
    pairs = (zip(*both, strict=True) for both in zip(found, exact, strict=True))
    return round(mean(float((a.float() - b).norm() / b.norm()) for pair in pairs for a, b in pair), 6)


def steps(bench: Bench) -> dict[str, Any]:
    """Return the figures of a step: plain, and ours by each attention that is there."""
    found: dict[str, Any] = {}
    for layered in (True, False):
        named = {name: CASES[name][1] for name in bench.cases if CASES[name][0] == layered}
        if not named:
            continue
        transformer = bench.make(partial(full_transformer, layered=layered), partial(make_transformer, layered))
        cases = {name: Step(bench, transformer, layered=layered, side=side) for name, side in named.items()}
        small = [Step(bench, transformer, layered=layered, side=SMALL, seed=seed) for seed in range(INPUTS)]
        with in_float32(transformer):
            exact = [each.plain(transformer, torch.float32) for each in small]
        errors = {"diffusers": error([each.plain(transformer) for each in small], exact)}
        for name, case in cases.items():
            case.plain(transformer)
            found[name] = {"diffusers": bench.timed(partial(case.plain, transformer), warm_s=bench.warm_s)}
        transformer.__class__ = Transformer
        transformer.take_apart()
        free_memory()
        fastest: tuple[str, Any] | None = None
        for attention, tools in attentions(bench, transformer):
            fastest = fastest or (attention, tools)
            transformer.tools = lambda *_, tools=tools: tools
            errors[attention] = error([each.ours(transformer) for each in small], exact)
            for name, case in cases.items():
                figures = ours(bench, transformer, case)
                figures["ratio"] = round(found[name]["diffusers"]["ms"] / figures["ms"], 3)
                found[name][attention] = figures
                print(name, attention, json.dumps(figures), flush=True)
                if bench.second is not None:
                    found[name][f"{attention}, two devices"] = both(bench, transformer, case, found[name], attention)
                    print(name, "two devices", json.dumps(found[name][f"{attention}, two devices"]), flush=True)
        if bench.fast and fastest is not None:
            transformer.tools = lambda *_, tools=fastest[1]: tools
            for name, case in cases.items():
                found[name][f"{fastest[0]}, half of the steps"] = half(bench, transformer, case, found[name])
            for way, tools in narrowed(bench, transformer, *fastest):
                transformer.tools = lambda *_, tools=tools: tools
                errors[way] = error([each.ours(transformer) for each in small], exact)
                print(way, "error", errors[way], flush=True)
                for name, case in cases.items():
                    figures = ours(bench, transformer, case)
                    figures["ratio"] = round(found[name]["diffusers"]["ms"] / figures["ms"], 3)
                    found[name][way] = figures
                    print(name, way, json.dumps(figures), flush=True)
                    found[name][f"{way}, half of the steps"] = half(bench, transformer, case, found[name])
        found[f"{'layered' if layered else 'edit'}, error against float32"] = errors
        print(json.dumps(errors), flush=True)
        del transformer
        free_memory()
    return found


def attentions(bench: Bench, transformer: Any) -> Iterator[tuple[str, Any]]:
    config = transformer.config
    tools = tools_for(bench.device, bench.dtype, config.attention_head_dim)
    print(tools.describe().explained, flush=True)
    if bench.device.type != "cuda":
        yield tools.attention, tools
        return
    trial = Trial(bench.device, bench.dtype, config.attention_head_dim)
    for name, make in ATTENTIONS.items():
        attend, reason = trial.of_attention(name, make)
        if attend is None:
            print(f"{name}: {reason}", flush=True)
            continue
        yield name, replace(tools, attention=name, unmasked=attend)


def ours(bench: Bench, transformer: Any, case: Step) -> dict[str, Any]:
    """Return a step's figures, eager and recorded, and whether the two are the same to the bit."""
    wanted = case.ours(transformer)
    eager = bench.timed(partial(case.ours, transformer), 2)
    free_memory()
    before = reserved_gb(bench.device)
    transformer.recordings = Recordings.on(bench.device)
    for _ in range(3):
        case.ours(transformer)
    free_memory()
    pool = round(reserved_gb(bench.device) - before, 2)
    recorded = bench.timed(partial(case.ours, transformer), warm_s=bench.warm_s)
    same = all(map(torch.equal, wanted, case.ours(transformer)))
    figures: dict[str, Any] = {**recorded, "eager": eager, "equal": same, "pool_gb": pool}
    figures["recorded"] = is_recorded(transformer.recordings)
    transformer.recordings = None
    free_memory()
    return figures


def narrowed(bench: Bench, transformer: Any, attention: str, tools: Any) -> Iterator[tuple[str, Any]]:
    """Put the transformer in fp8, little by little, and yield each way with its tools."""
    scaled = tools.scaled or ScaledTools(operations=quantized) if bench.tiny else tools.scaled
    if scaled is None:
        print(tools.why_wide, flush=True)
        return
    for words, everything in (("fp8", False), ("all in fp8", True)):
        put_blocks_in_fp8(transformer, everything=everything)
        free_memory()
        print(words, json.dumps({"transformer_gb": size_of(transformer) / 1e9}), flush=True)
        yield f"{words}, {attention}", replace(tools, scaled=replace(scaled, attend=None))
        if scaled.attend is not None:
            yield f"{words}, flash-attn-3 in fp8", replace(tools, scaled=scaled)
        else:
            print(tools.why_wide, flush=True)


def put_blocks_in_fp8(transformer: Any, *, everything: bool) -> None:
    """Put our blocks in fp8; `everything` with the layers that are kept from it otherwise."""
    for block in transformer.transformer_blocks:
        for stream in (block.text, block.image):
            if not isinstance(stream.qkv, Fp8Linear):
                stream.qkv = Fp8Linear(*quantize_weight(stream.qkv.weight.data), stream.qkv.bias.data)
                stream.out = Fp8Linear.of(stream.out)
                stream.mlp.net[0].proj = Fp8Linear.of(stream.mlp.net[0].proj)
            if (everything or stream is block.text) and not isinstance(stream.mlp.net[2], Fp8Linear):
                stream.mlp.net[2] = Fp8Linear.of(stream.mlp.net[2])
        if not block.in_fp8:
            block.in_fp8 = True
            block.register_buffer("bounds", bounds_of(block.text.norms, block.image.norms))


def half(bench: Bench, transformer: Any, case: Step, others: dict[str, Any]) -> dict[str, Any]:
    """Return the mean milliseconds of a step in a run that computes half of them, recorded."""
    mask = reusing(SCHEDULE)
    transformer.recordings = Recordings.on(bench.device)
    residuals: Residuals = Residuals()

    def run() -> None:
        for step, computed in enumerate(mask):
            case.ours(transformer, step=step, residuals=residuals, reuse=not computed)

    for _ in range(3):
        case.ours(transformer, residuals=residuals)
    figures = bench.timed(run, 1)
    transformer.recordings = None
    free_memory()
    made = {
        "ms": round(figures["ms"] / SCHEDULE, 2),
        "computed": sum(mask) / SCHEDULE,
        "above_weights_gb": figures["above_weights_gb"],
        "ratio": round(others["diffusers"]["ms"] * SCHEDULE / figures["ms"], 3),
    }
    print("half of the steps", json.dumps(made), flush=True)
    return made


OUTLIERS, FACTOR = 8, 100
"""Columns of a layer's input that are so many times as large as the others."""


def layers_in_fp8(bench: Bench) -> dict[str, Any]:
    """Return each layer's error in fp8 against float32, as a part of the answer, and beside it bfloat16's."""
    block: Any = bench.make(partial(full_transformer, blocks=1), partial(make_transformer, True)).transformer_blocks[0]
    scaled = tools_for(bench.device, bench.dtype, 128).scaled
    operations = quantized if scaled is None else scaled.operations
    found: dict[str, Any] = {}
    for name, layer in block.named_modules():
        if not isinstance(layer, nn.Linear) or "mod" in name:
            continue
        narrow = Fp8Linear.of(layer)
        for kind, outliers in (("plain", 0), ("outliers", OUTLIERS)):
            rows = bench.numbers(MANY + 5, layer.in_features)
            rows[:, :outliers] *= FACTOR
            with torch.no_grad():
                wanted = nn.functional.linear(rows.float(), layer.weight.float(), layer.bias.float())
                answers = {
                    "fp8": narrow(operations.quantize(rows)),
                    "weights in fp8": narrow(rows),
                    "bfloat16": layer(rows),
                }
            found.setdefault(name, {})[kind] = {
                way: round(float((answer.float() - wanted).norm() / wanted.norm()), 5)
                for way, answer in answers.items()
            }
    return found


def reserved_gb(device: torch.device) -> float:
    return torch.cuda.memory_reserved(device) / 1e9 if device.type == "cuda" else 0.0


def is_recorded(recordings: Recordings | None) -> bool:
    """Whether every branch's step is a CUDA graph by now."""
    if recordings is None:
        return False
    return all(replay.is_recorded for _, replay in recordings._kept.values())


def both(bench: Bench, transformer: Any, case: Step, others: dict[str, Any], attention: str) -> dict[str, Any]:
    """Return a step's figures on two devices, and whether the branches are what one device gives."""
    wanted = case.ours(transformer)
    transformer.recordings = Recordings.on(bench.device)
    transformer.pair = Pair(transformer, bench.second)
    tools = transformer.tools(bench.device, bench.dtype)
    transformer.pair.second.tools = lambda *_: tools
    for _ in range(4):
        case.ours(transformer.pair)
    figures = bench.timed(partial(case.ours, transformer.pair), warm_s=bench.warm_s)
    differences = [float((a - b).abs().max()) for a, b in zip(case.ours(transformer.pair), wanted, strict=True)]
    recorded = is_recorded(transformer.recordings) and is_recorded(transformer.pair.second.recordings)
    _part(transformer)
    free_memory()
    return {
        "ms": figures["ms"],
        "of_one": round(others[attention]["ms"] / figures["ms"], 3),
        "ratio": round(others["diffusers"]["ms"] / figures["ms"], 3),
        "recorded": recorded,
        "largest_differences": differences,
    }


def captions(bench: Bench) -> dict[str, Any]:
    """Return milliseconds a token, by transformers' `generate` and by ours, and whether the tokens are the same."""
    tokenizer = make_tokenizer()
    encoder = bench.make(lambda: full_text_encoder(tokenizer), lambda: make_text_encoder(tokenizer, 0))
    encoder.generation_config.eos_token_id = []
    encoder.generation_config.repetition_penalty = 1.05
    side = 64 if bench.tiny else 640
    picture = Image.effect_noise((side, side), 80).convert("RGB")
    processor: Any = ImageProcessor(Qwen2VLImageProcessorPil(), tokenizer)
    inputs = processor(text=QUESTION + "what is this?", images=picture, padding=True, return_tensors="pt")
    inputs = inputs.to(bench.device)
    few = min(bench.tokens, 24)

    def theirs() -> list[int]:
        written = encoder.generate(**inputs, max_new_tokens=few, eos_token_id=None)
        return written[0, inputs["input_ids"].shape[1] :].tolist()

    writer = Writer(recorder_of(encoder, bench.device))

    def write(limit: int) -> list[int]:
        return writer.write(encoder, inputs, limit, lambda: None)

    wanted, found = theirs(), write(few)
    prefill = bench.timed(lambda: write(1), 3)
    long, short = bench.timed(lambda: write(bench.tokens), 2), bench.timed(lambda: write(few), 2)
    plain, first = bench.timed(theirs, 2), bench.timed(lambda: encoder(**inputs, logits_to_keep=1), 2)
    return {
        "diffusers_ms_a_token": round((plain["ms"] - first["ms"]) / (few - 1), 2),
        "ms_a_token": round((long["ms"] - short["ms"]) / max(bench.tokens - few, 1), 2),
        "first_token_ms": prefill["ms"],
        "same_tokens": wanted == found,
        "tokens": bench.tokens,
    }


def vae(bench: Bench) -> dict[str, Any]:
    """Return what decoding takes, plain and for one frame, all layers together and one after the other."""
    found: dict[str, Any] = {}
    makers = {name: bench.make(full_vae, lambda: make_vae(True)) for name in ("diffusers", "ours")}
    makers["ours"].load_state_dict(makers["diffusers"].state_dict())
    makers["ours"].__class__ = SingleFrameVae
    makers["ours"].fold()
    for side in (640, 1024):
        cells = 8 if bench.tiny else side // 8
        latents, pixels = bench.numbers(LAYERS, 16, 1, cells, cells), bench.numbers(1, 4, 1, 8 * cells, 8 * cells)
        for name, model in makers.items():
            with torch.no_grad():
                for way, switch in (("together", model.disable_slicing), ("one by one", model.enable_slicing)):
                    switch()
                    model.decode(latents)
                    found[f"{side}, {name}, {way}"] = bench.timed(partial(model.decode, latents))
                model.encode(pixels)
                found[f"{side}, {name}, encode"] = bench.timed(partial(model.encode, pixels))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    wide = [model.float() for model in makers.values()]
    with torch.no_grad():
        plain, flat = (model.decode(bench.numbers(1, 16, 1, 32, 32).float()).sample for model in wide)
    found["largest difference in float32"] = float((plain - flat).abs().max())
    return found


HALVES = {"Q8_0": (0,), "Q6_K": (208,), "Q4_K": (0, 2), "F8_E4M3": (), "F8_E4M3, fast": ()}
"""Types of a file's weights, and where their blocks have numbers in half precision; fast is as `speed` says."""


def packed(bench: Bench) -> dict[str, Any]:
    """Return the figures of a step over weights that stay as a file stores them (`quantized.py`), beside bfloat16."""
    found: dict[str, Any] = {}
    for kind in ("BF16", *HALVES):
        transformer = bench.make(full_transformer, partial(make_transformer, True, head=128))
        if kind in HALVES:
            pack(transformer, kind)
            free_memory()
        transformer.__class__ = Transformer
        transformer.take_apart()
        free_memory()
        weights = round(sum(tensor.nbytes for tensor in tensors_of(transformer)) / 1e9, 2)
        for name in bench.cases:
            layered, side = CASES[name]
            if layered:
                figures = ours(bench, transformer, Step(bench, transformer, layered=layered, side=side))
                found[f"{name}, {kind}"] = {"weights_gb": weights, **figures}
                print(name, kind, json.dumps(found[f"{name}, {kind}"]), flush=True)
        del transformer
        free_memory()
    return found


def pack(transformer: Any, kind: str) -> None:
    """Put random packed weights in the place of those of the blocks."""
    for name, linear in list(transformer.named_modules()):
        if isinstance(linear, nn.Linear) and name.startswith("transformer_blocks."):
            rows, columns = linear.weight.shape
            layer: nn.Module | None = None
            if kind.startswith("F8_E4M3"):
                weight, scale = linear.weight.data.to(torch.float8_e4m3fn), linear.weight.new_ones(1, 1).float()
                if kind.endswith("fast") and is_in_fp8(f"{name}.weight"):
                    layer = Fp8Linear(weight, scale.expand(1, rows).contiguous(), linear.bias.data)
            else:
                shape, scale = packed_shape([rows, columns], kind), None
                weight = torch.randint(0, 256, shape, dtype=torch.uint8, device=linear.weight.device)
                small = torch.tensor([1e-5], dtype=torch.float16, device=weight.device).view(torch.uint8)
                for at in HALVES[kind]:
                    weight.view(-1, PACKED[kind][1])[:, at : at + 2] = small
            parent, _, child = name.rpartition(".")
            setattr(transformer.get_submodule(parent), child, layer or PackedLinear(linear, kind, weight, scale))


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "captions": captions,
    "vae": vae,
    "steps": steps,
    "packed": packed,
    "fp8": layers_in_fp8,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, mps or cpu; by default the best there is")
    parser.add_argument("--second", help="a second device, such as cuda:1")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--warm", type=float, default=8, help="seconds of work before a step is timed")
    parser.add_argument("--fast", action="store_true", help="steps in fp8, and runs that compute half of their steps")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--out", type=Path, help="JSON, written after every part")
    options = parser.parse_args(arguments)
    bench = Bench(options)
    report: dict[str, Any] = {
        "machine": name_device(bench.device),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "tiny": options.tiny,
    }
    for name in options.parts:
        started = time.perf_counter()
        report[name] = PARTS[name](bench)
        report[name]["seconds"] = round(time.perf_counter() - started, 1)
        free_memory()
        print(name, json.dumps(report[name]), flush=True)
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""The device that runs the models, the numbers that their weights are kept in, and how much memory they need."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from typing import Any, Literal, get_args

import psutil
import torch

from llm_dit.errors import DeviceError, InputError, VersionError
from llm_dit.qwen.editors import EDITORS
from llm_dit.qwen.loading.checkpoints import Checkpoint, is_in_fp8, is_modulation
from llm_dit.qwen.loading.single_file import UNPACKING, held_bytes, is_gguf, is_packed, stays_packed
from llm_dit.qwen.placement.plan import APART, FUSED, NONE, PLAIN, Machine, Needs, Rates, Weights

SUPPORTED = ("cuda", "mps", "cpu")
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def choose_device(name: str | None) -> torch.device:
    """Return the device called `name`, or the best there is; raises `DeviceError` when there is none of that name."""
    if name is None:
        return torch.device(next(kind for kind in SUPPORTED if _is_there(kind)))
    kind, _, index = name.partition(":")
    if kind not in SUPPORTED or (index and not index.isdecimal()):
        raise DeviceError("The device must be cuda, mps or cpu; cuda may have a number, as in cuda:1.")
    if not _is_there(kind) or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"torch sees no device {name} here: check the driver and the torch build, or leave it out.")
    return torch.device(name)


def choose_devices(device: str | None, devices: str | None) -> tuple[torch.device, torch.device | None]:
    """Return the device, and a second one where `devices` names two, as "cuda:0,cuda:1" does.

    Raises `InputError` for both arguments at once and for other `devices`, `DeviceError` as `choose_device` does.
    """
    if not devices:
        return choose_device(device), None
    if device:
        raise InputError("Set device or devices, not both.", param="devices")
    names = [name.strip() for name in devices.split(",")]
    if len(names) != 2 or not (_are_two_cards(names) or names == ["cpu", "cpu"]):  # the processor twice is for trying
        raise InputError('devices must name two NVIDIA GPUs by number, as in "cuda:0,cuda:1".', param="devices")
    return choose_device(names[0]), choose_device(names[1])


def _are_two_cards(names: list[str]) -> bool:
    return names[0] != names[1] and all(re.fullmatch(r"cuda:\d+", name) for name in names)


def choose_dtype(wanted: torch.dtype | str | None, device: torch.device) -> torch.dtype:
    """Return the type called `wanted`; raises `InputError` when a model cannot run in it.

    The default is bfloat16, as the checkpoints are stored, on an accelerator, and float32 on a CPU, where it is not
    slower.
    """
    if wanted is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    found = DTYPES.get(wanted) if isinstance(wanted, str) else wanted
    if found is None or found not in DTYPES.values():
        raise InputError(f"torch_dtype is {', '.join(DTYPES)} or left out.", param="torch_dtype")
    return found


def name_device(device: torch.device) -> str:
    """Return what people call the device: "NVIDIA H200", "Apple GPU", "CPU"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU"}.get(device.type, "CPU")


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the used and all bytes of the device's own memory; None for a CPU, and for a device that is lost."""
    if device.type == "cuda":
        try:
            free, total = torch.cuda.mem_get_info(device)
        except RuntimeError:
            return None
        return total - free, total
    if device.type == "mps":
        return torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory()
    return None


def forget_peak(device: torch.device) -> None:
    """Have `peak_memory` tell of what comes from here on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the most bytes that tensors had, and that torch held for them, on a CUDA device; None elsewhere."""
    if device.type != "cuda":
        return None
    return torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)


def measure_machine(device: torch.device) -> Machine:
    """Return the free memory now; what torch holds on the device counts as free, for it is ours to place again."""
    free_host = psutil.virtual_memory().available
    if device.type == "cuda":
        free_device = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        free_device = torch.mps.recommended_max_memory()
    else:
        free_device = free_host
    return Machine(device=device.type, free_device=free_device, free_host=free_host)


def _is_there(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


# Weights in fewer bits: fp8 through torchao, nf4 through bitsandbytes.

Quantization = Literal["fp8", "nf4"]
BYTES_PER_WEIGHT: dict[Quantization, float] = {"fp8": 1.0, "nf4": 0.56}
"""Bytes for a weight and its share of the scales."""
PACKAGES = {"fp8": "torchao", "nf4": "bitsandbytes"}
# The ends of the transformer, a hundredth of its weights, where a small error reaches every pixel.
TRANSFORMER_KEPT = ["img_in", "txt_in", "time_text_embed", "modulation", "norm_out", "proj_out"]
TEXT_ENCODER_KEPT = ["lm_head", "visual"]


@dataclass(frozen=True, kw_only=True)
class QuantizationConfigs:
    """What the libraries' `from_pretrained` take; None leaves the weights as they are."""

    transformer: Any = None
    text_encoder: Any = None


def check_quantization(quantization: str | None, device: torch.device) -> None:
    """Raise `InputError` for a method that there is not, `DeviceError` where it cannot run, or `VersionError`."""
    if quantization is None:
        return
    if quantization not in get_args(Quantization):
        raise InputError('quantization must be None, "fp8" or "nf4".', param="quantization")
    if quantization == "nf4" and device.type != "cuda":
        raise DeviceError('nf4 needs a CUDA device: use quantization="fp8", or none.')
    if find_spec(PACKAGES[quantization]) is None:
        raise VersionError(f"The package {PACKAGES[quantization]} is missing: run `llm-dit install quantization`.")


def quantization_configs(quantization: Quantization | None, dtype: torch.dtype) -> QuantizationConfigs:
    """Return the configurations for both models.

    fp8: weights as 8-bit floats with a scale for each row, computing in `dtype` (weight-only, so that it needs no
    compiling). nf4: 4-bit normal floats in blocks of 64, with scales quantized too (Dettmers et al., "QLoRA", 2023).
    """
    if quantization is None:
        return QuantizationConfigs()
    if quantization == "fp8":
        return _fp8()
    return _nf4(dtype)


def _fp8() -> QuantizationConfigs:
    from diffusers import TorchAoConfig
    from torchao.quantization import Float8WeightOnlyConfig
    from transformers import TorchAoConfig as TextTorchAoConfig

    return QuantizationConfigs(
        transformer=TorchAoConfig(Float8WeightOnlyConfig(), modules_to_not_convert=TRANSFORMER_KEPT),
        text_encoder=TextTorchAoConfig(Float8WeightOnlyConfig(), modules_to_not_convert=TEXT_ENCODER_KEPT),
    )


def _nf4(dtype: torch.dtype) -> QuantizationConfigs:
    from diffusers import BitsAndBytesConfig
    from transformers import BitsAndBytesConfig as TextBitsAndBytesConfig

    options: dict[str, Any] = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": dtype,
    }
    return QuantizationConfigs(
        transformer=BitsAndBytesConfig(**options, llm_int8_skip_modules=TRANSFORMER_KEPT),
        text_encoder=TextBitsAndBytesConfig(**options, llm_int8_skip_modules=TEXT_ENCODER_KEPT),
    )


# How much memory the parts of checkpoints take once they are loaded, read from their headers.

OVER_TIME = "time_conv"
"""What halves or doubles a VAE's number of frames; the first frame passes it by."""


def weigh(
    checkpoints: Sequence[Checkpoint],
    dtype: torch.dtype,
    quantization: Quantization | None,
    *,
    fused: bool,
    encoders: int | None = None,
    numbers_of_loras: int = 0,
    in_fp8: bool = False,
) -> Weights:
    """Return what a plan has to place; `encoders` is how many text encoders there are, by default one each.

    With `in_fp8` the linear layers of the transformers that can be are in fp8 (`llm_dit.qwen.forward.quantized`).
    """
    each = BYTES_PER_WEIGHT[quantization] if quantization else dtype.itemsize

    weights = Weights(
        transformers=tuple(
            _transformer_bytes(checkpoint, dtype, each, in_fp8=in_fp8 and can_be_fp8(checkpoint))
            for checkpoint in checkpoints
        ),
        text_encoders=tuple(int(checkpoint.parameters("text_encoder") * each) for checkpoint in checkpoints)[:encoders],
        vaes=sum(checkpoint.parameters("vae") for checkpoint in checkpoints) * dtype.itemsize,
        loras=numbers_of_loras * dtype.itemsize,
        blocks=checkpoints[0].transformer_blocks,
        rates=_rates([each for each in checkpoints if _needs(each) is None], fused=fused, in_fp8=in_fp8),
        needs=tuple(needs for needs in map(_needs, checkpoints) if needs),
    )
    if not fused:
        return weights
    # Quantized weights are moved by accelerate, the modulation with the rest of the transformer.
    apart = tuple(_modulation_bytes(each, dtype) for each in checkpoints) if quantization is None else ()
    return replace(
        weights,
        modulations=apart,
        vaes=sum(folded_parameters(checkpoint.shapes("vae")) for checkpoint in checkpoints) * dtype.itemsize,
    )


def _transformer_bytes(checkpoint: Checkpoint, dtype: torch.dtype, each: float, *, in_fp8: bool) -> int:
    if checkpoint.file is None:
        return int(checkpoint.parameters("transformer") * each) - (narrowed_bytes(checkpoint, dtype) if in_fp8 else 0)
    narrow = {tensor.name: tensor.shape for tensor in checkpoint.file.tensors if in_fp8 and is_in_fp8(tensor.name)}
    scales = sum(scale.size for name, scale in checkpoint.file.scales.items() if name not in narrow)
    others = sum(held_bytes(tensor, dtype.itemsize) for tensor in checkpoint.file.tensors if tensor.name not in narrow)
    return scales + others + sum(map(_fp8_bytes, narrow.values()))


def _modulation_bytes(checkpoint: Checkpoint, dtype: torch.dtype) -> int:
    if checkpoint.file is None:
        return modulation_parameters(checkpoint) * dtype.itemsize
    return sum(held_bytes(each, dtype.itemsize) for each in checkpoint.file.tensors if is_modulation(each.name))


def _needs(checkpoint: Checkpoint) -> Needs | None:
    """Return what an edit model says of what its runs take."""
    editor = EDITORS.get(checkpoint.pipeline)
    return editor.needs if editor else None


def can_be_fp8(checkpoint: Checkpoint) -> bool:
    """Whether a transformer's layers are in fp8 where that is asked for.

    Those of a GGUF file stay as they are: they would be rounded twice. A model that brings its own forward has no fp8.
    """
    return _needs(checkpoint) is None and (checkpoint.file is None or not is_gguf(checkpoint.file.path))


def _rates(checkpoints: Sequence[Checkpoint], *, fused: bool, in_fp8: bool) -> Rates:
    """Return what runs take besides weights; where Q, K and V stay packed they come one by one."""
    if not checkpoints:
        return NONE
    rates = FUSED if fused else PLAIN
    unpacking = max(_unpacking_bytes(each, in_fp8=in_fp8 and can_be_fp8(each)) for each in checkpoints)
    if any(is_packed(each) and not (in_fp8 and can_be_fp8(each)) for each in checkpoints):
        rates = replace(rates, denoising=rates.denoising + APART)
    return replace(rates, unpacking=unpacking)


def _unpacking_bytes(checkpoint: Checkpoint, *, in_fp8: bool) -> int:
    """Return what the largest weight takes while it is unpacked; its numbers, and what leads to them."""
    tensors = checkpoint.file.tensors if checkpoint.file else ()
    packed = (each for each in tensors if stays_packed(each) and not (in_fp8 and is_in_fp8(each.name)))
    return UNPACKING * max((prod(tensor.shape) for tensor in packed if not is_modulation(tensor.name)), default=0)


def narrowed_bytes(checkpoint: Checkpoint, dtype: torch.dtype) -> int:
    """Return how much less a transformer takes with its linear layers in fp8; each row has a scale."""
    shapes = [shape for name, shape in checkpoint.shapes("transformer").items() if is_in_fp8(name)]
    return sum(prod(shape) * dtype.itemsize - _fp8_bytes(shape) for shape in shapes)


def _fp8_bytes(shape: Sequence[int]) -> int:
    """Return what a weight takes in fp8, with a scale for each row."""
    return prod(shape) * torch.float8_e4m3fn.itemsize + shape[0] * torch.float32.itemsize


def describe_forward(quantization: Quantization | None, *, fused: bool, packed: bool = False) -> str:
    """Return what runs a model, and why not more of what is ours; `packed` is of one whose weights stay packed."""
    if not fused:
        return "plain diffusers, for fused = false"
    ours = "our own denoising loop and blocks, captions over a static cache, the VAE for one frame"
    if packed:
        return f"{ours}; Q, K and V not joined: a file's weights stay packed"
    if quantization is None:
        return f"{ours}; Q, K and V joined, modulation once a schedule and apart"
    return f"{ours}; Q, K and V not joined and modulation not apart: quantized weights move whole"


def modulation_parameters(checkpoint: Checkpoint) -> int:
    """Return how many numbers the transformer's modulation has."""
    shapes = checkpoint.shapes("transformer").items()
    return sum(prod(shape) for name, shape in shapes if is_modulation(name))


def folded_parameters(shapes: dict[str, list[int]]) -> int:
    """Return how many numbers `SingleFrameVae` keeps of weights with these names and shapes."""
    return sum(
        prod(shape) // shape[2] if len(shape) == 5 else prod(shape)
        for name, shape in shapes.items()
        if OVER_TIME not in name.split(".")
    )

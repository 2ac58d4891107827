"""The device that runs the models, the number types of their weights, their memory, and failures in words."""

# diffusers exports its names lazily, which pyright cannot resolve.
# pyright: reportPrivateImportUsage=false

import errno
import gc
import logging
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from typing import Any, Literal, get_args

import psutil
import torch
from safetensors import SafetensorError

from llm_dit.errors import (
    DeviceError,
    DeviceLostError,
    DiskFullError,
    EngineError,
    InputError,
    NonFiniteOutputError,
    OutOfMemoryError,
    VersionError,
    WeightsError,
)
from llm_dit.qwen.editors import EDITORS
from llm_dit.qwen.loading.checkpoints import Checkpoint, is_in_fp8, is_modulation
from llm_dit.qwen.loading.single_file import UNPACKING, held_bytes, is_gguf, is_packed, stays_packed
from llm_dit.qwen.placement.plan import APART, FUSED, NONE, PLAIN, Machine, Needs, Rates, Weights

SUPPORTED = ("cuda", "mps", "cpu")
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def choose_device(name: str | None) -> torch.device:
    """Return the device `name`, or by default the best one; raises `DeviceError` if it does not exist."""
    if name is None:
        return torch.device(next(kind for kind in SUPPORTED if _is_there(kind)))
    kind, _, index = name.partition(":")
    if kind not in SUPPORTED or (index and not index.isdecimal()):
        raise DeviceError("The device must be cuda, mps or cpu; cuda may have a number, as in cuda:1.")
    if not _is_there(kind) or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"torch sees no device {name} here: check the driver and the torch build, or leave it out.")
    return torch.device(name)


def choose_devices(device: str | None, devices: str | None) -> tuple[torch.device, torch.device | None]:
    """Return the device, and a second one if `devices` names two, such as "cuda:0,cuda:1".

    Raises `InputError` for both arguments together and for other `devices`, `DeviceError` as `choose_device` does.
    """
    if not devices:
        return choose_device(device), None
    if device:
        raise InputError("Set device or devices, not both.", param="devices")
    names = [name.strip() for name in devices.split(",")]
    if len(names) != 2 or not (_are_two_cards(names) or names == ["cpu", "cpu"]):  # "cpu,cpu" is for tests
        raise InputError('devices must name two NVIDIA GPUs by number, as in "cuda:0,cuda:1".', param="devices")
    return choose_device(names[0]), choose_device(names[1])


def _are_two_cards(names: list[str]) -> bool:
    return names[0] != names[1] and all(re.fullmatch(r"cuda:\d+", name) for name in names)


def choose_dtype(wanted: torch.dtype | str | None, device: torch.device) -> torch.dtype:
    """Return the type `wanted`; raises `InputError` if a model cannot run in it.

    The default is bfloat16, the type of the checkpoints, on an accelerator, and float32 on a CPU, where it is no
    slower.
    """
    if wanted is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    found = DTYPES.get(wanted) if isinstance(wanted, str) else wanted
    if found is None or found not in DTYPES.values():
        raise InputError(f"torch_dtype is {', '.join(DTYPES)} or left out.", param="torch_dtype")
    return found


def name_device(device: torch.device) -> str:
    """Return the device's display name: "NVIDIA H200", "Apple GPU", "CPU"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU"}.get(device.type, "CPU")


def device_memory(device: torch.device) -> tuple[int, int] | None:
    """Return used and total bytes of the device's own memory; None for a CPU or a lost device."""
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
    """Restart the measurement of `peak_memory`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> tuple[int, int] | None:
    """Return the peaks of allocated and reserved bytes on a CUDA device; None elsewhere."""
    if device.type != "cuda":
        return None
    return torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)


def measure_machine(device: torch.device) -> Machine:
    """Return the free memory now; memory that torch holds on the device counts as free, because we can reuse it."""
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


# Quantized weights: fp8 through torchao, nf4 through bitsandbytes.

Quantization = Literal["fp8", "nf4"]
BYTES_PER_WEIGHT: dict[Quantization, float] = {"fp8": 1.0, "nf4": 0.56}
"""Bytes per weight, including its share of the scales."""
PACKAGES = {"fp8": "torchao", "nf4": "bitsandbytes"}
# The transformer's first and last layers, 1 % of its weights, where a small error affects every pixel.
TRANSFORMER_KEPT = ["img_in", "txt_in", "time_text_embed", "modulation", "norm_out", "proj_out"]
TEXT_ENCODER_KEPT = ["lm_head", "visual"]


@dataclass(frozen=True, kw_only=True)
class QuantizationConfigs:
    """The arguments for the libraries' `from_pretrained`; None leaves the weights unquantized."""

    transformer: Any = None
    text_encoder: Any = None


def check_quantization(quantization: str | None, device: torch.device) -> None:
    """Raise `InputError` for an unknown method, `DeviceError` if it cannot run, `VersionError` without its package."""
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

    fp8: weights as 8-bit floats with a scale per row, computing in `dtype` (weight-only, so that it needs no
    compilation). nf4: 4-bit normal floats in blocks of 64, with scales quantized too (Dettmers et al., "QLoRA", 2023).
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


# Memory of the loaded parts of checkpoints, computed from their headers.

OVER_TIME = "time_conv"
"""Convolutions that halve or double a VAE's number of frames; the first frame bypasses them."""


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
    """Return what a plan has to place; `encoders` is the number of text encoders, by default one each.

    With `in_fp8` the transformers' linear layers are in fp8 where possible (`llm_dit.qwen.forward.quantized`).
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
    # Accelerate moves quantized weights, with the modulation as a part of the transformer.
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
    """Return the needs that an edit model states for its runs."""
    editor = EDITORS.get(checkpoint.pipeline)
    return editor.needs if editor else None


def can_be_fp8(checkpoint: Checkpoint) -> bool:
    """Whether a transformer's layers are converted to fp8 on request.

    Those of a GGUF file are not, because they would be rounded twice. A model with its own forward has no fp8.
    """
    return _needs(checkpoint) is None and (checkpoint.file is None or not is_gguf(checkpoint.file.path))


def _rates(checkpoints: Sequence[Checkpoint], *, fused: bool, in_fp8: bool) -> Rates:
    """Return the rates of working memory; packed Q, K and V are computed one by one."""
    if not checkpoints:
        return NONE
    rates = FUSED if fused else PLAIN
    unpacking = max(_unpacking_bytes(each, in_fp8=in_fp8 and can_be_fp8(each)) for each in checkpoints)
    if any(is_packed(each) and not (in_fp8 and can_be_fp8(each)) for each in checkpoints):
        rates = replace(rates, denoising=rates.denoising + APART)
    return replace(rates, unpacking=unpacking)


def _unpacking_bytes(checkpoint: Checkpoint, *, in_fp8: bool) -> int:
    """Return the bytes for unpacking the largest weight: its numbers and intermediate results."""
    tensors = checkpoint.file.tensors if checkpoint.file else ()
    packed = (each for each in tensors if stays_packed(each) and not (in_fp8 and is_in_fp8(each.name)))
    return UNPACKING * max((prod(tensor.shape) for tensor in packed if not is_modulation(tensor.name)), default=0)


def narrowed_bytes(checkpoint: Checkpoint, dtype: torch.dtype) -> int:
    """Return the bytes that a transformer saves with its linear layers in fp8, with a scale per row."""
    shapes = [shape for name, shape in checkpoint.shapes("transformer").items() if is_in_fp8(name)]
    return sum(prod(shape) * dtype.itemsize - _fp8_bytes(shape) for shape in shapes)


def _fp8_bytes(shape: Sequence[int]) -> int:
    """Return the bytes of a weight in fp8, with a scale per row."""
    return prod(shape) * torch.float8_e4m3fn.itemsize + shape[0] * torch.float32.itemsize


def describe_forward(quantization: Quantization | None, *, fused: bool, packed: bool = False) -> str:
    """Describe what runs a model, and why some of our parts do not; `packed`: its weights stay packed."""
    if not fused:
        return "plain diffusers, for fused = false"
    ours = "our own denoising loop and blocks, captions over a static cache, the VAE for one frame"
    if packed:
        return f"{ours}; Q, K and V not joined: a file's weights stay packed"
    if quantization is None:
        return f"{ours}; Q, K and V joined, modulation once a schedule and apart"
    return f"{ours}; Q, K and V not joined and modulation not apart: quantized weights move whole"


def modulation_parameters(checkpoint: Checkpoint) -> int:
    """Return the number of parameters of the transformer's modulation."""
    shapes = checkpoint.shapes("transformer").items()
    return sum(prod(shape) for name, shape in shapes if is_modulation(name))


def folded_parameters(shapes: dict[str, list[int]]) -> int:
    """Return how many parameters `SingleFrameVae` keeps of weights with these names and shapes."""
    return sum(
        prod(shape) // shape[2] if len(shape) == 5 else prod(shape)
        for name, shape in shapes.items()
        if OVER_TIME not in name.split(".")
    )


# Failures: errors of torch, of packages and of the disk become errors that say what to do next.

OUT_OF_MEMORY = (
    "The device has too little memory for this run: use fewer layers, resolution 640 or cpu_offload=True, or close "
    "other programs on the device."
)
DEVICE_LOST = "The device failed during this run, and the engine restarts: send the job again."
OUT_OF_RANGE = "The model's numbers left their range: use bfloat16 instead of float16, or a lower cfg_scale."

# Torch's messages for each failure. CUDA's own errors are "sticky": every later call in the process fails too.
_NO_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_NO_DEVICE = (
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "not compiled with CUDA",
    "no kernel image is available",
    "invalid device ordinal",
)
_LOST_DEVICE = (
    "CUDA error",
    "HIP error",
    "device-side assert",
    "an illegal memory access",
    "unspecified launch failure",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "uncorrectable ECC",
)
_NO_NUMBER = ("probability tensor contains either",)

INSTALL = "run `llm-dit install qwen`."


logger = logging.getLogger(__name__)


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn known failures in the context into an `EngineError` with advice; other errors pass unchanged.

    The original error is logged and loses its traceback, whose frames hold the run's tensors. Then the device's cache
    is emptied, and the pipeline is ready for the next call, except after `DeviceLostError`.
    """
    try:
        yield
    except Exception as error:
        failure = _name(error)
        if failure is None:
            raise
        logger.warning("%s", failure.message, exc_info=error)
        _forget_frames(error)
        if not isinstance(failure, DeviceLostError):  # memory of a lost device cannot be freed
            free_memory()
        raise failure from None


def _name(error: Exception) -> EngineError | None:
    match error:
        case torch.OutOfMemoryError() | MemoryError():
            return OutOfMemoryError(OUT_OF_MEMORY)
        case SafetensorError():
            return WeightsError("A weights file is damaged: download the checkpoint again.")
        case ImportError():
            return VersionError(f"The package {error.name or 'that is needed'} is missing or too old: {INSTALL}")
        case OSError():
            return _of_disk(error)
        case RuntimeError():
            return _of_device(error)
        case _:
            return None


def _forget_frames(error: BaseException | None) -> None:
    """Clear the local variables in an error's frames; the code that re-raises the error still holds the frames."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__context__


def free_memory() -> None:
    """Release unreferenced memory, on the host and on the device."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()


def _of_disk(error: OSError) -> EngineError | None:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            "The disk is full: free some space or set HF_HOME to a larger disk; the partial download is kept."
        )
    if error.errno == errno.ENOMEM:
        return OutOfMemoryError(OUT_OF_MEMORY)
    return None


def _of_device(error: RuntimeError) -> EngineError | None:
    """Classify by the message, because torch raises plain RuntimeErrors for memory and drivers."""
    text = str(error)
    if any(sign in text for sign in _NO_MEMORY):
        return OutOfMemoryError(OUT_OF_MEMORY)
    if any(sign in text for sign in _NO_DEVICE):
        return DeviceError("This device is not available here: check the driver, or leave `device` out.")
    if isinstance(error, torch.AcceleratorError) or any(sign in text for sign in _LOST_DEVICE):
        return DeviceLostError(DEVICE_LOST)
    if any(sign in text for sign in _NO_NUMBER):
        return NonFiniteOutputError(OUT_OF_RANGE)
    return None

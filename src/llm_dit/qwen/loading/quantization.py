"""Weights in fewer bits: fp8 through torchao, nf4 through bitsandbytes."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import torch

from llm_dit.errors import DeviceError, InputError, VersionError

Quantization = Literal["fp8", "nf4"]
BYTES_PER_WEIGHT: dict[Quantization, float] = {"fp8": 1.0, "nf4": 0.56}
"""Bytes for a weight and its share of the scales."""
PACKAGES = {"fp8": "torchao", "nf4": "bitsandbytes"}
# The ends of the transformer, a hundredth of its weights, where a small error reaches every pixel.
TRANSFORMER_KEPT = ["img_in", "txt_in", "time_text_embed", "norm_out", "proj_out"]
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
        raise InputError('quantization is None, "fp8" or "nf4".', param="quantization")
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

"""One-file transformers as other programs write them: GGUF, and safetensors with fp8 weights and their scales."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray
from safetensors.torch import save_file

Weights = Mapping[str, torch.Tensor]
Blocks = NDArray[np.uint8]
HALVES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q5_K": (0, 2), "Q6_K": (208,)}
"""Where blocks that gguf cannot write have their numbers in half precision."""


def write_gguf(file: Path, weights: Weights, kind: Callable[[str], str], architecture: str = "qwen_image") -> Weights:
    """Write matrices as the type that `kind` gives by name, what is small as it is; returns what a reader gets."""
    writer: Any = gguf.GGUFWriter(file, architecture)
    read: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        values = tensor.float().numpy()
        chosen = kind(name) if values.ndim == 2 and values.shape[1] % 256 == 0 else "F32"
        code = gguf.GGMLQuantizationType[chosen]
        stored = pack(values, chosen)
        writer.add_tensor(name, stored, raw_dtype=code)
        read[name] = torch.from_numpy(dequantize(stored, code).reshape(values.shape).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return read


def pack(values: NDArray[np.float32], kind: str) -> NDArray[Any]:
    """Return a matrix in blocks of a type, (rows, bytes of a row)."""
    if kind == "Q4_K":
        return pack_q4_k(values)
    if kind in HALVES:
        return invent(values, kind)
    return quantize(values, gguf.GGMLQuantizationType[kind])


def pack_q4_k(values: NDArray[np.float32]) -> Blocks:
    """Blocks of 256: two scales in half precision, 8 × 6 bits of scale and of least value, 256 × 4 bits."""
    groups = values.reshape(-1, 8, 32)
    least = np.maximum(-groups.min(axis=2), 0)
    scale = (groups.max(axis=2) + least) / 15
    coarse = (np.stack([scale.max(axis=1), least.max(axis=1)], axis=1) / 63).astype(np.float16)
    steps = [np.rint(part / np.maximum(coarse[:, i : i + 1], 1e-7)) for i, part in enumerate((scale, least))]
    scales, leasts = (np.clip(part, 0, 63).astype(np.uint8) for part in steps)
    fine, low = (part[..., None] * coarse[:, i, None, None] for i, part in enumerate((scales, leasts)))
    numbers = np.clip(np.rint((groups + low) / np.maximum(fine, 1e-7)), 0, 15).astype(np.uint8)
    first, last = scales[:, :4] | scales[:, 4:] >> 4 << 6, leasts[:, :4] | leasts[:, 4:] >> 4 << 6
    both = (scales[:, 4:] & 15) | leasts[:, 4:] << 4
    nibbles = numbers[:, 0::2] | numbers[:, 1::2] << 4
    parts = [coarse.view(np.uint8), first, last, both, nibbles.reshape(len(groups), -1)]
    return np.concatenate(parts, axis=1).reshape(len(values), -1)


def invent(values: NDArray[np.float32], kind: str) -> Blocks:
    """Return blocks of any bits, with scales that make numbers of about the size of `values`."""
    numbers, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    draw = np.random.default_rng(values.size)
    blocks = draw.integers(0, 256, (values.size // numbers, size), dtype=np.uint8)
    for at in HALVES[kind]:
        blocks[:, at : at + 2] = np.full((len(blocks), 1), values.std() / 1000, np.float16).view(np.uint8)
    return blocks.reshape(len(values), -1)


class Fp8(NamedTuple):
    """A way to write fp8: what its scale is called, of which kind it is, and whether each row has a scale."""

    scale: str = ""
    kind: torch.dtype = torch.float8_e4m3fn
    by_row: bool = False


FP8 = {
    "without": Fp8(),
    "before": Fp8("scale_weight"),
    "now": Fp8("weight_scale"),
    "by rows": Fp8("weight_scale", by_row=True),
    "of 5 bits": Fp8("weight_scale", torch.float8_e5m2),
}


def write_fp8(file: Path, weights: Weights, way: Callable[[str], str], *, prefix: str = "") -> Weights:
    """Write matrices in the way of `FP8` that `way` gives by name, the rest in bf16; returns what a reader gets."""
    written = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    read = dict[str, torch.Tensor]()
    for name, tensor in weights.items():
        if tensor.ndim < 2:
            written[name] = tensor.bfloat16()
            read[name] = written[name].float()
            continue
        scale, kind, by_row = FP8[way(name)]
        most = tensor.abs().amax(1, keepdim=True) if by_row else tensor.abs().amax()
        factor = most / torch.finfo(kind).max if scale else torch.ones(())
        written[name] = (tensor / factor).to(kind)
        read[name] = written[name].float() * factor
        if scale:
            layer = name.removesuffix(".weight")
            written[f"{layer}.{scale}"] = factor.float()
            written[f"{layer}.input_scale"] = torch.ones(())
            written[f"{layer}.comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    save_file({prefix + name: tensor.contiguous() for name, tensor in written.items()}, file)
    return read

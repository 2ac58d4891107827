"""Linear layers with quantized weights: in fp8, or packed as a file stores them.

An fp8 product takes 8-bit weights and 8-bit activations. A number is e4m3: 4 bits of exponent, 3 of mantissa, at most
448, so its relative error is at most 3.6 %, and half of that on average. Weights have a scale per output, activations
one per row, so an outlier affects its own row only (row-wise scales, as in torchao's `PerRow`). If a device has no fp8
products the weights are widened before each product, which saves memory but not time.

The functions are torch's own operations; `kernels.py` has each in one pass over memory.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.operations import Half, Norms, Rows
from llm_dit.qwen.loading.checkpoints import NOT_IN_FP8, is_in_fp8
from llm_dit.qwen.loading.single_file import PACKED

FP8 = torch.float8_e4m3fn
MOST = torch.finfo(FP8).max
FEW = 64
"""Rows below which products accumulate at full precision: cuBLAS has not all faster ones (none for 32 × 12288)."""
ALIGNED = 16
"""Alignment in bytes that cuBLAS requires for scales."""
LEAST = 1e-12
"""The least scale, for rows of zeros."""


@dataclass(frozen=True)
class Scaled:
    """Rows in fp8 (count, width), and their scales (count, 1) in float32."""

    rows: torch.Tensor
    scales: torch.Tensor

    def __getitem__(self, part: slice) -> "Scaled":
        return Scaled(self.rows[part], self.scales[part])

    def wide(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the dequantized rows."""
        return (self.rows.float() * self.scales).to(dtype)


def quantize(rows: torch.Tensor, *, gelu: bool = False) -> Scaled:
    """Return rows (count, width) in fp8; with `gelu`, after GELU in its tanh approximation."""
    wide = rows.float()
    if gelu:
        wide = functional.gelu(wide, approximate="tanh")
    scales = wide.abs().amax(dim=-1, keepdim=True).clamp(min=LEAST) / MOST
    return Scaled((wide / scales).clamp(-MOST, MOST).to(FP8), scales)


def norm(branch: Rows, half: Half, eps: float) -> Scaled:
    """As `operations.norm`, in fp8."""
    return quantize(operations.norm(branch, half, eps)[0])


def turn(
    joint: torch.Tensor, branch: Rows, text: Norms, image: Norms, bounds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `operations.turn`, in fp8: return Q, K and V like `joint`, and their scales (3, heads).

    `bounds` (2,) are upper bounds of |Q| and |K|.
    """
    operations.turn(joint, branch, text, image)
    largest = largest_of(joint[0, :, 2], bounds, joint[0, :, 2].abs().amax(dim=(0, 2)))
    scales = largest / MOST
    shrunk = joint.float() / scales[:, :, None]
    return shrunk.clamp(-MOST, MOST).to(FP8), scales


def largest_of(value: torch.Tensor, bounds: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the bounds of each head's |Q|, |K| and |V|, (3, heads); `found` has those of V, (rows, heads, width)."""
    heads = value.shape[1]
    return torch.cat([bounds[:, None].expand(2, heads), found[None].float()]).clamp(min=LEAST)


def bounds_of(text: Iterable[Any], image: Iterable[Any]) -> torch.Tensor:
    """Return upper bounds of |Q| and |K| after these norms, (2,).

    A normalized row has length √width before the norm's weights, and RoPE preserves it.
    """
    pairs = zip(text, image, strict=True)
    return torch.stack(
        [
            torch.stack([norm.weight.abs().max() * len(norm.weight) ** 0.5 for norm in norms]).max().float()
            for norms in pairs
        ]
    )


class ScaledOperations(Protocol):
    """The interface of this module's operations and those of `kernels.py`."""

    def quantize(self, rows: torch.Tensor, *, gelu: bool = False) -> Scaled: ...

    def norm(self, branch: Rows, half: Half, eps: float) -> Scaled: ...

    def turn(
        self, joint: torch.Tensor, branch: Rows, text: Norms, image: Norms, bounds: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


ScaledAttend = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes the result of `turn`; returns (1, rows, heads, width) in bfloat16."""


@dataclass(frozen=True, kw_only=True)
class ScaledTools:
    """The implementations for fp8; if `attend` is None the attention is not quantized."""

    operations: ScaledOperations
    attend: ScaledAttend | None = None


def multiply(
    rows: Scaled, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the product of fp8 rows and fp8 weights, (count, outputs), in the bias's type."""
    if rows.rows.is_cuda:
        options: dict[str, Any] = {"bias": bias, "out_dtype": bias.dtype, "use_fast_accum": len(rows.rows) >= FEW}
        if out is not None:
            options["out"] = out
        # The scales of the image's rows follow those of the text's, which may be any number.
        scales = rows.scales if rows.scales.data_ptr() % ALIGNED == 0 else rows.scales.clone()
        scaled_mm: Any = torch._scaled_mm  # pyright: ignore[reportPrivateImportUsage]
        return scaled_mm(rows.rows, weight.t(), scales, scale, **options)
    made = ((rows.rows.float() @ weight.float().t()) * rows.scales * scale + bias.float()).to(bias.dtype)
    return made if out is None else out.copy_(made)


class Fp8Linear(nn.Module):
    """A linear layer in fp8: `weight` (outputs, inputs), `scale` (1, outputs) in float32, `bias` unquantized."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = weight.shape

    @classmethod
    def of(cls, layer: nn.Linear) -> "Fp8Linear":
        """Return the layer in fp8; on the meta device, an empty one."""
        if layer.weight.is_meta:
            scale = layer.weight.new_empty(1, layer.out_features, dtype=torch.float32)
            return cls(layer.weight.data.to(FP8), scale, layer.bias.data)
        return cls(*quantize_weight(layer.weight.data), layer.bias.data)

    @classmethod
    def joined(cls, layers: Sequence["Fp8Linear"]) -> "Fp8Linear":
        """Return one layer for several layers with the same input."""
        weight = torch.cat([each.weight.data.view(torch.uint8) for each in layers]).view(FP8)
        scale = torch.cat([each.scale.data for each in layers], dim=1)
        return cls(weight, scale, torch.cat([each.bias.data for each in layers]))

    def forward(
        self, rows: torch.Tensor | Scaled, out: torch.Tensor | None = None, _operations: Any = None
    ) -> torch.Tensor:
        """Return (…, outputs) for rows (…, inputs), written to `out` if given; `Scaled` rows are used as they are."""
        if isinstance(rows, Scaled):
            return multiply(rows, self.weight, self.scale, self.bias, out)
        wide = unpack(self.weight, "F8_E4M3", rows.dtype, self.scale)
        made = functional.linear(rows, wide, self.bias)
        return made if out is None else out.copy_(made)


def quantize_weight(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a weight (outputs, inputs) in fp8 with its scales (1, outputs)."""
    made = quantize(weight)
    return made.rows, made.scales.t().contiguous()


def put_in_fp8(transformer: nn.Module, kept: Sequence[str] = NOT_IN_FP8) -> None:
    """Convert the linear layers of diffusers' blocks to fp8, one by one."""
    layers = [
        (name, layer)
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and is_in_fp8(f"{name}.weight", kept)
    ]
    for name, layer in layers:
        owner, _, last = name.rpartition(".")
        setattr(transformer.get_submodule(owner), last, Fp8Linear.of(layer))


# Weights that stay as a file stores them and are unpacked for each product.
#
# Their tensors are plain, so that every placement can move them. The block layouts of GGUF's types are in
# https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.


class PackedLinear(nn.Module):
    """A linear layer over `weight` as stored: the bytes of a GGUF type's blocks, or 8-bit floats.

    Floats have a `scale` in float32, one for all, (1, 1), or one per row, (rows, 1).
    """

    weight: torch.Tensor
    scale: torch.Tensor | None

    def __init__(self, linear: nn.Linear, kind: str, weight: torch.Tensor, scale: torch.Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features, self.kind = linear.in_features, linear.out_features, kind
        self.register_buffer("weight", weight)
        self.register_buffer("scale", None if scale is None else scale.float().reshape(-1, 1))
        self.bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the products of rows (…, in_features), in their type."""
        return functional.linear(rows, unpack(self.weight, self.kind, rows.dtype, self.scale), self.bias)


def packed_shape(shape: list[int], kind: str) -> list[int]:
    """Return the shape of the bytes that hold a weight of `shape`."""
    numbers, size = PACKED[kind]
    return [*shape[:-1], shape[-1] // numbers * size]


def unpack(weight: torch.Tensor, kind: str, dtype: torch.dtype, scale: torch.Tensor | None = None) -> torch.Tensor:
    """Return the dequantized weight, rounded once to `dtype`: from the bytes of GGUF blocks, or scaled floats."""
    if kind not in PACKED:
        # The 16-bit types represent every 8-bit float exactly.
        wide = weight.to(dtype)
        if scale is None:
            return wide
        by_row = scale.float().reshape(-1, *[1] * (weight.ndim - 1))
        return torch.mul(wide, by_row, out=torch.empty_like(wide))
    numbers, size = PACKED[kind]
    parts = READERS[kind](weight.reshape(-1, size))
    out = torch.empty(parts.steps.shape, dtype=dtype, device=weight.device)
    if parts.least is None:
        torch.mul(parts.steps, parts.scale, out=out)
    else:
        torch.add(parts.steps * parts.scale, parts.least, out=out)
    return out.view(*weight.shape[:-1], weight.shape[-1] // size * numbers)


class _Parts(NamedTuple):
    """Blocks as quantized steps (blocks, groups, numbers), with scale and minimum (blocks, groups, 1) in float32."""

    steps: torch.Tensor
    scale: torch.Tensor
    least: torch.Tensor | None = None


def _halves(blocks: torch.Tensor, start: int) -> torch.Tensor:
    """Return the half-precision number at byte `start` of each block, (blocks, 1, 1)."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float().unsqueeze(-1)


def _spread(content: torch.Tensor, bits: int, count: int, width: int) -> torch.Tensor:
    """Return `count` numbers of each byte, the lowest bits first, (blocks, groups of bytes, count, width)."""
    # Created on the device: a copy from the host would block and cannot be recorded.
    shifts = torch.arange(0, bits * count, bits, dtype=torch.uint8, device=content.device)
    return (content.view(len(content), -1, 1, width) >> shifts.view(-1, 1)) & (2**bits - 1)


def _signed(steps: torch.Tensor, zero: int) -> torch.Tensor:
    return steps.view(torch.int8).sub_(zero)


def _read_q8_0(blocks: torch.Tensor) -> _Parts:
    return _Parts(blocks[:, None, 2:].contiguous().view(torch.int8), _halves(blocks, 0))


def _small(blocks: torch.Tensor, start: int, *, fifth: bool) -> torch.Tensor:
    """Return 32 numbers of 4 bits from byte `start`, or of 5 bits, whose highest bits precede them."""
    steps = _spread(blocks[:, start + 4 * fifth :].contiguous(), 4, 2, 16).reshape(-1, 1, 32)
    if fifth:
        high = _spread(blocks[:, start : start + 4].contiguous(), 1, 8, 4)  # (…, bit, byte)
        steps |= high.transpose(2, 3).reshape(-1, 1, 32) << 4
    return steps


def _read_q4_0(blocks: torch.Tensor) -> _Parts:
    return _Parts(_signed(_small(blocks, 2, fifth=False), 8), _halves(blocks, 0))


def _read_q4_1(blocks: torch.Tensor) -> _Parts:
    return _Parts(_small(blocks, 4, fifth=False), _halves(blocks, 0), _halves(blocks, 2))


def _read_q5_0(blocks: torch.Tensor) -> _Parts:
    return _Parts(_signed(_small(blocks, 2, fifth=True), 16), _halves(blocks, 0))


def _read_q5_1(blocks: torch.Tensor) -> _Parts:
    return _Parts(_small(blocks, 4, fifth=True), _halves(blocks, 0), _halves(blocks, 2))


def _read_q2_k(blocks: torch.Tensor) -> _Parts:
    scales = blocks[:, :16, None]
    steps = _spread(blocks[:, 16:80].contiguous(), 2, 4, 32).reshape(-1, 16, 16)
    return _Parts(steps, _halves(blocks, 80) * (scales & 15), _halves(blocks, 82) * -(scales >> 4).float())


def _read_q3_k(blocks: torch.Tensor) -> _Parts:
    high = _spread(blocks[:, :32].contiguous(), 1, 8, 32)
    low = _spread(blocks[:, 32:96].contiguous(), 2, 4, 32)
    steps = low.reshape(-1, 16, 16) | high.reshape(-1, 16, 16) << 2
    packed = blocks[:, 96:108].contiguous()
    lower = _spread(packed[:, :8].contiguous(), 4, 2, 8).reshape(-1, 16, 1)
    upper = _spread(packed[:, 8:].contiguous(), 2, 4, 4).reshape(-1, 16, 1)
    scales = _signed(lower | upper << 4, 32)
    return _Parts(_signed(steps, 4), _halves(blocks, 108) * scales)


def _scales_of_eight(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and minimum of the 8 groups of Q4_K and Q5_K: 6 bits each, in bytes 4 to 16."""
    first, second, rest = blocks[:, 4:16, None].split(4, dim=1)
    scales = torch.cat([first & 63, rest & 15 | first >> 6 << 4], dim=1)
    least = torch.cat([second & 63, rest >> 4 | second >> 6 << 4], dim=1)
    return _halves(blocks, 0) * scales, _halves(blocks, 2) * -least.float()


def _read_q4_k(blocks: torch.Tensor) -> _Parts:
    steps = _spread(blocks[:, 16:].contiguous(), 4, 2, 32).reshape(-1, 8, 32)
    return _Parts(steps, *_scales_of_eight(blocks))


def _read_q5_k(blocks: torch.Tensor) -> _Parts:
    steps = _spread(blocks[:, 48:].contiguous(), 4, 2, 32).reshape(-1, 8, 32)
    steps |= _spread(blocks[:, 16:48].contiguous(), 1, 8, 32).reshape(-1, 8, 32) << 4
    return _Parts(steps, *_scales_of_eight(blocks))


def _read_q6_k(blocks: torch.Tensor) -> _Parts:
    low = _spread(blocks[:, :128].contiguous(), 4, 2, 64).reshape(-1, 16, 16)
    high = _spread(blocks[:, 128:192].contiguous(), 2, 4, 32).reshape(-1, 16, 16)
    scales = blocks[:, 192:208, None].contiguous().view(torch.int8)
    return _Parts(_signed(low | high << 4, 32), _halves(blocks, 208) * scales)


READERS: dict[str, Callable[[torch.Tensor], _Parts]] = {
    "Q4_0": _read_q4_0,
    "Q4_1": _read_q4_1,
    "Q5_0": _read_q5_0,
    "Q5_1": _read_q5_1,
    "Q8_0": _read_q8_0,
    "Q2_K": _read_q2_k,
    "Q3_K": _read_q3_k,
    "Q4_K": _read_q4_k,
    "Q5_K": _read_q5_k,
    "Q6_K": _read_q6_k,
}

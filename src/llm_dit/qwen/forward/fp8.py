"""Linear layers in fp8: weights of 8 bits with a scale for each row, and rows of numbers likewise, in one product.

A number is e4m3: 4 bits of exponent, 3 of mantissa, at most 448, so it is off by 3.6 % of itself at most, and half of
that in the mean. Weights are scaled by output, rows each by itself, so an outlier costs its own row alone (row-wise
scales, as in torchao's `PerRow`). Where a device has no such products the weights are widened before each one: that
saves memory and not time.

The functions are torch's own operations; `kernels.py` has the same in one pass over the memory each.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.operations import Half, Norms, Rows
from llm_dit.qwen.forward.packed import unpack
from llm_dit.qwen.loading.checkpoints import NOT_IN_FP8, is_in_fp8

FP8 = torch.float8_e4m3fn
MOST = torch.finfo(FP8).max
FEW = 64
"""Rows below which products add up in full: of so few cuBLAS has not all of the faster ones (none of 32 × 12288)."""
ALIGNED = 16
"""Bytes: cuBLAS takes scales that begin at a multiple of it."""
LEAST = 1e-12
"""Of a scale: rows of zeros have one too."""


@dataclass(frozen=True)
class Scaled:
    """Rows in fp8 (count, width), and what to multiply each by, (count, 1) in float32."""

    rows: torch.Tensor
    scales: torch.Tensor

    def __getitem__(self, part: slice) -> "Scaled":
        return Scaled(self.rows[part], self.scales[part])

    def wide(self, dtype: torch.dtype) -> torch.Tensor:
        """Return the numbers that they stand for."""
        return (self.rows.float() * self.scales).to(dtype)


def quantize(rows: torch.Tensor, *, gelu: bool = False) -> Scaled:
    """Return rows (count, width) in fp8; with `gelu`, of their GELU, by its approximation with tanh."""
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
    """As `operations.turn`, in fp8: return Q, K and V like `joint`, and what to multiply each of (3, heads) by.

    `bounds` (2,) are the largest numbers that Q and K can have.
    """
    operations.turn(joint, branch, text, image)
    largest = largest_of(joint[0, :, 2], bounds, joint[0, :, 2].abs().amax(dim=(0, 2)))
    scales = largest / MOST
    shrunk = joint.float() / scales[:, :, None]
    return shrunk.clamp(-MOST, MOST).to(FP8), scales


def largest_of(value: torch.Tensor, bounds: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return the largest number of each head's Q, K and V, (3, heads), of which those of V (rows, heads, width) are."""
    heads = value.shape[1]
    return torch.cat([bounds[:, None].expand(2, heads), found[None].float()]).clamp(min=LEAST)


def bounds_of(text: Iterable[Any], image: Iterable[Any]) -> torch.Tensor:
    """Return the largest numbers that these norms can make of Q and of K, (2,).

    A row of length √width keeps that while it is turned, but for the weights.
    """
    pairs = zip(text, image, strict=True)
    return torch.stack(
        [
            torch.stack([norm.weight.abs().max() * len(norm.weight) ** 0.5 for norm in norms]).max().float()
            for norms in pairs
        ]
    )


class ScaledOperations(Protocol):
    """The operations, here and in `kernels.py`."""

    def quantize(self, rows: torch.Tensor, *, gelu: bool = False) -> Scaled: ...

    def norm(self, branch: Rows, half: Half, eps: float) -> Scaled: ...

    def turn(
        self, joint: torch.Tensor, branch: Rows, text: Norms, image: Norms, bounds: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


ScaledAttend = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes what `turn` returns; returns (1, rows, heads, width) in bfloat16."""


@dataclass(frozen=True, kw_only=True)
class ScaledTools:
    """What products in fp8 are computed with; `attend` None leaves the attention its bits."""

    operations: ScaledOperations
    attend: ScaledAttend | None = None


def multiply(
    rows: Scaled, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the product of rows and weights that are both in fp8, (count, outputs), in the bias's type."""
    if rows.rows.is_cuda:
        options: dict[str, Any] = {"bias": bias, "out_dtype": bias.dtype, "use_fast_accum": len(rows.rows) >= FEW}
        if out is not None:
            options["out"] = out
        # The scales of the image's rows begin behind those of the text's, of which there may be any number.
        scales = rows.scales if rows.scales.data_ptr() % ALIGNED == 0 else rows.scales.clone()
        scaled_mm: Any = torch._scaled_mm  # pyright: ignore[reportPrivateImportUsage]
        return scaled_mm(rows.rows, weight.t(), scales, scale, **options)
    made = ((rows.rows.float() @ weight.float().t()) * rows.scales * scale + bias.float()).to(bias.dtype)
    return made if out is None else out.copy_(made)


class Fp8Linear(nn.Module):
    """A linear layer in fp8: `weight` (outputs, inputs), `scale` (1, outputs) in float32, `bias` with its bits."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.out_features, self.in_features = weight.shape

    @classmethod
    def of(cls, layer: nn.Linear) -> "Fp8Linear":
        """Return the layer in fp8; of one without numbers, a place for them."""
        if layer.weight.is_meta:
            scale = layer.weight.new_empty(1, layer.out_features, dtype=torch.float32)
            return cls(layer.weight.data.to(FP8), scale, layer.bias.data)
        return cls(*quantize_weight(layer.weight.data), layer.bias.data)

    @classmethod
    def joined(cls, layers: Sequence["Fp8Linear"]) -> "Fp8Linear":
        """Return several layers of the same input as one."""
        weight = torch.cat([each.weight.data.view(torch.uint8) for each in layers]).view(FP8)
        scale = torch.cat([each.scale.data for each in layers], dim=1)
        return cls(weight, scale, torch.cat([each.bias.data for each in layers]))

    def forward(
        self, rows: torch.Tensor | Scaled, out: torch.Tensor | None = None, _operations: Any = None
    ) -> torch.Tensor:
        """Return (…, outputs) for rows (…, inputs), written to `out` if that is given; rows in fp8 stay in it."""
        if isinstance(rows, Scaled):
            return multiply(rows, self.weight, self.scale, self.bias, out)
        wide = unpack(self.weight, "F8_E4M3", rows.dtype, self.scale)
        made = functional.linear(rows, wide, self.bias)
        return made if out is None else out.copy_(made)


def quantize_weight(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a weight (outputs, inputs) in fp8, and its scales (1, outputs)."""
    made = quantize(weight)
    return made.rows, made.scales.t().contiguous()


def put_in_fp8(transformer: nn.Module, kept: Sequence[str] = NOT_IN_FP8) -> None:
    """Turn the products of diffusers' blocks into fp8, layer by layer."""
    layers = [
        (name, layer)
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and is_in_fp8(f"{name}.weight", kept)
    ]
    for name, layer in layers:
        owner, _, last = name.rpartition(".")
        setattr(transformer.get_submodule(owner), last, Fp8Linear.of(layer))

"""Linear layers over weights that stay as a file stores them, and are unpacked for each product.

Their tensors are plain, so that every placement moves them. https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
has the blocks of GGUF's types.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from llm_dit.qwen.loading.single_file import PACKED

UNPACKING = 7
"""Bytes for a number that unpacking takes at its peak: integers, floats with a least value, and what comes of it."""


class PackedLinear(nn.Module):
    """A linear layer over `weight` as it is stored: bytes of blocks of one of GGUF's types, or 8-bit floats.

    Floats have a `scale` in float32, one for all of them, (1, 1), or one for each row, (rows, 1).
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
    """Return a weight's numbers, rounded once to `dtype`: those of bytes in GGUF's blocks, or floats by their scale."""
    if kind not in PACKED:
        # Every 8-bit float is a number of the 16-bit types.
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
    """Blocks as steps (blocks, groups, numbers), with scale and least value (blocks, groups, 1) in float32."""

    steps: torch.Tensor
    scale: torch.Tensor
    least: torch.Tensor | None = None


def _halves(blocks: torch.Tensor, start: int) -> torch.Tensor:
    """Return the half-precision number at a byte of each block, (blocks, 1, 1)."""
    return blocks[:, start : start + 2].contiguous().view(torch.float16).float().unsqueeze(-1)


def _spread(content: torch.Tensor, bits: int, count: int, width: int) -> torch.Tensor:
    """Return `count` numbers of each byte, the lowest bits first, (blocks, groups of bytes, count, width)."""
    # Made on the device: a copy from the host would wait, and cannot be recorded.
    shifts = torch.arange(0, bits * count, bits, dtype=torch.uint8, device=content.device)
    return (content.view(len(content), -1, 1, width) >> shifts.view(-1, 1)) & (2**bits - 1)


def _signed(steps: torch.Tensor, zero: int) -> torch.Tensor:
    return steps.view(torch.int8).sub_(zero)


def _read_q8_0(blocks: torch.Tensor) -> _Parts:
    return _Parts(blocks[:, None, 2:].contiguous().view(torch.int8), _halves(blocks, 0))


def _small(blocks: torch.Tensor, start: int, *, fifth: bool) -> torch.Tensor:
    """Return 32 numbers of 4 bits from a byte on, or of 5, whose highest bits lie before them."""
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
    """Return scale and least value of the 8 groups of Q4_K and Q5_K: 6 bits each, in bytes 4 to 16."""
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

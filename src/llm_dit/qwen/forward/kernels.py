"""The operations of `operations.py` and `quantized.py` with less memory traffic: Triton kernels, products with GELU.

The kernels take and return bfloat16, compute in float32, and are one launch each. After one of cuBLAS's products of
many rows a GELU costs a twentieth of the product's time; fused into those of quack-kernels (`with_quack`), nothing.

Importing this needs Triton. Any number of rows, any length of text and any number of heads; a head's width is a power
of two.
"""

# Triton has no type stubs, and its kernels are not quite Python.
# pyright: reportMissingImports=false, reportIndexIssue=false
from types import SimpleNamespace
from typing import Any

import torch
import triton
import triton.language as tl

from llm_dit.qwen.forward.operations import MANY, Half, Norms, Operations, Owed, Rows, is_plain, project
from llm_dit.qwen.forward.quantized import FP8, MOST, Scaled, largest_of

__all__ = ["norm", "project", "scaled", "think", "turn", "with_quack"]

HEADS = 8
"""Heads that one program rotates."""


def norm(branch: Rows, half: Half, eps: float) -> torch.Tensor:
    """As `operations.norm`."""
    normed = torch.empty_like(branch.rows)
    _write_normed(branch, half, eps, normed, None)
    return normed


def _write_normed(branch: Rows, half: Half, eps: float, normed: torch.Tensor, scales: torch.Tensor | None) -> None:
    rows, owed = branch.rows, branch.owed
    branch.owed = None
    width = rows.shape[-1]
    # If nothing is owed, the kernel does not read these.
    made = Owed(rows, rows, half, False) if owed is None else owed
    block = triton.next_power_of_2(width)
    _norm[(rows.shape[1],)](
        rows,
        normed,
        made.text.contiguous(),
        made.image.contiguous(),
        made.half.text,
        made.half.image,
        half.text,
        half.image,
        rows if branch.layout.index is None else branch.layout.index,
        rows if scales is None else scales,
        branch.layout.text,
        width,
        made.half.image.stride(0),
        half.image.stride(0),
        eps,
        OWED=owed is not None,
        INDEXED=branch.layout.index is not None,
        SCALED=scales is not None,
        BLOCK=block,
        num_warps=8 if block > 2048 else 4,
    )


def turn(joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None:
    """As `operations.turn`."""
    _write_turned(joint, branch, text, image, joint, None)


def _write_turned(
    joint: torch.Tensor, branch: Rows, text: Norms, image: Norms, out: torch.Tensor, scales: torch.Tensor | None
) -> None:
    _, rows, _, heads, width = joint.shape
    (text_query, text_key), (image_query, image_key) = text, image
    _turn[(rows, 2 if scales is None else 3, triton.cdiv(heads, HEADS))](
        joint,
        out,
        joint if scales is None else scales,
        torch.view_as_real(branch.layout.rope),
        text_query.weight,
        text_key.weight,
        image_query.weight,
        image_key.weight,
        branch.layout.text,
        heads,
        text_query.eps,
        SCALED=scales is not None,
        WIDTH=width,
        HEADS=HEADS,
    )


def think(rows: torch.Tensor, mlp: Any) -> torch.Tensor:
    """As `operations.think`."""
    enter, _, leave = mlp.net
    into = enter.proj
    if not is_plain(into):
        return mlp(rows)
    return leave(torch.ops.aten._addmm_activation(into.bias, rows[0], into.weight.t(), use_gelu=True))[None]


def with_quack() -> Operations:
    """Return the same operations, with products of many rows by quack-kernels, a dependency of flash-attn-4.

    Raises `ImportError` without the extra `flash`.
    """
    from quack.gemm_interface import gemm, gemm_act

    def project_many(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
        if len(rows) < MANY:
            project(rows, weight, bias, out)
        else:
            gemm(rows, weight.t(), out=out, bias=bias, tuned=False)

    def think_many(rows: torch.Tensor, mlp: Any) -> torch.Tensor:
        enter, _, leave = mlp.net
        into = enter.proj
        if rows.shape[1] < MANY or not is_plain(into):
            return think(rows, mlp)
        _, thought = gemm_act(
            rows[0], into.weight.t(), bias=into.bias, activation="gelu_tanh_approx", store_preact=False, tuned=False
        )
        return leave(thought)[None]

    made: Any = SimpleNamespace(norm=norm, project=project_many, turn=turn, think=think_many)
    return made


# The same in fp8, with a scale per row, in the same pass.


def norm_scaled(branch: Rows, half: Half, eps: float) -> Scaled:
    """As `quantized.norm`."""
    _, count, width = branch.rows.shape
    made = _room(branch.rows, count, width)
    _write_normed(branch, half, eps, made.rows, made.scales)
    return made


def quantize(rows: torch.Tensor, *, gelu: bool = False) -> Scaled:
    """As `quantized.quantize`."""
    count, width = rows.shape
    made = _room(rows, count, width)
    block = triton.next_power_of_2(width)
    _quantize[(count,)](
        rows, made.rows, made.scales, rows.stride(0), width, GELU=gelu, BLOCK=block, num_warps=16 if block > 4096 else 4
    )
    return made


def turn_scaled(
    joint: torch.Tensor, branch: Rows, text: Norms, image: Norms, bounds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `quantized.turn`."""
    _, rows, _, heads, width = joint.shape
    found = joint.new_zeros(heads, dtype=torch.float32)
    _largest[(triton.cdiv(rows, LOOKED_AT), heads)](joint, found, rows, heads, WIDTH=width, ROWS=LOOKED_AT)
    scales = largest_of(joint[0, :, 2], bounds, found) / MOST
    out = torch.empty_like(joint, dtype=FP8)
    _write_turned(joint, branch, text, image, out, scales)
    return out, scales


def _room(like: torch.Tensor, count: int, width: int) -> Scaled:
    return Scaled(like.new_empty(count, width, dtype=FP8), like.new_empty(count, 1, dtype=torch.float32))


scaled: Any = SimpleNamespace(norm=norm_scaled, quantize=quantize, turn=turn_scaled)
"""The operations of `quantized.py`."""
LOOKED_AT = 128
"""Rows of V in which one program searches the maximum."""


@triton.jit
def _store_scaled(values, rows, scales, row, width, column, inside):
    """Store a row's `values` as fp8 with its own scale; the constants are `MOST` and `LEAST` of `quantized.py`."""
    scale = tl.maximum(tl.max(tl.abs(values), axis=0), 1e-12) / 448.0
    shrunk = tl.minimum(tl.maximum(values / scale, -448.0), 448.0)
    tl.store(rows + row * width + column, shrunk.to(rows.dtype.element_ty), mask=inside)
    tl.store(scales + row, scale)


@triton.jit
def _quantize(rows, made, scales, stride, width, GELU: tl.constexpr, BLOCK: tl.constexpr):
    """One program per row."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < width
    value = tl.load(rows + row * stride + column, mask=inside, other=0.0).to(tl.float32)
    if GELU:
        # x · σ(2u) is x · (1 + tanh u) / 2.
        value = value * tl.sigmoid(1.5957691216057308 * (value + 0.044715 * value * value * value))
    _store_scaled(value, made, scales, row, width, column, inside)


@triton.jit(do_not_specialize=["rows"])
def _largest(joint, found, rows, heads, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """One program per group of rows of a head's V."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    head = tl.program_id(1)
    column = tl.arange(0, WIDTH)
    here = joint + ((row.to(tl.int64) * 3 + 2) * heads + head)[:, None] * WIDTH + column[None, :]
    value = tl.load(here, mask=(row < rows)[:, None], other=0.0).to(tl.float32)
    tl.atomic_max(found + head, tl.max(tl.max(tl.abs(value), axis=1), axis=0))


@triton.jit(do_not_specialize=["text"])
def _norm(
    rows,
    normed,
    made_of_text,
    made_of_image,
    gate_of_text,
    gate_of_image,
    half_of_text,
    half_of_image,
    index,
    scales,
    text,
    width,
    gate_stride,
    half_stride,
    eps,
    OWED: tl.constexpr,
    INDEXED: tl.constexpr,
    SCALED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program per row; a half is the concatenation of shift, scale and gate."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < width
    is_text = row < text
    of_image = tl.where(is_text, 0, row - text)
    shown = 0
    if INDEXED:
        shown = tl.where(is_text, 0, (tl.load(index + of_image) != 0).to(tl.int32))
    here = rows + row * width + column
    value = tl.load(here, mask=inside, other=0.0).to(tl.float32)
    if OWED:
        made = tl.where(is_text, made_of_text + row * width, made_of_image + of_image * width)
        gate = tl.where(is_text, gate_of_text, gate_of_image + shown * gate_stride) + 2 * width
        value += tl.load(gate + column, mask=inside, other=0.0).to(tl.float32) * tl.load(
            made + column, mask=inside, other=0.0
        ).to(tl.float32)
        tl.store(here, value.to(rows.dtype.element_ty), mask=inside)
    half = tl.where(is_text, half_of_text, half_of_image + shown * half_stride)
    shift = tl.load(half + column, mask=inside, other=0.0).to(tl.float32)
    scale = tl.load(half + width + column, mask=inside, other=0.0).to(tl.float32)
    centered = tl.where(inside, value - tl.sum(value, axis=0) / width, 0.0)
    spread = tl.rsqrt(tl.sum(centered * centered, axis=0) / width + eps)
    changed = centered * spread * (1.0 + scale) + shift
    if SCALED:
        _store_scaled(tl.where(inside, changed, 0.0), normed, scales, row, width, column, inside)
    else:
        tl.store(normed + row * width + column, changed.to(normed.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["text"])
def _turn(
    joint,
    out,
    scales,
    rope,
    text_query,
    text_key,
    image_query,
    image_key,
    text,
    heads,
    eps,
    SCALED: tl.constexpr,
    WIDTH: tl.constexpr,
    HEADS: tl.constexpr,
):
    """One program per group of heads of a row's Q or K; a pair of neighbors is a complex number, as in `rope`.

    For scaling, V has programs too.
    """
    row = tl.program_id(0).to(tl.int64)
    number = tl.program_id(1)
    head = tl.program_id(2) * HEADS + tl.arange(0, HEADS)
    column = tl.arange(0, WIDTH)
    inside = (head < heads)[:, None]
    place = (row * 3 + number) * heads * WIDTH + head[:, None] * WIDTH + column[None, :]
    value = tl.load(joint + place, mask=inside, other=0.0).to(tl.float32)
    query = tl.where(row < text, text_query, image_query)
    key = tl.where(row < text, text_key, image_key)
    weight = tl.load(tl.where(number == 0, query, key) + column).to(tl.float32)
    spread = tl.rsqrt(tl.sum(value * value, axis=1) / WIDTH + eps)
    real, imaginary = tl.split(tl.reshape(value * spread[:, None] * weight[None, :], (HEADS, WIDTH // 2, 2)))
    pair = rope + row * WIDTH + 2 * tl.arange(0, WIDTH // 2)
    cosine, sine = tl.load(pair)[None, :], tl.load(pair + 1)[None, :]
    turned = tl.reshape(tl.join(real * cosine - imaginary * sine, real * sine + imaginary * cosine), (HEADS, WIDTH))
    if SCALED:
        turned = tl.where(number == 2, value, turned)
        turned = turned / tl.load(scales + number * heads + head, mask=head < heads, other=1.0)[:, None]
        turned = tl.minimum(tl.maximum(turned, -448.0), 448.0)
    tl.store(out + place, turned.to(out.dtype.element_ty), mask=inside)

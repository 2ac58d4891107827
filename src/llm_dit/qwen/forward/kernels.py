"""The operations of `operations.py` with less traffic: two Triton kernels, and a product that ends in its GELU.

The kernels take and give bfloat16, have float32 inside, and are one launch each. At the end of one of cuBLAS's products
of many rows a GELU costs a twentieth of its time; in those of quack-kernels (`with_quack`) it costs nothing.

Importing this needs Triton. Any number of rows, any length of text and any number of heads; a head's width is a power
of two.
"""

# Triton has no types, and what it compiles is not quite Python.
# pyright: reportMissingImports=false, reportIndexIssue=false
from types import SimpleNamespace
from typing import Any

import torch
import triton
import triton.language as tl

from llm_dit.qwen.forward.operations import MANY, Half, Norms, Operations, Owed, Rows, is_plain, project

__all__ = ["norm", "project", "think", "turn", "with_quack"]

HEADS = 8
"""Heads that one program turns."""


def norm(branch: Rows, half: Half, eps: float) -> torch.Tensor:
    """As `operations.norm`."""
    rows, owed = branch.rows, branch.owed
    branch.owed = None
    width = rows.shape[-1]
    normed = torch.empty_like(rows)
    # Where nothing is owed, the kernel reads none of it.
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
        branch.layout.text,
        width,
        made.half.image.stride(0),
        half.image.stride(0),
        eps,
        OWED=owed is not None,
        INDEXED=branch.layout.index is not None,
        BLOCK=block,
        num_warps=8 if block > 2048 else 4,
    )
    return normed


def turn(joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None:
    """As `operations.turn`."""
    _, rows, _, heads, width = joint.shape
    (text_query, text_key), (image_query, image_key) = text, image
    _turn[(rows, 2, triton.cdiv(heads, HEADS))](
        joint,
        torch.view_as_real(branch.layout.rope),
        text_query.weight,
        text_key.weight,
        image_query.weight,
        image_key.weight,
        branch.layout.text,
        heads,
        text_query.eps,
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
    """Return the same operations with the products of many rows by quack-kernels, which flash-attn-4 brings along.

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
    text,
    width,
    gate_stride,
    half_stride,
    eps,
    OWED: tl.constexpr,
    INDEXED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One program a row; a half holds shift, scale and gate behind each other."""
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
    tl.store(normed + row * width + column, changed.to(normed.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["text"])
def _turn(
    joint,
    rope,
    text_query,
    text_key,
    image_query,
    image_key,
    text,
    heads,
    eps,
    WIDTH: tl.constexpr,
    HEADS: tl.constexpr,
):
    """One program for some heads of a row's Q or K; a pair of neighbors is a complex number, and so is `rope`."""
    row = tl.program_id(0).to(tl.int64)
    number = tl.program_id(1)
    head = tl.program_id(2) * HEADS + tl.arange(0, HEADS)
    column = tl.arange(0, WIDTH)
    inside = (head < heads)[:, None]
    here = joint + (row * 3 + number) * heads * WIDTH + head[:, None] * WIDTH + column[None, :]
    value = tl.load(here, mask=inside, other=0.0).to(tl.float32)
    query = tl.where(row < text, text_query, image_query)
    key = tl.where(row < text, text_key, image_key)
    weight = tl.load(tl.where(number == 0, query, key) + column).to(tl.float32)
    spread = tl.rsqrt(tl.sum(value * value, axis=1) / WIDTH + eps)
    real, imaginary = tl.split(tl.reshape(value * spread[:, None] * weight[None, :], (HEADS, WIDTH // 2, 2)))
    pair = rope + row * WIDTH + 2 * tl.arange(0, WIDTH // 2)
    cosine, sine = tl.load(pair)[None, :], tl.load(pair + 1)[None, :]
    turned = tl.join(real * cosine - imaginary * sine, real * sine + imaginary * cosine)
    tl.store(here, tl.reshape(turned, (HEADS, WIDTH)).to(joint.dtype.element_ty), mask=inside)

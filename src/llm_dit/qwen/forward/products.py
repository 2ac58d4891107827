"""The operations of `kernels.py`, with the products of many rows by quack-kernels, which flash-attn-4 brings along.

At the end of one of cuBLAS's products a GELU costs a twentieth of its time; here it costs nothing.
"""

# It comes with the extra `flash` alone.
# pyright: reportMissingImports=false
from typing import Any

import torch
from quack.gemm_interface import gemm, gemm_act

from llm_dit.qwen.forward import kernels
from llm_dit.qwen.forward.kernels import norm, turn
from llm_dit.qwen.forward.operations import MANY, is_plain

__all__ = ["norm", "project", "think", "turn"]


def project(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """As `operations.project`."""
    if len(rows) < MANY:
        kernels.project(rows, weight, bias, out)
    else:
        gemm(rows, weight.t(), out=out, bias=bias, tuned=False)


def think(rows: torch.Tensor, mlp: Any) -> torch.Tensor:
    """As `operations.think`."""
    enter, _, leave = mlp.net
    into = enter.proj
    if rows.shape[1] < MANY or not is_plain(into):
        return kernels.think(rows, mlp)
    _, thought = gemm_act(
        rows[0], into.weight.t(), bias=into.bias, activation="gelu_tanh_approx", store_preact=False, tuned=False
    )
    return leave(thought)[None]

"""What the blocks are computed with on a device: the fastest that is there and agrees with torch's own operations."""

import functools
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

from llm_dit.pipelines.base import Forward
from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.attention import ATTENTIONS, Attend, sdpa, why_not
from llm_dit.qwen.forward.operations import Operations
from llm_dit.qwen.forward.trials import Trial

HEAD_WIDTH = 128
"""Numbers in a head of the published transformers."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The two operations and the attention, by name, and `why` none of the faster ones."""

    kernels: str
    operations: Operations
    attention: str
    unmasked: Attend
    why: tuple[str, ...] = ()

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the attention's answer, (1, rows, heads, width) as its arguments are."""
        return self.unmasked(query, key, value) if mask is None else sdpa(query, key, value, mask)

    def describe(self, *, masked: bool = False) -> Forward:
        """Return what people and records are told; `masked` is of a run in which not all rows count."""
        if masked and self.attention != "sdpa":
            why = (*self.why, f"{self.attention}: it takes no mask, and a text has one")
            return Forward(blocks="fused", kernels=self.kernels, attention="sdpa", why=why)
        return Forward(blocks="fused", kernels=self.kernels, attention=self.attention, why=self.why)


def tools_for(device: torch.device, dtype: torch.dtype, width: int) -> Tools:
    """Return the tools for heads of `width` numbers of a type.

    The first call for a device tries each there, on a few rows, against torch's own operations.
    """
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return _choose(device, dtype, width)


def describe_plain() -> Forward:
    """Return what runs without our own parts: diffusers' blocks."""
    backend = _AttentionBackendRegistry.get_active_backend()[0]
    attention = "sdpa" if backend == AttentionBackendName.NATIVE else AttentionBackendName(backend).value
    return Forward(blocks="diffusers", kernels="torch", attention=attention, why=("fused = false",))


@functools.cache
def _choose(device: torch.device, dtype: torch.dtype, width: int) -> Tools:
    if device.type != "cuda":
        why = ("triton, flash-attn-4, cudnn: they need an NVIDIA GPU",)
        return Tools(kernels="torch", operations=operations, attention="sdpa", unmasked=sdpa, why=why)
    with torch.cuda.device(device):
        trial = Trial(device, dtype, width)
        kernels, no_kernels = _kernels(trial)
        attention, unmasked, no_attention = _attention(trial)
    return Tools(
        kernels="triton" if kernels else "torch",
        operations=kernels or operations,
        attention=attention,
        unmasked=unmasked,
        why=(*no_kernels, *no_attention),
    )


def _kernels(trial: Trial) -> tuple[Operations | None, list[str]]:
    reason = _why_no_kernels(trial.dtype, trial.width)
    kernels = None
    if not reason:
        kernels, reason = trial.of_operations("triton", _import_kernels)
    return kernels, [f"triton: {reason}"] if reason else []


def _why_no_kernels(dtype: torch.dtype, width: int) -> str:
    if dtype != torch.bfloat16:
        return "its kernels are for bfloat16"
    if width & (width - 1):
        return "its kernels are for heads of a power of two"
    return "" if find_spec("triton") else "it is not installed"


def _import_kernels() -> Operations:
    from llm_dit.qwen.forward import kernels

    return kernels


def _attention(trial: Trial) -> tuple[str, Attend, list[str]]:
    reasons: list[str] = []
    for name, make in ATTENTIONS.items():
        reason = why_not(name, trial.device, trial.dtype)
        if not reason:
            attend, reason = trial.of_attention(name, make)
            if attend is not None:
                return name, attend, reasons
        reasons.append(f"{name}: {reason}")
    return "sdpa", sdpa, reasons

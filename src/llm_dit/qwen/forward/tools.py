"""What the blocks are computed with on a device: the fastest that is there and agrees with torch's own operations."""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.operations import MANY, Half, Layout, Operations, Owed, Rows
from llm_dit.runs import Forward

logger = logging.getLogger(__name__)


# The attentions that there are, the fastest first; each takes (1, rows, heads, width), strided as it may be.

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
_CHOICE = threading.RLock()
"""Held while torch is told which attention to take, which it keeps for the process: two devices have two threads."""
HOPPER = 9
"""The least major number of a GPU's compute capability that flash-attn-4 is fast for."""


def sdpa(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Return what diffusers' attention returns; the only one that takes a mask."""
    heads_first = (each.transpose(1, 2) for each in (query, key, value))
    with _CHOICE:
        return scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2)


def flash_attn_4() -> Attend:
    """Return the attention of flash-attn-4; raises where it cannot be imported."""
    from flash_attn.cute import flash_attn_func  # pyright: ignore[reportMissingImports]

    return lambda query, key, value: flash_attn_func(query, key, value)[0]


def cudnn() -> Attend:
    """Return cuDNN's attention, which raises where cuDNN has none."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        with _CHOICE, sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return sdpa(query, key, value)

    return attend


ATTENTIONS: dict[str, Callable[[], Attend]] = {"flash-attn-4": flash_attn_4, "cudnn": cudnn}


def why_not(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """Return what keeps one of `ATTENTIONS` from running on a CUDA device; "" when it is worth a try."""
    if dtype.itemsize != 2:
        return "it takes 16 bits a number"
    if name == "flash-attn-4":
        if torch.cuda.get_device_capability(device)[0] < HOPPER:
            return "it is for Hopper and Blackwell"
        try:
            version(name)
        except PackageNotFoundError:
            return "it is not installed; the extra `flash` brings it"
    return ""


# Whether a faster tool can be had on a device: it runs once on a few rows and has to agree with torch's operations.


Tool = TypeVar("Tool")
ROUNDING = 2**-6
"""How far a tool may be from torch, as a part of the largest number: both round several times, to 2⁻⁹ in bfloat16."""


class Trial:
    """Rows like a block's, few and of odd counts, half of the image shown, for heads of `width` numbers.

    A tool that does not agree, or raises, is None; what it did is told in the second place, and the log has the error.
    """

    text, heads = 5, 3

    def __init__(self, device: torch.device, dtype: torch.dtype, width: int, image: int = 38) -> None:
        self.device, self.dtype, self.width, self.image = device, dtype, width, image
        self._draw = torch.Generator().manual_seed(0)

    def of_operations(self, name: str, make: Callable[[], Operations]) -> tuple[Operations | None, str]:
        """Try what `make` returns in the place of `operations`."""
        full = self.heads * self.width
        owed = Owed(self._numbers(1, self.text, full), self._numbers(1, self.image, full), self._half(full), False)
        rows, half, joint = self._numbers(1, self.text + self.image, full), self._half(full), self._joint()
        norms = [(self._norm(), self._norm()) for _ in range(2)]
        angles = torch.randn(self.text + self.image, self.width // 2, generator=self._draw)
        rope = torch.polar(torch.ones_like(angles), angles).to(self.device)
        index = (torch.arange(self.image, device=self.device) >= self.image // 2).int()[None]
        layout = Layout(text=self.text, rope=rope, index=index)

        mlp = FeedForward(full, activation_fn="gelu-approximate").eval()
        for parameter in mlp.parameters():
            parameter.data = self._numbers(*parameter.shape) / full**0.5
        into: Any = mlp.net[0].proj

        def run(tool: Operations) -> list[torch.Tensor]:
            branch = Rows(rows=rows.clone(), layout=layout, owed=owed)
            turned, projected = joint.clone(), rows.new_empty(rows.shape[1], into.out_features)
            tool.turn(turned, branch, *norms)
            tool.project(rows[0], into.weight, into.bias, projected)
            return [tool.norm(branch, half, 1e-6), branch.rows, turned, projected, tool.think(rows, mlp)]

        return _tried(name, make, lambda tool: all(map(_same, run(tool), run(operations))))

    def of_attention(self, name: str, make: Callable[[], Attend]) -> tuple[Attend | None, str]:
        """Try what `make` returns in the place of `sdpa`."""
        query, key, value = self._joint().unbind(2)
        return _tried(name, make, lambda attend: _same(attend(query, key, value), sdpa(query, key, value)))

    def _joint(self) -> torch.Tensor:
        return self._numbers(1, self.text + self.image, 3, self.heads, self.width)

    def _half(self, full: int) -> Half:
        return Half(image=self._numbers(2, 6 * full)[:, : 3 * full], text=self._numbers(1, 6 * full)[:, 3 * full :])

    def _norm(self) -> Any:
        norm: Any = nn.RMSNorm(self.width, eps=1e-6)
        norm.weight = nn.Parameter(self._numbers(self.width), requires_grad=False)
        return norm

    def _numbers(self, *shape: int) -> torch.Tensor:
        # On the CPU, so that every device is tried on the same numbers.
        return torch.randn(shape, generator=self._draw).to(self.device, self.dtype)


@torch.no_grad()
def _tried(name: str, make: Callable[[], Tool], agrees: Callable[[Tool], bool]) -> tuple[Tool | None, str]:
    try:
        tool = make()
        if agrees(tool):
            return tool, ""
    except Exception as error:  # whatever it raises, torch's own operations do the work
        logger.warning("%s cannot be used", name, exc_info=error)
        return None, f"its trial ended in a {type(error).__name__}"
    reason = "its numbers are not those of torch's operations"
    logger.warning("%s cannot be used: %s", name, reason)
    return None, reason


def _same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    most = float(wanted.abs().max())
    return torch.allclose(found.float(), wanted.float(), rtol=ROUNDING, atol=ROUNDING * most)


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
        kernels, faster, no_kernels = _kernels(trial)
        attention, unmasked, no_attention = _attention(trial)
    return Tools(
        kernels=kernels,
        operations=faster,
        attention=attention,
        unmasked=unmasked,
        why=(*no_kernels, *no_attention),
    )


def _kernels(trial: Trial) -> tuple[str, Operations, list[str]]:
    kernels, reason = None, _why_no_kernels(trial.dtype, trial.width)
    if not reason:
        kernels, reason = trial.of_operations("triton", _import_kernels)
    if kernels is None:
        return "torch", operations, [f"triton: {reason}"]
    products, reason = None, _why_no_products(trial.device)
    if not reason:
        large = Trial(trial.device, trial.dtype, trial.width, image=MANY + 3)
        products, reason = large.of_operations("quack", _import_products)
    if products is None:
        return "triton", kernels, [f"quack: {reason}"]
    return "triton and quack", products, []


def _why_no_kernels(dtype: torch.dtype, width: int) -> str:
    if dtype != torch.bfloat16:
        return "its kernels are for bfloat16"
    if width & (width - 1):
        return "its kernels are for heads of a power of two"
    return "" if find_spec("triton") else "it is not installed"


def _why_no_products(device: torch.device) -> str:
    if torch.cuda.get_device_capability(device)[0] != HOPPER:
        return "its products have been measured on Hopper alone"
    return "" if find_spec("quack") else "it is not installed; the extra `flash` brings it"


def _import_kernels() -> Operations:
    from llm_dit.qwen.forward import kernels

    return kernels


def _import_products() -> Operations:
    from llm_dit.qwen.forward.kernels import with_quack

    return with_quack()


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

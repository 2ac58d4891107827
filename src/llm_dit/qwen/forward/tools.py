"""Chooses a device's operations and attention: the fastest available that agree with torch's own operations."""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from diffusers.models.attention import FeedForward
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from llm_dit.qwen.forward import operations, quantized
from llm_dit.qwen.forward.operations import MANY, Half, Layout, Operations, Owed, Rows
from llm_dit.qwen.forward.quantized import ScaledAttend, ScaledOperations, ScaledTools
from llm_dit.runs import Forward

logger = logging.getLogger(__name__)


# The attention implementations, fastest first; each takes (1, rows, heads, width) with any strides.

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
_CHOICE = threading.RLock()
"""Held while torch's choice of attention is set, because that is global and two devices have two threads."""
ADA = (8, 9)
"""The lowest compute capability with fp8 products."""
HOPPER = 9
"""The lowest major compute capability for which flash-attn-4 is fast."""


def sdpa(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Diffusers' attention; the only one that takes a mask."""
    heads_first = (each.transpose(1, 2) for each in (query, key, value))
    with _CHOICE:
        return scaled_dot_product_attention(*heads_first, attn_mask=mask).transpose(1, 2)


def flash_attn_4() -> Attend:
    """Return flash-attn-4's attention; raises if it cannot be imported."""
    from flash_attn.cute import flash_attn_func  # pyright: ignore[reportMissingImports]

    return lambda query, key, value: flash_attn_func(query, key, value)[0]


def cudnn() -> Attend:
    """Return cuDNN's attention; calling it raises if cuDNN has none."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        with _CHOICE, sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return sdpa(query, key, value)

    return attend


def flash_attn_3() -> ScaledAttend:
    """Return FlashAttention-3's fp8 attention; raises if fa3-fwd cannot be imported."""
    from fa3_fwd_interface import flash_attn_func  # pyright: ignore[reportMissingImports]

    def attend(joint: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        query, key, value = joint.unbind(2)
        named = zip(("q_descale", "k_descale", "v_descale"), scales.unsqueeze(1), strict=True)
        seen = flash_attn_func(query, key, value, **dict(named))
        return seen[0] if isinstance(seen, tuple) else seen

    return attend


ATTENTIONS: dict[str, Callable[[], Attend]] = {"flash-attn-4": flash_attn_4, "cudnn": cudnn}


def why_not(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """Return why one of `ATTENTIONS` cannot run on a CUDA device; "" if it should be tried."""
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


# Whether a faster tool works on a device: it runs once on a few rows and must agree with torch's operations.


Tool = TypeVar("Tool")
ROUNDING = 2**-6
"""A tool's largest error against torch, relative to the maximum: both round several times, to 2⁻⁹ in bfloat16."""
EIGHT_BITS = 0.1
"""The largest error of fp8 results, relative to their norm: their parts are off by 2 to 4 % each."""


class Trial:
    """A few rows like a block's, in odd counts, half of the image a condition, for heads of `width` numbers.

    A tool that disagrees or raises is returned as None, with the reason second; the error is logged.
    """

    text, heads = 5, 3

    def __init__(self, device: torch.device, dtype: torch.dtype, width: int, image: int = 38) -> None:
        self.device, self.dtype, self.width, self.image = device, dtype, width, image
        self._draw = torch.Generator().manual_seed(0)

    def of_operations(self, name: str, make: Callable[[], Operations]) -> tuple[Operations | None, str]:
        """Try the result of `make` against `operations`."""
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
        """Try the result of `make` against `sdpa`."""
        query, key, value = self._joint().unbind(2)
        return _tried(name, make, lambda attend: _same(attend(query, key, value), sdpa(query, key, value)))

    def of_scaled(self, name: str, make: Callable[[], ScaledOperations]) -> tuple[ScaledOperations | None, str]:
        """Try the result of `make`, and the device's fp8 products, against `quantized` and wide products."""
        full = self.heads * self.width
        rows, half, joint = self._numbers(1, self.text + self.image, full), self._half(full), self._joint()
        norms = [(self._norm(), self._norm()) for _ in range(2)]
        bounds = quantized.bounds_of(*norms)
        angles = torch.randn(self.text + self.image, self.width // 2, generator=self._draw)
        rope = torch.polar(torch.ones_like(angles), angles).to(self.device)
        index = (torch.arange(self.image, device=self.device) >= self.image // 2).int()[None]
        layout = Layout(text=self.text, rope=rope, index=index)
        layer = nn.Linear(full, 2 * full)
        for parameter in layer.parameters():
            parameter.data = self._numbers(*parameter.shape) / full**0.5
        product = quantized.Fp8Linear.of(layer)

        def run(tool: ScaledOperations) -> list[torch.Tensor]:
            branch = Rows(rows=rows.clone(), layout=layout)
            normed, narrow = tool.norm(branch, half, 1e-6), tool.quantize(rows[0])
            turned, scales = tool.turn(joint.clone(), branch, norms[0], norms[1], bounds)
            wide = turned.float() * scales[:, :, None]
            return [
                normed.wide(self.dtype),
                tool.quantize(rows[0], gelu=True).wide(self.dtype),
                wide,
                product(narrow[self.text :]),
            ]

        def agrees(tool: ScaledOperations) -> bool:
            pairs = zip(run(tool), run(quantized), strict=True)
            return all(_close(*pair) for pair in pairs) and _close(run(tool)[-1], layer(rows[0, self.text :]))

        return _tried(name, make, agrees)

    def of_scaled_attention(self, name: str, make: Callable[[], ScaledAttend]) -> tuple[ScaledAttend | None, str]:
        """Try the result of `make`, in fp8, against `sdpa`."""
        joint = self._joint()
        scales = joint[0].abs().amax(dim=(0, 3)).float() / quantized.MOST
        narrow = (joint.float() / scales[:, :, None]).to(quantized.FP8)
        return _tried(name, make, lambda attend: _close(attend(narrow, scales), sdpa(*joint.unbind(2))))

    def _joint(self) -> torch.Tensor:
        return self._numbers(1, self.text + self.image, 3, self.heads, self.width)

    def _half(self, full: int) -> Half:
        return Half(image=self._numbers(2, 6 * full)[:, : 3 * full], text=self._numbers(1, 6 * full)[:, 3 * full :])

    def _norm(self) -> Any:
        norm: Any = nn.RMSNorm(self.width, eps=1e-6)
        norm.weight = nn.Parameter(self._numbers(self.width), requires_grad=False)
        return norm

    def _numbers(self, *shape: int) -> torch.Tensor:
        # Drawn on the CPU, so that every device gets the same numbers.
        return torch.randn(shape, generator=self._draw).to(self.device, self.dtype)


@torch.no_grad()
def _tried(name: str, make: Callable[[], Tool], agrees: Callable[[Tool], bool]) -> tuple[Tool | None, str]:
    try:
        tool = make()
        if agrees(tool):
            return tool, ""
    except Exception as error:  # whatever it raises, torch's own operations still work
        logger.warning("%s cannot be used", name, exc_info=error)
        return None, f"its trial ended in a {type(error).__name__}"
    reason = "its numbers are not those of torch's operations"
    logger.warning("%s cannot be used: %s", name, reason)
    return None, reason


def _same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    most = float(wanted.abs().max())
    return torch.allclose(found.float(), wanted.float(), rtol=ROUNDING, atol=ROUNDING * most)


def _close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return bool((found.float() - wanted.float()).norm() <= EIGHT_BITS * wanted.float().norm())


HEAD_WIDTH = 128
"""Numbers in a head of the published transformers."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The chosen operations and attention, with names, and `why` faster ones are not used.

    `scaled` has the implementations for fp8; None if fp8 weights are widened, for the reasons in `why_wide`.
    """

    kernels: str
    operations: Operations
    attention: str
    unmasked: Attend
    why: tuple[str, ...] = ()
    scaled: ScaledTools | None = None
    why_wide: tuple[str, ...] = ()

    def attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the attention's output, (1, rows, heads, width) like its arguments."""
        return self.unmasked(query, key, value) if mask is None else sdpa(query, key, value, mask)

    def describe(self, *, masked: bool = False, in_fp8: bool = False) -> Forward:
        """Return the description for display and records.

        `masked`: some rows of the run do not count. `in_fp8`: its weights are in fp8.
        """
        told = self._describe(masked)
        if not in_fp8:
            return told
        narrow = self.scaled is not None and self.scaled.attend is not None and not masked
        return replace(
            told,
            attention="flash-attn-3 in fp8" if narrow else told.attention,
            why=told.why + self.why_wide,
            lossy=(
                "linear layers in fp8" if self.scaled else "weights in fp8",
                *(["attention in fp8"] if narrow else []),
            ),
        )

    def _describe(self, masked: bool) -> Forward:
        if masked and self.attention != "sdpa":
            why = (*self.why, f"{self.attention}: it takes no mask, and a text has one")
            return Forward(blocks="fused", kernels=self.kernels, attention="sdpa", why=why)
        return Forward(blocks="fused", kernels=self.kernels, attention=self.attention, why=self.why)


def tools_for(device: torch.device, dtype: torch.dtype, width: int) -> Tools:
    """Return the tools for heads of `width` numbers of a type.

    The first call for a device tests each tool there on a few rows against torch's own operations.
    """
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return _choose(device, dtype, width)


def describe_plain(why: str = "") -> Forward:
    """Describe diffusers' blocks, which run without our own parts; `why` says why ours do not run."""
    backend = _AttentionBackendRegistry.get_active_backend()[0]
    attention = "sdpa" if backend == AttentionBackendName.NATIVE else AttentionBackendName(backend).value
    return Forward(blocks="diffusers", kernels="torch", attention=attention, why=(why or "fused = false",))


@functools.cache
def _choose(device: torch.device, dtype: torch.dtype, width: int) -> Tools:
    if device.type != "cuda":
        why = ("triton, flash-attn-4, cudnn: they need an NVIDIA GPU",)
        wide = ("fp8: its products need an NVIDIA GPU, so weights are widened",)
        return Tools(kernels="torch", operations=operations, attention="sdpa", unmasked=sdpa, why=why, why_wide=wide)
    with torch.cuda.device(device):
        trial = Trial(device, dtype, width)
        kernels, faster, no_kernels = _kernels(trial)
        attention, unmasked, no_attention = _attention(trial)
        scaled, why_wide = _scaled(trial, faster)
    return Tools(
        scaled=scaled,
        why_wide=tuple(why_wide),
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


def _scaled(trial: Trial, kernels: Operations) -> tuple[ScaledTools | None, list[str]]:
    if trial.dtype != torch.bfloat16 or torch.cuda.get_device_capability(trial.device) < ADA:
        return None, ["fp8: its products need bfloat16 and a GPU from Ada or Hopper on, so weights are widened"]
    make = (lambda: quantized) if kernels is operations else _import_scaled
    made, reason = trial.of_scaled("fp8", make)
    if made is None:
        return None, [f"fp8: {reason}, so weights are widened"]
    attend, reason = None, _why_no_scaled_attention(trial.device)
    if not reason:
        attend, reason = trial.of_scaled_attention("flash-attn-3", flash_attn_3)
    reasons = [f"flash-attn-3 in fp8: {reason}"] if attend is None else []
    return ScaledTools(operations=made, attend=attend), reasons


def _import_scaled() -> ScaledOperations:
    from llm_dit.qwen.forward import kernels

    return kernels.scaled


def _why_no_scaled_attention(device: torch.device) -> str:
    if torch.cuda.get_device_capability(device)[0] != HOPPER:
        return "it is for Hopper"
    return "" if find_spec("fa3_fwd_interface") else "it is not installed; the extra `flash` brings it"


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

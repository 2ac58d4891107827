"""The attentions that there are, the fastest first; each takes (1, rows, heads, width), strided as it may be."""

import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

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

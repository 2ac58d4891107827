"""Page-locking weights where they lie, so that copying them to a CUDA device overlaps with computing."""

from typing import Any

import torch
from torch import nn

WORTH_IT = 1024 * 1024
"""Bytes; smaller tensors share pages with others and are left to torch's own allocator."""


def page_lock(module: nn.Module) -> None:
    """Page-lock the tensors of a module that is on the host; it needs a CUDA device.

    `Tensor.pin_memory` rounds every tensor up to a power of two, which makes 58 GB of Qwen-Image weights about 95 GB.
    Memory that is registered with the driver takes what it takes; where the driver refuses, torch's way is gone.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if not tensor.is_pinned():
            tensor.data = _locked(tensor.data)


def _locked(tensor: torch.Tensor) -> torch.Tensor:
    size = tensor.numel() * tensor.element_size()
    if size < WORTH_IT:
        return tensor.pin_memory()
    # A copy, because what comes from a mapped file cannot be registered.
    own = tensor.clone(memory_format=torch.contiguous_format)
    runtime: Any = torch.cuda.cudart()
    refused = int(runtime.cudaHostRegister(own.data_ptr(), size, 0))
    return own.pin_memory() if refused else own

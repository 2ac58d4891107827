"""Page-locking weights where they lie, so that copying them to a CUDA device overlaps with computing."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

WORTH_IT = 1024 * 1024
"""Bytes; smaller tensors share pages with others and are left to torch's own allocator."""


class PageLock:
    """Holds the tensors of modules on the host page-locked until `release`, or until nobody holds the lock.

    `Tensor.pin_memory` rounds every tensor up to a power of two, which makes 58 GB of Qwen-Image weights about 95 GB.
    Memory that is registered with the driver takes what it takes; where the driver refuses, torch's way is gone.
    The lock keeps the tensors alive: memory that was given back while registered would be read stale by the next copy.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        held: list[torch.Tensor] = []
        self.release = weakref.finalize(self, _unregister, held)
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                if not tensor.is_pinned():
                    tensor.data = _lock(tensor.data, held)


def _lock(tensor: torch.Tensor, held: list[torch.Tensor]) -> torch.Tensor:
    size = tensor.numel() * tensor.element_size()
    if size < WORTH_IT:
        return tensor.pin_memory()
    if int(_runtime().cudaHostRegister(tensor.data_ptr(), size, 0)) != 0:
        return tensor.pin_memory()
    held.append(tensor)
    return tensor


def _unregister(held: list[torch.Tensor]) -> None:
    torch.cuda.synchronize()
    for tensor in held:
        _runtime().cudaHostUnregister(tensor.data_ptr())
    held.clear()


def _runtime() -> Any:
    return torch.cuda.cudart()

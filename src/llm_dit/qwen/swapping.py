"""Weights that wait on the host and come to the device while their module runs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class SwappedModule:
    """Keeps a module's tensors on the host and lends them to the device.

    Going back costs nothing: the host's copy is kept, page-locked when `pinned`, and the device's is dropped, so the
    weights must not change. Works on modules whose parameters are plain tensors.
    """

    def __init__(self, module: nn.Module, device: torch.device, *, pinned: bool) -> None:
        self._device = device
        tensors = [*module.parameters(), *module.buffers()]
        self._homes = [(tensor, _on_host(tensor.data, pinned)) for tensor in tensors]
        self._is_away = False
        self.offload()

    def onload(self) -> None:
        """Bring the tensors to the device, unless they are there."""
        if not self._is_away:
            for tensor, home in self._homes:
                tensor.data = home.to(self._device, non_blocking=True)
            self._is_away = True

    def offload(self) -> None:
        """Drop the device's copies."""
        for tensor, home in self._homes:
            tensor.data = home
        self._is_away = False


def swap_whole(module: nn.Module, device: torch.device, *, pinned: bool) -> tuple[SwappedModule, Callable[[], None]]:
    """Bring the module whole when it runs; it stays until `offload()`. Also returns what undoes all this."""
    swapped = SwappedModule(module, device, pinned=pinned)
    hook = module.register_forward_pre_hook(lambda *_: swapped.onload())
    return swapped, hook.remove


def swap_layers(module: nn.Module, device: torch.device, *, pinned: bool) -> Callable[[], None]:
    """Bring each layer, and each module outside of the layers, only while it runs; returns what undoes this.

    Layers are the members of `nn.ModuleList`s. Copies are queued on the stream that computes, so that memory is used
    again in order and nothing waits on the host.
    """
    hooks: list[Any] = []
    for part in _parts(module):
        swapped = SwappedModule(part, device, pinned=pinned)
        hooks.append(part.register_forward_pre_hook(lambda *_, swapped=swapped: swapped.onload()))
        # `always_call`: an error inside must not leave the layer on the device.
        hooks.append(part.register_forward_hook(lambda *_, swapped=swapped: swapped.offload(), always_call=True))
    return lambda: [hook.remove() for hook in hooks].clear()


def _parts(module: nn.Module) -> list[nn.Module]:
    """Return the layers, and every leaf that is in none of them and holds tensors of its own."""
    layers = [layer for child in module.modules() if isinstance(child, nn.ModuleList) for layer in child]
    inside = {id(child) for layer in layers for child in layer.modules()}
    outer = [layer for layer in layers if not _is_nested(layer, layers)]
    others = [child for child in module.modules() if id(child) not in inside]
    return [*outer, *(child for child in others if _has_tensors(child))]


def _has_tensors(module: nn.Module) -> bool:
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(own)


def _is_nested(layer: nn.Module, layers: list[nn.Module]) -> bool:
    return any(layer is not other and any(child is layer for child in other.modules()) for other in layers)


def _on_host(tensor: torch.Tensor, pinned: bool) -> torch.Tensor:
    host = tensor.cpu()
    return host.pin_memory() if pinned else host

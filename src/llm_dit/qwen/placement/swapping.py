"""Keeps weights on the host and copies them to the device while they are needed.

Returning costs nothing: the host's copy is kept, and the device's is dropped. So the weights must not change, and must
be plain tensors. With page-locked copies (`pinned`) copying overlaps with computing.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import nn


class Swapped:
    """Tensors that are all on the device or all on the host."""

    def __init__(self, tensors: Iterable[torch.Tensor], device: torch.device, *, pinned: bool) -> None:
        self._device = device
        self._homes = [(tensor, on_host(tensor.data, pinned)) for tensor in tensors]
        self._is_away = False
        self.offload()

    def onload(self) -> None:
        """Bring the tensors to the device, unless they are there."""
        if not self._is_away:
            # Set first: if memory runs out during the copies, `offload` still drops those already made.
            self._is_away = True
            for tensor, home in self._homes:
                tensor.data = home.to(self._device, non_blocking=True)

    def offload(self) -> None:
        """Drop the device's copies."""
        for tensor, home in self._homes:
            tensor.data = home
        self._is_away = False


class Turns:
    """Sets of swapped tensors, one of which at a time is on the device."""

    def __init__(self) -> None:
        self._members: list[Swapped] = []

    def add(self, member: Swapped) -> None:
        self._members.append(member)

    def bring(self, wanted: Swapped) -> None:
        """Drop the others, then bring `wanted`."""
        for member in self._members:
            if member is not wanted:
                member.offload()
        wanted.onload()

    def clear(self) -> None:
        """Drop them all."""
        for member in self._members:
            member.offload()


def swap_layers(module: nn.Module, device: torch.device, *, pinned: bool) -> Callable[[], None]:
    """Bring each layer, and each module outside of the layers, only while it runs; returns a function to undo this.

    Layers are the members of `nn.ModuleList`s. Copies are queued on the computing stream, so that memory is reused in
    order and nothing waits on the host.
    """
    hooks: list[Any] = []
    for part in _parts(module):
        swapped = Swapped(tensors_of(part), device, pinned=pinned)
        hooks.append(part.register_forward_pre_hook(lambda *_, swapped=swapped: swapped.onload()))
        # `always_call`: an error inside must not leave the layer on the device.
        hooks.append(part.register_forward_hook(lambda *_, swapped=swapped: swapped.offload(), always_call=True))
    return lambda: remove_hooks(hooks)


def remove_hooks(hooks: Sequence[Any]) -> None:
    for hook in hooks:
        hook.remove()


def tensors_of(module: nn.Module) -> list[torch.Tensor]:
    """Return a module's parameters and buffers."""
    return [*module.parameters(), *module.buffers()]


def on_host(tensor: torch.Tensor, pinned: bool) -> torch.Tensor:
    """Return the tensor on the host; unchanged if it already is, page-locked as requested."""
    host = tensor.cpu()
    return host.pin_memory() if pinned else host


def _parts(module: nn.Module) -> list[nn.Module]:
    """Return the layers, and every module outside of them that has its own tensors."""
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


# Streaming of a transformer's blocks, one ahead of its turn.

ALIGNMENT = 256
"""Alignment of tensors in a slot in bytes, as that of the device's allocator."""


@dataclass
class Slot:
    """Device memory for one block: `tensors`, and on CUDA the events between which they may be read."""

    room: torch.Tensor
    tensors: list[torch.Tensor] = field(default_factory=list)
    arrived: Any = None
    left: Any = None
    holds: int = -1


class BlockStream:
    """Runs blocks from the host through two slots on the device, each as large as the largest block.

    While a block computes, the next one is copied into the other slot on a separate stream; the first follows the last,
    because a transformer runs many times. The two slots are all the device memory that it uses, however far the host is
    ahead of the device. It works by hooks: callers of the blocks need no change.
    """

    def __init__(self, blocks: Sequence[nn.Module], device: torch.device, *, pinned: bool) -> None:
        self._device = device
        self._homes = [[(tensor, on_host(tensor.data, pinned)) for tensor in tensors_of(block)] for block in blocks]
        self._slots: list[Slot] = []
        self._copying = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._hooks: list[Any] = []
        for index, block in enumerate(blocks):
            self._hooks.append(block.register_forward_pre_hook(lambda *_, index=index: self._enter(index)))
            # `always_call`: an error inside must not leave the block on the device.
            self._hooks.append(
                block.register_forward_hook(lambda *_, index=index: self._leave(index), always_call=True)
            )
        self.clear()

    def clear(self) -> None:
        """Return every block to the host and release the slots."""
        for home in self._homes:
            _point(home, [at for _, at in home])
        self._slots = []

    def remove(self) -> None:
        """Remove the hooks; the blocks are on the host."""
        self.clear()
        remove_hooks(self._hooks)

    def _enter(self, index: int) -> None:
        """Bring block `index` to the device, and start fetching the next."""
        slot = self._slot_with(index) or self._fetch(index)
        _point(self._homes[index], slot.tensors)
        if self._copying is not None:
            torch.cuda.current_stream(self._device).wait_event(slot.arrived)
        following = (index + 1) % len(self._homes)
        if self._slot_with(following) is None:
            self._fetch(following, beside=slot)

    def _leave(self, index: int) -> None:
        slot = self._slot_with(index)
        if slot is not None and self._copying is not None:
            slot.left = torch.cuda.current_stream(self._device).record_event()
        home = self._homes[index]
        _point(home, [at for _, at in home])

    def _slot_with(self, index: int) -> Slot | None:
        return next((slot for slot in self._slots if slot.holds == index), None)

    def _fetch(self, index: int, beside: Slot | None = None) -> Slot:
        """Copy a block into the slot other than `beside`, as soon as the computing stream has left it."""
        if not self._slots:
            self._slots = [self._new_slot() for _ in range(2)]
        slot = next(slot for slot in self._slots if slot is not beside)
        slot.holds, slot.tensors = index, _within(slot.room, self._homes[index])
        with self._copy_stream(slot):
            for tensor, (_, home) in zip(slot.tensors, self._homes[index], strict=True):
                tensor.copy_(home, non_blocking=True)
        if self._copying is not None:
            slot.arrived = self._copying.record_event()
        return slot

    def _new_slot(self) -> Slot:
        largest = max(sum(_aligned(home) for _, home in homes) for homes in self._homes)
        slot = Slot(room=torch.empty(largest, dtype=torch.uint8, device=self._device))
        if self._copying is not None:
            # The memory was allocated on the computing stream, whose earlier use of it must finish first.
            slot.left = torch.cuda.current_stream(self._device).record_event()
            slot.room.record_stream(self._copying)
        return slot

    @contextlib.contextmanager
    def _copy_stream(self, slot: Slot) -> Any:
        if self._copying is None:
            yield
            return
        self._copying.wait_event(slot.left)
        with torch.cuda.stream(self._copying):
            yield


def _aligned(tensor: torch.Tensor) -> int:
    return -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT


def _within(room: torch.Tensor, homes: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    """Return tensors like those of `homes`, consecutive in `room`; the types of a file's blocks may differ."""
    starts = accumulate((_aligned(home) for _, home in homes), initial=0)
    return [
        room[start : start + home.nbytes].view(home.dtype).view(home.shape)
        for start, (_, home) in zip(starts, homes, strict=False)
    ]


def _point(home: Sequence[tuple[torch.Tensor, torch.Tensor]], places: Sequence[torch.Tensor]) -> None:
    for (tensor, _), place in zip(home, places, strict=True):
        tensor.data = place


# Page-locking weights in place, so that copying them to a CUDA device overlaps with computing.

WORTH_IT = 1024 * 1024
"""Least size in bytes; smaller tensors share pages with others and are left to torch's own allocator."""


class PageLock:
    """Keeps modules' tensors on the host page-locked until `release`, or until the lock has no references.

    `Tensor.pin_memory` rounds every tensor up to a power of two, which makes 58 GB of Qwen-Image weights about 95 GB.
    Registering memory with the driver needs no more; if the driver refuses, torch's way is used.
    The lock keeps the tensors alive: if registered memory were freed, the next copy would read stale data.
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

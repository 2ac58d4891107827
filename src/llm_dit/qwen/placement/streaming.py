"""Blocks of a transformer that come to the device one ahead of their turn."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from llm_dit.qwen.placement.swapping import on_host, remove_hooks, tensors_of


@dataclass
class Slot:
    """Room on the device for one block: `tensors`, and on CUDA the events between which they may be read."""

    tensors: list[torch.Tensor]
    arrived: Any = None
    left: Any = None
    holds: int = -1


class BlockStream:
    """Runs blocks of equal shapes from the host through two slots on the device.

    While a block computes, the next one is copied into the other slot on a stream of its own; after the last comes the
    first again, since a transformer runs many times. The two slots are all the device memory that it takes, however
    far the host is ahead of the device. Hooks do it: nothing changes for who calls the blocks.
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
        """Send every block home and give the slots back."""
        for home in self._homes:
            _point(home, [at for _, at in home])
        self._slots = []

    def remove(self) -> None:
        """Take the hooks away; the blocks are on the host."""
        self.clear()
        remove_hooks(self._hooks)

    def _enter(self, index: int) -> None:
        """Have block `index` on the device, and start fetching the next."""
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
        """Copy a block into the slot that is not `beside`, as soon as who computes has left it."""
        if not self._slots:
            self._slots = [self._new_slot() for _ in range(2)]
        slot = next(slot for slot in self._slots if slot is not beside)
        slot.holds = index
        with self._copy_stream(slot):
            for tensor, (_, home) in zip(slot.tensors, self._homes[index], strict=True):
                tensor.copy_(home, non_blocking=True)
        if self._copying is not None:
            slot.arrived = self._copying.record_event()
        return slot

    def _new_slot(self) -> Slot:
        slot = Slot(tensors=[torch.empty_like(home, device=self._device) for _, home in self._homes[0]])
        if self._copying is not None:
            # The room was taken on the stream that computes: what that still does with it comes first.
            slot.left = torch.cuda.current_stream(self._device).record_event()
            for tensor in slot.tensors:
                tensor.record_stream(self._copying)
        return slot

    @contextlib.contextmanager
    def _copy_stream(self, slot: Slot) -> Any:
        if self._copying is None:
            yield
            return
        self._copying.wait_event(slot.left)
        with torch.cuda.stream(self._copying):
            yield


def _point(home: Sequence[tuple[torch.Tensor, torch.Tensor]], places: Sequence[torch.Tensor]) -> None:
    for (tensor, _), place in zip(home, places, strict=True):
        tensor.data = place

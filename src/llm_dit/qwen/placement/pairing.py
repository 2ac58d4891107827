"""A transformer on two devices: the branches of a guided step run at the same time, each on its own."""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import torch
from torch import nn

from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.forward.modulation import Moment, Table
from llm_dit.qwen.forward.transformer import Branch, Shapes, Transformer
from llm_dit.qwen.placement.swapping import tensors_of


class Pair:
    """A transformer, and a copy of its blocks on a second device; called as the transformer is, with two branches.

    The second branch is launched by a thread of its own, since launching a forward takes the host nearly as long as the
    device needs for it. The copy has no modulation: it gets the rows that the transformer's has told.
    """

    def __init__(self, first: Transformer, device: torch.device) -> None:
        self._first = first
        self._device = device
        self._second = _copy(first, device)
        self._second.recordings = Recordings.on(device)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="second-device")
        self._asked: tuple[torch.Tensor, Branch] | None = None
        self._moved: tuple[torch.Tensor, Branch] | None = None

    def __call__(
        self, tokens: torch.Tensor, *, branches: Sequence[Branch], schedule: torch.Tensor, step: int, shapes: Shapes
    ) -> list[torch.Tensor]:
        """Return what the transformer would, on its device; an error of either branch is raised when both are done."""
        here, there = branches
        self._first.speak(schedule, tokens)
        # A copy between devices waits for what is queued on both: before the first begins, that is nothing.
        moved = tokens.to(self._device), *self._move(schedule, there)
        theirs = self._thread.submit(self._ask_second, *moved, step, shapes)
        try:
            (ours,) = self._first(tokens, branches=[here], schedule=schedule, step=step, shapes=shapes)
        finally:
            wait([theirs])
        return [ours, theirs.result().to(ours.device)]

    @property
    def recordings(self) -> Recordings | None:
        """Those of the second device."""
        return self._second.recordings

    def close(self) -> None:
        """End the thread; to be called once, when no step runs."""
        self._thread.shutdown()

    @torch.no_grad()  # which holds for one thread
    def _ask_second(
        self, tokens: torch.Tensor, schedule: torch.Tensor, branch: Branch, step: int, shapes: Shapes
    ) -> torch.Tensor:
        (told,) = self._second(tokens, branches=[branch], schedule=schedule, step=step, shapes=shapes)
        return told

    def _move(self, schedule: torch.Tensor, branch: Branch) -> tuple[torch.Tensor, Branch]:
        """Return both on the second device, where they stay for the run, and its table filled with the first's."""
        if self._asked is None or self._moved is None or self._asked[0] is not schedule or self._asked[1] is not branch:
            mask = None if branch.mask is None else branch.mask.to(self._device)
            self._asked = schedule, branch
            self._moved = schedule.to(self._device), Branch(embeds=branch.embeds.to(self._device), mask=mask)
        mine, theirs = self._second.table, self._first.table
        if mine.times != theirs.times:
            mine.moments = [Moment(*(each.to(self._device) for each in moment)) for moment in theirs.moments]
            mine.times = theirs.times
        return self._moved


def _copy(transformer: Transformer, device: torch.device) -> Transformer:
    """Return the transformer without its modulation, its weights copied straight to the device."""
    # What a memo has is taken from there, so nothing is copied on the device that it is on.
    memo: dict[int, Any] = {id(transformer.modulations): nn.ModuleList(), id(transformer.table): Table()}
    memo[id(transformer.recordings)] = None
    apart = {id(tensor) for tensor in tensors_of(transformer.modulations)}
    for tensor in tensors_of(transformer):
        if id(tensor) not in apart:
            moved = tensor.data.to(device, copy=True)
            memo[id(tensor)] = nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved
    return copy.deepcopy(transformer, memo)

"""What the timestep tells each block, computed once for a schedule.

A third of the transformer's weights, `img_mod` and `txt_mod`, see the timestep alone. So they speak once for each step
of a schedule, row by row, with the very products of a step; then the blocks read their rows, and the weights need not
be on the device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn


def is_modulation(name: str) -> bool:
    """Whether a weight of a checkpoint's transformer belongs to the modulation of a block."""
    return not {"img_mod", "txt_mod"}.isdisjoint(name.split("."))


class Modulation(nn.Module):
    """The modulation of one block of diffusers'."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.img_mod, self.txt_mod = block.img_mod, block.txt_mod

    def forward(self, tembs: Sequence[torch.Tensor], zero_cond_t: bool) -> list[torch.Tensor]:
        """Return for each of `tembs` the image's and the text's rows below each other, (2, 6 × width).

        With `zero_cond_t` there are three: the second is for the condition's image.
        """
        texts = [temb.chunk(2)[0] if zero_cond_t else temb for temb in tembs]
        return [torch.cat([self.img_mod(temb), self.txt_mod(text)]) for temb, text in zip(tembs, texts, strict=True)]


class Moment(NamedTuple):
    """What a step's time tells: its embedding, (1 or 2, width), and each block's rows, (blocks, 2 or 3, 6 × width)."""

    temb: torch.Tensor
    rows: torch.Tensor


@dataclass(kw_only=True)
class Table:
    """What every step of the latest schedule tells: 221 MB for 50 steps of the real model."""

    latest: torch.Tensor | None = None
    times: list[float] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def fill(
        self,
        schedule: torch.Tensor,
        embed: Callable[[torch.Tensor], torch.Tensor],
        modulations: nn.ModuleList,
        zero_cond_t: bool,
    ) -> None:
        """Compute the table of `schedule`, timesteps (steps,), unless it is there; `embed` embeds one, (1,)."""
        if schedule is self.latest:  # reading its numbers would wait for the device
            return
        times = schedule.tolist()
        if times != self.times:
            self.forget()
            tembs = [embed(schedule[step : step + 1]) for step in range(len(times))]
            rows: list[torch.Tensor] = []
            for block, modulation in enumerate(modulations):
                told = modulation(tembs, zero_cond_t)
                rows = rows or [each.new_empty(len(modulations), *each.shape) for each in told]
                for row, each in zip(rows, told, strict=True):
                    row[block] = each
            self.moments = list(map(Moment, tembs, rows))
            self.times = times
        self.latest = schedule

    def forget(self) -> None:
        """Give its memory back."""
        self.latest, self.times, self.moments = None, [], []

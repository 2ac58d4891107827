"""What the timestep tells each block, computed once for a schedule.

A third of the transformer's weights, `img_mod` and `txt_mod`, see the timestep alone. So they speak once for each step
of a schedule, row by row, with the very products of a step; then the blocks read their rows, and the weights need not
be on the device.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

Row = tuple[torch.Tensor, torch.Tensor]
"""What an image stream and a text stream are scaled, shifted and gated by."""


def is_modulation(name: str) -> bool:
    """Whether a weight of a checkpoint's transformer belongs to the modulation of a block."""
    return not {"img_mod", "txt_mod"}.isdisjoint(name.split("."))


class Modulation(nn.Module):
    """The modulation of one block of diffusers'."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.img_mod, self.txt_mod = block.img_mod, block.txt_mod

    def forward(self, tembs: Sequence[torch.Tensor], zero_cond_t: bool) -> list[Row]:
        """Return a row for each of `tembs`; with `zero_cond_t` each has a second one, for the condition's image."""
        return [(self.img_mod(temb), self.txt_mod(temb.chunk(2)[0] if zero_cond_t else temb)) for temb in tembs]


@dataclass(kw_only=True)
class Table:
    """The rows of every block for every step of the latest schedule: 221 MB for 50 steps of the real model."""

    latest: torch.Tensor | None = None
    times: list[float] = field(default_factory=list)
    tembs: list[torch.Tensor] = field(default_factory=list)
    rows: list[list[Row]] = field(default_factory=list)

    def fill(
        self,
        schedule: torch.Tensor,
        embed: Callable[[torch.Tensor], torch.Tensor],
        modulations: Iterable[nn.Module],
        zero_cond_t: bool,
    ) -> None:
        """Compute the table of `schedule`, timesteps (steps,), unless it is there; `embed` embeds one, (1,)."""
        if schedule is self.latest:  # reading its numbers would wait for the device
            return
        times = schedule.tolist()
        if times != self.times:
            self.forget()
            self.tembs = [embed(schedule[step : step + 1]) for step in range(len(times))]
            self.rows = [modulation(self.tembs, zero_cond_t) for modulation in modulations]
            self.times = times
        self.latest = schedule

    def forget(self) -> None:
        """Give its memory back."""
        self.latest, self.times, self.tembs, self.rows = None, [], [], []

"""Diffusers' transformer, which takes all branches of a guided step in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from diffusers.models.transformers.transformer_qwenimage import (
    QwenImageTransformer2DModel,
    compute_text_seq_len_from_mask,
)
from torch import nn

from llm_dit.qwen.modulation import Modulation, Table

Shapes = list[list[tuple[int, int, int]]]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A text that leads a step: its embeddings (1, tokens, width), and which of them count; None is all."""

    embeds: torch.Tensor
    mask: torch.Tensor | None = None


@dataclass(kw_only=True)
class _Rows:
    """What one branch has on its way through the blocks."""

    image: torch.Tensor
    text: torch.Tensor
    mask: torch.Tensor | None
    rope: Any


class Transformer(QwenImageTransformer2DModel):
    """The model of the checkpoint; it answers for each branch, to the bit as if asked one by one.

    Every block sees all branches before the next block begins, so that a block that is fetched from the host is fetched
    once a step. `take_apart` has to be called once, with the weights in.
    """

    modulations: nn.ModuleList

    def take_apart(self) -> None:
        """Take the modulation out of the blocks."""
        self.modulations = nn.ModuleList(Modulation(block) for block in self.transformer_blocks)
        self.table = Table()

    def forget(self) -> None:
        """Give back what is kept for the latest schedule."""
        self.table.forget()
        blocks: Any = self.transformer_blocks
        for block in blocks:
            block.img_mod.row = block.txt_mod.row = None

    # Diffusers' own signature is of one branch and one timestep.
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, tokens: torch.Tensor, *, branches: Sequence[Branch], schedule: torch.Tensor, step: int, shapes: Shapes
    ) -> list[torch.Tensor]:
        """Return a tensor like `tokens` (1, tokens, channels) for each branch.

        `schedule` has the timesteps of the whole run, 0–1, and `step` says which is at hand. `shapes` are diffusers'
        `img_shapes`: frames, rows and columns of what is made, then of what is shown.
        """
        image = self.img_in(tokens)
        self.table.fill(schedule.to(image.dtype), lambda time: self._embed(time, image), self.modulations, self._zeros)
        index = _condition_index(shapes, image.device) if self._zeros else None
        temb = self.table.tembs[step]
        rows = [self._enter(image, branch, shapes) for branch in branches]
        for number, block in enumerate(self.transformer_blocks):
            self.table.give(number, block, step)
            for row in rows:
                row.text, row.image = block(
                    hidden_states=row.image,
                    encoder_hidden_states=row.text,
                    encoder_hidden_states_mask=row.mask,
                    temb=temb,
                    image_rotary_emb=row.rope,
                    modulate_index=index,
                )
        temb = temb.chunk(2)[0] if self._zeros else temb
        return [self.proj_out(self.norm_out(row.image, temb)) for row in rows]

    @property
    def _zeros(self) -> bool:
        """Whether what is shown is told to be without noise, as Qwen-Image-Edit-2511 does."""
        return bool(self.zero_cond_t)

    def _embed(self, time: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        config: Any = self.config
        is_rgb = torch.zeros(1, dtype=torch.long, device=image.device) if config.use_additional_t_cond else None
        return self.time_text_embed(torch.cat([time, time * 0]) if self._zeros else time, image, is_rgb)

    def _enter(self, image: torch.Tensor, branch: Branch, shapes: Shapes) -> _Rows:
        text = self.txt_in(self.txt_norm(branch.embeds))
        length, _, mask = compute_text_seq_len_from_mask(text, branch.mask)
        rope = self.pos_embed(shapes, max_txt_seq_len=length, device=image.device)
        return _Rows(image=image, text=text, mask=mask, rope=rope)


def _condition_index(shapes: Shapes, device: torch.device) -> torch.Tensor:
    """Return 0 for each token of the first frame, which is made, and 1 for those of the others, which are shown."""
    made, *shown = (prod(frame) for frame in shapes[0])
    index = torch.ones(1, made + sum(shown), dtype=torch.int, device=device)
    index[:, :made] = 0
    return index

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
    """The model of the checkpoint; with `branches` it answers for each of them, to the bit as if asked one by one.

    Every block sees all branches before the next block begins, so that a block that is fetched from the host is fetched
    once a step. Without `branches` it is diffusers' own.
    """

    def forward(self, hidden_states: torch.Tensor, *arguments: Any, branches: Any = None, **named: Any) -> Any:
        """Return a tensor like `hidden_states` (1, tokens, channels) for each `Branch`, in a list."""
        if branches is None:
            return super().forward(hidden_states, *arguments, **named)
        return self._predict(hidden_states, branches, *arguments, **named)

    def _predict(
        self, tokens: torch.Tensor, branches: Sequence[Branch], timestep: torch.Tensor, img_shapes: Shapes
    ) -> list[torch.Tensor]:
        image = self.img_in(tokens)
        times = timestep.to(image.dtype)
        if self.zero_cond_t:
            times = torch.cat([times, times * 0])
        index = _condition_index(img_shapes, image.device) if self.zero_cond_t else None
        config: Any = self.config
        is_rgb = torch.zeros(1, dtype=torch.long, device=image.device) if config.use_additional_t_cond else None
        temb = self.time_text_embed(times, image, is_rgb)
        rows = [self._enter(image, branch, img_shapes) for branch in branches]
        for block in self.transformer_blocks:
            for row in rows:
                row.text, row.image = block(
                    hidden_states=row.image,
                    encoder_hidden_states=row.text,
                    encoder_hidden_states_mask=row.mask,
                    temb=temb,
                    image_rotary_emb=row.rope,
                    modulate_index=index,
                )
        temb = temb.chunk(2)[0] if self.zero_cond_t else temb
        return [self.proj_out(self.norm_out(row.image, temb)) for row in rows]

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

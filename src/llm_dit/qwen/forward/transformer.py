"""Diffusers' transformer, which takes all branches of a guided step in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from diffusers.models.transformers.transformer_qwenimage import (
    QwenImageTransformer2DModel,
    compute_text_seq_len_from_mask,
)
from torch import nn

from llm_dit.pipelines.base import Forward
from llm_dit.qwen.forward.blocks import Block
from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.forward.modulation import Modulation, Moment, Table
from llm_dit.qwen.forward.operations import Layout, Rows
from llm_dit.qwen.forward.tools import Tools, describe_plain, tools_for

Shapes = list[list[tuple[int, int, int]]]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A text that leads a step: its embeddings (1, tokens, width), and which of them count; None is all."""

    embeds: torch.Tensor
    mask: torch.Tensor | None = None


class Transformer(QwenImageTransformer2DModel):
    """The model of the checkpoint; it answers for each branch, to the bit as if asked one by one.

    Every block sees all branches before the next block begins, so that a block that is fetched from the host is fetched
    once a step. `take_apart` has to be called once, with the weights in.
    """

    modulations: nn.ModuleList
    recordings: Recordings | None = None
    """The forward of a branch as CUDA graphs, where the weights stay where they are."""
    pair: Any = None
    """What asks two devices for the two branches of guidance (`pairing.py`), where there are two."""

    def take_apart(self) -> None:
        """Put our blocks in the place of diffusers', over the same weights, and the modulation apart."""
        blocks: Any = self.transformer_blocks
        self.modulations = nn.ModuleList(Modulation(block) for block in blocks)
        for number, block in enumerate(blocks):
            blocks[number] = Block(block)  # one after the other: Q, K and V are there twice while they are joined
        self.table = Table()

    def forget(self) -> None:
        """Give back what is kept for the next run only."""
        self.table.forget()
        for recordings in (self.recordings, self.pair and self.pair.recordings):
            if recordings is not None:
                recordings.forget()

    # Diffusers' own signature is of one branch and one timestep.
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, tokens: torch.Tensor, *, branches: Sequence[Branch], schedule: torch.Tensor, step: int, shapes: Shapes
    ) -> list[torch.Tensor]:
        """Return a tensor like `tokens` (1, tokens, channels) for each branch.

        `schedule` has the timesteps of the whole run, 0–1, and `step` is the number of the current one. `shapes` are
        diffusers' `img_shapes`: frames, rows and columns of what is made, then of what is shown.
        """
        self.speak(schedule, tokens)
        moment = self.table.moments[step]
        with torch.cuda.device_of(tokens):  # kernels are launched on the current device, whatever they are given
            if self.recordings is not None and all(branch.mask is None for branch in branches):
                return [self._recorded(self.recordings, tokens, branch, moment, shapes) for branch in branches]
            asked = [(branch.embeds, self._layout(branch, shapes)) for branch in branches]
            return self._ask(tokens, moment, asked)

    def _recorded(
        self, recordings: Recordings, tokens: torch.Tensor, branch: Branch, moment: Moment, shapes: Shapes
    ) -> torch.Tensor:
        def make() -> Callable[..., torch.Tensor]:
            layout = self._layout(branch, shapes)
            return lambda tokens, embeds, *told: self._ask(tokens, Moment(*told), [(embeds, layout)])[0]

        inputs = (tokens, branch.embeds, *moment)
        key = (str(shapes), *((each.shape, each.dtype) for each in inputs))
        return recordings(key, make, *inputs)

    def _ask(
        self, tokens: torch.Tensor, moment: Moment, asked: Sequence[tuple[torch.Tensor, Layout]]
    ) -> list[torch.Tensor]:
        """Return an answer to each of the texts that are `asked` about, with no look at any number on the device."""
        image = self.img_in(tokens)
        tools = self.tools(image.device, image.dtype)
        entered = [self._enter(image, embeds, layout) for embeds, layout in asked]
        for block, row in zip(self.transformer_blocks, moment.rows, strict=True):
            for branch in entered:
                block(branch, row, tools)
        temb = moment.temb.chunk(2)[0] if self._zeros else moment.temb
        return [self._leave(branch, temb) for branch in entered]

    def tools(self, device: torch.device, dtype: torch.dtype) -> Tools:
        """Return what the blocks are computed with."""
        config: Any = self.config
        return tools_for(device, dtype, config.attention_head_dim)

    def speak(self, schedule: torch.Tensor, tokens: torch.Tensor) -> None:
        """Have the modulation's table of `schedule`; `tokens` tell the device and the type."""
        self.table.fill(
            schedule.to(tokens.dtype), lambda time: self._embed(time, tokens), self.modulations, self._zeros
        )

    @property
    def _zeros(self) -> bool:
        """Whether what is shown is told to be without noise, as Qwen-Image-Edit-2511 does."""
        return bool(self.zero_cond_t)

    def _embed(self, time: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        config: Any = self.config
        is_rgb = torch.zeros(1, dtype=torch.long, device=image.device) if config.use_additional_t_cond else None
        return self.time_text_embed(torch.cat([time, time * 0]) if self._zeros else time, image, is_rgb)

    def _layout(self, branch: Branch, shapes: Shapes) -> Layout:
        device = branch.embeds.device
        length, _, mask = compute_text_seq_len_from_mask(branch.embeds, branch.mask)
        of_image, of_text = self.pos_embed(shapes, max_txt_seq_len=length, device=device)
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(1, len(of_image))], dim=1)[:, None, None]
        index = _condition_index(shapes, device) if self._zeros else None
        return Layout(text=length, rope=torch.cat([of_text, of_image]), mask=mask, index=index)

    def _enter(self, image: torch.Tensor, embeds: torch.Tensor, layout: Layout) -> Rows:
        return Rows(rows=torch.cat([self.txt_in(self.txt_norm(embeds)), image], dim=1), layout=layout)

    def _leave(self, branch: Rows, temb: torch.Tensor) -> torch.Tensor:
        branch.settle()
        return self.proj_out(self.norm_out(branch.rows[:, branch.layout.text :], temb))


def is_fused(pipeline: Any) -> bool:
    """Whether a pipeline was loaded with the parts of `llm_dit.qwen`, not with plain diffusers'."""
    return isinstance(pipeline.transformer, Transformer)


def forward_of(pipeline: Any, device: torch.device, dtype: torch.dtype, *, masked: bool = False) -> Forward:
    """Return what computes a pipeline's steps there; `masked` is of a run in which some text does not count."""
    if not is_fused(pipeline):
        return describe_plain()
    return pipeline.transformer.tools(device, dtype).describe(masked=masked)


def _condition_index(shapes: Shapes, device: torch.device) -> torch.Tensor:
    """Return 0 for each token of the first frame, which is made, and 1 for those of the others, which are shown."""
    made, *shown = (prod(frame) for frame in shapes[0])
    index = torch.ones(1, made + sum(shown), dtype=torch.int, device=device)
    index[:, :made] = 0
    return index

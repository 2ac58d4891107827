"""Diffusers' transformer with our blocks; it computes all branches of a guided step in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import torch
from diffusers.models.transformers.transformer_qwenimage import (
    QwenImageTransformer2DModel,
    compute_text_seq_len_from_mask,
)
from torch import nn

from llm_dit.qwen.forward.graphs import Recordings
from llm_dit.qwen.forward.operations import Half, Layout, Operations, Owed, Rows, is_plain
from llm_dit.qwen.forward.quantized import Fp8Linear, Scaled, ScaledTools, bounds_of
from llm_dit.qwen.forward.tools import Tools, describe_plain, tools_for
from llm_dit.runs import Forward

# A block of the transformer over one buffer, which holds the rows of the text, then those of the image.
#
# The products are those of diffusers' `QwenImageTransformerBlock`, in the same order, and bit-identical on a CPU; Q, K
# and V of a stream come from one product, and nothing is concatenated for the attention. `Tools` computes the attention
# and everything between the products, with torch's own operations or faster ones.


class Block(nn.Module):
    """Diffusers' block without its modulation; Q, K and V are joined where possible."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attn = block.attn
        self.eps = block.img_norm1.eps
        self.heads = attn.heads
        self.text = _Stream(
            (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj),
            (attn.norm_added_q, attn.norm_added_k),
            attn.to_add_out,
            block.txt_mlp,
        )
        self.image = _Stream(
            (attn.to_q, attn.to_k, attn.to_v), (attn.norm_q, attn.norm_k), attn.to_out[0], block.img_mlp
        )
        self.in_fp8 = isinstance(self.image.out, Fp8Linear)
        self.bounds: torch.Tensor
        if self.in_fp8:
            self.register_buffer("bounds", bounds_of(self.text.norms, self.image.norms))

    def forward(self, branch: Rows, row: torch.Tensor, tools: Tools) -> None:
        """Run the block on `branch` with the step's modulation (`Moment.rows`).

        The output of the second half is left in `owed`: the next block adds it in one pass with its own norm.
        """
        first, second = (Half(image=half[:-1], text=half[-1:]) for half in row.chunk(2, dim=-1))
        scaled = tools.scaled if self.in_fp8 else None
        normed = self._norm(branch, first, tools, scaled)
        branch.owed = Owed(*self._attend(normed, branch, tools, scaled), first, ends_block=False)
        normed = self._norm(branch, second, tools, scaled)
        branch.owed = Owed(*self._think(normed, branch.layout.text, tools, scaled), second, ends_block=True)

    def _norm(self, branch: Rows, half: Half, tools: Tools, scaled: ScaledTools | None) -> torch.Tensor | Scaled:
        if scaled is None:
            return tools.operations.norm(branch, half, self.eps)[0]
        return scaled.operations.norm(branch, half, self.eps)

    def _attend(
        self, normed: torch.Tensor | Scaled, branch: Rows, tools: Tools, scaled: ScaledTools | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, (_, total, width) = branch.layout.text, branch.rows.shape
        joint = branch.rows.new_empty(1, total, 3, self.heads, width // self.heads)
        flat = joint.view(total, 3 * width)
        self.text.project(normed[:count], flat[:count], tools.operations)
        self.image.project(normed[count:], flat[count:], tools.operations)
        norms = self.text.norms, self.image.norms
        if scaled is not None and scaled.attend is not None and branch.layout.mask is None:
            seen = scaled.attend(*scaled.operations.turn(joint, branch, *norms, self.bounds))
        else:
            tools.operations.turn(joint, branch, *norms)
            query, key, value = joint.unbind(2)
            seen = tools.attend(query, key, value, branch.layout.mask)
        rows = seen.flatten(2, 3)[0]
        given = rows if scaled is None else scaled.operations.quantize(rows)
        return self.text.out(given[:count])[None], self.image.out(given[count:])[None]

    def _think(
        self, normed: torch.Tensor | Scaled, count: int, tools: Tools, scaled: ScaledTools | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        text, image = normed[:count], normed[count:]
        return self.text.think(text, tools, scaled), self.image.think(image, tools, scaled)


class _Stream(nn.Module):
    """The weights of the text's or the image's stream."""

    def __init__(
        self, projections: tuple[Any, Any, Any], norms: tuple[nn.Module, nn.Module], out: nn.Module, mlp: nn.Module
    ) -> None:
        super().__init__()
        self.qkv: nn.Module
        if all(isinstance(each, Fp8Linear) for each in projections):
            self.qkv = Fp8Linear.joined(projections)
        else:
            self.qkv = Joined(projections) if all(map(is_plain, projections)) else _Apart(projections)
        self.norms = nn.ModuleList(norms)
        self.out, self.mlp = out, mlp

    def project(self, rows: torch.Tensor | Scaled, out: torch.Tensor, operations: Operations) -> None:
        """Write Q, K and V of `rows` (count, width) to `out` (count, 3 × width)."""
        self.qkv(rows, out, operations)

    def think(self, rows: torch.Tensor | Scaled, tools: Tools, scaled: ScaledTools | None) -> torch.Tensor:
        """Return the MLP's output for rows (count, width), as (1, count, width)."""
        mlp: Any = self.mlp
        enter, _, leave = mlp.net
        if isinstance(rows, torch.Tensor):
            return tools.operations.think(rows[None], mlp)
        thought = enter.proj(rows)
        if scaled is not None and isinstance(getattr(leave, "layer", leave), Fp8Linear):  # or with a LoRA beside it
            return leave(scaled.operations.quantize(thought, gelu=True))[None]
        return leave(torch.ops.aten.gelu_(thought, approximate="tanh"))[None]


class Joined(nn.Module):
    """Q, K and V in one product."""

    def __init__(self, projections: tuple[Any, Any, Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([each.weight.data for each in projections]), requires_grad=False)
        self.bias = nn.Parameter(torch.cat([each.bias.data for each in projections]), requires_grad=False)

    def forward(self, rows: torch.Tensor, out: torch.Tensor, operations: Operations) -> None:
        """As `_Stream.project`."""
        operations.project(rows, self.weight, self.bias, out)


class _Apart(nn.Module):
    """Q, K and V one by one: quantized weights cannot be joined."""

    def __init__(self, projections: tuple[Any, Any, Any]) -> None:
        super().__init__()
        self.query, self.key, self.value = projections

    def forward(self, rows: torch.Tensor, out: torch.Tensor, operations: Operations) -> None:
        """As `Joined`."""
        for part, projection in zip(out.chunk(3, dim=-1), (self.query, self.key, self.value), strict=True):
            part.copy_(projection(rows))


# Each block's modulation, computed once per schedule.
#
# A third of the transformer's weights, `img_mod` and `txt_mod`, depend on the timestep alone. They are computed once
# for all steps of a schedule, row by row, with the same products as in a step; then the blocks read their rows, and the
# weights need not be on the device.


class Modulation(nn.Module):
    """The modulation of one of diffusers' blocks."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.img_mod, self.txt_mod = block.img_mod, block.txt_mod

    def forward(self, tembs: Sequence[torch.Tensor], zero_cond_t: bool) -> list[torch.Tensor]:
        """Return for each of `tembs` the image's and the text's rows, stacked, (2, 6 × width).

        With `zero_cond_t` there are three rows: the second is for the condition's image.
        """
        texts = [temb.chunk(2)[0] if zero_cond_t else temb for temb in tembs]
        return [torch.cat([self.img_mod(temb), self.txt_mod(text)]) for temb, text in zip(tembs, texts, strict=True)]


class Moment(NamedTuple):
    """A step's time embedding, (1 or 2, width), and each block's modulation, (blocks, 2 or 3, 6 × width)."""

    temb: torch.Tensor
    rows: torch.Tensor


@dataclass(kw_only=True)
class Table:
    """The moments of the latest schedule: 221 MB for 50 steps of the real model."""

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
        """Compute the table of `schedule`, timesteps (steps,), unless it is cached; `embed` embeds one, (1,)."""
        if schedule is self.latest:  # comparing values would wait for the device
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
        """Release its memory."""
        self.latest, self.times, self.moments = None, [], []


# The whole model.

Shapes = list[list[tuple[int, int, int]]]


@dataclass(frozen=True, kw_only=True, eq=False)  # tensors do not compare; identity identifies a branch
class Branch:
    """A branch of guidance: a text's embeddings (1, tokens, width), and the mask of those that count; None is all."""

    embeds: torch.Tensor
    mask: torch.Tensor | None = None


class Transformer(QwenImageTransformer2DModel):
    """The checkpoint's model; the results of several branches are bit-identical to those of single calls.

    Every block runs all branches before the next block, so that a streamed block is fetched once per step. Call
    `take_apart` once after loading the weights.
    """

    modulations: nn.ModuleList
    recordings: Recordings | None = None
    """The forward of a branch as CUDA graphs, if the weights do not move."""
    pair: Any = None
    """Runs the two branches of guidance on two devices (`placing.Pair`), if there are two."""

    def take_apart(self) -> None:
        """Replace diffusers' blocks by ours over the same weights, and separate the modulation."""
        blocks: Any = self.transformer_blocks
        self.modulations = nn.ModuleList(Modulation(block) for block in blocks)
        for number, block in enumerate(blocks):
            blocks[number] = Block(block)  # one at a time: joining holds Q, K and V twice
        self.table = Table()

    @property
    def in_fp8(self) -> bool:
        """Whether the linear layers of its blocks are in fp8."""
        return any(getattr(block, "in_fp8", False) for block in self.transformer_blocks)

    def forget(self) -> None:
        """Release what is cached for the next run."""
        self.table.forget()
        if self.recordings is not None:
            self.recordings.forget()
        if self.pair is not None:
            self.pair.second.forget()

    # Diffusers' own signature takes one branch and one timestep.
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        tokens: torch.Tensor,
        *,
        branches: Sequence[Branch],
        schedule: torch.Tensor,
        step: int,
        shapes: Shapes,
        residuals: dict[Branch, torch.Tensor] | None = None,
        reuse: bool = False,
    ) -> list[torch.Tensor]:
        """Return a tensor like `tokens` (1, tokens, channels) for each branch.

        `schedule` has the timesteps of the whole run, 0–1, and `step` is the number of the current one. `shapes` are
        diffusers' `img_shapes`: frames, rows and columns of the output, then of the condition. `residuals` gets what
        the blocks add to the image's tokens, (1, tokens, width) per branch; with `reuse` it supplies them and no block
        runs.
        """
        self.speak(schedule, tokens)
        moment = self.table.moments[step]
        with torch.cuda.device_of(tokens):  # kernels launch on the current device, not on that of their arguments
            if reuse and residuals is not None:
                image = self.img_in(tokens)
                return [self._end(image + residuals[branch], moment) for branch in branches]
            keep = residuals is not None
            if self.recordings is not None and all(branch.mask is None for branch in branches):
                told = [self._recorded(self.recordings, tokens, branch, moment, shapes, keep) for branch in branches]
            else:
                asked = [(branch.embeds, self._layout(branch, shapes)) for branch in branches]
                told = self._ask(tokens, moment, asked, keep)
            if residuals is None:
                return told
            # Each prediction, concatenated with what the blocks have added.
            channels = self.proj_out.out_features
            residuals.update(zip(branches, (each[..., channels:] for each in told), strict=True))
            return [each[..., :channels] for each in told]

    def _recorded(
        self, recordings: Recordings, tokens: torch.Tensor, branch: Branch, moment: Moment, shapes: Shapes, keep: bool
    ) -> torch.Tensor:
        def make() -> Callable[..., torch.Tensor]:
            layout = self._layout(branch, shapes)
            return lambda tokens, embeds, *told: self._ask(tokens, Moment(*told), [(embeds, layout)], keep)[0]

        inputs = (tokens, branch.embeds, *moment)
        key = (keep, str(shapes), *((each.shape, each.dtype) for each in inputs))
        return recordings(key, make, *inputs)

    def _ask(
        self, tokens: torch.Tensor, moment: Moment, asked: Sequence[tuple[torch.Tensor, Layout]], keep: bool
    ) -> list[torch.Tensor]:
        """Return a prediction for each of the branches `asked`, without reading any number from the device.

        With `keep` what the blocks have added follows a prediction's channels.
        """
        image = self.img_in(tokens)
        tools = self.tools(image.device, image.dtype)
        entered = [self._enter(image, embeds, layout) for embeds, layout in asked]
        for block, row in zip(self.transformer_blocks, moment.rows, strict=True):
            for branch in entered:
                block(branch, row, tools)
        return [self._leave(branch, image if keep else None, moment) for branch in entered]

    def tools(self, device: torch.device, dtype: torch.dtype) -> Tools:
        """Return the tools of the blocks."""
        config: Any = self.config
        return tools_for(device, dtype, config.attention_head_dim)

    def speak(self, schedule: torch.Tensor, tokens: torch.Tensor) -> None:
        """Compute the modulation's table of `schedule`, on the device and in the type of `tokens`."""
        self.table.fill(
            schedule.to(tokens.dtype), lambda time: self._embed(time, tokens), self.modulations, self._zeros
        )

    @property
    def _zeros(self) -> bool:
        """Whether the condition gets timestep 0 (no noise), as in Qwen-Image-Edit-2511."""
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

    def _leave(self, branch: Rows, before: torch.Tensor | None, moment: Moment) -> torch.Tensor:
        branch.settle()
        rows = branch.rows[:, branch.layout.text :]
        answer = self._end(rows, moment)
        return answer if before is None else torch.cat([answer, rows - before], dim=-1)

    def _end(self, rows: torch.Tensor, moment: Moment) -> torch.Tensor:
        temb = moment.temb.chunk(2)[0] if self._zeros else moment.temb
        return self.proj_out(self.norm_out(rows, temb))


def is_fused(pipeline: Any) -> bool:
    """Whether a pipeline was loaded with the parts of `llm_dit.qwen`, not with diffusers' own."""
    return isinstance(pipeline.transformer, Transformer)


def forward_of(pipeline: Any, device: torch.device, dtype: torch.dtype, *, masked: bool = False) -> Forward:
    """Describe the computation of a pipeline's steps; `masked`: some text of the run does not count."""
    if not is_fused(pipeline):
        return describe_plain()
    transformer = pipeline.transformer
    return transformer.tools(device, dtype).describe(masked=masked, in_fp8=transformer.in_fp8)


def _condition_index(shapes: Shapes, device: torch.device) -> torch.Tensor:
    """Return 0 for tokens of the first frame, the output, and 1 for those of the others, the condition."""
    made, *shown = (prod(frame) for frame in shapes[0])
    index = torch.ones(1, made + sum(shown), dtype=torch.int, device=device)
    index[:, :made] = 0
    return index

"""A block of the transformer over one buffer, which holds the rows of the text and of the image behind each other.

The products are those of diffusers' `QwenImageTransformerBlock`, in the same order, and give the same bits on a CPU; Q,
K and V of a stream come from one product, and nothing is put together for the attention.
"""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen
from torch import nn
from torch.nn import functional

from llm_dit.qwen.modulation import Row


@dataclass(kw_only=True)
class Rows:
    """What one branch has on its way through the blocks: `rows` (1, text + image, width), the first `text` the text's.

    `rope` is complex, a row for each of `rows`; `mask` is for the attention, None where every row counts.
    """

    rows: torch.Tensor
    text: int
    rope: torch.Tensor
    mask: torch.Tensor | None


class Block(nn.Module):
    """Diffusers' block without its modulation; holds its weights, Q, K and V joined where they can be."""

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

    def forward(self, branch: Rows, row: Row, index: torch.Tensor | None) -> None:
        """Change `branch.rows` by what the block makes of them.

        `row` has the modulation of this step; `index` says of each image row whether it is of the condition, where
        that has a modulation of its own.
        """
        streams = (
            (self.text, slice(None, branch.text), row[1].chunk(2, dim=-1), None),
            (self.image, slice(branch.text, None), row[0].chunk(2, dim=-1), index),
        )
        for half, work in enumerate((self._attend, self._think)):
            normed = functional.layer_norm(branch.rows, branch.rows.shape[-1:], eps=self.eps)
            gates: list[torch.Tensor] = []
            for _, part, parameters, of_rows in streams:
                shift, scale, gate = (_spread(each, of_rows) for each in parameters[half].chunk(3, dim=-1))
                normed[:, part] = normed[:, part] * (1 + scale) + shift
                gates.append(gate)
            for (_, part, _, _), gate, made in zip(streams, gates, work(normed, branch), strict=True):
                branch.rows[:, part] += gate * made
        if branch.rows.dtype == torch.float16:
            branch.rows.clip_(-65504, 65504)

    def _attend(self, normed: torch.Tensor, branch: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        count, width = branch.text, normed.shape[-1]
        joint = normed.new_empty(1, normed.shape[1], 3, self.heads, width // self.heads)
        flat = joint.view(normed.shape[1], 3 * width)
        self.text.qkv(normed[0, :count], flat[:count])
        self.image.qkv(normed[0, count:], flat[count:])
        for number, (of_text, of_image) in enumerate(zip(self.text.norms, self.image.norms, strict=True)):
            part = joint[:, :, number]
            part[:, :count] = of_text(part[:, :count])
            part[:, count:] = of_image(part[:, count:])
            turned: Any = apply_rotary_emb_qwen(part, branch.rope, use_real=False)
            part.copy_(turned)
        query, key, value = joint.unbind(2)
        seen = dispatch_attention_fn(query, key, value, attn_mask=branch.mask, dropout_p=0.0, is_causal=False)
        seen = seen.flatten(2, 3)
        return self.text.out(seen[:, :count]), self.image.out(seen[:, count:])

    def _think(self, normed: torch.Tensor, branch: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        return self.text.mlp(normed[:, : branch.text]), self.image.mlp(normed[:, branch.text :])


class _Stream(nn.Module):
    """The weights of the text's, or of the image's stream."""

    def __init__(
        self, projections: tuple[Any, Any, Any], norms: tuple[nn.Module, nn.Module], out: nn.Module, mlp: nn.Module
    ) -> None:
        super().__init__()
        plain = all(type(each) is nn.Linear and type(each.weight) is nn.Parameter for each in projections)
        self.qkv = _Joined(projections) if plain else _Apart(projections)
        self.norms = nn.ModuleList(norms)
        self.out, self.mlp = out, mlp


class _Joined(nn.Module):
    """Q, K and V in one product."""

    def __init__(self, projections: tuple[Any, Any, Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([each.weight.data for each in projections]), requires_grad=False)
        self.bias = nn.Parameter(torch.cat([each.bias.data for each in projections]), requires_grad=False)

    def forward(self, rows: torch.Tensor, out: torch.Tensor) -> None:
        """Write Q, K and V of `rows` (count, width) to `out` (count, 3 × width)."""
        torch.addmm(self.bias, rows, self.weight.t(), out=out)


class _Apart(nn.Module):
    """Q, K and V one by one: quantized weights cannot be put together."""

    def __init__(self, projections: tuple[Any, Any, Any]) -> None:
        super().__init__()
        self.query, self.key, self.value = projections

    def forward(self, rows: torch.Tensor, out: torch.Tensor) -> None:
        """As `_Joined`."""
        for part, projection in zip(out.chunk(3, dim=-1), (self.query, self.key, self.value), strict=True):
            part.copy_(projection(rows))


def _spread(parameters: torch.Tensor, index: torch.Tensor | None) -> torch.Tensor:
    """Return (1, rows, width), of which rows may be 1; by `index`, each row gets the first or the second of two."""
    if index is None:
        return parameters.unsqueeze(1)
    made, shown = parameters.unsqueeze(1).chunk(2)
    return torch.where(index.unsqueeze(-1) == 0, made, shown)

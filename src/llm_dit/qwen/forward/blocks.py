"""A block of the transformer over one buffer, which holds the rows of the text and of the image behind each other.

The products are those of diffusers' `QwenImageTransformerBlock`, in the same order, and give the same bits on a CPU; Q,
K and V of a stream come from one product, and nothing is put together for the attention. What happens between the
products, and the attention, is the tools': torch's own, or faster ones.
"""

from typing import Any

import torch
from torch import nn

from llm_dit.qwen.forward.operations import Half, Owed, Rows, is_plain
from llm_dit.qwen.forward.tools import Tools


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

    def forward(self, branch: Rows, row: torch.Tensor, tools: Tools) -> None:
        """Take `branch` through the block, by its modulation of this step (`modulation.py`).

        What its second half makes is left as owed: the next block adds it, in one pass with its own norm.
        """
        first, second = (Half(image=half[:-1], text=half[-1:]) for half in row.chunk(2, dim=-1))
        normed = tools.operations.norm(branch, first, self.eps)
        branch.owed = Owed(*self._attend(normed, branch, tools), first, ends_block=False)
        normed = tools.operations.norm(branch, second, self.eps)
        branch.owed = Owed(*self._think(normed, branch.layout.text, tools), second, ends_block=True)

    def _attend(self, normed: torch.Tensor, branch: Rows, tools: Tools) -> tuple[torch.Tensor, torch.Tensor]:
        count, width = branch.layout.text, normed.shape[-1]
        joint = normed.new_empty(1, normed.shape[1], 3, self.heads, width // self.heads)
        flat = joint.view(normed.shape[1], 3 * width)
        self.text.qkv(normed[0, :count], flat[:count])
        self.image.qkv(normed[0, count:], flat[count:])
        tools.operations.turn(joint, branch, self.text.norms, self.image.norms)
        query, key, value = joint.unbind(2)
        seen = tools.attend(query, key, value, branch.layout.mask).flatten(2, 3)
        return self.text.out(seen[:, :count]), self.image.out(seen[:, count:])

    def _think(self, normed: torch.Tensor, count: int, tools: Tools) -> tuple[torch.Tensor, torch.Tensor]:
        think = tools.operations.think
        return think(normed[:, :count], self.text.mlp), think(normed[:, count:], self.image.mlp)


class _Stream(nn.Module):
    """The weights of the text's, or of the image's stream."""

    def __init__(
        self, projections: tuple[Any, Any, Any], norms: tuple[nn.Module, nn.Module], out: nn.Module, mlp: nn.Module
    ) -> None:
        super().__init__()
        self.qkv = _Joined(projections) if all(map(is_plain, projections)) else _Apart(projections)
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

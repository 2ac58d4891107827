"""A block's operations between its products, with torch's own functions: bit-identical to diffusers on a CPU.

`kernels.py` has the same with fewer passes over memory and faster products.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen
from torch import nn
from torch.nn import functional

Norms = Iterable[Any]
"""The RMSNorms of Q and of K."""
MANY = 2048
"""Rows from which a product counts as large: it fills the device."""


class Half(NamedTuple):
    """Shift, scale and gate of half a block, concatenated: (1, 3 × width); the image's may have a second row.

    The second row is for the condition, if that has its own modulation.
    """

    image: torch.Tensor
    text: torch.Tensor


class Owed(NamedTuple):
    """Outputs of half a block, (1, text, width) and (1, image, width), not yet gated and added to the rows."""

    text: torch.Tensor
    image: torch.Tensor
    half: Half
    ends_block: bool


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of the rows: the first `text` are the text's, the others the image's.

    `rope` is complex, one row each; `mask` is the attention mask, None if every row counts; `index` (1, image) is
    nonzero for rows of the condition.
    """

    text: int
    rope: torch.Tensor
    mask: torch.Tensor | None = None
    index: torch.Tensor | None = None


@dataclass(kw_only=True)
class Rows:
    """The state of one branch between blocks: `rows` (1, text + image, width).

    `owed` is not added yet: call `settle` before reading `rows`.
    """

    rows: torch.Tensor
    layout: Layout
    owed: Owed | None = None

    def streams(self, half: Half) -> Iterator[tuple[slice, tuple[torch.Tensor, ...], torch.Tensor | None]]:
        """Yield for text and image their slice of `rows`, their shift, scale and gate, and the index of each row's."""
        yield slice(None, self.layout.text), half.text.chunk(3, dim=-1), None
        yield slice(self.layout.text, None), half.image.chunk(3, dim=-1), self.layout.index

    def settle(self) -> None:
        """Add `owed` to the rows."""
        if self.owed is None:
            return
        owed, self.owed = self.owed, None
        for (part, (_, _, gate), index), made in zip(self.streams(owed.half), (owed.text, owed.image), strict=True):
            self.rows[:, part] += _spread(gate, index) * made
        if owed.ends_block and self.rows.dtype == torch.float16:
            self.rows.clip_(-65504, 65504)


class Operations(Protocol):
    """The interface of this module and of `kernels.py`."""

    def norm(self, branch: Rows, half: Half, eps: float) -> torch.Tensor: ...

    def project(self, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None: ...

    def turn(self, joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None: ...

    def think(self, rows: torch.Tensor, mlp: Any) -> torch.Tensor: ...


def norm(branch: Rows, half: Half, eps: float) -> torch.Tensor:
    """Settle `branch` and return its rows, normalized, then scaled and shifted by `half`."""
    branch.settle()
    normed = functional.layer_norm(branch.rows, branch.rows.shape[-1:], eps=eps)
    for part, (shift, scale, _), index in branch.streams(half):
        normed[:, part] = normed[:, part] * (1 + _spread(scale, index)) + _spread(shift, index)
    return normed


def project(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """Write a linear layer's output for `rows` (count, width) to `out` (count, more)."""
    torch.addmm(bias, rows, weight.t(), out=out)


def turn(joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None:
    """Normalize Q and K and apply RoPE; `joint` (1, rows, 3, heads, head width) has Q, K and V."""
    count = branch.layout.text
    for number, norms in enumerate(zip(text, image, strict=True)):
        part = joint[:, :, number]
        for rows, each in zip((part[:, :count], part[:, count:]), norms, strict=True):
            rows.copy_(each(rows))
        turned: Any = apply_rotary_emb_qwen(part, branch.layout.rope, use_real=False)
        part.copy_(turned)


def is_plain(layer: Any) -> bool:
    """Whether a linear layer's weights are plain numbers: quantized ones need their own products."""
    return type(layer) is nn.Linear and type(layer.weight) is nn.Parameter


def think(rows: torch.Tensor, mlp: Any) -> torch.Tensor:
    """Return the output of diffusers' `FeedForward` for rows (1, count, width)."""
    return mlp(rows)


def _spread(parameters: torch.Tensor, index: torch.Tensor | None) -> torch.Tensor:
    """Return (1, rows, width), where rows may be 1; `index` selects the first or second row for each."""
    if index is None:
        return parameters.unsqueeze(1)
    made, shown = parameters.unsqueeze(1).chunk(2)
    return torch.where(index.unsqueeze(-1) == 0, made, shown)

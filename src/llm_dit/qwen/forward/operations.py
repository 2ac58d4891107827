"""What a block does to its rows between its products, with torch's own operations: diffusers' bits on a CPU.

`kernels.py` has the same in fewer passes over the memory, and with faster products.
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
"""Rows from which on a product is large: one that fills the device."""


class Half(NamedTuple):
    """Shift, scale and gate of half a block, behind each other: (1, 3 × width); the image's may have a second row.

    That second row is for what is shown, where it has a modulation of its own.
    """

    image: torch.Tensor
    text: torch.Tensor


class Owed(NamedTuple):
    """What half a block has made, (1, text, width) and (1, image, width), before it is gated and added to the rows."""

    text: torch.Tensor
    image: torch.Tensor
    half: Half
    ends_block: bool


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which rows are what: the first `text` are the text's, the others the image's.

    `rope` is complex, a row for each; `mask` is for the attention, None where every row counts; `index` (1, image) is
    not 0 where a row is of what is shown.
    """

    text: int
    rope: torch.Tensor
    mask: torch.Tensor | None = None
    index: torch.Tensor | None = None


@dataclass(kw_only=True)
class Rows:
    """What one branch has on its way through the blocks: `rows` (1, text + image, width).

    `owed` is still to be added: call `settle` before reading `rows`.
    """

    rows: torch.Tensor
    layout: Layout
    owed: Owed | None = None

    def streams(self, half: Half) -> Iterator[tuple[slice, tuple[torch.Tensor, ...], torch.Tensor | None]]:
        """Yield the place of text and of image in `rows`, their shift, scale and gate, and which of two a row has."""
        yield slice(None, self.layout.text), half.text.chunk(3, dim=-1), None
        yield slice(self.layout.text, None), half.image.chunk(3, dim=-1), self.layout.index

    def settle(self) -> None:
        """Add what is owed."""
        if self.owed is None:
            return
        owed, self.owed = self.owed, None
        for (part, (_, _, gate), index), made in zip(self.streams(owed.half), (owed.text, owed.image), strict=True):
            self.rows[:, part] += _spread(gate, index) * made
        if owed.ends_block and self.rows.dtype == torch.float16:
            self.rows.clip_(-65504, 65504)


class Operations(Protocol):
    """The operations, here and in `kernels.py`."""

    def norm(self, branch: Rows, half: Half, eps: float) -> torch.Tensor: ...

    def project(self, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None: ...

    def turn(self, joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None: ...

    def think(self, rows: torch.Tensor, mlp: Any) -> torch.Tensor: ...


def norm(branch: Rows, half: Half, eps: float) -> torch.Tensor:
    """Settle `branch`, and return its rows normed, scaled and shifted by `half`."""
    branch.settle()
    normed = functional.layer_norm(branch.rows, branch.rows.shape[-1:], eps=eps)
    for part, (shift, scale, _), index in branch.streams(half):
        normed[:, part] = normed[:, part] * (1 + _spread(scale, index)) + _spread(shift, index)
    return normed


def project(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """Write a linear layer's answer to `rows` (count, width) to `out` (count, more)."""
    torch.addmm(bias, rows, weight.t(), out=out)


def turn(joint: torch.Tensor, branch: Rows, text: Norms, image: Norms) -> None:
    """Norm Q and K, and turn them by their places; `joint` (1, rows, 3, heads, head's width) has Q, K and V."""
    count = branch.layout.text
    for number, norms in enumerate(zip(text, image, strict=True)):
        part = joint[:, :, number]
        for rows, each in zip((part[:, :count], part[:, count:]), norms, strict=True):
            rows.copy_(each(rows))
        turned: Any = apply_rotary_emb_qwen(part, branch.layout.rope, use_real=False)
        part.copy_(turned)


def is_plain(layer: Any) -> bool:
    """Whether a linear layer's weights are numbers of their own: quantized ones have products of theirs."""
    return type(layer) is nn.Linear and type(layer.weight) is nn.Parameter


def think(rows: torch.Tensor, mlp: Any) -> torch.Tensor:
    """Return what diffusers' `FeedForward` makes of rows (1, count, width)."""
    return mlp(rows)


def _spread(parameters: torch.Tensor, index: torch.Tensor | None) -> torch.Tensor:
    """Return (1, rows, width), of which rows may be 1; by `index`, each row gets the first or the second of two."""
    if index is None:
        return parameters.unsqueeze(1)
    made, shown = parameters.unsqueeze(1).chunk(2)
    return torch.where(index.unsqueeze(-1) == 0, made, shown)

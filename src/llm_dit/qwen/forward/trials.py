"""Whether a faster tool can be had on a device: it runs once on a few rows and has to agree with torch's operations."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from diffusers.models.attention import FeedForward
from torch import nn

from llm_dit.qwen.forward import operations
from llm_dit.qwen.forward.attention import Attend, sdpa
from llm_dit.qwen.forward.operations import Half, Layout, Operations, Owed, Rows

logger = logging.getLogger(__name__)

Tool = TypeVar("Tool")
ROUNDING = 2**-6
"""How far a tool may be from torch, as a part of the largest number: both round several times, to 2⁻⁹ in bfloat16."""


class Trial:
    """Rows like a block's, few and of odd counts, half of the image shown, for heads of `width` numbers.

    A tool that does not agree, or raises, is None; what it did is told in the second place, and the log has the error.
    """

    text, image, heads = 5, 38, 3

    def __init__(self, device: torch.device, dtype: torch.dtype, width: int) -> None:
        self.device, self.dtype, self.width = device, dtype, width
        self._draw = torch.Generator().manual_seed(0)

    def of_operations(self, name: str, make: Callable[[], Operations]) -> tuple[Operations | None, str]:
        """Try what `make` returns in the place of `operations`."""
        full = self.heads * self.width
        owed = Owed(self._numbers(1, self.text, full), self._numbers(1, self.image, full), self._half(full), False)
        rows, half, joint = self._numbers(1, self.text + self.image, full), self._half(full), self._joint()
        norms = [(self._norm(), self._norm()) for _ in range(2)]
        angles = torch.randn(self.text + self.image, self.width // 2, generator=self._draw)
        rope = torch.polar(torch.ones_like(angles), angles).to(self.device)
        index = (torch.arange(self.image, device=self.device) >= self.image // 2).int()[None]
        layout = Layout(text=self.text, rope=rope, index=index)

        mlp = FeedForward(full, activation_fn="gelu-approximate").eval()
        for parameter in mlp.parameters():
            parameter.data = self._numbers(*parameter.shape) / full**0.5

        def run(tool: Operations) -> list[torch.Tensor]:
            branch = Rows(rows=rows.clone(), layout=layout, owed=owed)
            turned = joint.clone()
            tool.turn(turned, branch, *norms)
            return [tool.norm(branch, half, 1e-6), branch.rows, turned, tool.think(rows, mlp)]

        return _tried(name, make, lambda tool: all(map(_same, run(tool), run(operations))))

    def of_attention(self, name: str, make: Callable[[], Attend]) -> tuple[Attend | None, str]:
        """Try what `make` returns in the place of `sdpa`."""
        query, key, value = self._joint().unbind(2)
        return _tried(name, make, lambda attend: _same(attend(query, key, value), sdpa(query, key, value)))

    def _joint(self) -> torch.Tensor:
        return self._numbers(1, self.text + self.image, 3, self.heads, self.width)

    def _half(self, full: int) -> Half:
        return Half(image=self._numbers(2, 6 * full)[:, : 3 * full], text=self._numbers(1, 6 * full)[:, 3 * full :])

    def _norm(self) -> Any:
        norm: Any = nn.RMSNorm(self.width, eps=1e-6)
        norm.weight = nn.Parameter(self._numbers(self.width), requires_grad=False)
        return norm

    def _numbers(self, *shape: int) -> torch.Tensor:
        # On the CPU, so that every device is tried on the same numbers.
        return torch.randn(shape, generator=self._draw).to(self.device, self.dtype)


@torch.no_grad()
def _tried(name: str, make: Callable[[], Tool], agrees: Callable[[Tool], bool]) -> tuple[Tool | None, str]:
    try:
        tool = make()
        if agrees(tool):
            return tool, ""
    except Exception as error:  # whatever it raises, torch's own operations do the work
        logger.warning("%s cannot be used", name, exc_info=error)
        return None, f"its trial ended in a {type(error).__name__}"
    reason = "its numbers are not those of torch's operations"
    logger.warning("%s cannot be used: %s", name, reason)
    return None, reason


def _same(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    most = float(wanted.abs().max())
    return torch.allclose(found.float(), wanted.float(), rtol=ROUNDING, atol=ROUNDING * most)

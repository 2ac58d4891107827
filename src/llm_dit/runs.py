"""What a run and those who follow it tell each other: progress, previews, the end, and what it was computed by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image


class Canceled(Exception):
    """Raised out of a pipeline whose `progress` callback raised it; the pipeline works for the next call."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands: `step` of `total` units of work are done; `phase` says in a lowercase word or two on what.

    The units of "downloading" are bytes, those of "loading" parts of a model.
    """

    phase: str
    step: int
    total: int

    @property
    def is_loading(self) -> bool:
        """Whether the work itself has yet to begin: the engine, or a model that the run needs, is on its way."""
        return self.phase in {"downloading", "loading"}


ProgressCallback = Callable[[Progress], None]
PreviewCallback = Callable[[int, Image.Image], None]
"""Takes a layer's number, 1 at the bottom, and a small RGBA picture of what it is going to be."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What a model's numbers come from: whose `blocks`, which `kernels` between their products, which `attention`.

    `why` says of each faster one what keeps it from running.
    """

    blocks: Literal["fused", "diffusers"]
    kernels: str
    attention: str
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.blocks} blocks, {self.kernels} kernels, {self.attention} attention"

    @property
    def explained(self) -> str:
        """Return the same with what keeps the faster ones from running."""
        return f"{self} ({'; '.join(self.why)})" if self.why else str(self)


@dataclass(frozen=True, kw_only=True)
class PipelineStatus:
    """What a pipeline has loaded, and where.

    `models` are their names; `device` is its name, such as "CPU" or "NVIDIA H200"; `placement` says where the weights
    are and why; `forward` is what the latest run was computed by, or the first will be, None where that is always the
    same. The device's memory is in bytes, None where the device has none of its own.
    """

    models: tuple[str, ...]
    has_edit_model: bool
    device: str
    placement: str = ""
    forward: Forward | None = None
    device_used_bytes: int | None = None
    device_total_bytes: int | None = None

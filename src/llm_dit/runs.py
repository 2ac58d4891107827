"""A run from outside: the pipeline that offers it, what those who follow it hear, and the pictures that it takes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, Protocol, Unpack

from PIL import Image

from llm_dit.errors import ImageError, InputError
from llm_dit.layers import Decomposition
from llm_dit.options import DecomposeArguments, EditArguments, NamedBox, Speed
from llm_dit.recipe import Source
from llm_dit.surroundings import SurroundingsLike


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


def restoring(step: int, total: int) -> Progress:
    """Return how far layers are brought to the picture's own size; without a total nobody can tell."""
    return Progress(phase="restoring", step=step, total=total)


ProgressCallback = Callable[[Progress], None]
PreviewCallback = Callable[[int, Image.Image], None]
"""Takes a layer's number, 1 at the bottom, and a small RGBA picture of what it is going to be."""

RegionLike = Sequence[float] | Image.Image
"""Where a layer may change: a box (left, top, right, bottom) in its pixels, or a mask, a picture of its size."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """What a model's numbers come from: whose `blocks`, which `kernels` between their products, which `attention`.

    `why` says of each faster one what keeps it from running. `speed` is what the run's has come to, and `lossy` what of
    it changes the numbers: bits or steps that are left out. `loras` are the LoRAs that are on, each with its weight.
    """

    blocks: Literal["fused", "diffusers"]
    kernels: str
    attention: str
    why: tuple[str, ...] = ()
    speed: Speed = "exact"
    lossy: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.blocks} blocks, {self.kernels} kernels, {self.attention} attention"
        return "; ".join([told, f"{self.speed}: {', '.join(self.lossy)}"] if self.lossy else [told])

    @property
    def explained(self) -> str:
        """Return the same with what keeps the faster ones from running."""
        return f"{self} ({'; '.join(self.why)})" if self.why else str(self)


@dataclass(frozen=True, kw_only=True)
class PipelineStatus:
    """What a pipeline has loaded, and where.

    `models` are their names; `device` is its name, such as "CPU" or "NVIDIA H200"; `placement` says where the weights
    are and why; `loras` are the names of the LoRAs that the models have, on or off; `forward` is what the latest run
    was computed by, or the first will be, None where that is always the same. The device's memory is in bytes, None
    where the device has none of its own. `sources` tells by the kind of run, "decompose"
    or "edit", which model does it.
    """

    models: tuple[str, ...]
    has_edit_model: bool
    device: str
    placement: str = ""
    loras: tuple[str, ...] = ()
    forward: Forward | None = None
    device_used_bytes: int | None = None
    device_total_bytes: int | None = None
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])


class LayerPipeline(Protocol):
    """Takes an image apart into layers and edits one layer by instruction. Not thread-safe: one run at a time."""

    engine: str
    any_size: bool
    """Whether it works at a picture's own size; else `llm_dit.full_size` brings its layers to it."""

    @property
    def has_edit_model(self) -> bool:
        """Whether `edit_layer` can start without loading anything."""
        ...

    def load_edit_model(self) -> None:
        """Load what `edit_layer` needs; does nothing when it is loaded."""
        ...

    def status(self) -> PipelineStatus:
        """Return what is loaded now, and where."""
        ...

    def decompose(
        self,
        image: Image.Image,
        prompt: str = "",
        *,
        regions: Sequence[NamedBox] = (),
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[DecomposeArguments],
    ) -> Decomposition:
        """Return `[composite, bottom, …, top]`: `layer_num` + 1 RGBA images of one size.

        `DecomposeOptions` has the options. `regions` are boxes around things of the picture that are to be layers of
        their own, the topmost ones, under their names; an engine that divides a picture by itself refuses them.
        `progress` is called before the first and after each unit of work; it may
        raise `Canceled`. `preview` is called in between where the pipeline knows early what a layer is going to be; it
        changes nothing of the result.
        """
        ...

    def edit_layer(
        self,
        layer_image: Image.Image,
        instruction: str,
        *,
        region: RegionLike | None = None,
        references: Sequence[Image.Image] = (),
        surroundings: SurroundingsLike | None = None,
        progress: ProgressCallback | None = None,
        preview: PreviewCallback | None = None,
        **options: Unpack[EditArguments],
    ) -> Image.Image:
        """Return the edited RGBA layer; `shape="keep"` gives it the original alpha, byte for byte.

        With a `region` it changes nowhere else. `references` are further pictures, which the instruction calls "Picture
        2" and so on; the layer is "Picture 1". `surroundings` are what `context=True` shows around the layer and behind
        it; an engine that looks at the layer alone refuses them. `EditOptions` has the options.
        """
        ...


# The picture of a run, checked before anything is loaded or computed; the same for every pipeline.

NO_REGIONS = (
    "Qwen-Image-Layered divides a picture by itself and cannot be told where: leave the regions out, or take the "
    "classical engine."
)
LAYER_ALONE = "The classical engine looks at the layer alone: leave context out, or use a Qwen-Image edit model."
EDIT_RESOLUTION = 1024
"""An edit at the model's size covers this many pixels squared."""
MULTIPLE = 32
CLASSICAL_MAX_ASPECT = 20
"""Longer side : shorter side of what is resized for a model; at its own size a picture may have any shape."""
QWEN_MAX_ASPECT = 8
"""Longer side : shorter side; beyond it the shorter side has less than 230 of 640 pixels, too few to see much."""


def model_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Return width and height of about `resolution`² pixels, the aspect of `size` kept, multiples of 32.

    As diffusers' `calculate_dimensions` for the Qwen-Image pipelines does; no side is less than 32.
    """
    ratio = size[0] / size[1]
    width = (resolution * resolution * ratio) ** 0.5
    return (
        max(MULTIPLE, round(width / MULTIPLE) * MULTIPLE),
        max(MULTIPLE, round(width / ratio / MULTIPLE) * MULTIPLE),
    )


def check_image(image: object, param: str) -> None:
    """Raise `ImageError` for what is no picture, has no pixels, or has pixels that are not bytes."""
    if not isinstance(image, Image.Image):
        raise ImageError(f"{param} must be a PIL image, as from Image.open(path).", param=param)
    if image.width < 1 or image.height < 1:
        raise ImageError("The image is empty: it needs at least 1 × 1 pixels.", param=param)
    if image.mode[:2] in ("I;", "I", "F"):
        raise ImageError("The image must have 8 bits per channel: convert it first.", param=param)


def check_aspect(image: Image.Image, at_most: int, advice: str, param: str) -> None:
    """Raise `ImageError` when one side is more than `at_most` times the other; `advice` says what to do."""
    if max(image.size) > at_most * min(image.size):
        raise ImageError(
            f"The image is {image.width}×{image.height}: one side may be at most {at_most} times the other; {advice}.",
            param=param,
        )


def region_box(
    box: object, size: tuple[int, int], scaled_from: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """Return the pixels of a layer of `size` that a box (left, top, right, bottom) touches; raises `InputError`.

    The box is in pixels of the layer, or of what it was scaled from.
    """
    if not isinstance(box, Sequence) or len(box) != 4 or not all(isinstance(side, Real) for side in box):
        raise InputError("A region is a box of four numbers (left, top, right, bottom), or a picture.", param="region")
    across, down = (side / before for side, before in zip(size, scaled_from or size, strict=True))
    left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    # Written so that NaN fails too.
    if not (left < right and top < bottom):
        raise InputError("The region's box must go from left to right and from top to bottom.", param="region")
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, size[0]), min(bottom, size[1])
    if left >= right or top >= bottom:
        raise InputError(f"The region's box lies outside the layer, which is {size[0]}×{size[1]}.", param="region")
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

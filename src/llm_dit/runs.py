"""The protocol of pipelines, the progress and status of runs, and the checks of their pictures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal, Protocol, Unpack

from PIL import Image

from llm_dit.errors import ImageError, InputError
from llm_dit.layers import Decomposition
from llm_dit.options import DecomposeArguments, EditArguments, NamedBox, Source, Speed
from llm_dit.surroundings import SurroundingsLike


class Canceled(Exception):
    """A `progress` callback raises it to stop a run; the pipeline stays usable."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a run: `step` of `total` units of `phase`, a lowercase word or two, are done.

    The units of "downloading" are bytes, those of "loading" parts of a model.
    """

    phase: str
    step: int
    total: int

    @property
    def is_loading(self) -> bool:
        """Whether the engine, or a model for the run, is still loading."""
        return self.phase in {"downloading", "loading"}


def restoring(step: int, total: int) -> Progress:
    """Return the progress of restoring layers at the picture's size; a total of 0 means unknown."""
    return Progress(phase="restoring", step=step, total=total)


ProgressCallback = Callable[[Progress], None]
PreviewCallback = Callable[[int, Image.Image], None]
"""Called with a layer's number, 1 at the bottom, and a small RGBA preview of it."""

RegionLike = Sequence[float] | Image.Image
"""Where a layer may change: a box (left, top, right, bottom) in its pixels, or a mask, a picture of its size."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """How a model is computed: whose `blocks`, which `kernels` between their products, which `attention`.

    `why` says why each faster alternative does not run. `speed` is the effective speed of the run, and `lossy` what
    changes the numbers: fewer bits or skipped steps. `loras` are the active LoRAs, each with its weight.
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
        """Return a copy with the reasons why faster alternatives do not run."""
        return f"{self} ({'; '.join(self.why)})" if self.why else str(self)


@dataclass(frozen=True, kw_only=True)
class PipelineStatus:
    """What a pipeline has loaded, and where.

    `models` are their names; `device` is its name, such as "CPU" or "NVIDIA H200"; `placement` says where the weights
    are and why; `loras` are the names of the models' LoRAs, active or not; `forward` says how the latest run was
    computed, or how the first will be, None if that is always the same. The device's memory is in bytes, None if the
    device has no memory of its own. `sources` has the model of each kind of run, "decompose" or "edit".
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
    """Decomposes an image into layers and edits a layer by an instruction. Not thread-safe: one run at a time."""

    engine: str
    any_size: bool
    """Whether it works at a picture's own size; otherwise `llm_dit.full_size` restores its layers at that size."""

    @property
    def has_edit_model(self) -> bool:
        """Whether `edit_layer` can start without loading anything."""
        ...

    def load_edit_model(self) -> None:
        """Load what `edit_layer` needs; does nothing if it is loaded."""
        ...

    def status(self) -> PipelineStatus:
        """Return what is loaded, and where."""
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

        `DecomposeOptions` has the options. `regions` are boxes around things that become layers of their own, on top,
        with their names; an engine without this feature refuses them. `progress` is called before the first and after
        each unit of work; it may raise `Canceled`. `preview` is called in between, if the pipeline makes previews, and
        does not affect the result.
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


# Checks of a run's picture, before anything is loaded or computed; the same for every pipeline.

NO_REGIONS = "Qwen-Image-Layered does not support regions: leave them out, or use the classical engine."
LAYER_ALONE = "The classical engine looks at the layer alone: leave context out, or use a Qwen-Image edit model."
EDIT_RESOLUTION = 1024
"""The size of an edit at the model's size, in pixels squared."""
MULTIPLE = 32
CLASSICAL_MAX_ASPECT = 20
"""Most longer side : shorter side of a picture that is resized for a model; at its own size any shape is allowed."""
QWEN_MAX_ASPECT = 8
"""Most longer side : shorter side; beyond it the shorter side has under 230 of 640 pixels, too few to see much."""
QWEN_CROP = "the model works at a fixed area and would get only a few rows of pixels: crop it"
TRIED_LAYERS = 6
"""The layers that Qwen-Image-Layered draws where their number is automatic."""


def model_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Return width and height of about `resolution`² pixels, with the aspect ratio of `size`, multiples of 32.

    Like diffusers' `calculate_dimensions` for the Qwen-Image pipelines; no side is less than 32.
    """
    ratio = size[0] / size[1]
    width = (resolution * resolution * ratio) ** 0.5
    return (
        max(MULTIPLE, round(width / MULTIPLE) * MULTIPLE),
        max(MULTIPLE, round(width / ratio / MULTIPLE) * MULTIPLE),
    )


def check_image(image: object, param: str) -> None:
    """Raise `ImageError` for anything but a non-empty picture with 8 bits per channel."""
    if not isinstance(image, Image.Image):
        raise ImageError(f"{param} must be a PIL image, as from Image.open(path).", param=param)
    if image.width < 1 or image.height < 1:
        raise ImageError("The image is empty: it needs at least 1 × 1 pixels.", param=param)
    if image.mode[:2] in ("I;", "I", "F"):
        raise ImageError("The image must have 8 bits per channel: convert it first.", param=param)


def check_aspect(image: Image.Image, at_most: int, advice: str, param: str) -> None:
    """Raise `ImageError` if one side is more than `at_most` times the other; `advice` says what to do."""
    if max(image.size) > at_most * min(image.size):
        raise ImageError(
            f"The image is {image.width}×{image.height}: one side may be at most {at_most} times the other; {advice}.",
            param=param,
        )


def region_box(
    box: object, size: tuple[int, int], scaled_from: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """Return the pixels of a layer of `size` that a box (left, top, right, bottom) touches; raises `InputError`.

    The box is in pixels of the layer, or of its original size before scaling.
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

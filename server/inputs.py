"""What a job is to do, complete in itself, and what comes out of it.

Pictures are named by their SHA-256 in the image store, so that a job is a few hundred bytes wherever it goes.
"""

import io
import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image

from llm_dit.images import encode_png
from llm_dit.layers import coverage
from llm_dit.naming import Language
from llm_dit.pipelines.base import (
    EditOutputSize,
    Forward,
    LayerPipeline,
    OutputSize,
    PreviewCallback,
    ProgressCallback,
    Shape,
)
from server.store import ImageStore

JobKind = Literal["decompose", "edit"]
ONE_COLOR = "All that is seen of the result has one color: unless that was asked for, try another seed or more steps."


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """A picture in the store; `coverage` is its mean alpha, 0–1."""

    sha256: str
    name: str
    width: int
    height: int
    coverage: float


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a run made: `[composite, bottom, …, top]`, or the one edited layer."""

    images: tuple[StoredImage, ...]
    seed: int
    prompt: str
    engine: str
    generation_time_s: float
    warnings: tuple[str, ...] = ()
    """What the caller should know about the result, in a sentence each."""
    forward: Forward | None = None
    """What computed it; None of an engine that has no choice, and of results from before this was kept."""


@dataclass(frozen=True, kw_only=True)
class DecomposeInput:
    """Take an image apart into layers; the seed is fixed, so that a second run gives the same."""

    kind: ClassVar[JobKind] = "decompose"
    image: str
    prompt: str
    layer_num: int
    resolution: int
    num_inference_steps: int
    cfg_scale: float
    seed: int
    negative_prompt: str
    cfg_normalize: bool
    use_en_prompt: bool
    output_size: OutputSize
    language: Language = "en"
    scaled_from: tuple[int, int] | None = None
    """The size in which the image came, if it was scaled down before."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return what somebody wrote: it is for the pipeline, and for no log."""
        return (self.prompt, self.negative_prompt)

    def run(
        self,
        pipeline: LayerPipeline,
        store: ImageStore,
        progress: ProgressCallback,
        preview: PreviewCallback | None = None,
    ) -> JobResult:
        image = _read(store, self.image)
        started = time.perf_counter()
        layers = pipeline.decompose(
            image=image,
            prompt=self.prompt,
            layer_num=self.layer_num,
            resolution=self.resolution,
            num_inference_steps=self.num_inference_steps,
            cfg_scale=self.cfg_scale,
            seed=self.seed,
            negative_prompt=self.negative_prompt,
            cfg_normalize=self.cfg_normalize,
            use_en_prompt=self.use_en_prompt,
            output_size=self.output_size,
            language=self.language,
            progress=progress,
            preview=preview,
        )
        elapsed_s = time.perf_counter() - started
        return JobResult(
            images=tuple(_write(store, layer, name) for layer, name in zip(layers, layers.names, strict=True)),
            warnings=_warnings(image, layers[0]),
            seed=layers.seed,
            prompt=layers.prompt,
            engine=pipeline.engine,
            forward=pipeline.status().forward,
            generation_time_s=elapsed_s,
        )


@dataclass(frozen=True, kw_only=True)
class EditLayerInput:
    """Edit one layer by instruction; the seed is fixed, so that a second run gives the same."""

    kind: ClassVar[JobKind] = "edit"
    image: str
    instruction: str
    num_inference_steps: int
    cfg_scale: float
    seed: int
    negative_prompt: str
    shape: Shape
    output_size: EditOutputSize
    scaled_from: tuple[int, int] | None = None
    """The size in which the layer came, if it was scaled down before."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return what somebody wrote: it is for the pipeline, and for no log."""
        return (self.instruction, self.negative_prompt)

    def run(
        self,
        pipeline: LayerPipeline,
        store: ImageStore,
        progress: ProgressCallback,
        preview: PreviewCallback | None = None,
    ) -> JobResult:
        layer = _read(store, self.image)
        started = time.perf_counter()
        edited = pipeline.edit_layer(
            layer_image=layer,
            instruction=self.instruction,
            num_inference_steps=self.num_inference_steps,
            cfg_scale=self.cfg_scale,
            seed=self.seed,
            negative_prompt=self.negative_prompt,
            shape=self.shape,
            output_size=self.output_size,
            progress=progress,
            preview=preview,
        )
        elapsed_s = time.perf_counter() - started
        return JobResult(
            images=(_write(store, edited, "Layer"),),
            warnings=_warnings(layer, edited),
            seed=self.seed,
            prompt=self.instruction,
            engine=pipeline.engine,
            forward=pipeline.status().forward,
            generation_time_s=elapsed_s,
        )


JobInput = DecomposeInput | EditLayerInput


def _read(store: ImageStore, sha256: str) -> Image.Image:
    with Image.open(io.BytesIO(store.read(sha256)), formats=["PNG"]) as image:
        return image.convert("RGBA")


def _warnings(before: Image.Image, after: Image.Image) -> tuple[str, ...]:
    """Say when a run has lost the picture: numbers that went wrong come out of a model as black or as one color."""
    return (ONE_COLOR,) if _is_plain(after) and not _is_plain(before) else ()


def _is_plain(image: Image.Image) -> bool:
    """Return whether all that is seen of an RGBA image has one color."""
    counts = image.convert("RGB").histogram(image.getchannel("A"))
    return all(sum(map(bool, counts[band : band + 256])) <= 1 for band in (0, 256, 512))


def _write(store: ImageStore, image: Image.Image, name: str) -> StoredImage:
    return StoredImage(
        sha256=store.put(encode_png(image)),
        name=name,
        width=image.width,
        height=image.height,
        coverage=coverage(image),
    )

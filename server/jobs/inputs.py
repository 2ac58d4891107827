"""What a job is to do, complete in itself, and what comes out of it.

Pictures are named by their SHA-256 in the image store, so that a job is a few hundred bytes wherever it goes.
"""

import io
import time
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from PIL import Image

from llm_dit.images import encode_png
from llm_dit.layers import coverage
from llm_dit.options import DecomposeOptions, EditOptions, Seed
from llm_dit.pipelines.base import LayerPipeline
from llm_dit.runs import Forward, PreviewCallback, ProgressCallback
from server.storage.images import ImageStore

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
class DecomposeInput(DecomposeOptions):
    """Take an image apart into layers; the seed is fixed, so that a second run gives the same."""

    kind: ClassVar[JobKind] = "decompose"
    image: str
    seed: Seed = field()
    scaled_from: tuple[int, int] | None = None
    """The size in which the image came, if it was scaled down before."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
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
        layers = pipeline.decompose(image=image, **self.arguments(), progress=progress, preview=preview)
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
class EditLayerInput(EditOptions):
    """Edit one layer by instruction; the seed is fixed, so that a second run gives the same."""

    kind: ClassVar[JobKind] = "edit"
    image: str
    seed: Seed = field()
    scaled_from: tuple[int, int] | None = None
    """The size in which the layer came, if it was scaled down before."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
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
        edited = pipeline.edit_layer(layer_image=layer, **self.arguments(), progress=progress, preview=preview)
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

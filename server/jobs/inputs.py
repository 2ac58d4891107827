"""Job inputs, which are self-contained, job results, and estimates of how long a run takes.

Pictures are referred to by their SHA-256 in the image store, so a job is a few hundred bytes.
"""

import io
import statistics
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from PIL import Image

from llm_dit.evaluation import Score, coverage
from llm_dit.images import encode_png
from llm_dit.layer import Box
from llm_dit.layers import Decomposition
from llm_dit.options import (
    DecomposeOptions,
    EditOptions,
    EngineName,
    NamedBox,
    Recipe,
    SamplingOptions,
    Seed,
    recipe_of,
)
from llm_dit.runs import Forward, LayerPipeline, PreviewCallback, ProgressCallback
from llm_dit.surroundings import Surroundings
from server.storage.images import ImageStore, address_of

JobKind = Literal["decompose", "edit"]
ONE_COLOR = (
    "The visible part of the result has only one color: unless you asked for that, try another seed or more steps."
)


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
    """The result of a run: `[composite, bottom, …, top]`, or the edited layer."""

    images: tuple[StoredImage, ...]
    seed: int
    prompt: str
    engine: str
    generation_time_s: float
    warnings: tuple[str, ...] = ()
    """Warnings about the result, one sentence each."""
    forward: Forward | None = None
    """How it was computed; None for an engine without a choice, and for results of older versions."""
    recipe: Recipe | None = None
    """How to repeat the run; None for results of older versions."""
    score: Score | None = None
    """The score of a decomposition; None for an edit, and for results of older versions."""
    to_restore: bool = False
    """Whether the layers still have the model's size and must be restored at the picture's."""


class Shelf(Protocol):
    """Where the pictures of a run are: the service's store, or memory on another machine."""

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a PNG file."""
        ...

    def put(self, png: bytes) -> str:
        """Keep the bytes of a PNG file, and return their SHA-256."""
        ...


class _Made(NamedTuple):
    """The images of a pipeline's method, the seed and text that it used, and the score."""

    pictures: Sequence[Image.Image]
    names: Sequence[str]
    seed: int
    prompt: str
    score: Score | None = None
    to_restore: bool = False


@dataclass(frozen=True, kw_only=True)
class _RunInput(SamplingOptions, ABC):
    """A run on one picture; the seed is fixed, so that a repeated run gives the same result."""

    kind: ClassVar[JobKind]
    image: str
    seed: Seed = field()
    engine: EngineName | None = None
    """The engine for the run; None: the service's own."""
    scaled_from: tuple[int, int] | None = None
    """The original size of the picture, if it was scaled down."""

    def run(
        self,
        pipeline: LayerPipeline,
        shelf: Shelf,
        progress: ProgressCallback,
        preview: PreviewCallback | None = None,
    ) -> JobResult:
        """Run the pipeline, and store the result."""
        picture = _read(shelf, self.image)
        started = time.perf_counter()
        made = self._make(pipeline, picture, shelf, progress=progress, preview=preview)
        elapsed_s = time.perf_counter() - started
        status = pipeline.status()
        return JobResult(
            images=tuple(_write(shelf, each, name) for each, name in zip(made.pictures, made.names, strict=True)),
            warnings=_warnings(picture, made.pictures[0]),
            seed=made.seed,
            prompt=made.prompt,
            engine=pipeline.engine,
            forward=status.forward,
            recipe=recipe_of(self.kind, pipeline.engine, status, self._asked(made)),
            generation_time_s=elapsed_s,
            score=made.score,
            to_restore=made.to_restore,
        )

    def _asked(self, made: _Made) -> dict[str, Any]:
        """Return the options of the run, including the seed."""
        return self.arguments() | {"seed": made.seed}

    @property
    def pictures(self) -> tuple[str, ...]:
        """The SHA-256 of every picture that the run reads."""
        return (self.image,)

    @abstractmethod
    def _make(self, pipeline: LayerPipeline, picture: Image.Image, shelf: Shelf, **reports: Any) -> _Made: ...


@dataclass(frozen=True, kw_only=True)
class DecomposeInput(_RunInput, DecomposeOptions):
    """Decompose an image into layers."""

    kind: ClassVar[JobKind] = "decompose"
    regions: tuple[NamedBox, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
        return (self.prompt, self.negative_prompt, *(region.name for region in self.regions))

    def _asked(self, made: _Made) -> dict[str, Any]:
        regions = [asdict(region) for region in self.regions]
        return super()._asked(made) | {"prompt": made.prompt, "regions": regions or None}

    def _make(self, pipeline: LayerPipeline, picture: Image.Image, shelf: Shelf, **reports: Any) -> _Made:
        arguments = self.arguments()
        to_restore = self.output_size == "original" and not pipeline.any_size
        if to_restore:
            # Another process does this on the CPU, so the next run need not wait for it.
            arguments["output_size"] = "model"
        layers = pipeline.decompose(image=picture, regions=self.regions, **arguments, **reports)
        score = None if to_restore else layers.score
        return _Made(layers, layers.names, layers.seed, layers.prompt, score, to_restore)


@dataclass(frozen=True, kw_only=True)
class EditLayerInput(_RunInput, EditOptions):
    """Edit one layer by instruction."""

    kind: ClassVar[JobKind] = "edit"
    region: tuple[int, int, int, int] | str | None = None
    """Where the layer may change: a box in its pixels, or a mask of its size."""
    references: tuple[str, ...] = ()
    surroundings: tuple[str, Box] | None = None
    """What `context` shows around the layer: a picture, and the box of the layer's pixels that it lies on."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
        return (self.instruction, self.negative_prompt)

    @property
    def pictures(self) -> tuple[str, ...]:
        mask = (self.region,) if isinstance(self.region, str) else ()
        around = (self.surroundings[0],) if self.surroundings is not None else ()
        return (*super().pictures, *mask, *self.references, *around)

    def _asked(self, made: _Made) -> dict[str, Any]:
        # A project that refers to the mask by its address, as recipes do, keeps the mask in the store.
        region = address_of(self.region) if isinstance(self.region, str) else self.region
        return super()._asked(made) | {"region": region, "context": self.context or None}

    def _make(self, pipeline: LayerPipeline, picture: Image.Image, shelf: Shelf, **reports: Any) -> _Made:
        region = _read(shelf, self.region) if isinstance(self.region, str) else self.region
        references = [_read(shelf, sha256) for sha256 in self.references]
        around = None
        if self.surroundings is not None:
            sha256, box = self.surroundings
            around = Surroundings(image=_read(shelf, sha256), box=box)
        edited = pipeline.edit_layer(
            layer_image=picture,
            region=region,
            references=references,
            surroundings=around,
            **self.arguments(),
            **reports,
        )
        return _Made((edited,), ("Layer",), self.seed, self.instruction)


JobInput = DecomposeInput | EditLayerInput


def restore_layers(job_input: DecomposeInput, result: JobResult, data_dir: Path) -> JobResult:
    """Return the result of a run with its layers restored at the picture's size; raises `DiskFullError`."""
    from llm_dit.full_size import restore

    started = time.perf_counter()
    store = ImageStore(data_dir)
    drawn = [_read(store, image.sha256) for image in result.images[1:]]
    picture = _read(store, job_input.image)
    names = [image.name for image in result.images[1:]]
    layers = Decomposition(
        restore(picture, drawn), seed=result.seed, prompt=result.prompt, names=names, picture=picture
    )
    images = tuple(_write(store, each, name) for each, name in zip(layers, layers.names, strict=True))
    elapsed_s = result.generation_time_s + time.perf_counter() - started
    return replace(result, images=images, score=layers.score, generation_time_s=elapsed_s, to_restore=False)


def _read(shelf: Shelf, sha256: str) -> Image.Image:
    with Image.open(io.BytesIO(shelf.read(sha256)), formats=["PNG"]) as image:
        return image.convert("RGBA")


def _warnings(before: Image.Image, after: Image.Image) -> tuple[str, ...]:
    """Return a warning if the result is one flat color: that is how a model's wrong numbers look."""
    return (ONE_COLOR,) if _is_plain(after) and not _is_plain(before) else ()


def _is_plain(image: Image.Image) -> bool:
    """Return whether the visible part of an RGBA image has one color."""
    counts = image.convert("RGB").histogram(image.getchannel("A"))
    return all(sum(map(bool, counts[band : band + 256])) <= 1 for band in (0, 256, 512))


def _write(shelf: Shelf, image: Image.Image, name: str) -> StoredImage:
    return StoredImage(
        sha256=shelf.put(encode_png(image)),
        name=name,
        width=image.width,
        height=image.height,
        coverage=coverage(image),
    )


# Estimates of how long runs take, from measured runs.

REMEMBERED_RUNS = 20


class Paces:
    """Estimates a run's time from the latest similar runs, or from runs of its kind."""

    def __init__(self) -> None:
        self._alike: defaultdict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))
        self._of_kind: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))

    def learn(self, job_input: JobInput, run_s: float) -> None:
        self._alike[_effort(job_input)].append(run_s)
        self._of_kind[job_input.kind].append(run_s)

    def expect(self, job_input: JobInput) -> float | None:
        """Return the estimated seconds of a run, or None without a similar measured run."""
        measured = self._alike.get(_effort(job_input)) or self._of_kind.get(job_input.kind)
        return statistics.median(measured) if measured else None

    def usual(self) -> float | None:
        """Return the estimated seconds of a run of any kind, or None without a measured run."""
        medians = [statistics.median(measured) for measured in self._of_kind.values()]
        return max(medians, default=None)


def _effort(job_input: JobInput) -> Hashable:
    """Return what determines the time of a run, apart from the machine."""
    loras = None if job_input.loras is None else tuple(job_input.loras)
    speed = (job_input.num_inference_steps, job_input.speed, loras)
    common = (job_input.engine, job_input.kind, speed, job_input.output_size)
    if isinstance(job_input, DecomposeInput):
        return (*common, job_input.resolution, job_input.layer_num)
    return common

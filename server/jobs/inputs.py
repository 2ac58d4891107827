"""What a job is to do, complete in itself, what comes out of it, and how long it is likely to take.

Pictures are named by their SHA-256 in the image store, so that a job is a few hundred bytes wherever it goes.
"""

import io
import statistics
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from PIL import Image

from llm_dit.images import encode_png
from llm_dit.layers import Decomposition
from llm_dit.options import DecomposeOptions, EditOptions, EngineName, NamedBox, SamplingOptions, Seed
from llm_dit.recipe import Recipe, recipe_of
from llm_dit.runs import Forward, LayerPipeline, PreviewCallback, ProgressCallback
from llm_dit.score import Score, coverage
from server.storage.images import ImageStore, address_of

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
    recipe: Recipe | None = None
    """How to make it again; None of results from before this was kept."""
    score: Score | None = None
    """What a decomposition is worth; None of an edit, and of results from before this was kept."""
    to_restore: bool = False
    """Whether the layers have the model's size and are still to be brought to the picture's own."""


class _Made(NamedTuple):
    """What a pipeline's method made, the seed and text that it used, and what it is worth."""

    pictures: Sequence[Image.Image]
    names: Sequence[str]
    seed: int
    prompt: str
    score: Score | None = None
    to_restore: bool = False


@dataclass(frozen=True, kw_only=True)
class _RunInput(SamplingOptions, ABC):
    """A run on one picture; the seed is fixed, so that a second run gives the same."""

    kind: ClassVar[JobKind]
    image: str
    seed: Seed = field()
    engine: EngineName | None = None
    """The engine that is to run it; None is the service's own."""
    scaled_from: tuple[int, int] | None = None
    """The size in which the picture came, if it was scaled down before."""

    def run(
        self,
        pipeline: LayerPipeline,
        store: ImageStore,
        progress: ProgressCallback,
        preview: PreviewCallback | None = None,
    ) -> JobResult:
        """Have the pipeline do it, and put what it makes into the store."""
        picture = _read(store, self.image)
        started = time.perf_counter()
        made = self._make(pipeline, picture, store, progress=progress, preview=preview)
        elapsed_s = time.perf_counter() - started
        status = pipeline.status()
        return JobResult(
            images=tuple(_write(store, each, name) for each, name in zip(made.pictures, made.names, strict=True)),
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
        """Return what was asked for beside the pictures, with the seed that was drawn."""
        return self.arguments() | {"seed": made.seed}

    @abstractmethod
    def _make(self, pipeline: LayerPipeline, picture: Image.Image, store: ImageStore, **reports: Any) -> _Made: ...


@dataclass(frozen=True, kw_only=True)
class DecomposeInput(_RunInput, DecomposeOptions):
    """Take an image apart into layers."""

    kind: ClassVar[JobKind] = "decompose"
    regions: tuple[NamedBox, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
        return (self.prompt, self.negative_prompt, *(region.name for region in self.regions))

    def _asked(self, made: _Made) -> dict[str, Any]:
        regions = [asdict(region) for region in self.regions]
        return super()._asked(made) | {"prompt": made.prompt, "regions": regions or None}

    def _make(self, pipeline: LayerPipeline, picture: Image.Image, store: ImageStore, **reports: Any) -> _Made:
        arguments = self.arguments()
        to_restore = self.output_size == "original" and not pipeline.any_size
        if to_restore:
            # That is work for the processor, in another process: the next run need not wait for it.
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

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the user's text. It must not be logged."""
        return (self.instruction, self.negative_prompt)

    def _asked(self, made: _Made) -> dict[str, Any]:
        # A project that names the mask by its address, as its recipes do, keeps it.
        return super()._asked(made) | {
            "region": address_of(self.region) if isinstance(self.region, str) else self.region
        }

    def _make(self, pipeline: LayerPipeline, picture: Image.Image, store: ImageStore, **reports: Any) -> _Made:
        region = _read(store, self.region) if isinstance(self.region, str) else self.region
        references = [_read(store, sha256) for sha256 in self.references]
        edited = pipeline.edit_layer(
            layer_image=picture, region=region, references=references, **self.arguments(), **reports
        )
        return _Made((edited,), ("Layer",), self.seed, self.instruction)


JobInput = DecomposeInput | EditLayerInput


def restore_layers(job_input: DecomposeInput, result: JobResult, data_dir: Path) -> JobResult:
    """Return the result of a run with its layers brought to the picture's own size; raises `DiskFullError`."""
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


# How long runs take, learned from those that have been measured.

REMEMBERED_RUNS = 20


class Paces:
    """Expects of a run what the latest runs like it took; without any, what runs of its kind took."""

    def __init__(self) -> None:
        self._alike: defaultdict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))
        self._of_kind: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))

    def learn(self, job_input: JobInput, run_s: float) -> None:
        self._alike[_effort(job_input)].append(run_s)
        self._of_kind[job_input.kind].append(run_s)

    def expect(self, job_input: JobInput) -> float | None:
        """Return the seconds that a run will take; None when nothing like it has been measured."""
        measured = self._alike.get(_effort(job_input)) or self._of_kind.get(job_input.kind)
        return statistics.median(measured) if measured else None

    def usual(self) -> float | None:
        """Return the seconds that a run of any kind takes; None when none has been measured."""
        medians = [statistics.median(measured) for measured in self._of_kind.values()]
        return max(medians, default=None)


def _effort(job_input: JobInput) -> Hashable:
    """Return what decides how long a run takes, apart from the machine."""
    loras = None if job_input.loras is None else tuple(job_input.loras)
    speed = (job_input.num_inference_steps, job_input.speed, loras)
    common = (job_input.engine, job_input.kind, speed, job_input.output_size)
    if isinstance(job_input, DecomposeInput):
        return (*common, job_input.resolution, job_input.layer_num)
    return common

"""The models of responses: images are data URLs for waiting clients, addresses for later requests."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.decoding.opening import PICTURE_FORMATS
from llm_dit.evaluation import Score, Verdict
from llm_dit.exports.formats import EXPORT_NAMES, ExportName, TextForm, text_forms
from llm_dit.imports.layer_file import FileKind
from llm_dit.layer import MAX_LAYERS, Group, KeptLayer, Offset, Scale
from llm_dit.options import (
    EngineName,
    Guidance,
    LayerNum,
    OutputSize,
    Photographs,
    Recipe,
    Resolution,
    Seed,
    Speed,
    Steps,
    bounds,
    choices,
)
from llm_dit.runs import Forward
from server.jobs.inputs import DecomposeInput, JobInput, JobKind, JobResult
from server.jobs.job import JobStatus, JobView
from server.pool.tasks import CutStack, HarmonizedStack, StoredLayer
from server.worker.host import HostState
from web.errors import ErrorBody, error_body
from web.images import address_of

ImageUrl = Callable[[str], str]
ScaledFrom = Annotated[
    tuple[int, int] | None,
    Field(description="Original width and height, if the picture exceeded the limits and was scaled down."),
]
Warnings = Annotated[list[str], Field(description="Warnings about the result, one sentence each.")]


class ForwardResponse(BaseModel):
    blocks: Literal["fused", "diffusers"] = Field(description="The implementation of the transformer's blocks.")
    kernels: str = Field(description="The implementation of what lies between products: `triton` or `torch`.")
    attention: str = Field(
        description="`flash-attn-4`, `cudnn`, `sdpa` or `flash-attn-3 in fp8`; with diffusers' blocks, diffusers' name."
    )
    why: list[str] = Field(description="Why faster implementations do not run.")
    speed: Speed = Field(description="The effective speed of the run.")
    lossy: list[str] = Field(description="What changes the numbers: fewer bits or skipped steps.")
    loras: list[str] = Field(description="The active LoRAs, by name, with the weight if it is not 1.")


Computed = Annotated[
    ForwardResponse | None,
    Field(description="How the model was computed; null for the classical engine and for results of older versions."),
]


Made = Annotated[Recipe | None, Field(description="How to repeat the run; null for results of older versions.")]


class DecomposedLayer(BaseModel):
    index: int = Field(description="0 is the composite, 1 the bottom layer.")
    name: str
    image: str = Field(description="Data URL, or the image's address in the result of a job.")
    width: int
    height: int
    coverage: float = Field(description="Mean alpha, 0–1.")


class LayerScoreResponse(BaseModel):
    name: str
    box: tuple[int, int, int, int] | None = Field(
        description="Left, top, right and bottom of its visible alpha; null if there is none."
    )
    coverage: float = Field(description="Mean alpha, 0–1.")
    adds: float = Field(description="How much worse the picture would be without it, in levels of 255 on average.")
    verdict: Verdict = Field(
        description="`useful`; `empty`; `duplicate` of `like`; or `unseen`: the picture is the same without it."
    )
    like: int | None = Field(description="The index of the layer that it duplicates.")


class ScoreResponse(BaseModel):
    mean: float = Field(description="Mean difference of the composite from the picture, in levels of 255.")
    worst: int = Field(description="The largest difference, in any channel.")
    psnr: float | None = Field(description="Peak signal-to-noise ratio in dB; null if nothing differs.")
    layers: list[LayerScoreResponse] = Field(description="Bottom first, without the composite.")
    useful: int = Field(description="Number of useful layers: a good number to ask for.")
    sentence: str = Field(description="A summary in English.")


class DecomposeResponse(BaseModel):
    layers: list[DecomposedLayer]
    layer_count: int = Field(description="Layers without the composite.")
    seed: int
    warnings: Warnings
    scaled_from: ScaledFrom
    prompt: str = Field(description="The prompt that was used.")
    resolution: int
    width: int
    height: int
    generation_time: float = Field(description="Seconds.")
    engine: str
    forward: Computed
    recipe: Made
    score: ScoreResponse | None = Field(
        description="How well the layers rebuild the picture, and the use of each; null for results of older versions."
    )


class EditLayerResponse(BaseModel):
    image: str = Field(description="Data URL, or the image's address in the result of a job.")
    width: int
    height: int
    seed: int
    warnings: Warnings
    scaled_from: ScaledFrom
    generation_time: float = Field(description="Seconds.")
    engine: str
    forward: Computed
    recipe: Made


class ImageResponse(BaseModel):
    image: str
    width: int
    height: int


class KeptImageResponse(ImageResponse):
    scaled_from: ScaledFrom


class JobResponse(BaseModel):
    id: str
    kind: JobKind
    status: JobStatus
    created_at: float = Field(description="Seconds since 1970.")
    phase: str | None = Field(description="What the job is doing, in a word or two.")
    step: int
    total: int
    eta_s: float | None = Field(description="Estimated seconds left, from earlier runs and the pace so far.")
    position: int | None = Field(description="Position in the queue, 1 for the next to start.")
    result: DecomposeResponse | EditLayerResponse | None
    error: ErrorBody | None


class PreviewResponse(BaseModel):
    layer: int = Field(description="1 is the bottom layer; an edit has only this one.")
    url: str = Field(description="Address of its latest preview, while the job runs.")


class JobsResponse(BaseModel):
    jobs: list[JobResponse] = Field(description="The newest first.")


class MemoryResponse(BaseModel):
    used_bytes: int
    total_bytes: int


class QueueResponse(BaseModel):
    length: int = Field(description="Waiting jobs.")
    running: int = Field(
        description="Running jobs: at most one per engine or replica, and those that the CPU finishes."
    )
    max_length: int


class StatusResponse(BaseModel):
    engine: EngineName
    engine_label: str
    device: str
    state: HostState = Field(description="`loading`, `ready`, `unloaded` (the next job loads it again) or `failed`.")
    error: str | None = Field(description="Why the engine cannot load, and what to do.")
    memory: MemoryResponse | None = Field(description="Memory of the worker process; null if unknown.")
    device_memory: MemoryResponse | None = Field(description="Memory of the accelerator, after the latest run.")
    loaded_models: list[str]
    placement: str = Field(description="Where the weights are kept, and why.")
    loras: list[str] = Field(description="The LoRAs of the loaded models, by name, active or not.")
    forward: Computed
    edit_available: bool
    reason: str = Field(description="Why this engine runs.")
    hint: str = Field(description="How to get the other engine.")
    queue: QueueResponse


class SamplingResponse(BaseModel):
    steps: int
    cfg_scale: float
    speed: Speed


class DefaultsResponse(SamplingResponse):
    layer_num: int
    resolution: int
    output_size: OutputSize


class LimitsResponse(BaseModel, json_schema_serialization_defaults_required=True):
    layer_num: tuple[int, int] = bounds(LayerNum)
    resolution: tuple[int, ...] = choices(Resolution)
    output_size: tuple[OutputSize, ...] = choices(OutputSize)
    steps: tuple[int, int] = bounds(Steps)
    cfg_scale: tuple[float, float] = bounds(Guidance)
    seed: tuple[int, int] = bounds(Seed)
    max_body_mb: float
    max_pixels: int
    max_side: int
    max_layers: int = Field(default=MAX_LAYERS, description="Most layers of a stack, exported or imported.")
    max_stack_pixels: int = Field(description="Most pixels that the layers of a stack cover together.")
    image_formats: list[str] = [format.name.lower() for format in PICTURE_FORMATS]
    export_formats: tuple[ExportName, ...] = EXPORT_NAMES
    text_forms: tuple[TextForm, ...] = Field(
        default_factory=text_forms, description="How a presentation can contain lines of text."
    )
    blend_modes: tuple[BlendMode, ...] = BLEND_MODES
    scale: tuple[float, float] = bounds(Scale)
    offset: tuple[int, int] = bounds(Offset)


class CapabilitiesResponse(BaseModel):
    decompose: list[str] = Field(description="The fields that affect the result of decompose.")
    edit: list[str] = Field(description="The fields that affect the result of an edit.")
    speeds: list[Speed] = Field(description="The values of `speed` to choose from; empty if there is only one.")
    any_instruction: bool = Field(description="Whether it accepts any instruction, not only the documented ones.")
    any_size: bool = Field(description="Whether it works at the image's own size; otherwise at 640² or 1024².")
    references: int = Field(description="Most reference pictures of an edit.")
    reports_steps: bool = Field(description="Whether the steps of a run are known; otherwise `total` stays 0.")
    photographs: Photographs = Field(
        description="The layers of photographs: things; subject, text and regions of color; regions only."
    )


class BesideResponse(BaseModel):
    engine: EngineName
    label: str = Field(description="Its name for people.")
    capabilities: CapabilitiesResponse = Field(description="What it supports.")


class LoraResponse(BaseModel):
    name: str
    weight: float = Field(description="Its default weight in a run; 0: inactive.")


class LorasResponse(BaseModel):
    decompose: list[LoraResponse]
    edit: list[LoraResponse]


class ConfigResponse(BaseModel):
    engine: EngineName
    capabilities: CapabilitiesResponse = Field(description="What this engine supports.")
    beside: BesideResponse | None = Field(
        description="A second engine, for requests that name it; null if there is none."
    )
    defaults: DefaultsResponse
    edit_defaults: SamplingResponse = Field(description="The same for edits; their LoRAs may have other defaults.")
    loras: LorasResponse = Field(description="The LoRAs that a request can name in `loras`; all are active by default.")
    limits: LimitsResponse


class EditStatusResponse(BaseModel):
    available: bool
    edit_model_loaded: bool
    edit_model_path: str = Field(description="The source of the edit model; empty if there is none.")
    license: str = Field(description="What the edit model's license forbids; empty if nothing.")


class LiveResponse(BaseModel):
    status: Literal["alive"] = "alive"


class ReadyResponse(BaseModel):
    status: Literal["ready"] = "ready"
    engine: str
    engine_label: str
    reason: str = Field(description="Why this engine runs, and not the other one.")
    warnings: list[str] = Field(description="What was lost when a damaged database was rebuilt, one sentence each.")


class ImportedLayer(KeptLayer, frozen=True, json_schema_serialization_defaults_required=True):
    """A layer in the format of an export request, with the size and the coverage of its picture."""

    image: str = Field(description="`/api/images/{sha256}.png`")
    width: int
    height: int
    coverage: float = Field(description="Mean alpha, 0–1.")

    @classmethod
    def of(cls, layer: StoredLayer) -> "ImportedLayer":
        return cls(image=address_of(layer.sha256), **layer.model_dump(exclude={"sha256"}))


class ImportResponse(BaseModel):
    kind: FileKind = Field(description="The kind of the file, detected from its content.")
    width: int
    height: int
    layers: list[ImportedLayer] = Field(description="Bottom first.")
    groups: dict[str, Group] = Field(description="The appearance of groups, by their labels; others pass through.")
    warnings: list[str] = Field(description="What was not imported, one sentence each.")


class SelectResponse(BaseModel):
    mask: str = Field(description="Data URL of a gray PNG in the canvas's size: 255 is the thing.")
    width: int
    height: int
    box: tuple[int, int, int, int] | None = Field(
        description="Left, top, right and bottom of the pixels that are not black; null if nothing was found."
    )
    coverage: float = Field(description="The selected share of the canvas, 0–1.")


class ChangedLayerResponse(BaseModel):
    index: int = Field(description="Its position in the stack of the request, 0 at the bottom.")
    image: str = Field(description="`/api/images/{sha256}.png`, of the same size as the layer's picture.")
    coverage: float = Field(description="Mean alpha, 0–1.")


class SelectLayerResponse(BaseModel):
    index: int = Field(description="The position in the stack at which to insert the new layer, 0 at the bottom.")
    layer: ImportedLayer
    changed: list[ChangedLayerResponse] = Field(description="The layers that it was cut from.")

    @classmethod
    def of(cls, cut: CutStack) -> "SelectLayerResponse":
        changed = [
            ChangedLayerResponse(index=one.index, image=address_of(one.sha256), coverage=one.coverage)
            for one in cut.changed
        ]
        return cls(index=cut.index, layer=ImportedLayer.of(cut.layer), changed=changed)


class HarmonizeResponse(BaseModel):
    image: str = Field(description="`/api/images/{sha256}.png`, of the size and with the alpha of the layer's picture.")
    coverage: float = Field(description="Mean alpha, 0–1.")
    strength: float = Field(description="How much was changed, 0–1; 0: nothing around the layer says what fits.")
    shadow: ImportedLayer | None = Field(description="The layer to put right below it, as an export takes it.")

    @classmethod
    def of(cls, made: HarmonizedStack) -> "HarmonizeResponse":
        return cls(
            image=address_of(made.sha256),
            coverage=made.coverage,
            strength=made.strength,
            shadow=made.shadow and ImportedLayer.of(made.shadow),
        )


class SummaryResponse(BaseModel):
    id: str
    name: str
    version: int = Field(description="The number of saves.")
    thumbnail: str | None
    layer_count: int
    created_at: float = Field(description="Seconds since 1970.")
    updated_at: float = Field(description="Seconds since 1970.")
    deleted_at: float | None = Field(description="Seconds since 1970; null for a project that is not deleted.")


class ProjectResponse(SummaryResponse):
    document: dict[str, Any]


class ImportedProjectResponse(ProjectResponse):
    warnings: list[str] = Field(description="What was not imported, one sentence each.")


class ProjectsResponse(BaseModel):
    projects: list[SummaryResponse] = Field(description="The most recently changed first.")


def job_response(view: JobView) -> JobResponse:
    return JobResponse(
        id=view.id,
        kind=view.job_input.kind,
        status=view.status,
        created_at=round(view.created_at, 3),
        phase=view.phase,
        step=view.step,
        total=view.total,
        eta_s=view.eta_s,
        position=view.position,
        result=result_response(view.job_input, view.result, address_of) if view.result else None,
        error=error_body(view.error) if view.error else None,
    )


def result_response(
    job_input: JobInput, result: JobResult, image_url: ImageUrl
) -> DecomposeResponse | EditLayerResponse:
    """Return the response of a result, with `image_url` giving the address of each image."""
    if isinstance(job_input, DecomposeInput):
        return _decompose_response(job_input, result, image_url)
    image = result.images[0]
    return EditLayerResponse(
        image=image_url(image.sha256),
        width=image.width,
        height=image.height,
        seed=result.seed,
        warnings=list(result.warnings),
        scaled_from=job_input.scaled_from,
        generation_time=round(result.generation_time_s, 3),
        engine=result.engine,
        forward=forward_response(result.forward),
        recipe=result.recipe,
    )


def forward_response(forward: Forward | None) -> ForwardResponse | None:
    if forward is None:
        return None
    return ForwardResponse(
        blocks=forward.blocks,
        kernels=forward.kernels,
        attention=forward.attention,
        why=list(forward.why),
        speed=forward.speed,
        lossy=list(forward.lossy),
        loras=list(forward.loras),
    )


def _score_response(score: Score | None) -> ScoreResponse | None:
    return score and ScoreResponse.model_validate(score.as_json())


def _decompose_response(job_input: DecomposeInput, result: JobResult, image_url: ImageUrl) -> DecomposeResponse:
    layers = [
        DecomposedLayer(
            index=index,
            name=image.name,
            image=image_url(image.sha256),
            width=image.width,
            height=image.height,
            coverage=round(image.coverage, 4),
        )
        for index, image in enumerate(result.images)
    ]
    return DecomposeResponse(
        layers=layers,
        layer_count=len(layers) - 1,
        seed=result.seed,
        warnings=list(result.warnings),
        scaled_from=job_input.scaled_from,
        prompt=result.prompt,
        resolution=job_input.resolution,
        width=layers[0].width,
        height=layers[0].height,
        generation_time=round(result.generation_time_s, 3),
        engine=result.engine,
        forward=forward_response(result.forward),
        recipe=result.recipe,
        score=_score_response(result.score),
    )

"""What answers hold: images as data URLs for who waited, as addresses for who asks later."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from llm_dit.pipelines.base import Forward
from server.jobs.inputs import DecomposeInput, JobInput, JobKind, JobResult
from server.jobs.job import JobStatus, JobView
from web.errors import error_body
from web.images import address_of
from web.problems import ErrorBody

ImageUrl = Callable[[str], str]
ScaledFrom = Annotated[
    tuple[int, int] | None,
    Field(description="Width and height of the picture as it came, if it was beyond the limits and so scaled down."),
]
Warnings = Annotated[list[str], Field(description="What to know about the result, in a sentence each.")]


class ForwardResponse(BaseModel):
    blocks: Literal["fused", "diffusers"] = Field(description="Whose blocks of the transformer.")
    kernels: str = Field(description="What computes between their products: `triton` or `torch`.")
    attention: str = Field(description="`flash-attn-4`, `cudnn` or `sdpa`; with diffusers' blocks its name for it.")
    why: list[str] = Field(description="What keeps each faster one from running.")


Computed = Annotated[
    ForwardResponse | None,
    Field(description="What the model was computed by; null for the classical engine, and for results of before."),
]


class DecomposedLayer(BaseModel):
    index: int = Field(description="0 is the composite, 1 the bottom layer.")
    name: str
    image: str = Field(description="Data URL, or the image's address in the result of a job.")
    width: int
    height: int
    coverage: float = Field(description="Mean alpha, 0–1.")


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
    phase: str | None = Field(description="What is being done, in a word or two.")
    step: int
    total: int
    eta_s: float | None = Field(description="Seconds left, by earlier runs and the pace so far.")
    position: int | None = Field(description="Place in the queue, 1 for the next to start.")
    result: DecomposeResponse | EditLayerResponse | None
    error: ErrorBody | None


class PreviewResponse(BaseModel):
    layer: int = Field(description="1 is the bottom layer; an edit has only that one.")
    url: str = Field(description="Where its newest preview is, as long as the job runs.")


class JobsResponse(BaseModel):
    jobs: list[JobResponse] = Field(description="The newest first.")


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
    """Return a result with its images named by `image_url`."""
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
    )


def forward_response(forward: Forward | None) -> ForwardResponse | None:
    if forward is None:
        return None
    return ForwardResponse(
        blocks=forward.blocks, kernels=forward.kernels, attention=forward.attention, why=list(forward.why)
    )


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
    )

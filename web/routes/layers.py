"""Layers: decompose and edit, which create jobs (`/api/jobs`); composite, export, import and select, which do not."""

import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, AsyncIterable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from llm_dit.color import read_color
from llm_dit.errors import InputError
from llm_dit.exports.formats import EXPORT_FORMATS
from llm_dit.names import file_stem
from llm_dit.options import with_recipe
from llm_dit.runs import LAYER_ALONE, NO_REGIONS
from server.engines import Engine
from server.errors import NotFoundError
from server.jobs.inputs import EditLayerInput, JobInput, JobResult
from server.jobs.job import Job, JobEvent, Submission
from server.pool.tasks import GivenStack, KeptPicture
from server.storage.images import take_out
from web.bodies.limits import Size, takes
from web.bodies.reading import UPLOAD, JobRoute, JsonRoute, layer_limits, received, require_file
from web.door.hosts import located
from web.errors import VISIBLE_ASCII, problems
from web.images import Inlined, Picture, file_answer, job_limits, saved_as, stack_limits
from web.responses import (
    DecomposeResponse,
    EditLayerResponse,
    HarmonizeResponse,
    ImageResponse,
    ImportedLayer,
    ImportResponse,
    JobResponse,
    JobsResponse,
    PreviewResponse,
    SelectLayerResponse,
    SelectResponse,
    job_response,
    result_response,
)
from web.schemas import (
    CompositeRequest,
    DecomposeRequest,
    EditLayerRequest,
    ExportRequest,
    HarmonizeRequest,
    JobRequest,
    SelectLayerRequest,
    SelectRequest,
    StackRequest,
)
from web.state import COME_BACK_MS, JobDep, State, StateDep, client_of, result_of, unless_left

runs = APIRouter(route_class=JobRoute)
LAYERS: list[str | Enum] = ["Layers"]
JOBS: list[str | Enum] = ["Jobs"]
logger = logging.getLogger("llm_dit.server")

JOB_REFUSALS = problems(400, 409, 413, 415, 422, 503)
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobResponse,
        "description": "With `Prefer: respond-async`: the job is queued, and `Location` is its address.",
    }
}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "With `Accept: image/png`: the picture itself."}
}


async def _respond_async(
    prefer: Annotated[str, Header(description="`respond-async`: answer 202 at once.", examples=["respond-async"])] = "",
) -> bool:
    return "respond-async" in {preference.strip().lower() for preference in prefer.split(",")}


async def _wants_png(accept: Annotated[str, Header(include_in_schema=False)] = "") -> bool:
    return "image/png" in {media_range.partition(";")[0].strip().lower() for media_range in accept.split(",")}


RespondAsync = Annotated[bool, Depends(_respond_async)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=VISIBLE_ASCII,
        description="A repeated request with the same key gets the job of the first one.",
    ),
]


@runs.post(
    "/api/qwen-image/decompose", tags=LAYERS, response_model=DecomposeResponse, responses={**ACCEPTED, **JOB_REFUSALS}
)
@takes(Size.PICTURES)
async def decompose(
    body: DecomposeRequest,
    request: Request,
    state: StateDep,
    respond_async: RespondAsync,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Split an image into layers: `layers[0]` is the composite, the others follow from bottom to top."""
    job = await submit(body, request, state, idempotency_key, kept=respond_async)
    if respond_async:
        return _accepted(job)
    return await _json(job.job_input, await result_of(job, request, state["jobs"]), state)


@runs.post(
    "/api/qwen-image/edit-layer",
    tags=LAYERS,
    response_model=EditLayerResponse,
    responses={**PNG, **ACCEPTED, **JOB_REFUSALS},
)
@takes(Size.PICTURES)
async def edit_layer(
    body: EditLayerRequest,
    request: Request,
    state: StateDep,
    respond_async: RespondAsync,
    wants_png: Annotated[bool, Depends(_wants_png)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Edit one layer by an instruction. The result has the layer's size, so it fits back into the stack."""
    job = await submit(body, request, state, idempotency_key, kept=respond_async)
    if respond_async:
        return _accepted(job)
    result = await result_of(job, request, state["jobs"])
    return await (_png(result, state) if wants_png else _json(job.job_input, result, state))


async def submit(
    body: DecomposeRequest | EditLayerRequest, request: Request, state: State, key: str | None, *, kept: bool
) -> Job:
    """Return the job that a request asks for, and log which one it is."""
    job = await state["jobs"].submit(await submission_of(body, request, state, key), kept=kept)
    logger.info("request is a job", extra={"request_id": request.state.request_id, "job_id": job.id})
    return job


async def submission_of(
    body: DecomposeRequest | EditLayerRequest, request: Request, state: State, key: str | None = None
) -> Submission:
    """Store the pictures of a request and return its job; raises `InputError`, `ImageError`."""
    engine = _engine_for(body, state)
    _check(body, engine)
    limits = job_limits(state["settings"].server, engine, body.output_size)
    async with state["transit"].folder() as folder:
        given = await state["offload"](lambda: Picture(body.image).given(folder))
        image = await unless_left(request, state["pictures"].keep(given, limits, fit=body.fit))
        others: list[KeptPicture] = []
        for picture in body.others:
            given = await state["offload"](partial(picture.given, folder))
            others.append(await unless_left(request, state["pictures"].keep(given, limits, fit=body.fit)))
    job_input = body.to_input(image, others, engine, beside=engine is not state["engine"])
    if isinstance(body, EditLayerRequest) and isinstance(job_input, EditLayerInput) and body.surroundings:
        async with _stack_of(body.surroundings, state, "surroundings.") as stack:
            size = image.width, image.height
            work = state["pictures"].surroundings(stack, body.surroundings.index, size)
            job_input = dataclasses.replace(job_input, surroundings=await unless_left(request, work))
    return Submission(
        job_input=job_input,
        client=client_of(request),
        key=key,
        seed_given=body.seed is not None,
    )


def _check(body: DecomposeRequest | EditLayerRequest, engine: Engine) -> None:
    """Raise `InputError` for fields that the engine does not support."""
    if isinstance(body, DecomposeRequest):
        if body.regions and "regions" not in engine.decompose_takes:
            raise InputError(NO_REGIONS, param="regions")
    elif body.context and "context" not in engine.edit_takes:
        raise InputError(LAYER_ALONE, param="context")
    elif len(body.references) > (most := engine.references):
        takes_so_many = f"at most {most} references: leave some out" if most else "no references: leave them out"
        raise InputError(f"The engine takes {takes_so_many}.", param="references")


def _engine_for(body: JobRequest, state: State) -> Engine:
    """Return the engine of a request; raises `InputError` if it does not run here."""
    engines = [engine for engine in (state["engine"], state["spare"]) if engine is not None]
    found = next((engine for engine in engines if body.engine in (None, engine.name)), None)
    if found is None:
        raise InputError(f"This service runs only the engine {engines[0].name}: leave engine out.", param="engine")
    return found


def _accepted(job: Job) -> Response:
    headers = {"Location": located(f"/api/jobs/{job.id}"), "Preference-Applied": "respond-async"}
    return Response(job_response(job.view()).model_dump_json(), 202, headers, media_type="application/json")


async def _json(job_input: JobInput, result: JobResult, state: State) -> Response:
    inlined = Inlined()
    content = result_response(job_input, result, inlined.url)

    def answer() -> Response:
        return inlined.answer(
            content, {image.sha256: state["store"].checked_path(image.sha256) for image in result.images}
        )

    return await state["offload"](answer)


async def _png(result: JobResult, state: State) -> Response:
    def answer() -> bytes:
        png = state["store"].checked_path(result.images[0].sha256).read_bytes()
        return png if result.recipe is None else with_recipe(png, result.recipe)

    headers = {"X-Seed": str(result.seed), "X-Generation-Time": f"{result.generation_time_s:.3f}"}
    if result.forward:
        headers["X-Forward"] = str(result.forward)
    return Response(await state["offload"](answer), headers=headers, media_type="image/png")


UNKNOWN = problems(404)
MAX_EVENT_ID_DIGITS = 15


@runs.get("/api/jobs", tags=JOBS)
async def list_jobs(
    request: Request, state: StateDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> JobsResponse:
    """Return this client's jobs, the newest first: those of this browser, otherwise of this address."""
    jobs = state["jobs"].roster.of_client(client_of(request))[:limit]
    return JobsResponse(jobs=[job_response(job.view()) for job in jobs])


@runs.get("/api/jobs/{job_id}", tags=JOBS, responses=UNKNOWN)
async def show_job(job: JobDep) -> JobResponse:
    """Return a job, with its result if there is one."""
    return job_response(job.view())


@runs.delete("/api/jobs/{job_id}", tags=JOBS, responses=UNKNOWN)
async def cancel_job(job: JobDep, state: StateDep) -> JobResponse:
    """Cancel a job: at once while it waits, within one step while it runs. A finished job does not change."""
    await state["jobs"].cancel(job)
    return job_response(job.view())


@runs.get("/api/jobs/{job_id}/events", tags=JOBS, response_class=EventSourceResponse, responses=UNKNOWN)
async def follow_job(
    job: JobDep, request: Request, state: StateDep, last_event_id: Annotated[str, Header()] = ""
) -> AsyncIterable[ServerSentEvent]:
    """Follow a job: `queued`, `loading`, `progress`, and finally `succeeded`, `failed` or `canceled`.

    Each event contains the whole job. In between, `preview` contains `{layer, url}`: the address of a preview of that
    layer. `Last-Event-ID` resumes after that event. Of missed events with the same name in a row, and of each layer's
    previews, only the last one is sent. The ids keep rising when the service restarts. A stream lasts five minutes, or
    less if there are very many; `EventSource` reconnects by itself.
    """
    known = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= MAX_EVENT_ID_DIGITS
    followed = job.follow(int(last_event_id) if known else 0)
    async for event in state["streams"].limited(followed, client_of(request)):
        content = _content(event).model_dump_json()
        yield ServerSentEvent(raw_data=content, event=event.name, id=str(event.id), retry=COME_BACK_MS)


@runs.get(
    "/api/jobs/{job_id}/previews/{layer}.png",
    tags=JOBS,
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture."}, **UNKNOWN},
)
async def show_preview(job: JobDep, layer: Annotated[int, PathParameter(ge=1)]) -> Response:
    """Return a small preview of a layer, 1 at the bottom; it exists only while the job runs."""
    if layer not in job.previews:
        raise NotFoundError("There is no preview of this layer: the job has not reached it, or has ended.")
    return Response(job.previews[layer], headers={"Cache-Control": "no-store"}, media_type="image/png")


def _content(event: JobEvent) -> JobResponse | PreviewResponse:
    if event.layer is None:
        return job_response(event.job)
    # The number makes each address unique, so that no cache returns an older preview.
    url = located(f"/api/jobs/{event.job.id}/previews/{event.layer}.png?{event.id}")
    return PreviewResponse(layer=event.layer, url=url)


# Routes that wait for no run: composite, export, import and select.

stacks = APIRouter(prefix="/api/qwen-image", tags=LAYERS, route_class=JsonRoute)

STACK_REFUSALS = problems(400, 413, 415, 422, 503)
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {format.media_type: {} for format in EXPORT_FORMATS.values()},
        "description": "The file; its name is `name` with the format's suffix. A ZIP contains composite.png, a PNG per "
        "layer and manifest.json with all other fields; PSD and OpenRaster keep layers, groups and blend modes; a "
        "presentation (pptx) has a picture per layer; png, webp, avif and jpeg are flat.",
    }
}


@stacks.post("/composite", response_model=ImageResponse, responses=STACK_REFUSALS)
@takes(Size.PICTURES)
async def composite_layers(body: CompositeRequest, request: Request, state: StateDep) -> Response:
    """Composite layers, bottom first, and return one image."""
    async with _stack_of(body, state) as stack:
        width, height = await unless_left(request, state["pictures"].composite(stack))
        file = take_out(stack.target)
    inlined = Inlined()
    answer = ImageResponse(image=inlined.url("composite"), width=width, height=height)
    return inlined.answer(answer, {"composite": file})


@stacks.post("/export", response_class=Response, responses={**FILE, **STACK_REFUSALS})
@takes(Size.PICTURES)
async def export_layers(body: ExportRequest, request: Request, state: StateDep) -> Response:
    """Write a stack of layers as a file."""
    kind = EXPORT_FORMATS[body.format]
    stem = file_stem(body.name, "layers" if kind.layered else "composite")
    async with _stack_of(body, state) as stack:
        await unless_left(request, state["pictures"].export(stack, body.format, body.name, body.text))
        file = take_out(stack.target)
    return file_answer(file, kind.media_type, saved_as(stem, kind.suffix))


@contextlib.asynccontextmanager
async def _stack_of(body: StackRequest, state: State, param: str = "") -> AsyncGenerator[GivenStack]:
    """Provide the stack of a request, with its pictures in a temporary folder; `param` comes before its field names."""
    async with state["transit"].folder() as folder:
        yield await state["offload"](lambda: _given(body, state, folder, param))


def _given(body: StackRequest, state: State, folder: Path, param: str) -> GivenStack:
    pictures = body.pictures_under(param)
    layers = [layer.given(picture.given(folder)) for layer, picture in zip(body.layers, pictures, strict=True)]
    return GivenStack(
        layers=tuple(layers),
        width=body.width,
        height=body.height,
        background=read_color(body.background) if isinstance(body, CompositeRequest) and body.background else None,
        groups=body.groups,
        data_dir=state["store"].data_dir,
        limits=stack_limits(state["settings"].server),
        target=folder / "made",
    )


@stacks.post("/select", response_model=SelectResponse, responses=STACK_REFUSALS)
@takes(Size.PICTURES)
async def select_thing(body: SelectRequest, request: Request, state: StateDep) -> Response:
    """Return the mask of one thing in the composite of a stack, from points, a box or a line."""
    async with _stack_of(body, state) as stack:
        found = await unless_left(request, state["pictures"].select(stack, body.hints))
        file = take_out(stack.target)
    inlined = Inlined()
    answer = SelectResponse(mask=inlined.url("mask"), **dataclasses.asdict(found))
    return inlined.answer(answer, {"mask": file})


@stacks.post("/select/layer", responses=STACK_REFUSALS)
@takes(Size.PICTURES)
async def select_layer(body: SelectLayerRequest, request: Request, state: StateDep) -> SelectLayerResponse:
    """Make a layer of the masked part of a stack, and fill what is behind it; the composite does not change."""
    async with _stack_of(body, state) as stack:
        mask = await state["offload"](lambda: Picture(body.mask, "mask").given(stack.target.parent))
        cut = await unless_left(request, state["pictures"].cut_out(stack, mask, body.name))
    return SelectLayerResponse.of(cut)


@stacks.post("/harmonize", responses=STACK_REFUSALS)
@takes(Size.PICTURES)
async def harmonize_layer(body: HarmonizeRequest, request: Request, state: StateDep) -> HarmonizeResponse:
    """Fit the color and light of a layer to what the others show around it, without waiting for a run."""
    async with _stack_of(body, state) as stack:
        work = state["pictures"].harmonize(stack, body.index, body.name if body.shadow else None)
        made = await unless_left(request, work)
    return HarmonizeResponse.of(made)


@stacks.post("/import", openapi_extra=UPLOAD, responses=problems(413, 415, 422, 503))
@takes(Size.FILE)
async def import_layers(request: Request, state: StateDep) -> ImportResponse:
    """Return the layers of a file: a project file, a ZIP of layers, OpenRaster (ORA) or Photoshop (PSD)."""
    require_file(request)
    limits = layer_limits(state["settings"].server)
    async with received(request, state) as file:
        kept = await state["pictures"].read_layers(file, limits)
    return ImportResponse(
        kind=kept.kind,
        width=kept.width,
        height=kept.height,
        layers=[ImportedLayer.of(layer) for layer in kept.layers],
        groups=dict(kept.groups),
        warnings=kept.warnings,
    )

"""`/api/qwen-image/decompose` and `/edit-layer`: what the pipeline does, as jobs that are waited for or not."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import FileResponse

from server.jobs.inputs import JobInput, JobResult
from server.jobs.job import Job, Submission
from web.bodies.json_routes import JobRoute
from web.bodies.limits import Size, takes
from web.errors import VISIBLE_ASCII
from web.following import result_of, unless_left
from web.images import Inlined, Picture, job_limits
from web.openapi import problems
from web.prefix import located
from web.responses import DecomposeResponse, EditLayerResponse, JobResponse, job_response, result_response
from web.schemas import DecomposeRequest, EditLayerRequest
from web.state import State, StateDep, client_of

router = APIRouter(prefix="/api/qwen-image", tags=["Layers"], route_class=JobRoute)
logger = logging.getLogger("llm_dit.server")

REFUSALS = problems(400, 409, 413, 415, 422, 503)
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobResponse,
        "description": "With `Prefer: respond-async`: the job is queued, and `Location` is its address.",
    }
}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "With `Accept: image/png` the picture itself."}
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
        description="A request that comes again with the same key gets the job of the first one.",
    ),
]


@router.post("/decompose", response_model=DecomposeResponse, responses={**ACCEPTED, **REFUSALS})
@takes(Size.PICTURES)
async def decompose(
    body: DecomposeRequest,
    request: Request,
    state: StateDep,
    respond_async: RespondAsync,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take an image apart into layers: `layers[0]` is the composite, then bottom to top."""
    job = await _submit(body, request, state, idempotency_key, kept=respond_async)
    if respond_async:
        return _accepted(job)
    return await _json(job.job_input, await result_of(job, request, state["jobs"]), state)


@router.post("/edit-layer", response_model=EditLayerResponse, responses={**PNG, **ACCEPTED, **REFUSALS})
@takes(Size.PICTURES)
async def edit_layer(
    body: EditLayerRequest,
    request: Request,
    state: StateDep,
    respond_async: RespondAsync,
    wants_png: Annotated[bool, Depends(_wants_png)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Edit one layer by an instruction. The result has the layer's size, so that it drops back into the stack."""
    job = await _submit(body, request, state, idempotency_key, kept=respond_async)
    if respond_async:
        return _accepted(job)
    result = await result_of(job, request, state["jobs"])
    return await (_png(result, state) if wants_png else _json(job.job_input, result, state))


async def _submit(
    body: DecomposeRequest | EditLayerRequest, request: Request, state: State, key: str | None, *, kept: bool
) -> Job:
    limits = job_limits(state["settings"].server, state["engine"], body.output_size)
    async with state["transit"].folder() as folder:
        given = await state["offload"](lambda: Picture(body.image).given(folder))
        image = await unless_left(request, state["pictures"].keep(given, limits, fit=body.fit))
    submission = Submission(
        job_input=body.to_input(image, state["engine"].defaults),
        client=client_of(request),
        key=key,
        seed_given=body.seed is not None,
    )
    job = await state["jobs"].submit(submission, kept=kept)
    logger.info("request is a job", extra={"request_id": request.state.request_id, "job_id": job.id})
    return job


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
    path = await state["offload"](lambda: state["store"].checked_path(result.images[0].sha256))
    headers = {"X-Seed": str(result.seed), "X-Generation-Time": f"{result.generation_time_s:.3f}"}
    if result.forward:
        headers["X-Forward"] = str(result.forward)
    return FileResponse(path, headers=headers, media_type="image/png")

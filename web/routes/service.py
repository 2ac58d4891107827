"""What the service has: its state, capabilities and limits, for the page, operators and Prometheus; its stored projects
and pictures, which all users share."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from llm_dit.decoding.opening import PICTURE_FORMATS
from llm_dit.names import file_stem
from llm_dit.options import RunDefaults, http_name
from llm_dit.qwen.loading.loras import Spec
from llm_dit.runs import PipelineStatus
from server.engines import Engine
from server.errors import StoppingError
from server.jobs.job import describe_loading
from server.jobs.queue import STOPPING
from server.pool.tasks import GivenPicture
from server.processes import memory_of
from server.projects.projects import Project, ProjectSummary
from server.storage.images import take_out
from web.bodies.limits import Size, takes
from web.bodies.reading import UPLOAD, JsonRoute, layer_limits, media_type, receive, received, require_file, upload
from web.door.hosts import located, with_prefix
from web.errors import RETRY_AFTER_S, UnsupportedMediaTypeError, problem_response, problems, retry_after_s
from web.images import address_of, file_answer, image_limits, saved_as
from web.responses import (
    BesideResponse,
    CapabilitiesResponse,
    ConfigResponse,
    DefaultsResponse,
    EditStatusResponse,
    ImportedProjectResponse,
    KeptImageResponse,
    LimitsResponse,
    LiveResponse,
    LoraResponse,
    LorasResponse,
    MemoryResponse,
    ProjectResponse,
    ProjectsResponse,
    QueueResponse,
    ReadyResponse,
    SamplingResponse,
    StatusResponse,
    SummaryResponse,
    forward_response,
)
from web.schemas import Copy, Name, NewProject, SavedProject
from web.state import StateDep, engine_label, unless_left

router = APIRouter(tags=["Service"])


@router.get("/api/qwen-image/status")
async def status(state: StateDep) -> StatusResponse:
    """Return the running engine, its loaded models, and the length of the queue."""
    engine, host, jobs = state["engine"], state["host"], state["jobs"]
    known, loaded = host.status, host.loaded
    memory = memory_of(host.worker_pid) if host.worker_pid else None
    return StatusResponse(
        engine=engine.name,
        engine_label=engine_label(state),
        device=known.device if known else "",
        state=host.state,
        error=host.error.message if host.error else None,
        memory=MemoryResponse(used_bytes=memory.used_bytes, total_bytes=memory.total_bytes) if memory else None,
        device_memory=_device_memory(loaded),
        loaded_models=list(loaded.models) if loaded else [],
        placement=loaded.placement if loaded else "",
        loras=list(loaded.loras) if loaded else [],
        forward=forward_response(loaded.forward if loaded else None),
        edit_available=host.state != "failed",
        reason=engine.reason,
        hint=engine.hint,
        queue=QueueResponse(length=jobs.length, running=jobs.running, max_length=state["settings"].server.max_queue),
    )


@router.get("/api/qwen-image/config")
async def config(state: StateDep) -> ConfigResponse:
    """Return the engine's capabilities, and the defaults and limits of requests."""
    limits, engine, spare = state["settings"].server, state["engine"], state["spare"]
    return ConfigResponse(
        engine=engine.name,
        capabilities=_capabilities(engine),
        beside=spare and BesideResponse(engine=spare.name, label=spare.label, capabilities=_capabilities(spare)),
        defaults=DefaultsResponse.model_validate(_named(engine.defaults_of_run("decompose"))),
        edit_defaults=SamplingResponse.model_validate(_named(engine.defaults_of_run("edit"))),
        loras=LorasResponse(
            decompose=_listed(engine.loras.get("decompose", ())), edit=_listed(engine.loras.get("edit", ()))
        ),
        limits=LimitsResponse(
            max_body_mb=limits.max_body_mb,
            max_pixels=limits.max_pixels,
            max_side=limits.max_side,
            max_stack_pixels=limits.stack_pixels,
        ),
    )


def _capabilities(engine: Engine) -> CapabilitiesResponse:
    return CapabilitiesResponse(
        decompose=list(map(http_name, engine.decompose_takes)),
        edit=list(map(http_name, engine.edit_takes)),
        speeds=list(engine.speeds),
        any_instruction=engine.any_instruction,
        any_size=engine.any_size,
        references=engine.references,
        reports_steps=engine.reports_steps,
        photographs=engine.photographs,
    )


def _named(defaults: RunDefaults) -> dict[str, Any]:
    return {http_name(name): value for name, value in defaults._asdict().items()}


def _listed(loras: Sequence[Spec]) -> list[LoraResponse]:
    return [LoraResponse(name=lora.name, weight=lora.weight) for lora in loras]


@router.get("/api/qwen-image/edit-status")
async def edit_status(state: StateDep) -> EditStatusResponse:
    """Return whether layers can be edited, and whether the edit model is loaded."""
    loaded = state["host"].loaded
    return EditStatusResponse(
        available=state["host"].state != "failed",
        edit_model_loaded=loaded is not None and loaded.has_edit_model,
        edit_model_path=state["engine"].edit_model_path,
        license=state["engine"].license,
    )


def _device_memory(loaded: PipelineStatus | None) -> MemoryResponse | None:
    if loaded is None or loaded.device_used_bytes is None or loaded.device_total_bytes is None:
        return None
    return MemoryResponse(used_bytes=loaded.device_used_bytes, total_bytes=loaded.device_total_bytes)


@router.get("/livez")
async def livez() -> LiveResponse:
    """Return 200 while the service answers."""
    return LiveResponse()


@router.get("/readyz", response_model=ReadyResponse, responses=problems(503))
async def readyz(request: Request, state: StateDep) -> ReadyResponse | Response:
    """Return 200 if jobs can run, otherwise 503 with the reason."""
    engine, host, jobs = state["engine"], state["host"], state["jobs"]
    problem = await state["storage"].look()
    if jobs.ready and problem is None:
        return ReadyResponse(
            engine=engine.name,
            engine_label=engine_label(state),
            reason=engine.reason,
            warnings=state["storage"].warnings,
        )
    loading = f"The engine {engine.label} is {describe_loading(host.loading)}: try again in a moment."
    error = StoppingError(STOPPING) if jobs.stopping else problem or host.error
    return problem_response(
        request.state.request_id,
        503,
        error.message if error else loading,
        code=error.code if error else "loading",
        headers={"Retry-After": str(retry_after_s(error) if error else RETRY_AFTER_S)},
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
)
async def metrics(state: StateDep) -> Response:
    """Return counts and durations of jobs, steps, models and requests, and the state of the service."""
    content, media_type = state["metrics"].render()
    return Response(content, media_type=media_type)


# Stored projects.

projects = APIRouter(prefix="/api/projects", tags=["Projects"], route_class=JsonRoute)

FILE_TYPE = "application/zip"
GONE = problems(404)
REFUSALS = problems(400, 404, 409, 413, 415, 422, 503)
PROJECT_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {FILE_TYPE: {}}, "description": "The project file."}}


@projects.get("")
async def list_projects(
    state: StateDep,
    deleted: Annotated[bool, Query(description="List the deleted projects, which can be restored, instead.")] = False,
) -> ProjectsResponse:
    """Return all projects without their documents, the most recently changed (or deleted) first."""
    projects = await state["projects"].all(deleted=deleted)
    return ProjectsResponse(projects=[SummaryResponse(**_summary(each)) for each in projects])


@projects.post("", response_model=ProjectResponse, status_code=201, responses=REFUSALS)
@takes(Size.DOCUMENT)
async def add_project(body: NewProject, state: StateDep) -> Response:
    """Create a project."""
    return _created(await state["projects"].add(body.to_draft()))


@projects.post(
    "/import", response_model=ImportedProjectResponse, status_code=201, openapi_extra=UPLOAD, responses=REFUSALS
)
@takes(Size.FILE)
async def import_project(
    request: Request,
    state: StateDep,
    name: Annotated[Name, Query(description="The project's name, if the file has none.")] = "",
) -> Response:
    """Create a project from a project file, a ZIP of layers, an OpenRaster file, a PSD or an SVG."""
    require_file(request)
    limits = layer_limits(state["settings"].server)
    async with received(request, state) as file:
        read = await state["pictures"].read_project(file, limits, name if name.strip() else "Layers")
    return _created(await state["projects"].add(read.draft), warnings=read.warnings)


@projects.get("/{project_id}", response_model=ProjectResponse, responses=GONE)
async def show_project(project_id: str, state: StateDep) -> Response:
    """Return a project with its document."""
    return _response(await state["projects"].get(project_id))


@projects.put("/{project_id}", response_model=ProjectResponse, responses=REFUSALS)
@takes(Size.DOCUMENT)
async def save_project(project_id: str, body: SavedProject, state: StateDep) -> Response:
    """Save a project over the version on which it builds; 409 `project_changed` if somebody else saved first."""
    return _response(await state["projects"].save(project_id, body.to_draft(), body.version))


@projects.delete("/{project_id}", status_code=204, responses=GONE)
async def delete_project(
    project_id: str,
    state: StateDep,
    for_good: Annotated[bool, Query(description="Remove the project permanently, deleted or not.")] = False,
) -> None:
    """Delete a project; it can be restored within `max_age_days`, unless `for_good` removes it permanently."""
    await (state["projects"].delete_for_good if for_good else state["projects"].delete)(project_id)


@projects.post("/{project_id}/restore", response_model=ProjectResponse, responses=GONE)
async def restore_project(project_id: str, state: StateDep) -> Response:
    """Restore a deleted project."""
    return _response(await state["projects"].restore(project_id))


@projects.post("/{project_id}/duplicate", response_model=ProjectResponse, status_code=201, responses=REFUSALS)
async def duplicate_project(project_id: str, body: Copy, state: StateDep) -> Response:
    """Copy a project under another name."""
    return _created(await state["projects"].duplicate(project_id, body.name))


@projects.get("/{project_id}/file", response_class=Response, responses={**PROJECT_FILE, **problems(404, 503)})
async def export_project(project_id: str, state: StateDep) -> Response:
    """Return a project with its pictures as one file, for another server or for later.

    The file omits pictures that the server has lost: `X-Missing-Images` counts them, and `missing` in the file's
    project.json names them.
    """
    project = await state["projects"].get(project_id)
    async with state["transit"].folder() as folder:
        missing = await state["pictures"].write_project(project, folder / "made")
        file = take_out(folder / "made")
    headers = {**saved_as(file_stem(project.name, "project"), ".llm-dit.zip"), "X-Missing-Images": str(len(missing))}
    return file_answer(file, FILE_TYPE, headers)


def _created(project: Project, **more: object) -> Response:
    return _response(project, 201, {"Location": located(f"/api/projects/{project.id}")}, **more)


def _response(
    project: Project, status: int = 200, headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """Return a `ProjectResponse`; the document is sent as the database has it."""
    about = json.dumps({**_summary(project), **more}, ensure_ascii=False).encode()
    content = about[:-1] + b',"document":' + with_prefix(project.document.encode()) + b"}"
    return Response(content, status, headers, media_type="application/json")


def _summary(project: ProjectSummary) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "version": project.version,
        "thumbnail": address_of(project.thumbnail) if project.thumbnail else None,
        "layer_count": project.layer_count,
        "created_at": round(project.created_at, 3),
        "updated_at": round(project.updated_at, 3),
        "deleted_at": None if project.deleted_at is None else round(project.deleted_at, 3),
    }


# Stored pictures: files instead of base64.


images = APIRouter(prefix="/api/images", tags=["Images"])

UPLOAD_TYPES = (*(format.media_types[0] for format in PICTURE_FORMATS), "application/octet-stream")
"""The documented types; any `image/…` is accepted, because the bytes determine the format."""


@images.post("", status_code=201, openapi_extra=upload(UPLOAD_TYPES), responses=problems(413, 415, 422, 503))
@takes(Size.PICTURES)
async def keep_image(
    request: Request,
    response: Response,
    state: StateDep,
    fit: Annotated[
        bool, Query(description="Scale a picture down if it exceeds the limits; otherwise refuse it.")
    ] = True,
) -> KeptImageResponse:
    """Store a picture, upright and as RGBA; requests accept its address wherever they accept an image."""
    _check_type(request)
    async with state["transit"].folder() as folder:
        given = GivenPicture(file=folder / "picture")
        await receive(request.stream(), folder / "picture")
        limits = image_limits(state["settings"].server)
        kept = await unless_left(request, state["pictures"].keep(given, limits, fit=fit))
    address = address_of(kept.sha256)
    response.headers["Location"] = address
    return KeptImageResponse(image=address, width=kept.width, height=kept.height, scaled_from=kept.scaled_from)


def _check_type(request: Request) -> None:
    """Refuse the types that a form or script of a foreign page can send; the bytes determine the format."""
    named = media_type(request) if "content-type" in request.headers else ""
    if not named.startswith("image/") and named != "application/octet-stream":
        raise UnsupportedMediaTypeError(", ".join(UPLOAD_TYPES))


@images.get(
    "/{sha256}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture."}, **problems(404)},
)
async def show_image(sha256: str, request: Request, state: StateDep) -> Response:
    """Return a stored picture."""
    headers = {"ETag": f'"{sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if request.headers.get("if-none-match") == headers["ETag"] and sha256 in state["store"]:
        return Response(status_code=304, headers=headers)
    path = await anyio.to_thread.run_sync(state["store"].checked_path, sha256)
    return FileResponse(path, headers=headers, media_type="image/png")

"""`/api/projects`: pictures with their layers and versions, kept by the server for everybody who is let in."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from llm_dit.names import file_stem
from server.projects.projects import Project, ProjectSummary
from server.storage.folder import take_out
from web.bodies.limits import Size, takes
from web.bodies.reading import UPLOAD, JsonRoute, layer_limits, received, require_file
from web.images import address_of, file_answer, saved_as
from web.openapi import problems
from web.prefix import located, with_prefix
from web.responses import ImportedProjectResponse, ProjectResponse, ProjectsResponse, SummaryResponse
from web.schemas import Copy, Name, NewProject, SavedProject
from web.state import StateDep

router = APIRouter(prefix="/api/projects", tags=["Projects"], route_class=JsonRoute)

FILE_TYPE = "application/zip"
GONE = problems(404)
REFUSALS = problems(400, 404, 409, 413, 415, 422, 503)
FILE: dict[int | str, dict[str, Any]] = {200: {"content": {FILE_TYPE: {}}, "description": "The project file."}}


@router.get("")
async def list_projects(
    state: StateDep,
    deleted: Annotated[bool, Query(description="List those that were deleted and can be restored instead.")] = False,
) -> ProjectsResponse:
    """Return all projects, without what is in them, the one that was changed (or deleted) last first."""
    projects = await state["projects"].all(deleted=deleted)
    return ProjectsResponse(projects=[SummaryResponse(**_summary(each)) for each in projects])


@router.post("", response_model=ProjectResponse, status_code=201, responses=REFUSALS)
@takes(Size.DOCUMENT)
async def add_project(body: NewProject, state: StateDep) -> Response:
    """Keep a new project."""
    return _created(await state["projects"].add(body.to_draft()))


@router.post(
    "/import", response_model=ImportedProjectResponse, status_code=201, openapi_extra=UPLOAD, responses=REFUSALS
)
@takes(Size.FILE)
async def import_project(
    request: Request,
    state: StateDep,
    name: Annotated[Name, Query(description="What a project of a file that names none is called.")] = "",
) -> Response:
    """Keep the project of a project file as a new one, or make one of a ZIP of layers, an OpenRaster file or a PSD."""
    require_file(request)
    limits = layer_limits(state["settings"].server)
    async with received(request, state) as file:
        read = await state["pictures"].read_project(file, limits, name if name.strip() else "Layers")
    return _created(await state["projects"].add(read.draft), warnings=read.warnings)


@router.get("/{project_id}", response_model=ProjectResponse, responses=GONE)
async def show_project(project_id: str, state: StateDep) -> Response:
    """Return a project with all that is in it."""
    return _response(await state["projects"].get(project_id))


@router.put("/{project_id}", response_model=ProjectResponse, responses=REFUSALS)
@takes(Size.DOCUMENT)
async def save_project(project_id: str, body: SavedProject, state: StateDep) -> Response:
    """Put a project in place of the version that it builds on; 409 `project_changed` when somebody else was faster."""
    return _response(await state["projects"].save(project_id, body.to_draft(), body.version))


@router.delete("/{project_id}", status_code=204, responses=GONE)
async def delete_project(
    project_id: str,
    state: StateDep,
    for_good: Annotated[bool, Query(description="Remove it, deleted before or not; nothing brings it back.")] = False,
) -> None:
    """Take a project out of the list; it can be restored for as long as old things are kept, or remove it for good."""
    await (state["projects"].delete_for_good if for_good else state["projects"].delete)(project_id)


@router.post("/{project_id}/restore", response_model=ProjectResponse, responses=GONE)
async def restore_project(project_id: str, state: StateDep) -> Response:
    """Bring a deleted project back."""
    return _response(await state["projects"].restore(project_id))


@router.post("/{project_id}/duplicate", response_model=ProjectResponse, status_code=201, responses=REFUSALS)
async def duplicate_project(project_id: str, body: Copy, state: StateDep) -> Response:
    """Keep a copy of a project under another name."""
    return _created(await state["projects"].duplicate(project_id, body.name))


@router.get("/{project_id}/file", response_class=Response, responses={**FILE, **problems(404, 503)})
async def export_project(project_id: str, state: StateDep) -> Response:
    """Return a project with its pictures as one file, for another server or for later.

    Pictures that the server has lost are left out: `X-Missing-Images` counts them, `missing` in the file's project.json
    names them.
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
    """Return a `ProjectResponse`, whose document goes from the database to the client as it stands."""
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

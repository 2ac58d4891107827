"""`/api/jobs`: list, inspect, follow, preview and cancel jobs."""

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from server.errors import NotFoundError
from server.jobs.job import JobEvent
from web.following import COME_BACK_MS
from web.openapi import problems
from web.prefix import located
from web.responses import JobResponse, JobsResponse, PreviewResponse, job_response
from web.state import JobDep, StateDep, client_of

router = APIRouter(prefix="/api/jobs", tags=["Jobs"])

REFUSALS = problems(404)
MAX_EVENT_ID_DIGITS = 15


@router.get("")
async def list_jobs(
    request: Request, state: StateDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> JobsResponse:
    """Return this client's own jobs, the newest first: those of this browser, or else those of this address."""
    jobs = state["jobs"].roster.of_client(client_of(request))[:limit]
    return JobsResponse(jobs=[job_response(job.view()) for job in jobs])


@router.get("/{job_id}", responses=REFUSALS)
async def show_job(job: JobDep) -> JobResponse:
    """Return a job, with its result when it has one."""
    return job_response(job.view())


@router.delete("/{job_id}", responses=REFUSALS)
async def cancel_job(job: JobDep, state: StateDep) -> JobResponse:
    """Cancel a job: at once while it waits, within one step while it runs. A finished job stays as it is."""
    await state["jobs"].cancel(job)
    return job_response(job.view())


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=REFUSALS)
async def follow_job(
    job: JobDep, request: Request, state: StateDep, last_event_id: Annotated[str, Header()] = ""
) -> AsyncIterable[ServerSentEvent]:
    """Follow a job: `queued`, `loading`, `progress`, and last `succeeded`, `failed` or `canceled`.

    Each event holds the whole job. In between, `preview` holds `{layer, url}`: where to get what that layer is going to
    be. `Last-Event-ID` starts after that event; of events of one name in a row that were missed, and of each layer's
    previews, only the last one is sent. The ids go on rising when the service restarts. A stream lasts five
    minutes, or less where there are very many; `EventSource` comes back by itself.
    """
    known = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= MAX_EVENT_ID_DIGITS
    followed = job.follow(int(last_event_id) if known else 0)
    async for event in state["streams"].limited(followed, client_of(request)):
        content = _content(event).model_dump_json()
        yield ServerSentEvent(raw_data=content, event=event.name, id=str(event.id), retry=COME_BACK_MS)


@router.get(
    "/{job_id}/previews/{layer}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The picture."}, **REFUSALS},
)
async def show_preview(job: JobDep, layer: Annotated[int, Path(ge=1)]) -> Response:
    """Return a small picture of what a layer is going to be, 1 at the bottom; there is none once the job has ended."""
    if layer not in job.previews:
        raise NotFoundError("There is no preview of this layer: the job has not come so far, or it has ended.")
    return Response(job.previews[layer], headers={"Cache-Control": "no-store"}, media_type="image/png")


def _content(event: JobEvent) -> JobResponse | PreviewResponse:
    if event.layer is None:
        return job_response(event.job)
    # The number makes it another address for every picture, as caches on the way to the screen want it.
    url = located(f"/api/jobs/{event.job.id}/previews/{event.layer}.png?{event.id}")
    return PreviewResponse(layer=event.layer, url=url)

"""`/api/jobs`: one's jobs; see how one stands, follow it, cancel it."""

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from web.answers import JobResponse, JobsResponse, job_response
from web.clients import client_of
from web.openapi import problems
from web.state import JobDep, StateDep

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
async def follow_job(job: JobDep, last_event_id: Annotated[str, Header()] = "") -> AsyncIterable[ServerSentEvent]:
    """Follow a job: `queued`, `loading`, `progress`, and last `succeeded`, `failed` or `canceled`.

    Each event holds the whole job. `Last-Event-ID` starts after that event; of events of one name in a row that were
    missed only the last one is sent. The ids go on rising when the service is started anew.
    """
    known = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= MAX_EVENT_ID_DIGITS
    async for event in job.follow(int(last_event_id) if known else 0):
        content = job_response(event.job).model_dump_json()
        yield ServerSentEvent(raw_data=content, event=event.name, id=str(event.id))

"""`/api/jobs/{id}`: see how a job stands, follow it, cancel it."""

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from web.answers import JobResponse, job_response
from web.openapi import problems
from web.state import JobDep, StateDep

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["Jobs"])

REFUSALS = problems(404)


@router.get("", responses=REFUSALS)
async def show_job(job: JobDep) -> JobResponse:
    """Return a job, with its result when it has one."""
    return job_response(job.view())


@router.delete("", responses=REFUSALS)
async def cancel_job(job: JobDep, state: StateDep) -> JobResponse:
    """Cancel a job: at once while it waits, within one step while it runs. A finished job stays as it is."""
    await state["jobs"].cancel(job)
    return job_response(job.view())


@router.get("/events", response_class=EventSourceResponse, responses=REFUSALS)
async def follow_job(job: JobDep, last_event_id: Annotated[str, Header()] = "") -> AsyncIterable[ServerSentEvent]:
    """Follow a job: `queued`, `loading`, `progress`, and last `succeeded`, `failed` or `canceled`.

    Each event holds the whole job. `Last-Event-ID` starts after that event; of events of one name in a row that were
    missed only the last one is sent.
    """
    after = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 10 else 0
    async for event in job.follow(after):
        content = job_response(event.job).model_dump_json()
        yield ServerSentEvent(raw_data=content, event=event.name, id=str(event.id))

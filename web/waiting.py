"""Waiting for a job on behalf of a client that may leave."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from server.inputs import JobResult
from server.jobs import Job
from server.queue import JobQueue


async def result_of(job: Job, request: Request, jobs: JobQueue) -> JobResult:
    """Return what a job made; raises what it failed with. A client that leaves cancels its job (`ClientDisconnect`)."""
    finished = asyncio.create_task(job.wait_finished())
    left = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({finished, left}, return_when=asyncio.FIRST_COMPLETED)
        if not job.finished:
            await jobs.cancel(job)
            raise ClientDisconnect
    finally:
        finished.cancel()
        left.cancel()
    if job.error is not None:
        raise job.error
    assert job.result is not None
    return job.result


async def _disconnect(request: Request) -> None:
    # The body has been read, so the next message is the end of the connection.
    while (await request.receive())["type"] != "http.disconnect":
        pass

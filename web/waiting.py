"""Waiting on behalf of a client that may leave."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from server.inputs import JobResult
from server.jobs import Job
from server.queue import JobQueue

T = TypeVar("T")


async def result_of(job: Job, request: Request, jobs: JobQueue) -> JobResult:
    """Return what a job made; raises what it failed with.

    A client that leaves cancels its job, unless somebody else waits for it too or comes back for it; then
    `ClientDisconnect` is raised.
    """
    return await unless_left(request, jobs.result_of(job))


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; when the client of a request, whose body has been read, leaves, `work` is canceled.

    Raises `ClientDisconnect` then.
    """
    result = asyncio.create_task(work)
    left = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({result, left}, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        raise ClientDisconnect
    finally:
        left.cancel()
        result.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await result


async def _disconnect(request: Request) -> None:
    # The body has been read, so the next message is the end of the connection.
    while (await request.receive())["type"] != "http.disconnect":
        pass

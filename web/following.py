"""Event streams: how many there may be, and for how long one lasts before its client comes back for the rest."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from server.jobs.inputs import JobResult
from server.jobs.job import Job
from server.jobs.queue import JobQueue

Item = TypeVar("Item")

MOST_STREAMS = 256
LASTS_S = 300.0
COME_BACK_MS = 2000
"""What `EventSource` is told to wait before it comes back."""


class Streams:
    """The open streams. Where there are too many, the oldest one of the client that has most ends."""

    def __init__(self, most: int = MOST_STREAMS, lasts_s: float = LASTS_S) -> None:
        self._most = most
        self._lasts_s = lasts_s
        self._open: dict[asyncio.Event, str] = {}

    async def limited(self, items: AsyncIterator[Item], client: str) -> AsyncGenerator[Item]:
        """Yield items until there are no more, the stream has lasted long enough, or others need its place."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._lasts_s
        with self._place(client) as ended:
            over = asyncio.create_task(ended.wait())
            coming: asyncio.Task[Item] | None = None
            try:
                while True:
                    coming = asyncio.ensure_future(anext(items))  # type: ignore[arg-type]
                    waited = {coming, over}
                    await asyncio.wait(waited, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        return
                    try:
                        item = coming.result()
                    except StopAsyncIteration:
                        return
                    yield item
            finally:
                over.cancel()
                if coming is not None:
                    coming.cancel()

    @contextlib.contextmanager
    def _place(self, client: str) -> Generator[asyncio.Event]:
        if len(self._open) >= self._most:
            counts = Counter(self._open.values())
            fullest = max(counts, key=lambda each: counts[each])
            oldest = next(ended for ended, owner in self._open.items() if owner == fullest)
            oldest.set()
            del self._open[oldest]
        ended = asyncio.Event()
        self._open[ended] = client
        try:
            yield ended
        finally:
            self._open.pop(ended, None)


# Waiting on behalf of a client that may leave.


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

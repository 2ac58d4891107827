"""What every request can reach, how routes ask for it, whose request it is, and how long its client stays away."""

import asyncio
import contextlib
import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, cast

import anyio.to_thread
from fastapi import Depends, Request, Response
from starlette.requests import ClientDisconnect

from server.jobs.inputs import JobResult
from server.jobs.job import Job, Submission
from server.jobs.queue import JobQueue
from server.service import Service
from web.door.hosts import cookie_path
from web.door.tokens import Attempts, source_of

T = TypeVar("T")


class Offload:
    """Runs work on pixels and large bodies in a few threads, off the event loop."""

    def __init__(self, threads: int = 2) -> None:
        self._limiter = anyio.CapacityLimiter(threads)

    async def __call__(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


# Identifies a client for its job list and its turn. This is not authentication.

COOKIE = "llm_dit_client"
COOKIE_S = 365 * 24 * 3600
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
RANDOM_BYTES, SEAL_BYTES = 10, 6
"""Lengths of the parts of an ID: a random part, and a seal that proves that this server issued it."""
NEW_BROWSERS = 100
"""Most browsers of one address that get an ID within an hour; others count as one client, like its programs."""
HOUR_S = 3600


class Clients:
    """Identifies clients by a cookie that only this server can issue, otherwise by their address.

    So a program that drops or invents cookies is not a new client each time.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._given = Attempts(most=NEW_BROWSERS, span_s=HOUR_S)

    def of(self, request: Request) -> str:
        """Return `browser:ID` for a browser that has opened the page, otherwise `address:IP`."""
        given = request.cookies.get(COOKIE, "")
        if _ID.fullmatch(given):
            content = urlsafe_b64decode(f"{given}==")
            if hmac.compare_digest(self._seal(content[:RANDOM_BYTES]), content[RANDOM_BYTES:]):
                return f"browser:{given}"
        return f"address:{_address_of(request)}"

    def recognize(self, request: Request, response: Response) -> None:
        """Give a browser that opens the page an ID, unless it has one from this server."""
        address = _address_of(request)
        if self.of(request).startswith("address:") and not self._given.wait_s(address):
            self._given.add(address)
            content = secrets.token_bytes(RANDOM_BYTES)
            value = urlsafe_b64encode(content + self._seal(content)).decode().rstrip("=")
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, value, max_age=COOKIE_S, path=cookie_path(), secure=secure, httponly=True)

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:SEAL_BYTES]


def client_of(request: Request) -> str:
    """Return the client of a request; see `Clients.of`."""
    return cast(Clients, request.scope["state"]["clients"]).of(request)


def _address_of(request: Request) -> str:
    return source_of(request.client.host) if request.client else "local"


# Event streams: their number, and the time after which a client must reconnect.


Item = TypeVar("Item")
MOST_STREAMS = 256
LASTS_S = 300.0
COME_BACK_MS = 2000
"""The reconnection delay for `EventSource`."""


class Streams:
    """The open streams. Above the limit, the oldest stream of the client with the most ends."""

    def __init__(self, most: int = MOST_STREAMS, lasts_s: float = LASTS_S) -> None:
        self._most = most
        self._lasts_s = lasts_s
        self._open: dict[asyncio.Event, str] = {}

    async def limited(self, items: AsyncIterator[Item], client: str) -> AsyncGenerator[Item]:
        """Yield items until they end, the stream reaches its time limit, or others need its place."""
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


# Retries after a broken connection, as OpenAI's libraries send them, get the run of the first try.

COUNT_HEADER = "x-stainless-retry-count"
"""The libraries' header with the number of the try, 0 for the first one."""
LEFT_S = 60.0
"""Seconds for which a run without a client continues; the libraries retry after 8 s at most."""
ANSWERED_S = 15.0
"""Seconds after a response within which a retry means that the response did not arrive."""


def retries_of(request: Request) -> int | None:
    """Return how often a client has sent a request before, or None if it does not say."""
    count = request.headers.get(COUNT_HEADER, "")
    return int(count) if count.isdecimal() and len(count) < 4 else None


@dataclass(eq=False)
class Run:
    """The jobs of one request; `clients` is the number of clients that wait for them."""

    jobs: Sequence[Job]
    holds: Sequence[asyncio.Task[JobResult]]
    clients: int = 0
    ending: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def failed(self) -> bool:
        return any(job.finished and job.result is None for job in self.jobs)


class Retries:
    """The runs of requests that may be retried."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    @contextlib.asynccontextmanager
    async def jobs_for(
        self, submissions: Sequence[Submission], request: Request, queue: JobQueue
    ) -> AsyncGenerator[Sequence[Job]]:
        """Provide the jobs of a request: those of the first try for a retry, otherwise new ones.

        After the block, jobs without waiting clients continue for a while if their client may retry.
        """
        count = retries_of(request)
        if count is None:
            yield await _submitted(submissions, queue)
            return
        key = hashlib.sha256("".join(f"{each.client} {each.fingerprint} " for each in submissions).encode()).hexdigest()
        run = self._earlier(key) if count else None
        if run is None:
            jobs = await _submitted(submissions, queue)
            run = Run(jobs, [asyncio.create_task(queue.result_of(job)) for job in jobs])
            for hold in run.holds:
                hold.add_done_callback(_heard)
            self._runs.setdefault(key, []).append(run)
        run.clients += 1
        if run.ending is not None:
            run.ending.cancel()
        span_s = LEFT_S
        try:
            yield run.jobs
            span_s = ANSWERED_S
        finally:
            run.clients -= 1
            if not run.clients:
                run.ending = asyncio.get_running_loop().call_later(span_s, self._end, key, run)

    def _earlier(self, key: str) -> Run | None:
        """Return the run of a retry: preferably one without waiting clients."""
        runs = [run for run in self._runs.get(key, ()) if not run.failed]
        return min(runs, key=lambda run: (run.clients > 0, all(job.finished for job in run.jobs)), default=None)

    def _end(self, key: str, run: Run) -> None:
        self._runs[key].remove(run)
        if not self._runs[key]:
            del self._runs[key]
        for hold in run.holds:
            hold.cancel()  # the last waiter: its job is canceled, too


async def _submitted(submissions: Sequence[Submission], queue: JobQueue) -> list[Job]:
    """Return a job for each submission; if one is refused, those before it end."""
    jobs: list[Job] = []
    try:
        for submission in submissions:
            job = await queue.submit(submission, kept=False)
            jobs.append(job)
    except BaseException:
        for job in jobs:
            if not job.waiters:
                await queue.cancel(job)
        raise
    return jobs


def _heard(hold: asyncio.Task[Any]) -> None:
    """Consume the outcome of a task; another task reports it to waiting clients."""
    if not hold.cancelled():
        hold.exception()


# The parts of the service, and how routes get at them.


class State(Service):
    """The parts of the service, and the web's own state."""

    clients: Clients
    offload: Offload
    streams: Streams
    retries: Retries


def state_of(request: Request) -> State:
    return cast(State, request.scope["state"])


def engine_label(state: State) -> str:
    """Return the engine's name for people, with its device once that is known."""
    status = state["host"].status
    return state["engine"].label_on(status.device if status else None)


# FastAPI runs a dependency that is not a coroutine in a thread, and files on a slow disk may occupy all threads.
async def _state(request: Request) -> State:
    return state_of(request)


async def _job(request: Request, job_id: str) -> Job:
    return state_of(request)["jobs"].roster.get(job_id)


StateDep = Annotated[State, Depends(_state)]
JobDep = Annotated[Job, Depends(_job)]


# Waiting for results while the client may disconnect.


async def result_of(job: Job, request: Request, jobs: JobQueue) -> JobResult:
    """Return the result of a job; raises its error.

    If the client disconnects, this raises `ClientDisconnect` and cancels the job, unless another client waits for it or
    will fetch it.
    """
    return await unless_left(request, jobs.result_of(job))


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`; the body of the request must have been read.

    If the client disconnects, this cancels `work` and raises `ClientDisconnect`.
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

"""Clients that send a request again when its connection breaks, as OpenAI's libraries do, get the run that it began."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from server.jobs.inputs import JobResult
from server.jobs.job import Job, Submission
from server.jobs.queue import JobQueue

COUNT_HEADER = "x-stainless-retry-count"
"""What those libraries send with each try: 0 with the first one."""
LEFT_S = 60.0
"""Seconds that a run without a client goes on; the libraries try again after 8 s at most."""
ANSWERED_S = 15.0
"""Seconds after an answer within which a retry says that the answer did not arrive."""


def retries_of(request: Request) -> int | None:
    """Return how often a client has sent a request before; None of a client that does not say."""
    count = request.headers.get(COUNT_HEADER, "")
    return int(count) if count.isdecimal() and len(count) < 4 else None


@dataclass(eq=False)
class Run:
    """The jobs of one request; `clients` is how many wait for them now."""

    jobs: Sequence[Job]
    holds: Sequence[asyncio.Task[JobResult]]
    clients: int = 0
    ending: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def failed(self) -> bool:
        return any(job.finished and job.result is None for job in self.jobs)


class Retries:
    """The runs of requests that may come again."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    @contextlib.asynccontextmanager
    async def jobs_for(
        self, submissions: Sequence[Submission], request: Request, queue: JobQueue
    ) -> AsyncGenerator[Sequence[Job]]:
        """Lend the jobs that a request asks for: those of its first try where it is a retry, else new ones.

        When the block ends, jobs that nobody waits for go on for a while if their client may come back for them.
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
        """Return the run that a retry is about: first one that nobody waits for."""
        runs = [run for run in self._runs.get(key, ()) if not run.failed]
        return min(runs, key=lambda run: (run.clients > 0, all(job.finished for job in run.jobs)), default=None)

    def _end(self, key: str, run: Run) -> None:
        self._runs[key].remove(run)
        if not self._runs[key]:
            del self._runs[key]
        for hold in run.holds:
            hold.cancel()  # the last who waits for a job: it is canceled, too


async def _submitted(submissions: Sequence[Submission], queue: JobQueue) -> list[Job]:
    """Return a job for each submission; when one is refused, those before it end."""
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
    """Take in how a task has ended, of which those who wait are told by another one."""
    if not hold.cancelled():
        hold.exception()

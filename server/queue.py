"""The jobs of the service: a bounded queue in order of arrival, the one that runs, and the finished ones."""

import asyncio
import logging
import math
import statistics
import time
from collections import deque

from llm_dit.errors import LLMDiTError
from server.errors import NotFoundError, QueueFullError
from server.host import PipelineHost
from server.inputs import JobInput
from server.jobs import Job

logger = logging.getLogger("llm_dit.server")

TYPICAL_RUN_S = 5.0
"""What a run is taken to last before one has been measured."""


class JobQueue:
    """Takes jobs in, runs one after the other, and remembers the last `max_finished` of them."""

    def __init__(self, host: PipelineHost, *, max_length: int, max_finished: int) -> None:
        self._host = host
        self.max_length = max_length
        self._max_finished = max_finished
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._finished: deque[Job] = deque()
        self._durations_s: deque[float] = deque(maxlen=20)
        self._running: Job | None = None
        self._run_task: asyncio.Task[None] | None = None

    @property
    def length(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs run: 0 or 1."""
        return int(self._running is not None)

    def require_room(self) -> None:
        """Raise `QueueFullError` when no job can be taken in now."""
        if len(self._waiting) >= self.max_length:
            pace_s = statistics.median(self._durations_s) if self._durations_s else TYPICAL_RUN_S
            wait_s = max(1, math.ceil((len(self._waiting) + 1) * pace_s))
            message = f"{len(self._waiting)} jobs are waiting already: try again in {wait_s} s."
            raise QueueFullError(message, retry_after_s=wait_s)

    def submit(self, job_input: JobInput) -> Job:
        """Take a job in; it starts as soon as those before it have ended. Raises `QueueFullError`."""
        self.require_room()
        job = Job(job_input=job_input)
        self._jobs[job.id] = job
        self._waiting.append(job)
        logger.info("job %s: %s is queued at %d", job.id, job_input.kind, len(self._waiting))
        self._renumber()
        self._start_next()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job by its id; raises `NotFoundError`."""
        if job_id not in self._jobs:
            raise NotFoundError("There is no such job: it was never here, or it ended long ago.")
        return self._jobs[job_id]

    async def cancel(self, job: Job) -> None:
        """Cancel a job and return when it has ended; one that has ended already stays as it is."""
        if job in self._waiting:
            self._waiting.remove(job)
            self._end(job)
            job.cancel()
            self._renumber()
        elif job is self._running and self._run_task is not None:
            self._run_task.cancel()
        await job.wait_finished()

    async def stop(self) -> None:
        """Cancel the jobs that wait and end the worker, which fails the one that runs."""
        while self._waiting:
            await self.cancel(self._waiting[-1])
        await self._host.stop()
        if self._run_task is not None:
            await asyncio.wait({self._run_task})

    def _start_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._running.start()
            self._run_task = asyncio.create_task(self._run(self._running))
            self._renumber()

    async def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            result = await self._host.run(job.id, job.job_input, on_loading=job.advance, on_progress=job.advance)
        except asyncio.CancelledError:
            job.cancel()
        except LLMDiTError as error:
            logger.info("job %s: %s", job.id, error.code)
            job.fail(error)
        else:
            job.succeed(result)
            self._durations_s.append(time.monotonic() - started)
        logger.info("job %s: %s after %.2f s", job.id, job.status, time.monotonic() - started)
        self._running = None
        self._end(job)
        self._start_next()

    def _end(self, job: Job) -> None:
        self._finished.append(job)
        if len(self._finished) > self._max_finished:
            del self._jobs[self._finished.popleft().id]

    def _renumber(self) -> None:
        for position, job in enumerate(self._waiting, start=1):
            if job.position != position:
                job.queue_at(position)

"""The one pipeline of the service, held behind a lock."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Literal

from llm_dit.errors import LLMDiTError
from llm_dit.pipelines.base import Canceled, PipelineStatus, Progress
from server.inputs import JobInput, JobResult
from server.worker import Worker

logger = logging.getLogger("llm_dit.server")

HostState = Literal["loading", "ready", "failed"]


class PipelineHost:
    """Runs one job at a time in a worker process, and starts a new process when one has ended.

    The lock is released only when the worker has really stopped: canceling whoever waits for `run` cancels the job and
    waits until the worker says so, or is dead.
    """

    def __init__(self, new_worker: Callable[[], Worker], *, cancel_grace_s: float) -> None:
        self._new_worker = new_worker
        self._cancel_grace_s = cancel_grace_s
        self._lock = asyncio.Lock()
        self._stopping = False
        self._worker = self._start_worker()

    @property
    def state(self) -> HostState:
        if self._worker.ended:
            return "failed"
        return "ready" if self._worker.loaded else "loading"

    @property
    def error(self) -> LLMDiTError | None:
        """What keeps the pipeline from loading; the next job tries again."""
        return self._worker.error

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid

    @property
    def loading(self) -> Progress:
        """How far the pipeline has got with loading."""
        return self._worker.loading

    @property
    def status(self) -> PipelineStatus | None:
        """What the pipeline had loaded at the end of its latest run; None before it can run."""
        return self._worker.status

    async def run(
        self,
        job_id: str,
        job_input: JobInput,
        *,
        on_loading: Callable[[Progress], None],
        on_progress: Callable[[Progress], None],
    ) -> JobResult:
        """Run a job when the pipeline is free; raises what the pipeline raised, or `WorkerLostError`."""
        async with self._lock:
            worker = await self._loaded_worker(on_loading)
            run = asyncio.create_task(worker.run(job_id, job_input, on_progress))
            try:
                return await asyncio.shield(run)
            except asyncio.CancelledError:
                await self._see_it_stop(worker, job_id, run)
                raise

    async def stop(self) -> None:
        """End the worker process; a run that is under way ends with it."""
        self._stopping = True
        await self._worker.stop()

    def _start_worker(self) -> Worker:
        worker = self._new_worker()
        worker.when_ended(self._replace)
        return worker

    def _replace(self, worker: Worker) -> None:
        """Start anew after a crash at once, but leave what cannot even load to the next job."""
        if worker is self._worker and worker.loaded and not self._stopping:
            self._worker = self._start_worker()

    async def _loaded_worker(self, on_loading: Callable[[Progress], None]) -> Worker:
        if self._worker.ended:
            self._worker = self._start_worker()
        worker = self._worker
        if not worker.loaded:
            await worker.wait_loaded(on_loading)
        return worker

    async def _see_it_stop(self, worker: Worker, job_id: str, run: asyncio.Task[JobResult]) -> None:
        """Return when the run has ended, however often the waiting itself is canceled."""
        stopping = asyncio.create_task(self._stop_run(worker, job_id, run))
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _stop_run(self, worker: Worker, job_id: str, run: asyncio.Task[JobResult]) -> None:
        worker.cancel(job_id)
        await asyncio.wait({run}, timeout=self._cancel_grace_s)
        if not run.done():
            logger.warning("job %s does not stop: its process is killed", job_id)
            worker.kill()
        with contextlib.suppress(Canceled, LLMDiTError):
            await run

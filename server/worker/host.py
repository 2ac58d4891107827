"""The pipeline of the service, and the limit on its runs."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llm_dit.errors import DeviceLostError, LLMDiTError, OutOfMemoryError
from llm_dit.runs import Canceled, PipelineStatus, Progress
from server.errors import ClusterError, Failure, WorkerLostError
from server.jobs.inputs import JobInput, JobResult
from server.telemetry import Metrics
from server.worker.supervisor import LOST, ShowPreview, Worker

logger = logging.getLogger("llm_dit.server")

HostState = Literal["loading", "ready", "unloaded", "failed"]

RESTART_DELAYS_S = (0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 60)
"""Pauses in seconds before successive restarts without a good run in between."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Waiting times: for a canceled run to stop, and idle until the models are unloaded (0: never)."""

    cancel_s: float
    unload_s: float = 0.0


class PipelineHost:
    """Runs one job at a time in a worker process, and starts a new process when one has ended.

    A process whose pipeline has replicas runs as many jobs as it has `slots`. A slot is free again only when the run
    has really stopped: canceling `run` cancels the job and waits until the worker confirms it, or is dead. A worker
    that crashes repeatedly, or cannot load for a temporary reason, restarts after longer and longer pauses. After a
    permanent failure the next job tries again. Jobs wait for a cluster that is out of reach.
    """

    def __init__(
        self,
        new_worker: Callable[[], Worker],
        patience: Patience,
        metrics: Metrics,
        *,
        at_once: bool = True,
        slots: int = 1,
    ) -> None:
        """Start the first worker `at_once`, or with the first job."""
        self.slots = slots
        self._new_worker = new_worker
        self._patience = patience
        self._metrics = metrics
        self._free = asyncio.Semaphore(slots)
        self._runs = 0
        self._failures = 0
        self._out_of_memory = False
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._retry_at = 0.0
        self._started = asyncio.Event()
        self.error: LLMDiTError | None = None
        """Why the pipeline cannot load."""
        self.status: PipelineStatus | None = None
        """What the pipeline had loaded after its latest run; None before it was ready."""
        self._worker: Worker | None = None
        if at_once:
            self._start()

    @property
    def state(self) -> HostState:
        if self._worker is not None and not self._worker.ended:
            return "ready" if self._worker.loaded and not self._worker.ending else "loading"
        return "failed" if self.error else "loading" if self._timer else "unloaded"

    @property
    def loaded(self) -> PipelineStatus | None:
        """What is loaded now."""
        return self.status if self.state == "ready" else None

    @property
    def replicas(self) -> int | None:
        """How many replicas of the pipeline run; None for a pipeline in a process of this service."""
        return self._worker.replicas if self._worker else None

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid if self._worker else None

    @property
    def loading(self) -> Progress:
        """The progress of loading."""
        return self._worker.loading if self._worker else Progress(phase="loading", step=0, total=0)

    async def run(
        self,
        job_id: str,
        job_input: JobInput,
        *,
        on_loading: Callable[[Progress], None],
        on_progress: Callable[[Progress], None],
        on_preview: ShowPreview | None = None,
    ) -> JobResult:
        """Run a job once the pipeline is free; raises the pipeline's error, or `WorkerLostError`.

        Without `on_preview` the pipeline makes no previews.
        """
        async with self._free:
            worker = await self._loaded_worker(on_loading)
            self._runs += 1
            run = asyncio.create_task(worker.run(job_id, job_input, on_progress, on_preview))
            try:
                result = await asyncio.shield(run)
            except asyncio.CancelledError:
                await self._see_it_stop(worker, job_id, run)
                raise
            except LLMDiTError as error:
                self._after_failure(worker, error)
                raise
            finally:
                self._runs -= 1
                self._rest(worker)
            self._failures, self._out_of_memory = 0, False
            return result

    async def stop(self) -> None:
        """End the worker process and its current run."""
        self._stopping = True
        self._set_timer(None)
        self._started.set()  # wake waiters; there will be no next start
        if self._worker is not None:
            await self._worker.stop()

    def _start(self) -> None:
        self._set_timer(None)
        self._worker = worker = self._new_worker()
        worker.when_loaded(self._on_loaded)
        worker.when_ended(self._on_ended)
        self._started.set()

    def _on_loaded(self, worker: Worker) -> None:
        self.error, self.status = None, worker.status
        self._metrics.model_loaded("loaded", worker.load_s)
        self._rest(worker)

    def _on_ended(self, worker: Worker) -> None:
        if not worker.loaded:
            self._metrics.model_loaded(worker.error.code if worker.error else "failed", worker.load_s)
        self._metrics.worker_ended(worker.end_reason)
        if worker is not self._worker or self._stopping:
            return
        self._worker = None
        self._started.clear()
        delay_s = RESTART_DELAYS_S[min(self._failures, len(RESTART_DELAYS_S) - 1)]
        self._failures += 1
        self._retry_at = time.monotonic() + delay_s
        if not worker.loaded:
            self.error = worker.error
        if self.error is None or self.error.temporary:
            logger.info("the engine restarts in %d s", delay_s)
            self._set_timer(asyncio.get_running_loop().call_later(delay_s, self._start))

    async def _loaded_worker(self, on_loading: Callable[[Progress], None]) -> Worker:
        if self._worker is not None and self._worker.ending:
            # A process with gigabytes of memory dies slowly, and a run that is sent to it dies with it.
            await self._worker.wait_ended()
        if self._worker is None and self._timer is None:
            if self.error is not None and time.monotonic() < self._retry_at:
                raise Failure.of(self.error).error()
            self._start()
        if self._worker is None:
            on_loading(self.loading)
            await self._started.wait()
        self._set_timer(None)
        worker = self._worker
        if worker is None or self._stopping:
            raise WorkerLostError(LOST)
        if not worker.loaded:
            try:
                await worker.wait_loaded(on_loading)
            except ClusterError:
                # Its outage is nothing that the client of a job could mend, and the others would fail one by one.
                await worker.wait_ended()
                return await self._loaded_worker(on_loading)
        return worker

    def _after_failure(self, worker: Worker, error: LLMDiTError) -> None:
        """Restart after failures from which the process cannot recover: a lost device, repeated lack of memory."""
        short_again = self._out_of_memory and isinstance(error, OutOfMemoryError)
        self._out_of_memory = isinstance(error, OutOfMemoryError) and not short_again
        if self.slots == 1 and (isinstance(error, DeviceLostError) or short_again):
            worker.kill(error.code)  # replicas end themselves: the others' runs go on

    def _rest(self, worker: Worker) -> None:
        self.status = worker.status or self.status
        if self._patience.unload_s and worker is self._worker and not worker.ended and not self._stopping:
            loop = asyncio.get_running_loop()
            self._set_timer(loop.call_later(self._patience.unload_s, self._unload, worker))

    def _unload(self, worker: Worker) -> None:
        """End a process that was idle for long: only this frees all of its memory."""
        self._timer = None
        if worker is self._worker and not self._runs:
            logger.info("the engine was idle for %g s: its models are unloaded", self._patience.unload_s)
            self._worker = None
            worker.kill("unloaded")

    def _set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    async def _see_it_stop(self, worker: Worker, job_id: str, run: asyncio.Task[JobResult]) -> None:
        """Return when the run has ended, even if the wait is canceled repeatedly."""
        stopping = asyncio.create_task(self._stop_run(worker, job_id, run))
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _stop_run(self, worker: Worker, job_id: str, run: asyncio.Task[JobResult]) -> None:
        worker.cancel(job_id)
        await asyncio.wait({run}, timeout=self._patience.cancel_s)
        if not run.done():
            logger.warning("a job does not stop: its process is killed", extra={"job_id": job_id})
            worker.kill("canceled")
        with contextlib.suppress(Canceled, LLMDiTError):
            await run

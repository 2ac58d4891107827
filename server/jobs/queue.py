"""The jobs of the service: a bounded, fair queue, the running jobs, and the finished ones."""

import asyncio
import contextlib
import functools
import heapq
import itertools
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from llm_dit.errors import LLMDiTError
from llm_dit.options import EngineName
from llm_dit.runs import restoring
from server.errors import (
    AbandonedError,
    Failure,
    JobCanceledError,
    PipelineError,
    QueueFullError,
    StoppingError,
    WorkerLostError,
)
from server.jobs.fair_queue import FairLine, Roster, Tickets
from server.jobs.inputs import DecomposeInput, JobResult, Paces
from server.jobs.job import Job, JobRecords, Stepping, Submission
from server.settings import ServerSettings
from server.telemetry import Concealed, Metrics
from server.worker.host import PipelineHost

logger = logging.getLogger("llm_dit.server")

MAX_RUNS = 3
"""Most runs of a job that the end of the service interrupts: the job may be what crashes the service."""
STOPPING = "The server is shutting down: send this again after its restart."
CANCELED = "The job was canceled: send it again to run it."
FULL = "The queue is full: try again in {seconds} s."
FULL_KEPT = "The queue is full: try again in {seconds} s; a place is reserved for you until a little later."
FULL_OF_YOURS = "of your jobs are waiting already: try again in {seconds} s."
ABANDONED = "The server ended in each run of this job, so it is not run again: see the server's log."

Restore = Callable[[DecomposeInput, JobResult], Coroutine[Any, Any, JobResult]]
"""Restores the layers of a run at the picture's size."""


@dataclass(kw_only=True, eq=False)
class Lane:
    """One engine's part of the queue: its host, its waiting jobs, and its running jobs, each with its run."""

    host: PipelineHost
    line: FairLine = field(default_factory=FairLine)
    running: dict[Job, asyncio.Task[JobResult] | None] = field(
        default_factory=dict[Job, "asyncio.Task[JobResult] | None"]
    )
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def free(self) -> bool:
        """Whether a job would start at once."""
        return len(self.running) < self.host.slots


class JobQueue:
    """Accepts jobs, stores them, and runs them one after another on each engine, or on each of its replicas.

    A job is on the disk before it is accepted, and its result before it is announced. All engines share the places of
    the queue. `hosts` has the service's own engine first, which gets jobs that name none. A job whose layers must
    still be restored at the picture's size frees its engine for the next job, and finishes in parallel. `on_end` is
    called with each job that has ended, and must not wait.
    """

    def __init__(
        self,
        hosts: Mapping[EngineName, PipelineHost],
        records: JobRecords,
        metrics: Metrics,
        settings: ServerSettings,
        restore: Restore,
        on_end: Callable[[Job], None],
    ) -> None:
        self._lanes: dict[EngineName | None, Lane] = {name: Lane(host=host) for name, host in hosts.items()}
        self._engine: EngineName = next(iter(hosts))
        self._records = records
        self._metrics = metrics
        self._settings = settings
        self._restore = restore
        self._on_end = on_end
        self._restoring: dict[Job, tuple[asyncio.Task[JobResult], asyncio.Task[None]]] = {}
        """Jobs that have left their engine: the task that restores their layers, and the task that ends them."""
        self.roster = Roster(records, settings.max_finished_jobs)
        self._arriving: Counter[str] = Counter()
        """Jobs of each client that are being stored."""
        self._paces = Paces()
        self._share = settings.max_queue_per_client or settings.max_queue
        self._tickets = Tickets(settings.max_queue, self._share)
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurried = asyncio.Event()
        self.stopping = False

    @property
    def length(self) -> int:
        """The number of waiting jobs."""
        return sum(len(lane.line) for lane in self._lanes.values())

    @property
    def running(self) -> int:
        """The number of running jobs: at most one per engine or replica, and those that have left their engine."""
        return sum(len(lane.running) for lane in self._lanes.values()) + len(self._restoring)

    @property
    def ready(self) -> bool:
        """Whether a new job without an engine name will run, possibly after reloading the models."""
        return not self.stopping and self._lanes[self._engine].host.state in {"ready", "unloaded"}

    async def restore(self) -> None:
        """Resume the stored jobs: waiting jobs wait, and interrupted ones run again."""
        for job in await self._records.load():
            self.roster.add(job)
            if job.finished:
                if job.result is not None and job.result.engine == (job.job_input.engine or self._engine):
                    self._paces.learn(job.job_input, job.result.generation_time_s)
                await self.roster.remember(job)
            elif job.runs >= MAX_RUNS:
                await self._close(job, AbandonedError(ABANDONED))
            else:
                logger.info("job resumed", extra={"job_id": job.id, "runs": job.runs})
                self._lane_of(job).line.add(job)
        for lane in self._lanes.values():
            self._renumber(lane)
            self._start_next(lane)

    def require_room(self, client: str, key: str | None = None, engine: EngineName | None = None) -> None:
        """Raise `QueueFullError` if there is no place for this client now, `StoppingError` if the service is stopping.

        A request with the `key` of an existing job is always accepted.
        """
        if self.stopping:
            raise StoppingError(STOPPING)
        if key is not None and self.roster.keyed(client, key) is not None:
            return
        lane = self._lanes.get(engine) or self._lanes[self._engine]
        waiting = Counter(job.client for job in self._waiting()) + self._arriving
        own = waiting[client]
        opens_in_s = functools.partial(self._opens_in_s, lane)
        if self._share <= own < self._settings.max_queue:
            first = next((place for place, job in enumerate(lane.line, start=1) if job.client == client), 1)
            self._refuse(f"{own} {FULL_OF_YOURS}", max(1, math.ceil(opens_in_s(first))))
        idle = lane.free and not waiting
        refusal = self._tickets.ask(client, key, waiting, idle=idle, opens_in_s=opens_in_s)
        if refusal is not None:
            self._refuse(FULL_KEPT if refusal.kept else FULL, refusal.retry_after_s)

    async def submit(self, submission: Submission, *, kept: bool) -> Job:
        """Return the job for a submission, which starts in its turn.

        This is an existing job if the same client has sent the same request before: with the same key, or with the
        same seed while the first job waits or runs. A job that is not `kept` is canceled when its last waiter leaves.
        Raises `QueueFullError`, `StoppingError`, `KeyReusedError`, and `DiskFullError` if the job cannot be stored.
        """
        job = self.roster.answering(submission)
        if job is None:
            self.require_room(submission.client, submission.key, submission.job_input.engine)
            self._tickets.use(submission.client, submission.key)
            job = await self._take(submission, kept)
        job.kept |= kept
        return job

    async def result_of(self, job: Job) -> JobResult:
        """Wait for the result of a job; raises its error. Canceling the last waiter cancels the job."""
        job.waiters += 1
        try:
            await job.wait_over()
        except asyncio.CancelledError:
            if job.waiters == 1 and not job.kept:
                await self.cancel(job)
            raise
        finally:
            job.waiters -= 1
        if job.suspended:
            raise StoppingError(STOPPING)
        if job.error is not None:
            raise Failure.of(job.error).error()  # each waiter gets its own exception
        assert job.result is not None
        return job.result

    async def cancel(self, job: Job) -> None:
        """Cancel a job and return when it has ended; a finished job does not change."""
        job.cancel_wanted = True
        lane = self._lane_of(job)
        if job in lane.line:
            lane.line.remove(job)
            self._renumber(lane)
            await self._close(job, JobCanceledError(CANCELED))
        elif (run := lane.running.get(job)) is not None:
            run.cancel()
        elif job in self._restoring:
            self._restoring[job][0].cancel()
        await job.wait_over()

    async def drain(self) -> None:
        """Accept no more jobs, give running jobs some seconds to end, and put the others back.

        The next start resumes `kept` jobs; waiters of other jobs are told to send them again.
        """
        self.stopping = True
        for lane in self._lanes.values():
            while len(lane.line):
                await self._let_go(lane.line.pop())
        idle, hurried = asyncio.create_task(self._idle.wait()), asyncio.create_task(self._hurried.wait())
        await asyncio.wait({idle, hurried}, timeout=self._settings.drain_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        for lane in self._lanes.values():
            await lane.host.stop()
        for work, _ in self._restoring.values():
            work.cancel()
        await idle

    def hurry(self) -> None:
        """End the waiting in `drain`."""
        self._hurried.set()

    def _refuse(self, message: str, wait_s: int) -> NoReturn:
        self._metrics.job_refused(QueueFullError.code)
        raise QueueFullError(message.format(seconds=wait_s), retry_after_s=wait_s)

    def _waiting(self) -> Iterator[Job]:
        return itertools.chain.from_iterable(lane.line for lane in self._lanes.values())

    def _lane_of(self, job: Job) -> Lane:
        """Return the lane of a job; a job whose engine no longer exists runs on the service's own."""
        return self._lanes.get(job.job_input.engine) or self._lanes[self._engine]

    def _opens_in_s(self, lane: Lane, places: int) -> float:
        """Return the estimated seconds until that many waiting jobs have started."""
        usual_s = self._paces.usual()
        # Unknown: assume the same time again.
        left = [job.view().eta_s or (job.run_s if usual_s is None else 0.0) for job in lane.running]
        if usual_s is None and lane.running:
            usual_s = max(job.run_s + left_s for job, left_s in zip(lane.running, left, strict=True))
        ahead = [self._paces.expect(job.job_input) or usual_s or 0.0 for job in itertools.islice(lane.line, places - 1)]
        ends = _ends(left, lane.host.slots)
        for run_s in itertools.chain(ahead, itertools.repeat(usual_s or 0.0, places - 1 - len(ahead))):
            heapq.heapreplace(ends, ends[0] + run_s)
        return ends[0]

    async def _take(self, submission: Submission, kept: bool) -> Job:
        job = Job(
            job_input=submission.job_input,
            client=submission.client,
            fingerprint=submission.fingerprint,
            key=submission.key,
            kept=kept,
        )
        self.roster.add(job)
        self._arriving[job.client] += 1
        try:
            await self._records.add(job)
        except BaseException as error:
            self.roster.discard(job)
            # Another request may have joined it.
            job.end(error if isinstance(error, LLMDiTError) else StoppingError(STOPPING))
            raise
        finally:
            self._arriving -= Counter([job.client])
        self._metrics.job_taken(job.job_input.kind)
        logger.info("job accepted", extra={"job_id": job.id, "kind": job.job_input.kind, "waiting": self.length})
        if job.cancel_wanted:
            await self._close(job, JobCanceledError(CANCELED))
        elif self.stopping:
            await self._let_go(job)
        else:
            lane = self._lane_of(job)
            lane.line.add(job)
            self._renumber(lane)
            self._start_next(lane)
        return job

    def _start_next(self, lane: Lane) -> None:
        while lane.free and len(lane.line) and not self.stopping:
            job = lane.line.pop()
            lane.running[job] = None
            self._idle.clear()
            job.start(self._paces.expect(job.job_input))
            self._metrics.job_started(job.job_input.kind, time.time() - job.created_at)
            self._renumber(lane)
            task = asyncio.create_task(self._carry_out(job, lane))
            lane.tasks.add(task)
            task.add_done_callback(lane.tasks.discard)

    async def _carry_out(self, job: Job, lane: Lane) -> None:
        job.runs += 1
        outcome = await self._outcome(job, lane)
        if isinstance(outcome, JobResult) and outcome.to_restore:
            assert isinstance(job.job_input, DecomposeInput)
            job.advance(restoring(0, 0))
            work = asyncio.create_task(self._restore(job.job_input, outcome))
            self._restoring[job] = (work, asyncio.create_task(self._finish(job, work)))
            if job.cancel_wanted:
                work.cancel()
        else:
            await self._conclude(job, outcome)
        del lane.running[job]
        self._start_next(lane)
        if not self.running:
            self._idle.set()

    async def _finish(self, job: Job, work: asyncio.Task[JobResult]) -> None:
        """Restore the layers of a job at the picture's size; in any case, the job ends."""
        outcome: JobResult | LLMDiTError
        try:
            outcome = await work
        except asyncio.CancelledError:
            outcome = JobCanceledError(CANCELED) if job.cancel_wanted else WorkerLostError(STOPPING)
        except LLMDiTError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001 - whatever it is ends the job, not the queue
            outcome = self._unexpected(job, error)
        await self._conclude(job, outcome)
        del self._restoring[job]
        if not self.running:
            self._idle.set()

    async def _conclude(self, job: Job, outcome: JobResult | LLMDiTError) -> None:
        """End a job, or put it back if the end of the service interrupted it."""
        if isinstance(outcome, JobResult):
            self._paces.learn(job.job_input, outcome.generation_time_s)
        if self.stopping and isinstance(outcome, WorkerLostError):
            job.runs -= 1
            await self._let_go(job)
        else:
            await self._close(job, outcome)

    async def _outcome(self, job: Job, lane: Lane) -> JobResult | LLMDiTError:
        """Run a job; in any case, the queue continues."""
        try:
            await self._records.start(job)
            if not job.cancel_wanted:
                lane.running[job] = run = asyncio.create_task(
                    lane.host.run(
                        job.id,
                        job.job_input,
                        on_loading=job.advance,
                        on_progress=Stepping(job, self._metrics),
                        on_preview=job.show if self._settings.previews else None,
                    )
                )
                return await run
        except asyncio.CancelledError:
            pass
        except LLMDiTError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is ends the job, not the queue
            return self._unexpected(job, error)
        return JobCanceledError(CANCELED)

    def _unexpected(self, job: Job, error: Exception) -> PipelineError:
        logger.error("job failed in the service itself", exc_info=Concealed.of(error), extra={"job_id": job.id})
        return PipelineError(f"The server failed; its log has the reason, under job {job.id}.")

    async def _close(self, job: Job, outcome: JobResult | LLMDiTError) -> None:
        """End a job, on the disk first."""
        with contextlib.suppress(LLMDiTError):  # logged; a result that cannot be stored can still be returned
            await self._records.end(job, outcome)
        job.end(outcome)
        self._metrics.job_ended(job.job_input.kind, job.status, job.run_s if job.started_at else None)
        code = job.error.code if job.error else None
        fields = {"job_id": job.id, "kind": job.job_input.kind, "status": job.status, "code": code}
        logger.info("job ended", extra={**fields, "run_s": round(job.run_s, 3)})
        self._on_end(job)
        await self.roster.remember(job)

    async def _let_go(self, job: Job) -> None:
        """Release a job before it has ended: a `kept` one waits for the next start."""
        if job.kept and not job.cancel_wanted:
            with contextlib.suppress(LLMDiTError):
                await self._records.suspend(job)
        if job.cancel_wanted:
            await self._close(job, JobCanceledError(CANCELED))
        elif job.kept:
            job.suspend()
        else:
            await self._close(job, StoppingError(STOPPING))

    def _renumber(self, lane: Lane) -> None:
        """Update the positions and the estimated ends of the waiting jobs."""
        ends = _ends([job.view().eta_s or 0.0 for job in lane.running], lane.host.slots)
        for position, job in enumerate(lane.line, start=1):
            run_s = self._paces.expect(job.job_input)
            end_s = ends[0] + (run_s or 0.0)
            heapq.heapreplace(ends, end_s)
            job.queue_at(position, end_s if run_s is not None else None)


def _ends(left: list[float], slots: int) -> list[float]:
    """Return a heap of the seconds until each slot is free, given the seconds that the running jobs need."""
    ends = left + [0.0] * (slots - len(left))
    heapq.heapify(ends)
    return ends

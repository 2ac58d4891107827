"""The jobs of the service: a bounded queue in which clients take turns, the one that runs, and the finished ones."""

import asyncio
import contextlib
import itertools
import logging
import math
import time
from collections import Counter
from typing import NoReturn

from llm_dit.errors import LLMDiTError
from server.errors import (
    AbandonedError,
    Failure,
    JobCanceledError,
    PipelineError,
    QueueFullError,
    StoppingError,
    WorkerLostError,
)
from server.jobs.fair_queue import FairLine, Tickets
from server.jobs.inputs import JobResult, Paces
from server.jobs.job import Job, Stepping, Submission
from server.jobs.records import JobRecords, Roster
from server.logs import Concealed
from server.metrics import Metrics
from server.settings import ServerSettings
from server.worker.host import PipelineHost

logger = logging.getLogger("llm_dit.server")

MAX_RUNS = 3
"""A job that the end of the service interrupts runs again, at most twice: it may be what ends the service."""
STOPPING = "The server is about to stop: send this again when it is back."
CANCELED = "The job was canceled: send it again to run it."
FULL = "The queue is full: try again in {seconds} s."
FULL_KEPT = "The queue is full: try again in {seconds} s; a place is kept for you until a little later."
FULL_OF_YOURS = "of your jobs are waiting already: try again in {seconds} s."
ABANDONED = "The server ended in each run of this job, so it is not run again: look into the server's log."


class JobQueue:
    """Takes jobs in, keeps them, and runs one after the other.

    A job is on the disk before it counts as taken, and its outcome before it is told.
    """

    def __init__(
        self, host: PipelineHost, records: JobRecords, metrics: Metrics, settings: ServerSettings, engine: str
    ) -> None:
        self._host = host
        self._records = records
        self._metrics = metrics
        self._settings = settings
        self._engine = engine
        self.roster = Roster(records, settings.max_finished_jobs)
        self._line = FairLine()
        self._arriving: Counter[str] = Counter()
        """Jobs of each client that are about to be kept."""
        self._paces = Paces()
        self._share = settings.max_queue_per_client or settings.max_queue
        self._tickets = Tickets(settings.max_queue, self._share)
        self._running: Job | None = None
        self._run: asyncio.Task[JobResult] | None = None
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurried = asyncio.Event()
        self.stopping = False

    @property
    def length(self) -> int:
        """How many jobs wait."""
        return len(self._line)

    @property
    def running(self) -> int:
        """How many jobs run: 0 or 1."""
        return int(self._running is not None)

    @property
    def ready(self) -> bool:
        """Whether a job that is sent now will run, after loading the models again if they are unloaded."""
        return not self.stopping and self._host.state in {"ready", "unloaded"}

    async def restore(self) -> None:
        """Go on where the service ended: what waited waits, and what ran runs again."""
        for job in await self._records.load():
            self.roster.add(job)
            if job.finished:
                if job.result is not None and job.result.engine == self._engine:
                    self._paces.learn(job.job_input, job.result.generation_time_s)
                await self.roster.remember(job)
            elif job.runs >= MAX_RUNS:
                await self._close(job, AbandonedError(ABANDONED))
            else:
                logger.info("job taken up again", extra={"job_id": job.id, "runs": job.runs})
                self._line.add(job)
        self._renumber()
        self._start_next()

    def require_room(self, client: str, key: str | None = None) -> None:
        """Raise `QueueFullError` when no job of this client can be taken in now, `StoppingError` when none ever can.

        There is always room for a request that a job of the same `key` answers.
        """
        if self.stopping:
            raise StoppingError(STOPPING)
        if key is not None and self.roster.keyed(client, key) is not None:
            return
        waiting = Counter(job.client for job in self._line) + self._arriving
        own = waiting[client]
        if self._share <= own < self._settings.max_queue:
            first = next((place for place, job in enumerate(self._line, start=1) if job.client == client), 1)
            self._refuse(f"{own} {FULL_OF_YOURS}", max(1, math.ceil(self._opens_in_s(first))))
        idle = self._running is None and not waiting
        refusal = self._tickets.ask(client, key, waiting, idle=idle, opens_in_s=self._opens_in_s)
        if refusal is not None:
            self._refuse(FULL_KEPT if refusal.kept else FULL, refusal.retry_after_s)

    async def submit(self, submission: Submission, *, kept: bool) -> Job:
        """Return the job for a submission, which starts when it is its turn.

        That is the current job when the same client has sent the same before: with the same key, or with the same seed
        while the first one waits or runs. A job that is not `kept` is canceled when nobody waits for it any more.
        Raises `QueueFullError`, `StoppingError`, `KeyReusedError`, and `DiskFullError` when the job cannot be kept.
        """
        job = self.roster.answering(submission)
        if job is None:
            self.require_room(submission.client, submission.key)
            self._tickets.use(submission.client, submission.key)
            job = await self._take(submission, kept)
        job.kept |= kept
        return job

    async def result_of(self, job: Job) -> JobResult:
        """Wait for what a job makes; raises what it failed with. Canceling the last who waits cancels the job."""
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
            raise Failure.of(job.error).error()  # each who waits gets an error of its own
        assert job.result is not None
        return job.result

    async def cancel(self, job: Job) -> None:
        """Cancel a job and return when it has ended; one that has ended already stays as it is."""
        job.cancel_wanted = True
        if job in self._line:
            self._line.remove(job)
            self._renumber()
            await self._close(job, JobCanceledError(CANCELED))
        elif job is self._running and self._run is not None:
            self._run.cancel()
        await job.wait_over()

    async def drain(self) -> None:
        """Take nothing more in, give the run that is under way some seconds to end, and put the rest back.

        What is kept goes on at the next start; who waits for the rest is told to come again.
        """
        self.stopping = True
        while len(self._line):
            await self._let_go(self._line.pop())
        idle, hurried = asyncio.create_task(self._idle.wait()), asyncio.create_task(self._hurried.wait())
        await asyncio.wait({idle, hurried}, timeout=self._settings.drain_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await self._host.stop()
        await idle

    def hurry(self) -> None:
        """Let `drain` wait no longer."""
        self._hurried.set()

    def _refuse(self, message: str, wait_s: int) -> NoReturn:
        self._metrics.job_refused(QueueFullError.code)
        raise QueueFullError(message.format(seconds=wait_s), retry_after_s=wait_s)

    def _opens_in_s(self, places: int) -> float:
        """Return the seconds until so many jobs have left the queue, as far as that can be told."""
        usual_s = self._paces.usual()
        if self._running is None:
            left_s = 0.0
        else:
            eta_s, run_s = self._running.view().eta_s, self._running.run_s
            left_s = eta_s or (run_s if usual_s is None else 0.0)  # unknown: as long again
            usual_s = run_s + left_s if usual_s is None else usual_s
        ahead = [
            self._paces.expect(job.job_input) or usual_s or 0.0 for job in itertools.islice(self._line, places - 1)
        ]
        return left_s + sum(ahead) + (places - 1 - len(ahead)) * (usual_s or 0.0)

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
            # Another request may have come upon it.
            job.end(error if isinstance(error, LLMDiTError) else StoppingError(STOPPING))
            raise
        finally:
            self._arriving -= Counter([job.client])
        self._metrics.job_taken(job.job_input.kind)
        logger.info("job accepted", extra={"job_id": job.id, "kind": job.job_input.kind, "waiting": len(self._line)})
        if job.cancel_wanted:
            await self._close(job, JobCanceledError(CANCELED))
        elif self.stopping:
            await self._let_go(job)
        else:
            self._line.add(job)
            self._renumber()
            self._start_next()
        return job

    def _start_next(self) -> None:
        if self._running is None and len(self._line) and not self.stopping:
            self._running = self._line.pop()
            self._idle.clear()
            self._running.start(self._paces.expect(self._running.job_input))
            self._metrics.job_started(self._running.job_input.kind, time.time() - self._running.created_at)
            self._renumber()
            self._task = asyncio.create_task(self._carry_out(self._running))

    async def _carry_out(self, job: Job) -> None:
        job.runs += 1
        outcome = await self._outcome(job)
        if isinstance(outcome, JobResult):
            self._paces.learn(job.job_input, outcome.generation_time_s)
        if self.stopping and isinstance(outcome, WorkerLostError):
            job.runs -= 1
            await self._let_go(job)
        else:
            await self._close(job, outcome)
        self._running = self._run = None
        self._start_next()
        if self._running is None:
            self._idle.set()

    async def _outcome(self, job: Job) -> JobResult | LLMDiTError:
        """Run a job; whatever happens, the queue goes on."""
        try:
            await self._records.start(job)
            if not job.cancel_wanted:
                self._run = asyncio.create_task(
                    self._host.run(
                        job.id,
                        job.job_input,
                        on_loading=job.advance,
                        on_progress=Stepping(job, self._metrics),
                        on_preview=job.show if self._settings.previews else None,
                    )
                )
                return await self._run
        except asyncio.CancelledError:
            pass
        except LLMDiTError as error:
            return error
        except Exception as error:
            logger.error("job failed in the service itself", exc_info=Concealed.of(error), extra={"job_id": job.id})
            return PipelineError(f"The server failed; its log says why, under job {job.id}.")
        return JobCanceledError(CANCELED)

    async def _close(self, job: Job, outcome: JobResult | LLMDiTError) -> None:
        """End a job: on the disk first."""
        with contextlib.suppress(LLMDiTError):  # logged; a result that cannot be kept can still be told
            await self._records.end(job, outcome)
        job.end(outcome)
        self._metrics.job_ended(job.job_input.kind, job.status, job.run_s if job.started_at else None)
        code = job.error.code if job.error else None
        fields = {"job_id": job.id, "kind": job.job_input.kind, "status": job.status, "code": code}
        logger.info("job ended", extra={**fields, "run_s": round(job.run_s, 3)})
        await self.roster.remember(job)

    async def _let_go(self, job: Job) -> None:
        """Part with a job before it has ended: one that is kept waits for the next start."""
        if job.kept and not job.cancel_wanted:
            with contextlib.suppress(LLMDiTError):
                await self._records.suspend(job)
        if job.cancel_wanted:
            await self._close(job, JobCanceledError(CANCELED))
        elif job.kept:
            job.suspend()
        else:
            await self._close(job, StoppingError(STOPPING))

    def _renumber(self) -> None:
        """Tell the jobs that wait their places, and when they will end as far as that can be told."""
        left_s = (self._running.view().eta_s if self._running else 0.0) or 0.0
        for position, job in enumerate(self._line, start=1):
            run_s = self._paces.expect(job.job_input)
            left_s += run_s or 0.0
            job.queue_at(position, left_s if run_s is not None else None)

"""The jobs that the service knows, and what the database keeps of them, enough to go on after any end."""

import contextlib
import json
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict
from sqlite3 import Row
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llm_dit.errors import LLMDiTError
from llm_dit.runs import Progress
from server.errors import Failure, KeyReusedError, NotFoundError
from server.jobs.inputs import DecomposeInput, EditLayerInput, JobKind, JobResult
from server.jobs.job import EVENTS_A_START, Job, Submission, status_of
from server.storage.database import Database

logger = logging.getLogger("llm_dit.server")

INPUTS: Mapping[JobKind, TypeAdapter[Any]] = {
    "decompose": TypeAdapter(DecomposeInput),
    "edit": TypeAdapter(EditLayerInput),
}
PROGRESS = TypeAdapter(Progress)
RESULT = TypeAdapter(JobResult)
FAILURE = TypeAdapter(Failure)

ADD = """INSERT INTO jobs (id, client, kind, input, fingerprint, key, status, runs, created_at)
VALUES (?, ?, ?, ?, ?, ?, 'queued', 0, ?)"""
START = "UPDATE jobs SET status = 'processing', runs = ?, started_at = ? WHERE id = ?"
SUSPEND = "UPDATE jobs SET status = 'queued', runs = ? WHERE id = ?"
END = "UPDATE jobs SET status = ?, finished_at = ?, progress = ?, result = ?, error = ? WHERE id = ?"


class JobRecords:
    """The table of jobs. What a method wrote is on the disk when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: Job) -> None:
        content = INPUTS[job.job_input.kind].dump_json(job.job_input).decode()
        values = [job.id, job.client, job.job_input.kind, content, job.fingerprint, job.key, job.created_at]
        await self._database.change(ADD, values)

    async def start(self, job: Job) -> None:
        """Count a run before it begins, so that a job that takes the service along is known by its runs."""
        await self._database.change(START, [job.runs, time.time(), job.id])

    async def suspend(self, job: Job) -> None:
        """Put a job back that the end of the service interrupts: this run is not counted."""
        await self._database.change(SUSPEND, [job.runs, job.id])

    async def end(self, job: Job, outcome: JobResult | LLMDiTError) -> None:
        result = RESULT.dump_json(outcome).decode() if isinstance(outcome, JobResult) else None
        error = json.dumps(asdict(Failure.of(outcome))) if isinstance(outcome, LLMDiTError) else None
        progress = PROGRESS.dump_json(job.progress).decode() if job.progress else None
        await self._database.change(END, [status_of(outcome), time.time(), progress, result, error, job.id])

    async def forget(self, job: Job) -> None:
        await self._database.change("DELETE FROM jobs WHERE id = ?", [job.id])

    async def load(self) -> list[Job]:
        """Return all jobs in order of arrival, as they stood when the service ended.

        A record that this version cannot read stays where it is.
        """
        jobs: list[Job] = []
        for row in await self._database.rows("SELECT * FROM jobs ORDER BY created_at, rowid"):
            try:
                jobs.append(self._job(row))
            except (ValidationError, KeyError):
                logger.warning("a job's record is of another version and left alone", extra={"job_id": row["id"]})
        return jobs

    def _job(self, row: Row) -> Job:
        job = Job(
            job_input=INPUTS[row["kind"]].validate_json(row["input"]),
            client=row["client"],
            fingerprint=row["fingerprint"],
            key=row["key"],
            kept=True,
            runs=row["runs"],
            id=row["id"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            event_count=self._database.starts * EVENTS_A_START,
        )
        if row["progress"]:
            job.progress = PROGRESS.validate_json(row["progress"])
        if row["result"]:
            job.end(RESULT.validate_json(row["result"]))
        elif row["error"]:
            job.end(FAILURE.validate_json(row["error"]).error())
        job.finished_at = row["finished_at"]
        return job


KEY_REUSED = "This Idempotency-Key came with another request before: use a new one."


class Roster:
    """Finds jobs by id, client, or what they were sent for: the current ones, and the latest finished ones of clients.

    Of too many finished ones it forgets the oldest of the client that has most, so that nobody's results go for those
    of somebody busier.
    """

    def __init__(self, records: JobRecords, max_finished: int) -> None:
        self._records = records
        self._max_finished = max_finished
        self._jobs: dict[str, Job] = {}
        self._finished: deque[Job] = deque()
        self._counts: Counter[str] = Counter()
        """How many finished jobs each client has."""

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def discard(self, job: Job) -> None:
        """Take out a job that could not be kept."""
        del self._jobs[job.id]

    def get(self, job_id: str) -> Job:
        """Return a job by its id; raises `NotFoundError`."""
        if job_id not in self._jobs:
            raise NotFoundError("There is no such job: it was never here, or it ended long ago.")
        return self._jobs[job_id]

    def of_client(self, client: str) -> list[Job]:
        """Return the jobs of a client, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.client == client]

    def keyed(self, client: str, key: str) -> Job | None:
        """Return the job of a key, unless it came to nothing: then the next request with the key is a new try."""
        job = next((job for job in self.of_client(client) if job.key == key), None)
        return None if job is None or job.error is not None or job.cancel_wanted else job

    def answering(self, submission: Submission) -> Job | None:
        """Return the job that a submission asks for again; raises `KeyReusedError`."""
        if submission.key is not None and (job := self.keyed(submission.client, submission.key)) is not None:
            if job.fingerprint != submission.fingerprint:
                raise KeyReusedError(KEY_REUSED, param="Idempotency-Key")
            return job
        if not submission.seed_given:
            return None
        at_hand = (job for job in self.of_client(submission.client) if not (job.finished or job.cancel_wanted))
        return next((job for job in at_hand if job.fingerprint == submission.fingerprint), None)

    async def remember(self, job: Job) -> None:
        """Count a job among the finished ones."""
        self._finished.append(job)
        self._counts[job.client] += 1
        while len(self._finished) > self._max_finished:
            most = max(self._counts.values())
            await self._forget(next(job for job in self._finished if self._counts[job.client] == most))

    async def forget_before(self, finished_at: float) -> None:
        """Forget the jobs that ended before a time, in seconds since 1970."""
        while self._finished and (self._finished[0].finished_at or 0) < finished_at:
            await self._forget(self._finished[0])

    async def _forget(self, job: Job) -> None:
        self._finished.remove(job)
        self._counts -= Counter([job.client])
        del self._jobs[job.id]
        with contextlib.suppress(LLMDiTError):  # the database has logged it
            await self._records.forget(job)

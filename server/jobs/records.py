"""What is kept of jobs: enough to go on with them after whatever end the service came to."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from sqlite3 import Row
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llm_dit.errors import LLMDiTError
from llm_dit.pipelines.base import Progress
from server.errors import Failure
from server.jobs.inputs import DecomposeInput, EditLayerInput, JobInput, JobKind, JobResult
from server.jobs.job import EVENTS_A_START, Job, status_of
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
        content = _dump_input(job.job_input)
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


def _dump_input(job_input: JobInput) -> str:
    return INPUTS[job_input.kind].dump_json(job_input).decode()

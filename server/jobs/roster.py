"""The jobs that the service knows: the current ones, and the latest finished ones of each client."""

import contextlib
from collections import Counter, deque

from llm_dit.errors import LLMDiTError
from server.errors import KeyReusedError, NotFoundError
from server.jobs.job import Job, Submission
from server.jobs.records import JobRecords

KEY_REUSED = "This Idempotency-Key came with another request before: use a new one."


class Roster:
    """Finds jobs by id, client, or what they were sent for.

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

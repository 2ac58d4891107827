"""One job: what a client asks for, its state, the events by which others follow it, and its record in the database."""

import asyncio
import dataclasses
import hashlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from llm_dit.errors import LLMDiTError
from llm_dit.runs import Progress
from server.errors import Failure, JobCanceledError
from server.jobs.inputs import DecomposeInput, EditLayerInput, JobInput, JobKind, JobResult
from server.storage.database import Database
from server.telemetry import Metrics

logger = logging.getLogger("llm_dit.server")

JobStatus = Literal["queued", "processing", "succeeded", "failed", "canceled"]
EventName = Literal["queued", "loading", "progress", "preview", "succeeded", "failed", "canceled"]
FINISHED: frozenset[str] = frozenset({"succeeded", "failed", "canceled"})
EVENTS_A_START = 1_000_000
"""Event ids per start of the service: those of the next start are higher, as `Last-Event-ID` requires."""

SINCE_0_2 = {
    "context": False,
    "engine": None,
    "loras": None,
    "references": (),
    "region": None,
    "regions": (),
    "speed": "exact",
    "surroundings": None,
}
"""Options of jobs since version 0.2.0, each with the value that means it was not set."""


def status_of(outcome: JobResult | LLMDiTError) -> Literal["succeeded", "failed", "canceled"]:
    """Return the final status of a job with this outcome."""
    if isinstance(outcome, JobResult):
        return "succeeded"
    return "canceled" if isinstance(outcome, JobCanceledError) else "failed"


def describe_loading(progress: Progress) -> str:
    """Return the progress of a download or of loading, in words."""
    if progress.phase == "downloading":
        return f"downloading ({progress.step / 1e9:.1f} of {progress.total / 1e9:.1f} GB)"
    return f"{progress.phase} ({progress.step} of {progress.total} parts)" if progress.total else progress.phase


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A client's request for a job.

    `key` is its Idempotency-Key. Without `seed_given` the seed is random, so two otherwise equal submissions
    ask for two results.
    """

    job_input: JobInput
    client: str
    key: str | None = None
    seed_given: bool = False

    @property
    def fingerprint(self) -> str:
        """A hash of everything that the client chose."""
        fields = dataclasses.asdict(self.job_input) | {"kind": self.job_input.kind}
        # Derived and unset values are left out, because records of earlier versions lack them.
        del fields["scaled_from"]
        for name, unasked in SINCE_0_2.items():
            if fields.get(name, unasked) == unasked:
                fields.pop(name, None)
        if not self.seed_given:
            fields["seed"] = None
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A snapshot of a job.

    `step` of `total` units of `phase` are done; `eta_s` seconds are left; `position` is the position in the queue, 1
    for the next to start. Unknown and inapplicable values are None. Times are seconds since 1970.
    """

    id: str
    job_input: JobInput
    status: JobStatus
    created_at: float
    phase: str | None = None
    step: int = 0
    total: int = 0
    eta_s: float | None = None
    position: int | None = None
    result: JobResult | None = None
    error: LLMDiTError | None = None


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """An event of a job; `layer` is the layer of a "preview", 1 at the bottom."""

    id: int
    name: EventName
    job: JobView
    layer: int | None = None


@dataclass(kw_only=True, eq=False)
class Job:
    """A job that is waiting, running or finished. Only the queue that owns it changes it.

    `client` sent it; `key` is its Idempotency-Key and `fingerprint` the hash of the request. If it is `kept`, a client
    will fetch the result later; otherwise it runs only while at least one of its `waiters` is connected. `runs` counts
    its starts.
    """

    job_input: JobInput
    client: str = ""
    fingerprint: str = ""
    key: str | None = None
    kept: bool = False
    waiters: int = 0
    runs: int = 0
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    finished_at: float | None = None
    status: JobStatus = "queued"
    position: int | None = None
    progress: Progress | None = None
    result: JobResult | None = None
    error: LLMDiTError | None = None
    event_count: int = 0
    cancel_wanted: bool = False
    suspended: bool = False
    """Whether the service stopped before the job ended; the next start resumes it."""
    previews: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """While it runs: the latest preview PNG of each layer, 1 at the bottom."""
    _expected_end: float | None = None
    """Monotonic seconds."""
    _paced_from: tuple[float, int] = (0.0, 0)
    """The time in monotonic seconds, and the step, from which the pace is measured."""
    _events: list[JobEvent] = field(default_factory=list[JobEvent])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def run_s(self) -> float:
        """Seconds from its start to its end; 0 if it never ran."""
        return (self.finished_at or time.time()) - self.started_at if self.started_at else 0.0

    def view(self) -> JobView:
        progress = self.progress
        return JobView(
            id=self.id,
            job_input=self.job_input,
            status=self.status,
            created_at=self.created_at,
            phase=progress.phase if progress else None,
            step=progress.step if progress else 0,
            total=progress.total if progress else 0,
            eta_s=self._eta_s(),
            position=self.position,
            result=self.result,
            error=self.error,
        )

    def queue_at(self, position: int, expected_s: float | None) -> None:
        """Set the position in the queue; the job should end in `expected_s` seconds."""
        self._expect(expected_s)
        if position != self.position:
            self.position = position
            self._publish("queued")

    def start(self, expected_s: float | None = None) -> None:
        self.status, self.position = "processing", None
        self.started_at = time.time()
        self._expect(expected_s)
        self._paced_from = (time.monotonic(), 0)

    def advance(self, progress: Progress) -> None:
        # Bytes, parts of a model and steps have different paces.
        if self.progress and (progress.total != self.progress.total or progress.step < self.progress.step):
            self._paced_from = (time.monotonic(), progress.step)
        self.progress = progress
        self._publish("loading" if progress.is_loading else "progress")

    def show(self, layer: int, png: bytes) -> None:
        """Store the preview of a layer and notify followers."""
        self.previews[layer] = png
        self._publish("preview", layer)

    def end(self, outcome: JobResult | LLMDiTError) -> None:
        """Record the result, and notify followers and waiters."""
        self.finished_at, self.position = time.time(), None
        self._drop_previews()
        if isinstance(outcome, JobResult):
            self.result = outcome
        else:
            self.error = outcome
        self.status = status = status_of(outcome)
        self._publish(status)

    def suspend(self) -> None:
        """Release followers and waiters: the service is stopping, and its next start resumes the job."""
        self.status, self.position, self.progress = "queued", None, None
        self.suspended = True
        self._drop_previews()
        self._wake()

    async def follow(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield the events with an id above `after`, including future ones, up to the last one."""
        after = after if after <= self.event_count else 0
        while True:
            changed = self._changed
            for event in [event for event in self._events if event.id > after]:
                yield event
                after = event.id
            if self._over and after >= self.event_count:
                return
            await changed.wait()

    async def wait_over(self) -> None:
        """Return when the job has ended, or is suspended."""
        while not self._over:
            await self._changed.wait()

    @property
    def _over(self) -> bool:
        return self.suspended or self.finished

    def _publish(self, name: EventName, layer: int | None = None) -> None:
        # Followers need the current state: of each layer's previews, and of successive events with the same name, only
        # the last is kept.
        told = next((event for event in reversed(self._events) if event.layer == layer), None)
        if told is not None and told.name == name:
            self._events.remove(told)
        self.event_count += 1
        self._events.append(JobEvent(id=self.event_count, name=name, job=self.view(), layer=layer))
        self._wake()

    def _drop_previews(self) -> None:
        self.previews.clear()
        self._events = [event for event in self._events if event.layer is None]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _expect(self, expected_s: float | None) -> None:
        self._expected_end = None if expected_s is None else time.monotonic() + expected_s

    def _eta_s(self) -> float | None:
        """Return the seconds left: the larger of the estimate for such jobs and the one from the pace of this job."""
        if self.finished:
            return None
        now = time.monotonic()
        left = [self._expected_end - now] if self._expected_end is not None and self._expected_end > now else []
        since, first = self._paced_from
        if self.progress is not None and self.progress.step > first:
            left.append((now - since) / (self.progress.step - first) * (self.progress.total - self.progress.step))
        return round(max(left), 1) if left else None


class Stepping:
    """Receives the progress of a run."""

    def __init__(self, job: Job, metrics: Metrics) -> None:
        self._job = job
        self._metrics = metrics
        self._last = Progress(phase="", step=0, total=0)
        self._last_at = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        self._job.advance(progress)
        now = time.monotonic()
        # Time between two phases belongs to neither.
        same_phase = progress.phase == self._last.phase and not progress.is_loading
        steps = progress.step - self._last.step if same_phase else 0
        if steps > 0:
            self._metrics.stepped(self._job.job_input.kind, progress.phase, (now - self._last_at) / steps)
        self._last, self._last_at = progress, now


# What the database keeps of jobs, enough to go on after any end.

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
    """The table of jobs. Every method returns after its change is on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: Job) -> None:
        content = INPUTS[job.job_input.kind].dump_json(job.job_input).decode()
        values = [job.id, job.client, job.job_input.kind, content, job.fingerprint, job.key, job.created_at]
        await self._database.change(ADD, values)

    async def start(self, job: Job) -> None:
        """Count a run before it begins, so that a job that crashes the service shows in its number of runs."""
        await self._database.change(START, [job.runs, time.time(), job.id])

    async def suspend(self, job: Job) -> None:
        """Put an interrupted job back without counting this run."""
        await self._database.change(SUSPEND, [job.runs, job.id])

    async def end(self, job: Job, outcome: JobResult | LLMDiTError) -> None:
        result = RESULT.dump_json(outcome).decode() if isinstance(outcome, JobResult) else None
        error = json.dumps(dataclasses.asdict(Failure.of(outcome))) if isinstance(outcome, LLMDiTError) else None
        progress = PROGRESS.dump_json(job.progress).decode() if job.progress else None
        await self._database.change(END, [status_of(outcome), time.time(), progress, result, error, job.id])

    async def forget(self, job: Job) -> None:
        await self._database.change("DELETE FROM jobs WHERE id = ?", [job.id])

    async def load(self) -> list[Job]:
        """Return all jobs in order of arrival, in their last state.

        A record that this version cannot read stays in the database.
        """
        jobs: list[Job] = []
        for row in await self._database.rows("SELECT * FROM jobs ORDER BY created_at, rowid"):
            try:
                jobs.append(self._job(row))
            except (ValidationError, KeyError):
                logger.warning("a job's record is of another version and is ignored", extra={"job_id": row["id"]})
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

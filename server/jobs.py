"""One job: its state, and the events by which others follow it."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from llm_dit.errors import LLMDiTError
from llm_dit.pipelines.base import Progress
from server.errors import JobCanceledError
from server.inputs import JobInput, JobResult

JobStatus = Literal["queued", "processing", "succeeded", "failed", "canceled"]
EventName = Literal["queued", "loading", "progress", "succeeded", "failed", "canceled"]
LOADING = frozenset({"downloading", "loading"})
"""Phases before the work itself: of the engine, or of a model that the first run of its kind needs."""
FINISHED: frozenset[str] = frozenset({"succeeded", "failed", "canceled"})


def describe_loading(progress: Progress) -> str:
    """Return how far a download or the loading has got, in words."""
    if progress.phase == "downloading":
        return f"downloading ({progress.step / 1e9:.1f} of {progress.total / 1e9:.1f} GB)"
    return f"{progress.phase} ({progress.step} of {progress.total} parts)" if progress.total else progress.phase


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job as it stood at one moment.

    `step` of `total` units are done in `phase`; `eta_s` seconds are left by the pace so far; `position` is the place in
    the queue, 1 for the next to start. What does not apply is None.
    """

    id: str
    job_input: JobInput
    status: JobStatus
    phase: str | None = None
    step: int = 0
    total: int = 0
    eta_s: float | None = None
    position: int | None = None
    result: JobResult | None = None
    error: LLMDiTError | None = None


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    id: int
    name: EventName
    job: JobView


@dataclass(kw_only=True, eq=False)
class Job:
    """A job that is waiting, running or finished. Only the queue that owns it changes it."""

    job_input: JobInput
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    status: JobStatus = "queued"
    position: int | None = None
    progress: Progress | None = None
    result: JobResult | None = None
    error: LLMDiTError | None = None
    _paced_from: tuple[float, int] = (0.0, 0)
    """Monotonic seconds and the step from which the pace is measured."""
    _events: list[JobEvent] = field(default_factory=list[JobEvent])
    _event_count: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def view(self) -> JobView:
        progress = self.progress
        return JobView(
            id=self.id,
            job_input=self.job_input,
            status=self.status,
            phase=progress.phase if progress else None,
            step=progress.step if progress else 0,
            total=progress.total if progress else 0,
            eta_s=self._eta_s(),
            position=self.position,
            result=self.result,
            error=self.error,
        )

    def queue_at(self, position: int) -> None:
        self.position = position
        self._publish("queued")

    def start(self) -> None:
        self.status, self.position = "processing", None
        self._paced_from = (time.monotonic(), 0)

    def advance(self, progress: Progress) -> None:
        # Bytes, parts of a model and steps go by at paces of their own.
        if self.progress and (progress.total != self.progress.total or progress.step < self.progress.step):
            self._paced_from = (time.monotonic(), progress.step)
        self.progress = progress
        self._publish("loading" if progress.phase in LOADING else "progress")

    def succeed(self, result: JobResult) -> None:
        self.status, self.result = "succeeded", result
        self._publish("succeeded")

    def fail(self, error: LLMDiTError) -> None:
        self.status, self.error = "failed", error
        self._publish("failed")

    def cancel(self) -> None:
        self.status, self.position = "canceled", None
        self.error = JobCanceledError("The job was canceled: send it again to run it.")
        self._publish("canceled")

    async def follow(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield the events with an id above `after`, those to come too, up to the last one."""
        while True:
            changed = self._changed
            for event in [event for event in self._events if event.id > after]:
                yield event
                after = event.id
            if self.finished and after >= self._event_count:
                return
            await changed.wait()

    async def wait_finished(self) -> None:
        while not self.finished:
            await self._changed.wait()

    def _publish(self, name: EventName) -> None:
        # Of events of one name in a row only the last is kept: a follower wants to know where the job stands now.
        if self._events and self._events[-1].name == name:
            self._events.pop()
        self._event_count += 1
        self._events.append(JobEvent(id=self._event_count, name=name, job=self.view()))
        self._changed.set()
        self._changed = asyncio.Event()

    def _eta_s(self) -> float | None:
        since, first = self._paced_from
        if self.finished or self.progress is None or self.progress.step <= first:
            return None
        pace_s = (time.monotonic() - since) / (self.progress.step - first)
        return round(pace_s * (self.progress.total - self.progress.step), 1)

"""The progress of one run: told to its job, and measured step by step."""

import time

from llm_dit.pipelines.base import Progress
from server.jobs import Job
from server.metrics import Metrics


class Stepping:
    """Takes in the progress of a run."""

    def __init__(self, job: Job, metrics: Metrics) -> None:
        self._job = job
        self._metrics = metrics
        self._last = Progress(phase="", step=0, total=0)
        self._last_at = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        self._job.advance(progress)
        now = time.monotonic()
        # What goes by between two phases is a step of neither.
        same_phase = progress.phase == self._last.phase and not progress.is_loading
        steps = progress.step - self._last.step if same_phase else 0
        if steps > 0:
            self._metrics.stepped(self._job.job_input.kind, progress.phase, (now - self._last_at) / steps)
        self._last, self._last_at = progress, now

"""The progress of a run, and how long runs take, learned from those that have been measured."""

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Hashable

from llm_dit.runs import Progress
from server.jobs.inputs import DecomposeInput, JobInput
from server.jobs.job import Job
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


REMEMBERED_RUNS = 20


class Paces:
    """Expects of a run what the latest runs like it took; without any, what runs of its kind took."""

    def __init__(self) -> None:
        self._alike: defaultdict[Hashable, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))
        self._of_kind: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))

    def learn(self, job_input: JobInput, run_s: float) -> None:
        self._alike[_effort(job_input)].append(run_s)
        self._of_kind[job_input.kind].append(run_s)

    def expect(self, job_input: JobInput) -> float | None:
        """Return the seconds that a run will take; None when nothing like it has been measured."""
        measured = self._alike.get(_effort(job_input)) or self._of_kind.get(job_input.kind)
        return statistics.median(measured) if measured else None

    def usual(self) -> float | None:
        """Return the seconds that a run of any kind takes; None when none has been measured."""
        medians = [statistics.median(measured) for measured in self._of_kind.values()]
        return max(medians, default=None)


def _effort(job_input: JobInput) -> Hashable:
    """Return what decides how long a run takes, apart from the machine."""
    common = (job_input.kind, job_input.num_inference_steps, job_input.output_size)
    if isinstance(job_input, DecomposeInput):
        return (*common, job_input.resolution, job_input.layer_num)
    return common

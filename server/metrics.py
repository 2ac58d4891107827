"""What Prometheus reads: counts and times of jobs, models and requests, and how the service stands at the moment.

Names are in base units (seconds, bytes). Labels come from small, fixed sets, so that no client can make up series.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

PREFIX = "llm_dit"
JOB_S = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900)
STEP_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120)
LOAD_S = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD, OTHER_ROUTE = "OTHER", "other"


@dataclass(frozen=True, kw_only=True)
class Readings:
    """How the service stands when it is asked; what is None is not known here, and is left out.

    `queue_length` jobs wait and `running` (0 or 1) run; `ready` says whether jobs can run. `loaded_models` are names.
    """

    version: str
    engine: str
    queue_length: int
    running: int
    ready: bool
    loaded_models: tuple[str, ...] = ()
    worker_memory_bytes: int | None = None
    device_memory_used_bytes: int | None = None
    device_memory_size_bytes: int | None = None
    store_bytes: int | None = None


class Metrics:
    """Counts what happens, and asks `read` for the rest whenever Prometheus asks; `read` must be quick.

    Not thread-safe with itself: the event loop calls it.
    """

    def __init__(self, read: Callable[[], Readings]) -> None:
        self._registry = registry = CollectorRegistry()
        self._taken = _counter(registry, "jobs_taken", "Jobs accepted into the queue.", "kind")
        self._refused = _counter(registry, "jobs_refused", "Jobs refused before they were queued.", "reason")
        self._ended = _counter(registry, "jobs", "Finished jobs.", "kind", "status")
        self._wait = _histogram(registry, "queue_wait_seconds", "From accepted to started.", JOB_S, "kind")
        self._run = _histogram(
            registry, "job_duration_seconds", "From start to end, loading included.", JOB_S, "kind", "status"
        )
        self._step = _histogram(registry, "step_seconds", "One step of a run.", STEP_S, "kind", "phase")
        self._load = _histogram(registry, "model_load_seconds", "Loading the engine.", LOAD_S, "outcome")
        self._worker_ends = _counter(registry, "worker_ends", "Ends of the process that runs the engine.", "reason")
        self._requests = _counter(registry, "http_requests", "HTTP requests.", "method", "route", "status")
        self._request = _histogram(
            registry,
            "http_request_duration_seconds",
            "From request to complete response.",
            REQUEST_S,
            "method",
            "route",
        )
        registry.register(_Reader(read))
        ProcessCollector(registry=registry)

    def job_taken(self, kind: str) -> None:
        self._taken.labels(kind).inc()

    def job_refused(self, reason: str) -> None:
        """Count a job that was not taken in; `reason` is the code of the error, such as `queue_full`."""
        self._refused.labels(reason).inc()

    def job_started(self, kind: str, wait_s: float) -> None:
        self._wait.labels(kind).observe(wait_s)

    def job_ended(self, kind: str, status: str, run_s: float | None) -> None:
        """Count a job that has ended; `run_s` is None for one that never started."""
        self._ended.labels(kind, status).inc()
        if run_s is not None:
            self._run.labels(kind, status).observe(run_s)

    def stepped(self, kind: str, phase: str, step_s: float) -> None:
        """Count one step of a phase of a run, such as `denoising`."""
        self._step.labels(kind, phase).observe(step_s)

    def model_loaded(self, outcome: str, load_s: float) -> None:
        """Count one loading of the engine; `outcome` is `loaded`, or the code of the error that prevented it."""
        self._load.labels(outcome).observe(load_s)

    def worker_ended(self, reason: str) -> None:
        """Count an end of the worker process; `reason` is a word such as `crashed` or `unloaded`, or a code."""
        self._worker_ends.labels(reason).inc()

    def request_ended(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an HTTP request; `method` is of `METHODS` or `OTHER_METHOD`, `route` a template or `OTHER_ROUTE`."""
        self._requests.labels(method, route, str(status)).inc()
        self._request.labels(method, route).observe(duration_s)

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus's text format, and its media type."""
        return generate_latest(_WithoutCreated(self._registry)), CONTENT_TYPE_PLAIN_0_0_4


class _Reader:
    """Turns readings into gauges at the moment they are asked for."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        now = self._read()
        build = InfoMetricFamily(f"{PREFIX}_build", "The running version and engine.")
        build.add_metric([], {"version": now.version, "engine": now.engine})
        yield build
        models = GaugeMetricFamily(f"{PREFIX}_model_loaded", "1 for each loaded model.", labels=["model"])
        for name in now.loaded_models:
            models.add_metric([name], 1)
        yield models
        for name, help_text, value in (
            ("queue_length", "Jobs that wait.", now.queue_length),
            ("jobs_running", "Running jobs: at most one per engine, and those that the CPU finishes.", now.running),
            ("ready", "1 if /readyz answers 200.", int(now.ready)),
            ("worker_memory_bytes", "Resident memory of the process that runs the engine.", now.worker_memory_bytes),
            ("device_memory_used_bytes", "Memory in use on the accelerator.", now.device_memory_used_bytes),
            ("device_memory_size_bytes", "Memory size of the accelerator.", now.device_memory_size_bytes),
            ("store_bytes", "Size of the stored pictures.", now.store_bytes),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value=value)


class _WithoutCreated:
    """Leaves out when each series began, which would be a series more for each one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _counter(registry: CollectorRegistry, name: str, help_text: str, *labels: str) -> Counter:
    return Counter(name, help_text, labels, namespace=PREFIX, registry=registry)


def _histogram(
    registry: CollectorRegistry, name: str, help_text: str, buckets: tuple[float, ...], *labels: str
) -> Histogram:
    return Histogram(name, help_text, labels, namespace=PREFIX, registry=registry, buckets=buckets)

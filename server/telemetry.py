"""What the service tells of itself: its log, and what Prometheus reads.

The log is a line for people or a JSON object, that no client can forge and no prompt gets into.

A record says what happened; what it happened to are fields: `logger.info("job ended", extra={"job_id": …})`. This is by
hand because the libraries for it (structlog, python-json-logger) do not do the part that matters here, which is what
must not be written, and their records are not those that uvicorn, torch and diffusers write.
"""

import contextlib
import datetime
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

LogFormat = Literal["text", "json"]

HIDDEN = "[hidden]"
LONGEST_LINE = 500
"""Most characters of one line, in case somebody prints a picture or floods the log."""
GRAM = 8
"""Common bytes of a line and a secret text from which on they are hidden: about a word, three Han characters."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}
# Control characters, line separators, and marks that change the direction of text on a terminal.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")


class Redaction:
    """Texts that no logger may write at the moment."""

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()

    @contextlib.contextmanager
    def hiding(self, *texts: str) -> Generator[None]:
        """Keep `texts` and their pieces out of the log during the block."""
        self._texts = texts
        try:
            yield
        finally:
            self._texts = ()

    def __call__(self, line: str) -> str:
        return without(line, self._texts) if self._texts else line


class Concealed(Exception):
    """Replaces an exception in the log whose message may contain a client's data, by its class and its stack."""

    @classmethod
    def of(cls, error: BaseException) -> Self:
        shown = cls(type(error).__qualname__).with_traceback(error.__traceback__)
        before = error.__cause__ or error.__context__
        shown.__cause__ = None if before is None else cls.of(before)
        return shown


def configure(log_format: LogFormat) -> Redaction:
    """Send this process's log, warnings and uncaught exceptions to standard error in one format.

    This includes uvicorn's messages, except for its access log, which contains addresses as clients write them.
    """
    redaction = Redaction()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((JsonFormatter if log_format == "json" else TextFormatter)(redaction))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _UVICORN:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    sys.excepthook = _log_uncaught
    return redaction


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `logger`, `message`, the fields, and `exception` for a traceback."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"ts": _time_of(record), "level": record.levelname, "logger": record.name}
        line["message"] = self._clean(record.getMessage())
        for name, value in fields_of(record).items():
            line.setdefault(name, self._clean(value))
        if record.exc_info and record.exc_info[1]:
            line["exception"] = "\n".join(_lines_of(record.exc_info[1], self._redaction))
        return json.dumps(line)

    def _clean(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        return _cut(self._redaction(str(value)))


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE name=value …`; followed by the traceback's lines, indented unlike records."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        fields = [f" {name}={self._value(value)}" for name, value in fields_of(record).items()]
        message = _printable(_cut(self._redaction(record.getMessage())))
        line = f"{_time_of(record)} {record.levelname} {record.name}: {message}{''.join(fields)}"
        if record.exc_info and record.exc_info[1]:
            stack = _lines_of(record.exc_info[1], self._redaction)
            line += "".join(f"\n    {_printable(entry)}" for entry in stack)
        return line

    def _value(self, value: object) -> str:
        text = _printable(_cut(self._redaction(str(value))))
        return text if re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return the `extra` fields of a record."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def without(text: str, secrets: tuple[str, ...]) -> str:
    """Return `text` without any piece that it shares with a secret, plain or escaped.

    Libraries quote their input: whole, in part, truncated, in `repr`, in another case. A secret shorter than `GRAM`
    bytes is removed only as a separate word.
    """
    content = text.encode("utf-8", "backslashreplace")
    folded = content.lower()
    hidden = bytearray(len(content))
    forms = {form.encode("utf-8", "backslashreplace").lower() for secret in secrets for form in _forms(secret)}
    grams = {form[at : at + GRAM] for form in forms for at in range(len(form) - GRAM + 1)}
    for at in range(len(folded) - GRAM + 1 if grams else 0):
        if folded[at : at + GRAM] in grams:
            hidden[at : at + GRAM] = b"\1" * GRAM
    for word in (form for form in forms if 0 < len(form) < GRAM):
        for found in re.finditer(rb"(?<!\w)" + re.escape(word) + rb"(?!\w)", folded):
            hidden[found.start() : found.end()] = b"\1" * len(word)
    marked = bytes(1 if hide else byte for byte, hide in zip(content, hidden, strict=True))
    shown = re.sub(rb"\x01+", HIDDEN.encode(), marked)
    return shown.decode("utf-8", "replace")


def _forms(secret: str) -> tuple[str, ...]:
    """Return a text that is safe to print."""
    stripped = secret.strip()
    return (stripped, repr(stripped)[1:-1], ascii(stripped)[1:-1], json.dumps(stripped)[1:-1])


def _lines_of(error: BaseException, redaction: Redaction) -> list[str]:
    text = redaction("".join(traceback.format_exception(error)))
    return [_cut(line) for line in text.splitlines()]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}… ({len(text) - LONGEST_LINE} more)"


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda sign: ascii(sign[0])[1:-1], text)


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _log_uncaught(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, stack)
    else:
        logging.getLogger("llm_dit").critical("this process ends by an error", exc_info=error)


# What Prometheus reads: counts and times of jobs, models and requests, and how the service stands at the moment.
#
# Names are in base units (seconds, bytes). Labels come from small, fixed sets, so that no client can make up series.

PREFIX = "llm_dit"
JOB_S = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900)
STEP_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120)
LOAD_S = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD, OTHER_ROUTE = "OTHER", "other"


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The current state of the service; unknown values are None and are left out.

    `queue_length` jobs wait and `running` run, on so many `replicas`, if the engine has any; `ready` says whether jobs
    can run. `loaded_models` are names.
    """

    version: str
    engine: str
    queue_length: int
    running: int
    ready: bool
    replicas: int | None = None
    loaded_models: tuple[str, ...] = ()
    worker_memory_bytes: int | None = None
    device_memory_used_bytes: int | None = None
    device_memory_size_bytes: int | None = None
    store_bytes: int | None = None


class Metrics:
    """Counts events, and calls `read` for the current state at each scrape; `read` must be fast.

    Not thread-safe: only the event loop calls it.
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
        self._webhooks = _counter(registry, "webhooks", "Messages of the webhook.", "outcome")
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
        """Count a refused job; `reason` is the code of the error, such as `queue_full`."""
        self._refused.labels(reason).inc()

    def job_started(self, kind: str, wait_s: float) -> None:
        self._wait.labels(kind).observe(wait_s)

    def job_ended(self, kind: str, status: str, run_s: float | None) -> None:
        """Count a finished job; `run_s` is None if it never started."""
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

    def webhook_sent(self, outcome: str) -> None:
        """Count a message of the webhook: `delivered`, `failed` after all attempts, or `dropped`."""
        self._webhooks.labels(outcome).inc()

    def request_ended(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an HTTP request; `method` is of `METHODS` or `OTHER_METHOD`, `route` a template or `OTHER_ROUTE`."""
        self._requests.labels(method, route, str(status)).inc()
        self._request.labels(method, route).observe(duration_s)

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus's text format, and its media type."""
        return generate_latest(_WithoutCreated(self._registry)), CONTENT_TYPE_PLAIN_0_0_4


class _Reader:
    """Turns the current state into gauges at each scrape."""

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
            (
                "jobs_running",
                "Running jobs: at most one per engine or replica, and those that the CPU finishes.",
                now.running,
            ),
            ("replicas", "Replicas of the engine that run on Ray.", now.replicas),
            ("ready", "1 if /readyz answers 200.", int(now.ready)),
            ("worker_memory_bytes", "Resident memory of the process that runs the engine.", now.worker_memory_bytes),
            ("device_memory_used_bytes", "Memory in use on the accelerator.", now.device_memory_used_bytes),
            ("device_memory_size_bytes", "Memory size of the accelerator.", now.device_memory_size_bytes),
            ("store_bytes", "Size of the stored pictures.", now.store_bytes),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value=value)


class _WithoutCreated:
    """Omits the creation time of each series, which would be another series."""

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

"""What Prometheus reads, read back with Prometheus's own parser."""

import re

from prometheus_client.parser import text_string_to_metric_families

from server.telemetry import Metrics, Readings
from tests.kit.forks import ROOT

READINGS = Readings(version="1.2", engine="classical", queue_length=3, running=1, ready=False)


FULL = Readings(
    version="1.2",
    engine="qwen",
    queue_length=0,
    running=0,
    ready=True,
    loaded_models=("Qwen-Image-Layered", 'a "quoted\n" name'),
    worker_memory_bytes=5_000,
    device_memory_used_bytes=20_000_000_000,
    device_memory_size_bytes=24_000_000_000,
    store_bytes=0,
)
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Figures:
    """Return every sample by its name and labels."""
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def samples(metrics: Metrics) -> Figures:
    return parse(metrics.render()[0].decode())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((f"llm_dit_{name}", frozenset(labels.items())))


def test_a_jobs_life_is_counted() -> None:
    metrics = Metrics(lambda: READINGS)
    metrics.job_taken("edit")
    metrics.job_started("edit", 2.0)
    metrics.stepped("edit", "denoising", 0.5)
    metrics.job_ended("edit", "succeeded", 30.0)
    metrics.job_taken("edit")
    metrics.job_ended("edit", "canceled", None)
    metrics.job_refused("queue_full")
    assert value(metrics, "jobs_taken_total", kind="edit") == 2
    assert value(metrics, "jobs_total", kind="edit", status="succeeded") == 1
    assert value(metrics, "jobs_total", kind="edit", status="canceled") == 1
    assert value(metrics, "jobs_refused_total", reason="queue_full") == 1
    assert value(metrics, "queue_wait_seconds_sum", kind="edit") == 2.0
    assert value(metrics, "step_seconds_count", kind="edit", phase="denoising") == 1
    assert value(metrics, "job_duration_seconds_bucket", kind="edit", status="succeeded", le="20.0") == 0
    assert value(metrics, "job_duration_seconds_bucket", kind="edit", status="succeeded", le="30.0") == 1
    # A job that never ran has no duration.
    assert value(metrics, "job_duration_seconds_count", kind="edit", status="canceled") is None


def test_loading_and_the_worker_are_counted() -> None:
    metrics = Metrics(lambda: READINGS)
    metrics.model_loaded("loaded", 40.0)
    metrics.model_loaded("out_of_memory", 4.0)
    metrics.worker_ended("crashed")
    assert value(metrics, "model_load_seconds_sum", outcome="loaded") == 40.0
    assert value(metrics, "model_load_seconds_count", outcome="out_of_memory") == 1
    assert value(metrics, "worker_ends_total", reason="crashed") == 1


def test_readings_are_those_of_the_moment_and_what_is_not_known_is_left_out() -> None:
    now = READINGS
    metrics = Metrics(lambda: now)
    assert value(metrics, "build_info", version="1.2", engine="classical") == 1
    assert (value(metrics, "queue_length"), value(metrics, "jobs_running"), value(metrics, "ready")) == (3, 1, 0)
    assert value(metrics, "device_memory_used_bytes") is None
    now = FULL
    assert (value(metrics, "queue_length"), value(metrics, "ready")) == (0, 1)
    assert value(metrics, "model_loaded", model="Qwen-Image-Layered") == 1
    assert value(metrics, "model_loaded", model='a "quoted\n" name') == 1
    assert value(metrics, "device_memory_used_bytes") == 20e9
    assert value(metrics, "worker_memory_bytes") == 5_000
    assert value(metrics, "store_bytes") == 0


def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics(lambda: READINGS), Metrics(lambda: READINGS)
    first.job_taken("decompose")
    assert value(second, "jobs_taken_total", kind="decompose") is None


def test_the_text_is_small_and_plain() -> None:
    metrics = Metrics(lambda: READINGS)
    metrics.job_started("edit", 0.1)
    content, media_type = metrics.render()
    assert media_type.startswith("text/plain; version=0.0.4")
    assert b"_created" not in content
    assert b"# HELP llm_dit_queue_wait_seconds From accepted to started.\n" in content


def test_every_metric_is_in_the_documentation() -> None:
    metrics = Metrics(lambda: FULL)
    page = (ROOT / "docs/operating.md").read_text()
    names = re.findall(r"# TYPE llm_dit_(\w+)", metrics.render()[0].decode())
    assert len(names) > 15
    assert [name for name in names if f"`{name}`" not in page] == []

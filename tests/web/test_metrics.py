"""`/metrics` of a running service."""

import httpx

from tests.kit.pictures import SQUARE_URL
from tests.kit.service import Service
from tests.server.test_metrics import parse


def test_the_service_tells_how_it_stands(client: httpx.Client, stepping_service: Service) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    figures = parse(answer.text)
    assert figures["llm_dit_ready", frozenset()] == 1
    assert figures["llm_dit_queue_length", frozenset()] == 0
    assert figures["llm_dit_worker_memory_bytes", frozenset()] > 1_000_000
    assert figures["llm_dit_model_loaded", frozenset({("model", "steps")})] == 1
    assert figures["process_open_fds", frozenset()] > 3
    assert str(stepping_service.folder) not in answer.text


def test_clients_cannot_make_up_series(client: httpx.Client) -> None:
    before = len(parse(client.get("/metrics").text))
    for number in range(20):
        client.request(f"BREW{number}", f"/made-up/{number}?{number}")
        client.get(f"/api/jobs/made-up-{number}")
        client.get(f"/static/made-up-{number}.js")
    figures = parse(client.get("/metrics").text)
    made_up = {"method": "OTHER", "route": "other", "status": "404"}
    assert figures["llm_dit_http_requests_total", frozenset(made_up.items())] >= 20
    assert len(figures) < before + 100
    assert "made-up" not in str(figures) and "BREW" not in str(figures)


def test_a_job_is_measured(client: httpx.Client) -> None:
    def figure(name: str, **labels: str) -> float:
        figures = parse(client.get("/metrics").text)
        return figures.get((f"llm_dit_{name}", frozenset(labels.items())), 0)

    job = {"kind": "decompose"}
    steps = {**job, "phase": "stepping"}
    ended = {**job, "status": "succeeded"}
    names = [
        ("jobs_taken_total", job, 1),
        ("jobs_total", ended, 1),
        ("job_duration_seconds_count", ended, 1),
        ("queue_wait_seconds_count", job, 1),
        ("step_seconds_count", steps, 7),
    ]
    before = [figure(name, **labels) for name, labels, _ in names]
    fields = {"image": SQUARE_URL, "prompt": "slow", "steps": 7, "layer_num": 1}
    assert client.post("/api/qwen-image/decompose", json=fields).status_code == 200
    after = [figure(name, **labels) for name, labels, _ in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [more for _, _, more in names]

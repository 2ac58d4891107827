"""What happens when the worker process does what it should not."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.kit.jobs import start
from tests.kit.pictures import SQUARE_URL
from tests.kit.service import Service
from tests.kit.waiting import wait_until


def decompose(client: httpx.Client, behaviour: str, **options: object) -> httpx.Response:
    fields = {"image": SQUARE_URL, "prompt": behaviour, "steps": 3, "layer_num": 1}
    return client.post("/api/qwen-image/decompose", json=fields, **options)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or while it was read
        return False


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [("crash", 503, "worker_lost"), ("raise", 500, "pipeline_failed"), ("oom", 503, "out_of_memory")],
)
def test_a_failed_run_is_told_and_the_next_one_works(
    client: httpx.Client, stepping_service: Service, behaviour: str, status: int, code: str
) -> None:
    answer = decompose(client, behaviour)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "secret" not in answer.text
    assert decompose(client, "").status_code == 200
    assert len(stepping_service.worker_pids()) == 1


def test_the_log_has_what_the_answer_keeps_back(client: httpx.Client, stepping_service: Service) -> None:
    decompose(client, "raise")
    assert "RuntimeError: secret of the pipeline" in stepping_service.log
    assert "Traceback" in stepping_service.log


def test_a_worker_that_is_killed_in_a_run_is_replaced(client: httpx.Client, stepping_service: Service) -> None:
    job = start(client, "wait")
    wait_until(lambda: client.get(job).json()["step"] > 0, "the run")
    (worker,) = stepping_service.worker_pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: client.get(job).json()["status"] == "failed", "the failure")
    assert client.get(job).json()["error"]["code"] == "worker_lost"
    assert decompose(client, "").status_code == 200
    assert stepping_service.worker_pids() != [worker]


def test_an_idle_worker_that_dies_is_replaced_at_once(client: httpx.Client, stepping_service: Service) -> None:
    decompose(client, "")
    (worker,) = stepping_service.worker_pids()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: stepping_service.worker_pids() not in ([], [worker]), "a new worker")
    assert decompose(client, "").status_code == 200


@pytest.mark.slow
def test_a_run_that_ignores_its_cancel_is_killed(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__CANCEL_GRACE_S": "0.2"})
    with service.connect() as client:
        (worker,) = service.worker_pids()
        job = start(client, "hang")
        wait_until(lambda: client.get(job).json()["phase"] == "stepping", "the step that hangs")
        assert client.delete(job).json()["status"] == "canceled"
        assert decompose(client, "").status_code == 200
        assert service.worker_pids() != [worker]
        assert not is_alive(worker)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_ends_with_the_service(start_service: Callable[..., Service], end: signal.Signals) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__DRAIN_S": "0.2"})
    with service.connect() as client:
        client.post(
            "/api/qwen-image/decompose",
            json={"image": SQUARE_URL, "prompt": "hang", "steps": 1},
            headers={"Prefer": "respond-async"},
        )
    (worker,) = service.worker_pids()
    service.process.send_signal(end)
    wait_until(lambda: not is_alive(worker), "the worker's end")
    service.process.wait()


@pytest.mark.slow
def test_a_pipeline_that_cannot_load_is_told(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"TEST_PIPELINE": "BrokenPipeline"}, ready=False)
    with service.connect() as client:
        wait_until(lambda: client.get("/readyz").json()["code"] != "loading", "the failure to load")
        for answer in (client.get("/readyz"), decompose(client, "")):
            assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")
            assert answer.json()["detail"] == "This engine needs a part that is not here: install it."
            assert "retry-after" in answer.headers
        status = client.get("/api/qwen-image/status").json()
        assert (status["state"], status["loaded_models"]) == ("failed", [])
        assert "needs a part" in status["error"]
        assert not client.get("/api/qwen-image/edit-status").json()["available"]
        assert client.get("/livez").status_code == 200


@pytest.mark.slow
def test_a_worker_that_dies_while_it_loads_is_told(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"TEST_PIPELINE": "FatalPipeline"}, ready=False)
    with service.connect() as client:
        assert decompose(client, "").json()["code"] == "worker_lost"
        assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/api/qwen-image/decompose", "/api/images"])
def test_a_client_that_leaves_while_it_sends_is_no_fault(stepping_service: Service, path: str) -> None:
    media_type = "image/png" if path == "/api/images" else "application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: 1000\r\n\r\n"
    before = stepping_service.log.count("Traceback")
    address = httpx.URL(stepping_service.url)
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(head.encode() + b"{")
    assert stepping_service.get("/livez").status_code == 200
    assert stepping_service.log.count("Traceback") == before

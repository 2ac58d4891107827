"""A worker that hangs, crashes again and again, loses its device or its memory, or rests."""

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from tests.kit.jobs import DECOMPOSE, fields, metric, start, wait_for
from tests.kit.service import Service
from tests.kit.waiting import wait_until
from tests.web.test_faults import is_alive

Start = Callable[..., Service]


def decompose(client: httpx.Client, behaviour: str = "") -> httpx.Response:
    return client.post(DECOMPOSE, json=fields(behaviour))


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_and_the_queue_goes_on(start_service: Start) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__STALL_TIMEOUT_S": "2"})
    with service.connect() as client:
        (worker,) = service.worker_pids()
        hanging, next_one = start(client, "hang"), start(client)
        error = wait_for(client, hanging, "failed")["error"]
        assert error["code"] == "stalled"  # type: ignore[index]
        wait_for(client, next_one, "succeeded")
        assert not is_alive(worker)
        assert len(service.worker_pids()) == 1
        assert metric(client, 'llm_dit_worker_ends_total{reason="stalled"}') == 1


@pytest.mark.slow
def test_slow_steps_are_no_hang(start_service: Start) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__STALL_TIMEOUT_S": "2"})
    with service.connect() as client:
        job = start(client, "wait")
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 2.5, "more time than a hang has", every_s=0.1)
        (service.folder / "go").touch()
        wait_for(client, job, "succeeded")


def test_a_device_that_is_lost_gets_a_new_process(client: httpx.Client, stepping_service: Service) -> None:
    (worker,) = stepping_service.worker_pids()
    answer = decompose(client, "lose device")
    assert (answer.status_code, answer.json()["code"]) == (503, "device_lost")
    assert decompose(client).status_code == 200
    assert not is_alive(worker)
    assert len(stepping_service.worker_pids()) == 1


def test_memory_that_stays_short_gets_a_new_process(client: httpx.Client, stepping_service: Service) -> None:
    decompose(client)
    (worker,) = stepping_service.worker_pids()
    assert decompose(client, "oom").json()["code"] == "out_of_memory"
    assert decompose(client).status_code == 200, "it was enough for another run"
    assert stepping_service.worker_pids() == [worker]
    for _ in range(2):
        assert decompose(client, "oom").json()["code"] == "out_of_memory"
    assert decompose(client).status_code == 200
    assert not is_alive(worker)


@pytest.mark.slow
def test_what_may_pass_is_tried_again_without_a_job(start_service: Start) -> None:
    service = start_service(app="tests.kit.app:app", environment={"TEST_PIPELINE": "UnreachablePipeline"}, ready=False)
    with service.connect() as client:
        wait_until(lambda: client.get("/readyz").json()["code"] == "download_failed", "the failure to load")
        (service.folder / "reachable").touch()
        wait_until(lambda: client.get("/readyz").status_code == 200, "the next try")


def test_a_killed_worker_loses_one_job_at_most(client: httpx.Client, stepping_service: Service) -> None:
    jobs = [start(client, "wait"), *(start(client, steps=1) for _ in range(4))]
    wait_until(lambda: client.get(jobs[0]).json()["step"] > 0, "the run")
    (worker,) = stepping_service.worker_pids()
    os.kill(worker, signal.SIGKILL)
    ends = [wait_for(client, job, "succeeded", "failed")["status"] for job in jobs]
    assert ends == ["failed"] + ["succeeded"] * 4

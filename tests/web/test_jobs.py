"""The life of a job over HTTP: queued, followed, canceled, left."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.jobs import ASYNC, DECOMPOSE, events, fields, metric, queue, start, wait_for, wait_idle
from tests.kit.pictures import DISC_URL, SQUARE_URL
from tests.kit.running import leave
from tests.kit.service import Service
from tests.kit.waiting import PATIENCE_S, wait_until

EDIT = "/api/qwen-image/edit-layer"


def test_a_job_is_followed_to_its_result(client: httpx.Client) -> None:
    job = start(client, "slow", steps=5)
    followed = list(events(client, job))
    ids = [number for number, _, _ in followed]
    names = [name for _, name, _ in followed]
    assert ids == sorted(set(ids))
    assert names[0] in {"queued", "progress"}
    assert names[-2:] == ["progress", "succeeded"]
    steps = [view["step"] for _, name, view in followed if name == "progress"]
    assert steps == sorted(steps)  # pyright: ignore[reportArgumentType]
    assert steps[-1] == 5

    last = followed[-1][2]
    assert last == client.get(job).json()
    assert (last["status"], last["phase"], last["total"]) == ("succeeded", "stepping", 5)
    result = last["result"]
    assert isinstance(result, dict)
    for layer in result["layers"]:
        assert client.get(layer["image"]).headers["content-type"] == "image/png"


def test_events_are_replayed_after_the_last_that_was_seen(client: httpx.Client) -> None:
    job = start(client)
    everything = list(events(client, job))
    assert [name for _, name, _ in everything][-1] == "succeeded"
    assert list(events(client, job)) == list(events(client, job, last_id=0))
    assert [name for _, name, _ in events(client, job, last_id=everything[-1][0] - 1)] == ["succeeded"]
    assert list(events(client, job, last_id=everything[-1][0])) == []


def test_waiting_and_running_jobs_are_canceled_by_id(client: httpx.Client) -> None:
    running = start(client, "wait")
    waiting = start(client, "wait")
    last = start(client)
    assert client.get(waiting).json()["position"] == 1
    assert client.get(last).json()["position"] == 2

    assert client.delete(waiting).json()["status"] == "canceled"
    assert client.get(last).json()["position"] == 1
    wait_until(lambda: client.get(running).json()["step"] > 1, "a step")
    wait_until(lambda: client.get(running).json()["eta_s"], "the seconds that are left")
    canceled = client.delete(running).json()
    assert canceled["status"] == "canceled"
    assert canceled["error"]["code"] == "canceled"
    assert canceled["step"] < canceled["total"]
    assert [name for _, name, _ in events(client, running)][-1] == "canceled"

    wait_until(lambda: client.get(last).json()["status"] == "succeeded", "the next job")
    assert client.delete(last).json()["status"] == "succeeded"


def test_an_edit_is_a_job_too(client: httpx.Client) -> None:
    fields = {"image": SQUARE_URL, "instruction": "x", "steps": 1}
    job = client.post("/api/qwen-image/edit-layer", json=fields, headers=ASYNC).headers["location"]
    wait_until(lambda: client.get(job).json()["status"] == "succeeded", "the edit")
    assert client.get(job).json()["kind"] == "edit"
    assert client.get(job).json()["result"]["image"].startswith("/api/images/")


def test_a_client_that_leaves_cancels_its_job(client: httpx.Client) -> None:
    wait_idle(client)
    address = client.base_url.netloc.decode()
    for path, words in [(DECOMPOSE, {"prompt": "wait"}), (EDIT, {"instruction": "wait"})]:
        leave(address, path, {"image": SQUARE_URL, **words}, lambda: queue(client)["running"] == 1)
        wait_idle(client)


def test_a_client_that_leaves_the_queue_never_starts(client: httpx.Client, stepping_service: Service) -> None:
    wait_idle(client)
    running = start(client, "wait")
    leave(client.base_url.netloc.decode(), DECOMPOSE, fields(), lambda: queue(client)["length"] == 1)
    wait_until(lambda: queue(client)["length"] == 0, "the queue to empty")
    assert queue(client)["running"] == 1
    client.delete(running)
    wait_idle(client)


def test_who_waits_for_a_job_that_another_cancels_is_told(client: httpx.Client, stepping_service: Service) -> None:
    wait_idle(client)
    blocker = start(client, "wait")
    fields = {"image": SQUARE_URL, "instruction": "x", "steps": 1}
    job = client.post("/api/qwen-image/edit-layer", json=fields, headers=ASYNC).headers["location"]
    client.delete(job)
    assert client.get(job).json()["error"]["type"] == "invalid_request_error"
    client.delete(blocker)


@pytest.mark.slow
def test_a_full_queue_answers_before_it_looks_at_the_body(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_QUEUE": "2"})
    with service.connect() as client:
        jobs = [start(client, "wait") for _ in range(3)]
        answer = client.post(
            "/api/qwen-image/decompose", content=b"not even JSON", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 503
        assert answer.json()["code"] == "queue_full"
        assert int(answer.headers["retry-after"]) >= 1
        for job in jobs:
            assert client.delete(job).json()["status"] == "canceled"
        start(client)


@pytest.mark.slow
def test_old_jobs_are_forgotten(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_FINISHED_JOBS": "2"})
    with service.connect() as client:
        jobs = [start(client, steps=1) for _ in range(4)]
        wait_until(lambda: client.get(jobs[-1]).json()["status"] == "succeeded", "the last job")
        assert [client.get(job).status_code for job in jobs] == [404, 404, 200, 200]


def test_a_list_holds_ones_own_jobs_newest_first(client: httpx.Client) -> None:
    jobs = [start(client, steps=1) for _ in range(3)]
    listed = client.get("/api/jobs", params={"limit": 3}).json()["jobs"]
    assert [f"/api/jobs/{job['id']}" for job in listed] == jobs[::-1]
    assert client.get("/api/jobs", headers={"X-Forwarded-For": "127.0.0.7"}).json() == {"jobs": []}
    assert client.get("/api/jobs?limit=0").status_code == 422


def test_clients_take_turns(client: httpx.Client) -> None:
    wait_idle(client)
    blocker = start(client, "wait")
    mine = [start(client, steps=1) for _ in range(3)]
    theirs = start(client, steps=1, headers={"X-Forwarded-For": "127.0.0.8"})
    assert [client.get(job).json()["position"] for job in [theirs, *mine]] == [1, 2, 3, 4]
    client.delete(blocker)
    wait_for(client, mine[-1], "succeeded")


def test_a_job_says_when_it_will_end_by_what_was_measured(client: httpx.Client) -> None:
    wait_for(client, start(client, "slow", steps=37), "succeeded")
    running, waiting = start(client, "wait", steps=37), start(client, "wait", steps=37)
    first, second = client.get(running).json()["eta_s"], client.get(waiting).json()["eta_s"]
    assert 0 < first < second
    for job in (running, waiting):
        client.delete(job)


def test_the_same_key_is_the_same_job(client: httpx.Client) -> None:
    before = metric(client, "llm_dit_jobs_taken_total")
    headers = {"Idempotency-Key": "once"}
    with ThreadPoolExecutor(4) as threads:
        jobs = set(threads.map(lambda _: start(client, "slow", 5, headers), range(4)))
    (job,) = jobs
    assert (
        client.post(DECOMPOSE, json=fields("slow", 5), headers=headers).json()["seed"]
        == (client.get(job).json()["result"]["seed"])
    )
    assert metric(client, "llm_dit_jobs_taken_total") == before + 1

    other = client.post(DECOMPOSE, json=fields("slow", 6), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert start(client, "slow", 6, {**headers, "X-Forwarded-For": "127.0.0.9"}) != job, "keys are each client's own"


def test_a_key_whose_job_came_to_nothing_may_try_again(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "again"}
    job = start(client, "wait", headers=headers)
    client.delete(job)
    again = start(client, "wait", headers=headers)
    assert again != job
    client.delete(again)


@pytest.mark.parametrize("key", ["", "a b", "é", "k" * 256])
def test_a_key_that_is_not_valid(client: httpx.Client, key: str) -> None:
    answer = client.post(DECOMPOSE, json=fields(), headers={"Idempotency-Key": key.encode()})  # type: ignore[dict-item]
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "idempotency-key"


def test_the_same_request_twice_in_flight_runs_once(client: httpx.Client, go: Path) -> None:
    wait_idle(client)
    before = metric(client, "llm_dit_jobs_taken_total")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, DECOMPOSE, json=fields("wait", seed=7))
        wait_until(lambda: queue(client)["running"] == 1, "the run")
        job = start(client, "wait", seed=7)
        assert job == start(client, "wait", seed=7)
        go.touch()
        made: Any = wait_for(client, job, "succeeded")["result"]
        assert first.result().json()["generation_time"] == made["generation_time"]
    assert metric(client, "llm_dit_jobs_taken_total") == before + 1
    assert start(client, "slow", 5) != start(client, "slow", 5), "without a seed two results are asked for"
    wait_idle(client)


def test_one_of_two_who_wait_for_a_job_may_leave(client: httpx.Client, go: Path) -> None:
    wait_idle(client)
    body = fields("wait", seed=8)
    with ThreadPoolExecutor(1) as threads:
        stays = threads.submit(lambda: client.post(DECOMPOSE, json=body))
        wait_until(lambda: queue(client)["running"], "the run")
        with pytest.raises(httpx.ReadTimeout):
            client.post(DECOMPOSE, json=body, timeout=httpx.Timeout(PATIENCE_S, read=0.2))
        go.touch()
        assert stays.result().status_code == 200


@pytest.mark.slow
def test_a_client_may_be_held_to_its_share(start_service: Callable[..., Service]) -> None:
    settings = {"LLM_DIT_SERVER__MAX_QUEUE_PER_CLIENT": "1", "LLM_DIT_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    service = start_service(app="tests.kit.app:app", environment=settings)
    with service.connect() as client:
        start(client, "wait")
        start(client, "wait")
        answer = client.post(DECOMPOSE, json=fields())
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        start(client, headers={"X-Forwarded-For": "127.0.0.10"}, image=DISC_URL)


@pytest.mark.slow
def test_a_busy_client_forgets_its_own_jobs_first(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__MAX_FINISHED_JOBS": "6"})
    with service.connect() as quiet, service.connect() as busy:
        quiet.get("/")  # the page gives it a cookie: the other one is a program
        done = start(quiet, headers={"Idempotency-Key": "mine"})
        kept = wait_for(quiet, done, "succeeded")
        running = start(busy, "wait")
        for seed in range(20):
            busy.delete(start(busy, seed=seed))
        busy.delete(running)
        wait_idle(busy)
        assert quiet.get(done).json() == kept
        assert start(quiet, headers={"Idempotency-Key": "mine"}) == done
        assert len(busy.get("/api/jobs").json()["jobs"]) == 5

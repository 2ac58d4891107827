"""The life of a job over HTTP: queued, followed, canceled, left."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.conftest import Service, wait_until
from tests.pictures import SQUARE_URL

ASYNC = {"Prefer": "respond-async"}


def start(client: httpx.Client, prompt: str = "", steps: int = 3) -> str:
    fields = {"image": SQUARE_URL, "prompt": prompt, "steps": steps, "layer_num": 1}
    answer = client.post("/api/qwen-image/decompose", json=fields, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    return str(answer.headers["location"])


def events(client: httpx.Client, job: str, last_id: int | None = None) -> Iterator[tuple[int, str, dict[str, object]]]:
    """Yield the id, name and job of each event until the stream ends."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    with client.stream("GET", f"{job}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "data" in event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
                event = {}


def queue(client: httpx.Client) -> dict[str, int]:
    return client.get("/api/qwen-image/status").json()["queue"]


def wait_idle(client: httpx.Client) -> None:
    wait_until(lambda: queue(client)["running"] + queue(client)["length"] == 0, what="an idle queue")


def test_a_job_is_followed_to_its_result(client: httpx.Client) -> None:
    job = start(client, "slow", steps=5)
    followed = list(events(client, job))
    ids = [number for number, _, _ in followed]
    names = [name for _, name, _ in followed]
    assert ids == sorted(set(ids))
    assert names[0] in {"queued", "progress"}
    assert names[-2:] == ["progress", "succeeded"]
    steps = [view["step"] for _, name, view in followed if name == "progress"]
    assert steps == sorted(steps)
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
    running = start(client, "slow", steps=100)
    waiting = start(client, "slow", steps=100)
    last = start(client)
    assert client.get(waiting).json()["position"] == 1
    assert client.get(last).json()["position"] == 2

    assert client.delete(waiting).json()["status"] == "canceled"
    assert client.get(last).json()["position"] == 1
    wait_until(lambda: client.get(running).json()["step"] > 1, what="a step")
    assert client.get(running).json()["eta_s"] > 0
    canceled = client.delete(running).json()
    assert canceled["status"] == "canceled"
    assert canceled["error"]["code"] == "canceled"
    assert canceled["step"] < 100
    assert [name for _, name, _ in events(client, running)][-1] == "canceled"

    wait_until(lambda: client.get(last).json()["status"] == "succeeded", what="the next job")
    assert client.delete(last).json()["status"] == "succeeded"


def test_an_edit_is_a_job_too(client: httpx.Client) -> None:
    fields = {"image": SQUARE_URL, "instruction": "x", "steps": 1}
    job = client.post("/api/qwen-image/edit-layer", json=fields, headers=ASYNC).headers["location"]
    wait_until(lambda: client.get(job).json()["status"] == "succeeded", what="the edit")
    assert client.get(job).json()["kind"] == "edit"
    assert client.get(job).json()["result"]["image"].startswith("/api/images/")


def test_a_client_that_leaves_cancels_its_job(client: httpx.Client) -> None:
    wait_idle(client)
    fields = {"image": SQUARE_URL, "prompt": "slow", "steps": 100}
    for path, extra in [("decompose", {}), ("edit-layer", {"instruction": "slow"})]:
        body = {key: value for key, value in {**fields, **extra}.items() if path == "decompose" or key != "prompt"}
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"/api/qwen-image/{path}", json=body, timeout=0.3)
        wait_idle(client)


def test_a_client_that_leaves_the_queue_never_starts(client: httpx.Client, stepping_service: Service) -> None:
    wait_idle(client)
    running = start(client, "slow", steps=50)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/api/qwen-image/decompose", json={"image": SQUARE_URL, "prompt": "slow"}, timeout=0.2)
    wait_until(lambda: queue(client)["length"] == 0, what="the queue to empty")
    assert queue(client)["running"] == 1
    client.delete(running)
    wait_idle(client)


def test_who_waits_for_a_job_that_another_cancels_is_told(client: httpx.Client, stepping_service: Service) -> None:
    wait_idle(client)
    blocker = start(client, "slow", steps=100)
    fields = {"image": SQUARE_URL, "instruction": "x", "steps": 1}
    job = client.post("/api/qwen-image/edit-layer", json=fields, headers=ASYNC).headers["location"]
    client.delete(job)
    assert client.get(job).json()["error"]["type"] == "invalid_request_error"
    client.delete(blocker)


def test_a_full_queue_answers_before_it_looks_at_the_body(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.app:app", environment={"LLM_DIT_SERVER__MAX_QUEUE": "2"})
    with httpx.Client(base_url=service.url, timeout=30) as client:
        jobs = [start(client, "slow", steps=100) for _ in range(3)]
        answer = client.post(
            "/api/qwen-image/decompose", content=b"not even JSON", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 503
        assert answer.json()["code"] == "queue_full"
        assert int(answer.headers["retry-after"]) >= 1
        for job in jobs:
            assert client.delete(job).json()["status"] == "canceled"
        start(client)


def test_old_jobs_are_forgotten(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.app:app", environment={"LLM_DIT_SERVER__MAX_FINISHED_JOBS": "2"})
    with httpx.Client(base_url=service.url, timeout=30) as client:
        jobs = [start(client, steps=1) for _ in range(4)]
        wait_until(lambda: client.get(jobs[-1]).json()["status"] == "succeeded", what="the last job")
        assert [client.get(job).status_code for job in jobs] == [404, 404, 200, 200]

"""Sending jobs to a service and watching them, as clients do."""

import base64
import json
from collections.abc import Iterator

import httpx

from tests.kit.pictures import SQUARE_URL
from tests.kit.waiting import wait_until

ASYNC = {"Prefer": "respond-async"}
DECOMPOSE = "/api/qwen-image/decompose"


def fields(prompt: str = "", steps: int = 3, **more: object) -> dict[str, object]:
    return {"image": SQUARE_URL, "prompt": prompt, "steps": steps, "layer_num": 1, **more}


def start(
    client: httpx.Client, prompt: str = "", steps: int = 3, headers: dict[str, str] | None = None, **more: object
) -> str:
    """Send a job for `tests.kit.pipelines.StepPipeline` and return its address."""
    answer = client.post(DECOMPOSE, json=fields(prompt, steps, **more), headers={**ASYNC, **(headers or {})})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
    return str(answer.headers["location"])


def status(client: httpx.Client, job: str) -> str:
    return str(client.get(job).json()["status"])


def wait_for(client: httpx.Client, job: str, *statuses: str) -> dict[str, object]:
    """Return the job as soon as it stands at one of `statuses`."""
    wait_until(lambda: status(client, job) in statuses, f"{job} to be {' or '.join(statuses)}")
    return dict(client.get(job).json())


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
    return dict(client.get("/api/qwen-image/status").json()["queue"])


def wait_idle(client: httpx.Client) -> None:
    wait_until(lambda: queue(client)["running"] + queue(client)["length"] == 0, "an idle queue")


def metric(client: httpx.Client, name: str) -> float:
    """Return the sum over a metric's series."""
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def picture_of(data_url: str) -> bytes:
    return base64.b64decode(data_url.partition(",")[2])

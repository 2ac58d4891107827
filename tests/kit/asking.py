"""What clients ask a service for, byte for byte, and the jobs they follow."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.kit.pictures import SQUARE_URL
from tests.kit.running import STAND_IN, Answer, Running, ask, forked, running
from tests.kit.waiting import PATIENCE_S, wait_until

DECOMPOSE = "/api/qwen-image/decompose"
EDIT = "/api/qwen-image/edit-layer"
ASYNC = "Prefer: respond-async"
HELD: dict[str, Any] = {"prompt": "wait", "steps": 3}
"""A run of `tests.kit.pipelines.StepPipeline` that goes on until it is canceled, or may `go`."""


class RefusedError(Exception):
    """A job was not accepted."""


@contextlib.contextmanager
def ready(folder: Path, *, fork: bool = False, **options: Any) -> Iterator[Running]:
    """Run the service around the stand-in until the block ends; options as in `tests.kit.running.running`."""
    with forked(folder, **options) if fork else running(folder, program=STAND_IN, **options) as service:
        wait_until(lambda: get(service, "/readyz").status == 200)
        yield service


def get(service: Running, path: str, *more: str) -> Answer:
    return ask(service.port, [f"GET {path} HTTP/1.1", f"Host: {service.host}", *more])


def delete(service: Running, path: str) -> Answer:
    return ask(service.port, [f"DELETE {path} HTTP/1.1", f"Host: {service.host}"])


def post(
    service: Running, path: str, fields: Mapping[str, object] | bytes, *more: str, timeout_s: float = PATIENCE_S
) -> Answer:
    """Send fields as JSON, or bytes as they are."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    given = "".join(more).lower()
    kind = [] if "content-type" in given else ["Content-Type: application/json"]
    lines = [f"POST {path} HTTP/1.1", f"Host: {service.host}", *kind, f"Content-Length: {len(body)}", *more]
    return ask(service.port, lines, body, timeout_s=timeout_s)


def fields_of(seed: int, prompt: str = "", steps: int = 1) -> dict[str, object]:
    """Return a request to `tests.kit.pipelines.StepPipeline` to take a picture apart."""
    return {"image": SQUARE_URL, "prompt": prompt, "layer_num": 1, "steps": steps, "seed": seed}


def start(service: Running, seed: int, prompt: str = "", steps: int = 1, *more: str) -> str:
    """Send a job for later and return its address; raises `RefusedError`."""
    answer = post(service, DECOMPOSE, fields_of(seed, prompt, steps), ASYNC, *more)
    if answer.status != 202:
        raise RefusedError(answer.body.decode())
    return f"/api/jobs/{json.loads(answer.body)['id']}"


def job(service: Running, address: str) -> dict[str, Any]:
    """Return a job as it stands, or what the service says instead."""
    return json.loads(get(service, address).body)


def finished(service: Running, address: str) -> dict[str, Any]:
    """Return a job when it has ended."""
    wait_until(lambda: job(service, address)["status"] not in {"queued", "processing"})
    return job(service, address)


def queue(service: Running) -> dict[str, int]:
    return job(service, "/api/qwen-image/status")["queue"]


def is_idle(service: Running) -> bool:
    now = queue(service)
    return now["length"] + now["running"] == 0

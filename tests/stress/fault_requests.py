"""Faults of runs, of clients and of what they send, against one service that lives through all of them."""

import json
import math
import os
import random
import signal
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from PIL import Image

from tests.kit.asking import (
    DECOMPOSE,
    HELD,
    delete,
    fields_of,
    finished,
    is_idle,
    job,
    post,
    queue,
    start,
)
from tests.kit.pictures import as_data_url, png
from tests.kit.running import Running, ask, leave
from tests.kit.stand_in import read_runs
from tests.kit.waiting import wait_until
from tests.stress.crowd import decompose_lines
from tests.stress.doors import slow_sockets
from tests.stress.fault import Fault, decompose, require, require_refusal, require_within
from tests.stress.stops import LEAVE_S, leave_queue

QUEUE = 8
SETTINGS: dict[str, Any] = {"stall_timeout_s": "3", "client_timeout_s": "10", "max_queue": str(QUEUE)}
FAST_S = 0.05
SOCKETS = 150
SEEDS = count(1_000)
WITH_TORCH = {1, 2, 3, 5}
"""Those that `tests.stress.faulty` is needed for."""
DISC = Image.new("RGBA", (64, 48), (10, 200, 30, 0))


def out_of_memory(service: Running, _time: int) -> None:
    before = service.workers
    require_refusal(decompose(service, "raised out of memory"), 503, "out_of_memory")
    require(decompose(service).status == 200, "the next run failed")
    require(service.workers == before, "the worker was replaced")


def out_of_memory_twice(service: Running, _time: int) -> None:
    decompose(service)
    before, held = service.workers, _device_bytes(service)
    require_refusal(decompose(service, "real out of memory"), 503, "out_of_memory")
    require(decompose(service).status == 200, "the next run failed")
    require(service.workers == before, "one was enough to replace the worker")
    require(abs(_device_bytes(service) - held) < 256 * 2**20, "the device's memory is not free again")
    for _ in range(2):
        require_refusal(decompose(service, "real out of memory"), 503, "out_of_memory")
    require(decompose(service).status == 200, "the next run failed")
    require(service.workers != before, "the worker was not replaced")


def _device_bytes(service: Running) -> int:
    memory = job(service, "/api/qwen-image/status")["device_memory"]
    return memory["used_bytes"] if memory else 0


def device_lost(service: Running, _time: int) -> None:
    before = service.workers
    require_refusal(decompose(service, "device"), 503, "device_lost")
    require(decompose(service).status == 200, "the next run failed")
    require(service.workers != before, "the worker was not replaced")


def exception(service: Running, _time: int) -> None:
    answer = decompose(service, "raise")
    body = require_refusal(answer, 500, "pipeline_failed")
    require(b"secret" not in answer.body and b"/home" not in answer.body, "the exception is told")
    require(body["request_id"], "there is no id")


def not_a_number(service: Running, _time: int) -> None:
    require_refusal(decompose(service, "nan"), 500, "non_finite_output")


def one_color(service: Running, _time: int) -> None:
    picture = as_data_url(png(Image.linear_gradient("L")))
    fields = {"image": picture, "prompt": "black", "layer_num": 1, "steps": 1}
    answer = post(service, DECOMPOSE, fields)
    require(answer.status == 200, f"{answer.status}")
    require(json.loads(answer.body)["warnings"], "nothing is said of it")


def worker_killed(service: Running, _time: int) -> None:
    running = start(service, next(SEEDS), **HELD)
    kept = [start(service, next(SEEDS), "slow", 2) for _ in range(3)]
    wait_until(lambda: job(service, running)["step"] > 0)
    (worker,) = service.workers
    os.kill(worker, signal.SIGKILL)
    require(finished(service, running)["error"]["code"] == "worker_lost", "the job has another end")
    require(all(finished(service, address)["status"] == "succeeded" for address in kept), "a waiting job is lost")


def hang(service: Running, _time: int) -> None:
    running, kept = start(service, next(SEEDS), "hang"), start(service, next(SEEDS))
    (worker,) = service.workers
    require(finished(service, running)["error"]["code"] == "stalled", "the job has another end")
    require(finished(service, kept)["status"] == "succeeded", "the waiting job is lost")
    require(service.workers != [worker], "the worker was not replaced")


def leave_queued(service: Running, _time: int) -> None:
    blocker, seed = start(service, next(SEEDS), **HELD), next(SEEDS)
    wait_until(lambda: job(service, blocker)["status"] == "processing")
    seconds = leave_queue(service, seed)
    delete(service, blocker)
    decompose(service)
    require(read_runs(service.runs)[0][seed] == 0, "the job ran")
    require_within(seconds, LEAVE_S, "to leave the queue")


def leave_running(service: Running, _time: int) -> None:
    before = service.workers
    leave(service.host, DECOMPOSE, fields_of(next(SEEDS), **HELD), lambda: queue(service)["running"] == 1)
    seconds = wait_until(lambda: is_idle(service), "the end of the run")
    require(service.workers == before, "the worker was replaced")
    require_within(seconds, LEAVE_S, "to stop the run")


def cancel_at_the_end(service: Running, _time: int) -> None:
    """Cancel jobs of 20 ms about when they end, each with another one behind it."""
    for _ in range(10):
        raced, behind = start(service, next(SEEDS), "slow", 1), start(service, next(SEEDS))
        time.sleep(random.uniform(0, 0.06))
        require(json.loads(delete(service, raced).body)["status"] in {"canceled", "succeeded"}, "another end")
        require(finished(service, behind)["status"] == "succeeded", "the next job was hit")


def raise_and_cancel(service: Running, _time: int) -> None:
    """Have the job that holds the pipeline fail or be canceled, with others waiting for it."""
    jobs = [start(service, next(SEEDS), prompt, 5) for prompt in ("raise", "slow", "slow", "raise", "slow")]
    wait_until(lambda: job(service, jobs[1])["status"] != "queued")
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: delete(service, jobs[1]), range(3)))
    ends = [finished(service, address)["status"] for address in jobs]
    require(ends[0] == ends[3] == "failed", f"{ends}")
    require(ends[2] == ends[4] == "succeeded", f"{ends}")
    require(read_runs(service.runs)[1] == [], "two runs went on at once")


def queue_full(service: Running, _time: int) -> None:
    jobs = [start(service, next(SEEDS), **HELD) for _ in range(QUEUE + 1)]
    fastest = math.inf
    for _ in range(5):  # the fastest of five: others use these cores too; `tests.stress.load` has the 99th percentile
        begun = time.monotonic()
        answer = ask(service.port, decompose_lines(service.port, 20_000_000), b"{")
        fastest = min(fastest, time.monotonic() - begun)
        require_refusal(answer, 503, "queue_full")
    for address in jobs:
        delete(service, address)
    require_within(fastest, FAST_S, "the refusal")


def same_key(service: Running, _time: int) -> None:
    seed = next(SEEDS)
    key = f"Idempotency-Key: {seed}"
    with ThreadPoolExecutor(2) as threads:
        tabs = list(threads.map(lambda _: start(service, seed, "slow", 5, key), range(2)))
    require(tabs[0] == tabs[1], "two tabs have two jobs")
    require(finished(service, tabs[0])["status"] == "succeeded", "the job failed")
    require(read_runs(service.runs)[0][seed] == 1, "the job ran twice")
    require_refusal(decompose(service, key, key, seed=seed), 422, "idempotency_key_reused")


def slow_connections(service: Running, _time: int) -> None:
    figures = slow_sockets(service, SOCKETS, timeout_s=float(SETTINGS["client_timeout_s"]))
    require(not figures["wrong"], f"{figures['wrong']}")
    require_within(figures["livez_p99_ms"] / 1000, 0.25, "/livez")


def bad_json(service: Running, _time: int) -> None:
    bodies = {
        b"{": 400,
        b"[" * 100_000: 400,
        b'{"image": "x", "seed": ' + b"9" * 5000 + b"}": 400,
        b'{"image": "x", "cfg_scale": NaN}': 400,
        b'{"image": "x", "cfg_scale": 1e999}': 422,
        b'{"image": "x", "prompt": "\\ud800"}': 400,
    }
    for body, status in bodies.items():
        require_refusal(post(service, DECOMPOSE, body), status)


def wrong_type(service: Running, _time: int) -> None:
    require_refusal(post(service, DECOMPOSE, b"image=x", "Content-Type: application/x-www-form-urlencoded"), 415)
    require_refusal(post(service, "/api/images", b"<html>", "Content-Type: text/html"), 415)
    require_refusal(post(service, "/api/images", b"<html>", "Content-Type: image/png"), 422)
    require_refusal(post(service, DECOMPOSE, {"image": as_data_url(b"<html>")}), 422)
    require_refusal(post(service, DECOMPOSE, {"image": 3}), 422)


def dot(service: Running, _time: int) -> None:
    _refused_fast(service, Image.new("RGBA", (1, 1)))


def far_too_large(service: Running, _time: int) -> None:
    _refused_fast(service, Image.new("1", (10_000, 10_000)))
    _refused_fast(service, Image.new("L", (1, 10_000)))


def _refused_fast(service: Running, image: Image.Image) -> None:
    fields = {"image": b64encode(png(image)).decode()}
    fastest = math.inf
    for _ in range(5):
        begun = time.monotonic()
        answer = post(service, DECOMPOSE, fields)
        fastest = min(fastest, time.monotonic() - begun)
        require_refusal(answer, 422)
    require_within(fastest, FAST_S, "the refusal")


FAULTS = [
    Fault(number=1, name="out of memory in a step", required="503, same worker", inject=out_of_memory),
    Fault(number=2, name="out of memory twice", required="503, then a new worker", inject=out_of_memory_twice),
    Fault(number=3, name="sticky device error", required="503, new worker", inject=device_lost),
    Fault(number=4, name="exception in the pipeline", required="500 with an id only", inject=exception),
    Fault(number=5, name="NaN from the model", required="500", inject=not_a_number),
    Fault(number=6, name="black result", required="200 with a warning", inject=one_color),
    Fault(number=7, name="worker killed", required="that job 503, the others kept", inject=worker_killed),
    Fault(number=8, name="run hangs", required="killed, the queue goes on", inject=hang),
    Fault(number=13, name="client leaves the queue", required="gone in 1 s, never runs", inject=leave_queued),
    Fault(number=14, name="client leaves its run", required="stops within a step", inject=leave_running),
    Fault(number=15, name="cancel as the run ends", required="the next job untouched", inject=cancel_at_the_end),
    Fault(number=16, name="holder fails or is canceled", required="never stuck, never two", inject=raise_and_cancel),
    Fault(number=17, name="queue full", required="503 in 50 ms, body unread", inject=queue_full),
    Fault(number=18, name="two tabs, one key", required="one run; 422 for another request", inject=same_key),
    Fault(number=19, name="150 slow connections", required="closed in 10 s", inject=slow_connections),
    Fault(number=24, name="no JSON, or JSON at its limits", required="400 or 422", inject=bad_json),
    Fault(number=25, name="wrong type", required="415 or 422", inject=wrong_type),
    Fault(number=26, name="picture of one pixel", required="422 in 50 ms", inject=dot),
    Fault(number=27, name="10000×10000, 1×10000", required="422 in 50 ms", inject=far_too_large),
]

"""More clients than the queue holds: what each of them gets, and how fast the service answers meanwhile.

    python -m tests.stress.load [--short] [--json tests/stress/out/load.json]

32 clients send 20 requests each, one after the other, to `llm-dit serve` with a queue of 8 and a pipeline that takes no
time. Floors: without retries each of the 640 requests gets exactly one whole answer, 200 or 503; a 200 was run once, a
503 never; when `Retry-After` is obeyed all 640 end in 200, and the longest wait from the first try to the result is at
most three times the median, with a queue of 8 and with that of the default; no run begins while another goes on, which
the pipeline itself tells by a lock of the kernel.

The clients live in a process of their own, and what is timed is asked for in another one that does nothing else, over
a socket, a connection a request. Floors of 99 %: /livez 50 ms during both crowds, 250 ms with four bodies of 20 MB
always on their way; the refusal of a full queue 50 ms, with a body of 20 MB that is never sent. "idle" is a server in a
process of its own that only answers, asked in turn with ours: what it takes is the machine's share.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from llm_dit.images import encode_png
from tests.kit.asking import DECOMPOSE, fields_of, post, ready
from tests.kit.report import part, report_parts
from tests.kit.running import Running, ask
from tests.kit.stand_in import read_runs
from tests.stress.crowd import Outcome, crowd, decompose_body, decompose_lines
from tests.stress.latency import livez_during, percentiles

SMALL_P99_S, LARGE_P99_S, REFUSAL_P99_S = 0.05, 0.25, 0.05
UNFAIR = 3
LARGE_BYTES = 20_000_000
LARGE_AT_ONCE = 4
RETRIED = 1_000_000
"""The seed from which those count that come back."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="8 clients with 5 requests each, bodies of 1 MB")
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/load.json"))
    arguments = parser.parse_args()
    figures = measure(short=arguments.short)
    return report_parts(arguments.json, figures)


def measure(*, short: bool) -> dict[str, dict[str, Any]]:
    """Return the figures of all parts, one after the other against one service."""
    # Of four large bodies that come at once one runs and the others wait.
    clients, requests, queue = (8, 5, LARGE_AT_ONCE - 1) if short else (32, 20, 8)
    sample_s, large_bytes = (1.0, LARGE_BYTES // 20) if short else (30.0, LARGE_BYTES)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1) as pool,
        ready(Path(folder), max_queue=str(queue)) as service,
    ):
        # The first request of a process imports what it needs.
        post(service, DECOMPOSE, fields_of(2 * RETRIED))
        figures = {
            "without_retries": one_answer_each(service, pool, clients, requests),
            "with_retries": all_in_the_end(service, pool, clients, requests),
            "large_bodies": large_bodies(service, pool, sample_s, large_bytes),
            "full_queue": full_queue(service, pool, queue, int(sample_s * 20)),
        }
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as pool, ready(Path(folder)) as service:
        post(service, DECOMPOSE, fields_of(2 * RETRIED))
        return figures | {"default_queue": all_in_the_end(service, pool, clients, requests)}


def one_answer_each(service: Running, pool: ProcessPoolExecutor, clients: int, requests: int) -> dict[str, Any]:
    """Let a crowd in that takes no for an answer."""
    sent = crowd(pool, service.port, clients=clients, requests=requests, retry=False)
    latency = livez_during(service.port, sent)
    outcomes = sent.result()
    wrong = _wrong(service, outcomes, clients * requests)
    wrong += [f"{o.seed}: {len(o.statuses)} answers" for o in outcomes if len(o.statuses) != 1]
    return _figures(wrong, _told(outcomes), latency, SMALL_P99_S)


def all_in_the_end(service: Running, pool: ProcessPoolExecutor, clients: int, requests: int) -> dict[str, Any]:
    """Let a crowd in that comes back when it is told to."""
    sent = crowd(pool, service.port, clients=clients, requests=requests, retry=True, first_seed=RETRIED)
    latency = livez_during(service.port, sent)
    outcomes = sent.result()
    wrong = _wrong(service, outcomes, clients * requests)
    wrong += [f"{o.seed}: {o.statuses[-1:]} in the end" for o in outcomes if o.statuses[-1:] != [200]]
    waits = [o.waited_s for o in outcomes if o.waited_s is not None]
    median_s, longest_s = statistics.median(waits), max(waits)
    slow = [f"waited for {longest_s:.2f} s, half of all for {median_s:.2f} s"] * (longest_s > UNFAIR * median_s)
    waited = {"median_wait_s": round(median_s, 3), "longest_wait_s": round(longest_s, 3)}
    return _figures(wrong, _told(outcomes) | waited, latency, SMALL_P99_S, slow)


def large_bodies(service: Running, pool: ProcessPoolExecutor, sample_s: float, size: int) -> dict[str, Any]:
    """Keep four bodies of `size` bytes on their way for some seconds."""
    sent = pool.submit(_send_large, service.port, sample_s, size)
    latency = livez_during(service.port, sent)
    statuses = Counter(sent.result())
    wrong = [f"a large body got {status}" for status in statuses if status != 200]
    return _figures(wrong, {"bodies": statuses.total(), "megabytes": size / 1e6}, latency, LARGE_P99_S)


def full_queue(service: Running, pool: ProcessPoolExecutor, queue: int, count: int) -> dict[str, Any]:
    """Fill the queue, then knock without ever sending the body."""
    for seed in range(queue + 1):
        body = decompose_body(seed, "hang")
        assert ask(service.port, decompose_lines(service.port, len(body), "Prefer: respond-async"), body).status == 202
    answers = pool.submit(_knock, service.port, count).result()
    wrong = [f"{status} for a full queue" for status, _ in answers if status != 503]
    return _figures(wrong, {}, {"ours": [seconds for _, seconds in answers]}, REFUSAL_P99_S)


def _send_large(port: int, sample_s: float, size: int) -> list[int]:
    """Have four clients send `size` bytes again and again: noise, which no compression makes smaller, and spaces."""
    side = int((size * 0.74 / 4) ** 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 4), dtype=np.uint8)
    picture = b64encode(encode_png(Image.fromarray(noise, "RGBA"))).decode()
    body = json.dumps({"image": picture, "layer_num": 1, "steps": 1}).encode().ljust(size)
    assert len(body) == size
    end = time.monotonic() + sample_s
    statuses: list[int] = []

    def client() -> None:
        while True:
            statuses.append(ask(port, decompose_lines(port, len(body)), body).status)
            if time.monotonic() > end:
                return

    threads = [threading.Thread(target=client) for _ in range(LARGE_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _knock(port: int, count: int) -> list[tuple[int, float]]:
    answers: list[tuple[int, float]] = []
    for _ in range(count):
        started = time.perf_counter()
        answer = ask(port, decompose_lines(port, LARGE_BYTES), b"{")
        answers.append((answer.status, time.perf_counter() - started))
        time.sleep(0.01)
    return answers


def _wrong(service: Running, outcomes: Sequence[Outcome], expected: int) -> list[str]:
    """Return what should not be, whether or not the clients came back."""
    runs, overlaps = read_runs(service.runs)
    wrong = [f"{len(outcomes)} outcomes of {expected}"] * (len(outcomes) != expected)
    wrong += [f"{o.seed}: {o.wrong}" for o in outcomes if o.wrong]
    wrong += [f"{o.seed}: {o.statuses}" for o in outcomes if not set(o.statuses) <= {200, 503}]
    wrong += [
        f"{o.seed}: the answer is for {o.answered_seed}" for o in outcomes if o.answered_seed not in {None, o.seed}
    ]
    wrong += [f"{o.seed}: {runs[o.seed]} runs, {o.statuses}" for o in outcomes if runs[o.seed] != o.statuses.count(200)]
    return wrong + [f"{seed} began during another run" for seed in overlaps]


def _told(outcomes: Sequence[Outcome]) -> dict[str, object]:
    last = Counter(outcome.statuses[-1] for outcome in outcomes if outcome.statuses)
    tries = sum(len(outcome.statuses) for outcome in outcomes)
    return {"requests": len(outcomes), "tries": tries, "ended_in": dict(sorted(last.items()))}


def _figures(
    wrong: list[str],
    counts: dict[str, Any],
    latency: dict[str, list[float]],
    floor_s: float,
    too_slow: Sequence[str] = (),
) -> dict[str, Any]:
    """Return counts and latencies; the 99th percentile of ours must be within the floor."""
    milliseconds = percentiles(latency)
    if milliseconds["ours"]["p99_ms"] > floor_s * 1000:
        too_slow = [*too_slow, f"p99 is {milliseconds['ours']['p99_ms']} ms, above {floor_s * 1000:.0f}"]
    return part(wrong, too_slow, **counts, **milliseconds)


if __name__ == "__main__":
    sys.exit(main())

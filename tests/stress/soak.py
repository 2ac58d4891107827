"""Mixed traffic for a long time: whether memory, files, threads or the store grow.

    python -m tests.stress.soak [--minutes 20] [--short] [--json tests/stress/out/soak.json]

Four clients do at random what clients do to `llm-dit serve`: jobs that are waited for, followed, canceled or left,
edits, pictures in and out, composites, pages, bad requests, and now and then a run that crashes, raises or runs out of
memory. Every 5 s it is read what the service and its worker hold: resident memory, open files, threads, and the bytes
in the data folder. The first quarter is for warming up. Through the rest a line is laid by Theil and Sen's rule: its
slope is the median of the slopes between any two samples, which single peaks do not move. Samples of two workers are
not compared, since a new process starts over.

Floors, of growth along that line from the end of the warm-up to the end: 16 MB of memory of the service and of its
worker, 2 files and 1 thread of each, and 8 MB of the store, where 100 finished jobs are kept and the pictures come
again. Every answer is one that was to be expected, and at the end the queue is empty and one worker runs.
"""

import argparse
import contextlib
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

from tests.kit.asking import (
    DECOMPOSE,
    EDIT,
    HELD,
    RefusedError,
    delete,
    fields_of,
    get,
    is_idle,
    post,
    ready,
    start,
)
from tests.kit.pictures import DISC_URL, SQUARE_URL, png, square
from tests.kit.report import part, report_parts
from tests.kit.running import Running
from tests.kit.waiting import wait_until

CLIENTS = 4
WARM_UP = 0.25
GROWTH = {"memory_mb": 16.0, "files": 2.0, "threads": 1.0, "store_mb": 8.0}
"""How much each quantity may grow after the warm-up."""
SERVICE_ERROR = re.compile(r" ERROR (?!llm_dit\.worker)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--short", action="store_true", help="6 seconds, a sample each half second")
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/soak.json"))
    arguments = parser.parse_args()
    seconds, every_s = (6.0, 0.5) if arguments.short else (arguments.minutes * 60, 5.0)
    return report_parts(arguments.json, measure(seconds, every_s))


def measure(seconds: float, every_s: float) -> dict[str, dict[str, Any]]:
    """Return what the traffic got, and how each quantity of the service and its worker went."""
    traffic, samples = mix(seconds, every_s)
    return {"traffic": traffic, **trends(samples)}


def mix(seconds: float, every_s: float, *, fork: bool = False) -> tuple[dict[str, Any], list["Sample"]]:
    """Send mixed traffic for some seconds; return what it got, and what the service and its worker held meanwhile."""
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder), fork=fork, max_finished_jobs="100") as service:
        traffic = Traffic(service)
        samples = traffic.go_on(seconds, lambda: look(service), every_s)
        wrong = list(traffic.wrong)
        wait_until(lambda: is_idle(service))
        if len(service.workers) != 1:
            wrong.append(f"{len(service.workers)} workers run in the end")
        # What a pipeline raises on purpose is the worker's to log.
        wrong += [line for line in (Path(folder) / "log").read_text().splitlines() if SERVICE_ERROR.search(line)]
    return part(wrong, **traffic.counts), samples


# Traffic --------------------------------------------------------------------------------------------------------------


class Traffic:
    """Clients that each do one thing after the other; `counts` says what they did, `wrong` what they did not expect."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self._over = threading.Event()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def go_on(self, seconds: float, look: Callable[[], "Sample"], every_s: float) -> list["Sample"]:
        """Keep the clients going for some seconds, and return what `look` saw meanwhile."""
        clients = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        samples: list[Sample] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(every_s)
            with contextlib.suppress(OSError, ValueError):  # the worker is just being replaced
                samples.append(look())
        self._over.set()
        for client in clients:
            client.join()
        return samples

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        names, weights = zip(*((name, weight) for name, (weight, _, _) in DEEDS.items()), strict=True)
        while not self._over.is_set():
            (name,) = chance.choices(names, weights)
            _, deed, expected = DEEDS[name]
            try:
                status = deed(self._service, chance)
            except (OSError, ValueError, IndexError, TimeoutError) as error:
                self.wrong.append(f"{name}: {type(error).__name__}")
                continue
            # What others do may fill the queue or take the worker along.
            if status not in {*expected, 503}:
                self.wrong.append(f"{name}: {status}")
            self.counts[name if status in expected else f"{name}, 503"] += 1
            time.sleep(chance.uniform(0, 0.2))


def _wait(service: Running, chance: random.Random) -> int:
    return post(service, DECOMPOSE, fields_of(chance.randrange(2**32), steps=chance.randint(1, 5))).status


def _edit(service: Running, chance: random.Random) -> int:
    fields = {"image": DISC_URL, "instruction": "x", "steps": 2, "seed": chance.randrange(2**32)}
    return post(service, EDIT, fields, "Accept: image/png").status


def _follow(service: Running, chance: random.Random) -> int:
    try:
        address = start(service, chance.randrange(2**32), "slow", chance.randint(1, 10))
    except RefusedError:
        return 503
    return get(service, f"{address}/events").status


def _cancel(service: Running, chance: random.Random) -> int:
    try:
        address = start(service, chance.randrange(2**32), **HELD)
    except RefusedError:
        return 503
    time.sleep(chance.uniform(0, 0.3))
    return delete(service, address).status


def _leave(service: Running, chance: random.Random) -> int:
    try:
        return post(
            service, DECOMPOSE, fields_of(chance.randrange(2**32), **HELD), timeout_s=chance.uniform(0.1, 0.4)
        ).status
    except TimeoutError:
        return 499


def _upload(service: Running, chance: random.Random) -> int:
    content = png(square(64, (chance.randrange(64), 0, 0)))
    return post(service, "/api/images", content, "Content-Type: image/png").status


def _composite(service: Running, chance: random.Random) -> int:
    layers = [{"image": SQUARE_URL}, {"image": DISC_URL, "x": chance.randrange(40)}]
    return post(service, "/api/qwen-image/composite", {"layers": layers}).status


def _page(service: Running, chance: random.Random) -> int:
    return get(service, chance.choice(["/", "/docs", "/api/openapi.json", "/api/jobs", "/metrics", "/readyz"])).status


def _bad(service: Running, chance: random.Random) -> int:
    bodies = [b"{", b'{"image": "x"}', b"[" * 1000, b'{"image": "' + b"A" * 300_000 + b'"}']
    return post(service, DECOMPOSE, chance.choice(bodies)).status


def _missing(service: Running, chance: random.Random) -> int:
    return get(service, chance.choice(["/api/jobs/nothing", f"/api/images/{'0' * 64}.png", "/nothing"])).status


def _fault(prompt: str) -> "Deed":
    return lambda service, chance: post(service, DECOMPOSE, fields_of(chance.randrange(2**32), prompt)).status


Deed = Callable[[Running, random.Random], int]
DEEDS: dict[str, tuple[float, Deed, set[int]]] = {
    "waited for": (10, _wait, {200}),
    "edited": (10, _edit, {200}),
    "followed": (5, _follow, {200}),
    "canceled": (5, _cancel, {200}),
    "left": (5, _leave, {499}),
    "uploaded": (10, _upload, {201}),
    "composed": (5, _composite, {200}),
    "read": (15, _page, {200}),
    "bad request": (5, _bad, {400, 422}),
    "not there": (5, _missing, {404}),
    "raised": (1, _fault("raise"), {500}),
    "out of memory": (1, _fault("oom"), {503}),
    "crashed": (0.1, _fault("crash"), {503}),
}
"""What clients do: how often, how, and what they expect for an answer."""


# What is held ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is held at `at_s` (monotonic seconds) with one `worker`, by name, such as "service memory_mb"."""

    at_s: float
    worker: int
    held: dict[str, float]


def look(service: Running) -> Sample:
    """Read what the service and its worker hold; raises `OSError` or `ValueError` when there is no worker just now."""
    (worker,) = service.workers
    held = {f"service {name}": value for name, value in _of_process(service.process.pid).items()}
    held |= {f"worker {name}": value for name, value in _of_process(worker).items()}
    sizes = [_size(path) for path in (service.folder / "data").rglob("*")]
    return Sample(at_s=time.monotonic(), worker=worker, held=held | {"store_mb": sum(sizes) / 1e6})


def _of_process(pid: int) -> dict[str, float]:
    folder = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    return {
        "memory_mb": int(status["VmRSS"].split()[0]) * 1024 / 1e6,
        "files": float(len(list((folder / "fd").iterdir()))),
        "threads": float(status["Threads"]),
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def trends(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Return for each quantity its median and extremes, and by how much it grew after the warm-up."""
    warm = samples[int(len(samples) * WARM_UP) :]
    return {name: _trend(name, warm) for name in warm[0].held}


def _trend(name: str, samples: Sequence[Sample]) -> dict[str, Any]:
    pairs = combinations(samples, 2)
    if name.startswith("worker"):
        pairs = ((one, other) for one, other in pairs if one.worker == other.worker)
    slope = median((other.held[name] - one.held[name]) / (other.at_s - one.at_s) for one, other in pairs)
    growth = slope * (samples[-1].at_s - samples[0].at_s)
    most = GROWTH[name.rpartition(" ")[2]]
    wrong = [f"it grew by {growth:.1f}, more than {most:g}"] * (growth > most)
    values = [sample.held[name] for sample in samples]
    figures = {"median": median(values), "least": min(values), "most": max(values), "growth": growth}
    return part(wrong, samples=len(samples), **{key: round(value, 2) for key, value in figures.items()})


if __name__ == "__main__":
    sys.exit(main())

"""What a crowd of rough clients costs the others: connections, event streams, unfinished bodies, slow readers, JSON.

    python -m tests.stress.floods [--short] [--json tests/stress/out/floods.json]

Each part runs against `llm-dit serve` that may open 1,024 files. Floors: with 1,200 silent connections, and with 1,100
event streams, /livez answers within 250 ms and the log grows by at most 1 MB a minute; with 16 bodies that lack their
last byte, another one is served within 15 s; 63 MB of JSON are 413 at every address with at most 64 MB more memory
while /livez answers within 100 ms; 30 MB of unknown keys, deep lists, white space, digits, and of errors are refused
with at most 200 MB more and within 250 ms; while project documents of 3 MB are saved /livez answers within 100 ms.
"idle" is the slowest /livez while nothing else goes on: the machine's share. Memory is the summed PSS of all processes
but the engine's.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.kit.asking import DECOMPOSE, get, post, start
from tests.kit.report import part, report_parts
from tests.kit.running import Memory, Running, ask, running
from tests.kit.waiting import wait_until
from tests.stress.crowd import decompose_body

FILES = 1024
MB = 1_000_000
TYPE = "Content-Type: application/json"
ADDRESSES = [("PUT", "/api/projects/import"), ("POST", "/api/projects"), ("PUT", "/api/projects/x"), ("PUT", "/")]
ADDRESSES += [("POST", "/nothing"), ("POST", DECOMPOSE), ("PUT", "/livez"), ("POST", "/api/jobs/x")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of the clients and of the bytes")
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/floods.json"))
    arguments = parser.parse_args()
    return report_parts(arguments.json, measure(0.1 if arguments.short else 1.0))


def measure(share: float) -> dict[str, dict[str, Any]]:
    parts: dict[str, Callable[[Running, float], dict[str, Any]]] = {
        "silent": silent, "streams": streams, "unfinished": unfinished, "large_json": large_json,
        "structure": structure, "documents": documents
    }  # fmt: skip
    own, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    figures: dict[str, dict[str, Any]] = {}
    for name, measured in parts.items():
        with tempfile.TemporaryDirectory() as folder, running(Path(folder), program=LIMITED) as service:
            wait_until(lambda service=service: get(service, "/readyz").status == 200)
            figures[name] = measured(service, share)
    assert (own, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)
    return figures


LIMITED = (
    "-c",
    f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES})); "
    "from tests.kit.stand_in import main; main()",
)


def silent(service: Running, share: float) -> dict[str, Any]:
    return _crowded(service, int(1200 * share), b"")


def streams(service: Running, share: float) -> dict[str, Any]:
    job = start(service, 1, "hang")
    request = f"GET {job}/events HTTP/1.1\r\nHost: {service.host}\r\n\r\n".encode()
    return _crowded(service, int(1100 * share), request)


def _crowded(service: Running, count: int, request: bytes) -> dict[str, Any]:
    log = service.folder / "log"
    before, began = log.stat().st_size, time.monotonic()
    with _held(service.port, count, request), Watch(service) as watch:
        time.sleep(5)
    growth = (log.stat().st_size - before) / MB / (time.monotonic() - began) * 60
    wrong = [f"/livez took {watch.slowest_ms} ms"] * (watch.slowest_ms > 250)
    wrong += [f"the log grew by {growth:.2f} MB a minute"] * (growth > 1)
    return part(wrong, clients=count, livez_ms=watch.slowest_ms, asked=watch.asked, log_mb_a_minute=round(growth, 3))


@contextlib.contextmanager
def _held(port: int, count: int, request: bytes) -> Iterator[None]:
    """Open connections that send `request`, in a thread, and keep them until the block ends."""
    opened, leave = threading.Event(), threading.Event()

    async def hold() -> None:
        writers: list[asyncio.StreamWriter] = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                writers.append(writer)
        opened.set()
        await asyncio.to_thread(leave.wait, 60)
        for writer in writers:
            writer.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    try:
        opened.wait(60)
        yield
    finally:
        leave.set()
        thread.join()


def unfinished(service: Running, share: float) -> dict[str, Any]:
    size = int(30 * MB * share)
    head = f"POST {DECOMPOSE} HTTP/1.1\r\nHost: {service.host}\r\n{TYPE}\r\nContent-Length: {size}\r\n\r\n"
    body = decompose_body(1).ljust(2 * MB)
    with _held(service.port, 16, head.encode() + b"{" + b" " * (size - 2)):
        began = time.monotonic()
        status = post(service, DECOMPOSE, body).status
        seconds = round(time.monotonic() - began, 2)
    wrong = [f"the other one got {status}"] * (status != 200) + [f"served after {seconds} s"] * (seconds > 15)
    return part(wrong, served_s=seconds)


def large_json(service: Running, share: float) -> dict[str, Any]:
    body = b'{"a": "' + b"x" * int(63 * MB * max(share, 0.6)) + b'"}'
    wrong: list[str] = []
    with Watch(service) as watch:
        for method, path in ADDRESSES:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {service.host}", TYPE, f"Content-Length: {len(body)}"]
            status = ask(service.port, lines, body).status
            wrong += [f"{method} {path}: {status}"] * (status != 413)
    return part(wrong + watch.beyond(64, 100), **watch.figures)


def structure(service: Running, share: float) -> dict[str, Any]:
    count = int(30 * MB * share)
    bodies = {
        "unknown keys": b"{" + b",".join(b'"k%07d":1' % number for number in range(count // 12)) + b"}",
        "deep": b"[" * count,
        "white space": b"{" + b" " * count + b"}",
        "digits": b'{"seed":' + b"1" * count + b"}",
        "objects": b"[" + b"{}," * (count // 3) + b"{}]",
        "texts": b"[" + b'"ab",' * (count // 5) + b'""]',
        "escapes": b'{"prompt":"' + b'\\"' * (count // 2) + b'"}',
        "a key": b'{"' + b"k" * count + b'":1}',
    }
    wrong, figures = list[str](), dict[str, Any]()
    for name, body in bodies.items():
        with Watch(service) as watch:
            status = post(service, DECOMPOSE, body).status
        wrong += [f"{name}: {status}"] * (status not in {400, 413, 422})
        wrong += [f"{name}: {each}" for each in watch.beyond(200, 250)]
        figures[name] = watch.figures
    return part(wrong, **figures)


def documents(service: Running, share: float) -> dict[str, Any]:
    layers = [{"id": number, "name": "layer " * 10, "text": "x" * 200} for number in range(int(11_000 * share))]
    body = json.dumps({"name": "Poster", "document": {"layers": layers}}).encode()
    statuses = [post(service, "/api/projects", body).status]  # the first one starts a process
    with Watch(service) as idle:
        time.sleep(2)
    with Watch(service) as watch:
        statuses += [post(service, "/api/projects", body).status for _ in range(10)]
    wrong = [f"a document got {status}" for status in set(statuses) - {201}]
    return part(wrong + watch.beyond(200, 100), idle_ms=idle.slowest_ms, megabytes=len(body) / MB, **watch.figures)


class Watch(Memory):
    """Asks for /livez and measures memory, in a thread, until the block ends."""

    every_s = 0.02

    def __init__(self, service: Running) -> None:
        super().__init__(service)
        self._port, self._host = service.port, service.host
        self._before = self.most_mb = service.memory_mb
        self.asked, self.slowest_ms = 0, 0.0

    @property
    def figures(self) -> dict[str, float]:
        return {"more_mb": round(self.most_mb - self._before, 1), "livez_ms": self.slowest_ms, "asked": self.asked}

    def beyond(self, more_mb: float, livez_ms: float) -> list[str]:
        figures = self.figures
        wrong = [f"{figures['more_mb']} MB more"] * (figures["more_mb"] > more_mb)
        return wrong + [f"/livez took {self.slowest_ms} ms"] * (self.slowest_ms > livez_ms)

    def look(self) -> None:
        began = time.perf_counter()
        ask(self._port, ["GET /livez HTTP/1.1", f"Host: {self._host}"])
        self.slowest_ms = max(self.slowest_ms, round((time.perf_counter() - began) * 1000, 1))
        self.asked += 1
        super().look()


if __name__ == "__main__":
    sys.exit(main())

"""How long a service takes to answer, apart from how long the machine takes to get round to it."""

import multiprocessing
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.kit.running import ask

EVERY_S = 0.01


def livez_during(port: int, work: Future[Any]) -> dict[str, list[float]]:
    """Ask for /livez until `work`, which is done elsewhere, has ended; return the seconds that each answer took.

    Each is asked for over a connection of its own: "ours" from `port`, and in turn "idle" from a server that has
    nothing else to do.
    """
    seconds: dict[str, list[float]] = {"ours": [], "idle": []}
    with idle_server() as idle:
        while not work.done():
            for name, asked in (("ours", port), ("idle", idle)):
                started = time.perf_counter()
                status = ask(asked, ["GET /livez HTTP/1.1", f"Host: 127.0.0.1:{asked}"]).status
                seconds[name].append(time.perf_counter() - started)
                if status != 200:
                    raise RuntimeError(f"/livez answered {status}")
            time.sleep(EVERY_S)
    return seconds


@contextmanager
def idle_server() -> Iterator[int]:
    """Run a server that answers at once, whatever it is asked, in a process of its own; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.Process(target=_answer, args=(listener,), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.join()


def _answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def percentiles(latency: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return how many answers there were, and their median, 99th percentile and maximum in milliseconds."""
    return {
        name: {
            "answers": len(seconds),
            **{key: round(float(np.percentile(seconds, percent)) * 1000, 1) for key, percent in PERCENTS.items()},
        }
        for name, seconds in latency.items()
    }


PERCENTS = {"p50_ms": 50, "p99_ms": 99, "max_ms": 100}

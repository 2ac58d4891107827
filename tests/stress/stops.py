"""Ends that come at any moment: of clients that wait, of the service by SIGTERM, and by SIGKILL.

    python -m tests.stress.stops [--times 20] [--short] [--json tests/stress/out/stops.json]

All of it against `llm-dit serve` around a pipeline that writes its runs down. Floors, of 20 each: a client that closes
its connection while its job waits never has it run, and is gone from the queue within 1 s; a SIGTERM while the service
starts, loads, rests, runs a job or has its queue full ends it with 0 within 12 s; a SIGKILL at a random moment in a
stream of jobs loses none that was accepted: after the next start each succeeds, with its seed, and its pictures are
there.
"""

import argparse
import contextlib
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tests.kit.asking import (
    DECOMPOSE,
    HELD,
    RefusedError,
    delete,
    fields_of,
    finished,
    get,
    job,
    post,
    queue,
    ready,
    start,
)
from tests.kit.forks import Process
from tests.kit.report import part, report_parts
from tests.kit.running import STAND_IN, Running, begin, leave, running
from tests.kit.stand_in import LOAD_S, read_runs
from tests.kit.waiting import wait_until

LEAVE_S = 1.0
STOP_S = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--short", action="store_true", help="each once or twice")
    parser.add_argument("--json", type=Path, default=Path("tests/stress/out/stops.json"))
    arguments = parser.parse_args()
    figures = measure(1 if arguments.short else arguments.times)
    return report_parts(arguments.json, figures)


def measure(times: int) -> dict[str, dict[str, Any]]:
    return {"leaving": leaving(times), "sigterm": sigterm(times), "sigkill": sigkill(times)}


# Clients that leave ---------------------------------------------------------------------------------------------------


def leaving(times: int) -> dict[str, Any]:
    """Have clients leave a queue in which they wait behind a long run, then let everything run out."""
    wrong, seconds = list[str](), list[float]()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), program=STAND_IN) as service:
        for seed in range(1, times + 1):
            blocker = start(service, 10_000 + seed, **HELD)
            wait_until(lambda address=blocker: job(service, address)["status"] == "processing")
            seconds.append(leave_queue(service, seed))
            wait_until(lambda: queue(service)["length"] == 0)
            delete(service, blocker)
        # A job that is sent last runs last.
        last = start(service, 20_000)
        wait_until(lambda: job(service, last)["status"] == "succeeded")
        runs, _ = read_runs(service.runs)
    wrong += [f"client {seed} left, and its job ran" for seed in range(1, times + 1) if runs[seed]]
    slow = [f"client {seed} was in the queue for {s:.1f} s" for seed, s in enumerate(seconds, 1) if s > LEAVE_S]
    never = times - sum(bool(runs[seed]) for seed in range(1, times + 1))
    return part(wrong, slow, clients=times, never_started=never, slowest_s=round(max(seconds), 2))


def leave_queue(service: Running, seed: int) -> float:
    """Wait in the queue on a connection, close it, and return the seconds until the queue is empty."""
    leave(service.host, DECOMPOSE, fields_of(seed), lambda: queue(service)["length"] == 1)
    return wait_until(lambda: queue(service)["length"] == 0, "an empty queue")


# SIGTERM --------------------------------------------------------------------------------------------------------------


def sigterm(times: int) -> dict[str, Any]:
    """Stop services in each of their states in turn, at a random moment of it."""
    wrong, slow, seconds = list[str](), list[str](), dict[str, list[float]]()
    states = list(MOMENTS) if times > 1 else ["starting", "queue full"]
    for number in range(max(times, len(states))):
        state = states[number % len(states)]
        with tempfile.TemporaryDirectory() as folder:
            code, took_s = MOMENTS[state](Path(folder))
            seconds.setdefault(state, []).append(took_s)
            if code != 0:
                log = (Path(folder) / "log").read_text()[-1500:]
                wrong.append(f"{state}: code {code} after {took_s:.1f} s\n{log}")
            elif took_s > STOP_S:
                slow.append(f"{state}: {took_s:.1f} s")
    slowest = {state: round(max(took), 2) for state, took in seconds.items()}
    return part(wrong, slow, stops=sum(map(len, seconds.values())), slowest_s=slowest)


def _while_starting(folder: Path) -> tuple[int, float]:
    """Stop a service that has said where it will be, and is not there yet."""
    with (folder / "log").open("wb") as log:
        process = begin(folder, log, program=STAND_IN)
    wait_until(lambda: "The engine is" in (folder / "log").read_text())
    time.sleep(random.uniform(0.01, 0.5))
    return terminate(process)


def _while_loading(folder: Path) -> tuple[int, float]:
    with running(folder, program=STAND_IN, environment={LOAD_S: "60"}) as service:
        start(service, 1)
        time.sleep(random.uniform(0, 1.0))
        return terminate(service.process)


def _while_idle(folder: Path) -> tuple[int, float]:
    with ready(folder) as service:
        time.sleep(random.uniform(0, 1.0))
        return terminate(service.process)


def _while_running(folder: Path) -> tuple[int, float]:
    with ready(folder) as service:
        start(service, 1, prompt=random.choice(["slow", "hang"]), steps=100)
        time.sleep(random.uniform(0, 1.0))
        return terminate(service.process)


def _while_full(folder: Path) -> tuple[int, float]:
    """Somebody waits for the run, somebody for a place behind it, and the rest are kept."""
    with ready(folder) as service:
        waiting = [threading.Thread(target=_wait_for_answer, args=(service, seed)) for seed in range(2)]
        for thread in waiting:
            thread.start()
        wait_until(lambda: queue(service)["length"] == 1)
        for seed in range(2, 9):
            start(service, seed, "slow", 100)
        time.sleep(random.uniform(0, 1.0))
        stopped = terminate(service.process)
        for thread in waiting:
            thread.join()
        return stopped


MOMENTS: dict[str, Callable[[Path], tuple[int, float]]] = {
    "starting": _while_starting,
    "loading": _while_loading,
    "idle": _while_idle,
    "running": _while_running,
    "queue full": _while_full,
}


def terminate(process: Process) -> tuple[int, float]:
    """Send SIGTERM and return the exit code and how long it took."""
    process.send_signal(signal.SIGTERM)
    seconds = wait_until(lambda: process.poll() is not None, "the end of the service")
    return process.wait(), seconds


def _wait_for_answer(service: Running, seed: int) -> None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        post(service, DECOMPOSE, fields_of(seed, "slow", 100))


# SIGKILL --------------------------------------------------------------------------------------------------------------


def sigkill(times: int) -> dict[str, Any]:
    """Kill the service again and again while jobs come in; at its next start all that it had accepted must be done."""
    wrong, seeds = list[str](), count(1)
    accepted: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(times):
            accepted |= _stream_until_killed(folder, seeds)
        with ready(folder, max_finished_jobs="10000") as service:
            for address, seed in accepted.items():
                if problem := _lost(service, address, seed):
                    wrong.append(f"{address}, seed {seed}: {problem}")
            runs, overlaps = read_runs(service.runs)
    again = sum(runs[seed] - 1 for seed in accepted.values() if runs[seed] > 1)
    wrong += [f"{seed} began during another run" for seed in overlaps]
    wrong += [f"seed {seed} ran {runs[seed]} times" for seed in accepted.values() if runs[seed] > 3]
    return part(wrong, kills=times, accepted=len(accepted), ran_again=again)


def _stream_until_killed(folder: Path, seeds: Iterator[int]) -> dict[str, int]:
    """Send jobs one after the other until a SIGKILL at a random moment; return those that were accepted."""
    accepted: dict[str, int] = {}
    with ready(folder, max_finished_jobs="10000") as service:
        # Jobs take 0 to 60 ms, so that the moment may be in a run, between two, in a record or in an answer.
        killer = threading.Timer(random.uniform(0, 2.0), service.process.kill)
        killer.start()
        for seed in seeds:
            try:
                accepted[start(service, seed, prompt=random.choice(["", "slow"]), steps=random.randint(1, 3))] = seed
            except RefusedError:
                time.sleep(0.05)
            except (OSError, ValueError, IndexError):
                break  # killed; a job whose 202 did not arrive may run or not
        killer.join()
        service.process.wait()
    return accepted


def _lost(service: Running, address: str, seed: int) -> str | None:
    """Return what is missing of an accepted job, None when it succeeded with its seed and its pictures are there."""
    end = finished(service, address)
    if end.get("status") != "succeeded":
        return f"{end.get('status')} {end.get('error') or end.get('code')}"
    if end["result"]["seed"] != seed:
        return f"the result is of seed {end['result']['seed']}"
    for layer in end["result"]["layers"]:
        answer = get(service, layer["image"])
        if answer.status != 200 or not answer.body.startswith(b"\x89PNG"):
            return f"{layer['image']}: {answer.status}"
    return None


if __name__ == "__main__":
    sys.exit(main())

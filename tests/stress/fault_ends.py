"""Faults that end the service, and a full disk below it."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tests.kit.asking import DECOMPOSE, EDIT, HELD, fields_of, finished, get, job, post, ready, start
from tests.kit.pictures import png
from tests.kit.running import STAND_IN, Answer, Running, running
from tests.kit.stand_in import LOAD_S
from tests.kit.waiting import wait_until
from tests.stress.fault import Fault, decompose, recover, require, require_refusal, require_within
from tests.stress.stops import STOP_S, terminate

DISK_BYTES = 4_000_000
LEFT_BYTES = 100_000
"""Room for a job's record, and for no picture."""


def service_killed(folder: Path, _time: int) -> float:
    with ready(folder) as service:
        running_job = start(service, 1, **HELD)
        kept = [start(service, seed) for seed in (2, 3)]
        wait_until(lambda: job(service, running_job)["step"] > 0)
        (worker,) = service.workers
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker's end")
    (folder / "go").touch()
    with ready(folder) as service:
        for seed, address in enumerate([running_job, *kept], start=1):
            end = finished(service, address)
            require(end["status"] == "succeeded", f"a job is {end['status']}")
            require(end["result"]["seed"] == seed, "a job has another seed")
        return recover(service, decompose)


def terminated_in_a_run(folder: Path, time: int) -> float:
    """Twice with a run that ends in time, and once with one that does not."""
    prompt, status = ("hang", 503) if time == 2 else ("wait", 200)
    with ready(folder) as service, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(post, service, DECOMPOSE, fields_of(1, prompt))
        wait_until(lambda: job(service, "/api/qwen-image/status")["queue"]["running"] == 1)
        service.process.send_signal(signal.SIGTERM)
        told_s = wait_until(lambda: get(service, "/readyz").status == 503, "/readyz to say so")
        require_refusal(decompose(service), 503, "stopping")
        (folder / "go").touch()
        ended_s = wait_until(lambda: service.process.poll() is not None, "the end")
        require(service.process.returncode == 0, f"it ended with {service.process.returncode}")
        require(waiting.result().status == status, f"who waited got {waiting.result().status}")
        require_within(told_s, 1, "to say so")
        require_within(ended_s, STOP_S, "the end")
    return _start_again(folder)


def terminated_twice(folder: Path, _time: int) -> float:
    with ready(folder, drain_s="100") as service:
        start(service, 1, **HELD)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(service, "/readyz").status == 503, "/readyz to say so")
        code, seconds = terminate(service.process)
        require(code == 0, f"it ended with {code}")
        require_within(seconds, 3, "the end")
    with ready(folder) as service:
        (interrupted,) = json.loads(get(service, "/api/jobs").body)["jobs"]
        require(interrupted["status"] in {"queued", "processing"}, "the job is not taken up again")
    return _start_again(folder / "another")


def terminated_while_loading(folder: Path, _time: int) -> float:
    with running(folder, program=STAND_IN, environment={LOAD_S: "60"}) as service:
        require_refusal(get(service, "/readyz"), 503, "loading")
        code, seconds = terminate(service.process)
        require(code == 0, f"it ended with {code}")
        require_within(seconds, STOP_S, "the end")
    return _start_again(folder)


def _start_again(folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    with ready(folder) as service:
        return recover(service, decompose)


def disk_full(folder: Path, time: int) -> float:
    """Take the room before a picture comes, before a job comes, and all but what a job's record needs."""
    with _small_disk(folder / "disk") as disk, ready(folder, data_dir=str(disk)) as service:
        kept = json.loads(_upload(service, 0).body)["image"]
        with _filled(disk, leaving=LEFT_BYTES if time == 2 else 0):
            if time == 0:
                require_refusal(_upload(service, 1), 503, "disk_full")
            elif time == 1:
                # The database may have room in what it already takes; then the job must be whole.
                answer = post(service, DECOMPOSE, fields_of(1) | {"image": kept})
                require(answer.status == 200 or require_refusal(answer, 503, "disk_full"), "neither")
            else:
                require_refusal(post(service, EDIT, {"image": kept, "instruction": "x"}), 503, "disk_full")
            require(get(service, "/livez").status == get(service, kept).status == 200, "it does not answer")
        require(not list(disk.glob("images/*/*.part")), "a part of a picture is left")
        return recover(service, decompose)


def _upload(service: Running, seed: int) -> Answer:
    noise = np.random.default_rng(seed).integers(0, 256, (400, 400, 4), np.uint8)
    return post(service, "/api/images", png(Image.fromarray(noise, "RGBA")), "Content-Type: image/png")


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], capture_output=True)
    require(done.returncode == 0, "not injected: it needs the right to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def _filled(disk: Path, *, leaving: int) -> Iterator[None]:
    about = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(about.f_bavail * about.f_frsize - leaving))
    try:
        yield
    finally:
        filler.unlink()


FAULTS = [
    Fault(number=9, name="service killed", required="worker ends; jobs go on", inject=service_killed),
    Fault(number=10, name="SIGTERM in a run", required="503 at once, the run's answer, 0", inject=terminated_in_a_run),
    Fault(number=11, name="second SIGTERM", required="0 at once, job kept", inject=terminated_twice),
    Fault(number=12, name="SIGTERM while loading", required="0", inject=terminated_while_loading),
    Fault(number=23, name="disk full", required="503, nothing in parts", inject=disk_full),
]

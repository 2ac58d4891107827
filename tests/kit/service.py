"""A real service in a process of its own, and waiting for what it does."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.kit.hub import Hub
from tests.kit.running import ROOT, ended, workers_of

ADDRESS = re.compile(r"Uvicorn running on (http://\S+)")


@dataclass(frozen=True)
class Service:
    """A running service: its base URL, its process and the folder with its log and data."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "service.log").read_text(errors="replace")

    def worker_pids(self) -> list[int]:
        """Return the processes that run the pipeline."""
        return workers_of(self.process.pid)


def wait_until(
    condition: Callable[[], object], *, timeout_s: float = 120, every_s: float = 0.01, what: str = "the condition"
) -> None:
    """Return as soon as `condition()` is true, which is looked at `every_s`; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s for {what}, which did not come")
        time.sleep(every_s)


def is_ready(url: str) -> bool:
    try:
        # Certificates take longer to read than the answer, and who waits asks often.
        return httpx.get(f"{url}/readyz", timeout=5, verify=False).status_code == 200
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def serve(
    folder: Path, *, app: str = "web.server:app", environment: Mapping[str, str] | None = None, ready: bool = True
) -> Iterator[Service]:
    """Run uvicorn with `app` in a process of its own until the block ends.

    `environment` is what differs from the defaults, such as `{"LLM_DIT_SERVER__MAX_QUEUE": "2"}`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").touch()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLM_DIT_")}
    settings = {"LLM_DIT_CONFIG": str(folder / "config.toml"), "LLM_DIT_SERVER__DATA_DIR": str(folder / "data")}
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                app,
                "--port",
                "0",
                "--timeout-graceful-shutdown",
                "5",
                "--no-proxy-headers",
            ],
            cwd=ROOT,
            env=inherited | settings | dict(environment or {}),
            stdout=log,
            stderr=log,
        )
    with ended(process):
        service = Service(url=_address(process, folder / "service.log"), process=process, folder=folder)
        if ready:
            wait_until(lambda: is_ready(service.url), what="/readyz")
        yield service


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def started() -> bool:
        if process.poll() is not None:
            pytest.fail(f"the service did not start:\n{log.read_text(errors='replace')}")
        return ADDRESS.search(log.read_text(errors="replace")) is not None

    wait_until(started, what="uvicorn's address")
    match = ADDRESS.search(log.read_text(errors="replace"))
    assert match is not None
    return match[1]


def qwen_environment(checkpoints: Path, **more: str) -> dict[str, str]:
    """Return the settings of a service that runs the Qwen engine on tiny checkpoints; the edit model loads lazily."""
    return {
        "LLM_DIT_ENGINE": "qwen",
        "LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(checkpoints / "layered"),
        "LLM_DIT_QWEN_IMAGE__EDIT_MODEL_PATH": str(checkpoints / "edit"),
        "LLM_DIT_QWEN_IMAGE__DEVICE": "cpu",
        "LLM_DIT_QWEN_IMAGE__NUM_INFERENCE_STEPS": "6",
        "OMP_NUM_THREADS": "1",  # models this small are slower on two threads than on one
        **more,
    }


def downloading_environment(checkpoints: Path, hub: Hub, folder: Path) -> dict[str, str]:
    """Return the settings of a Qwen service that downloads its edit model from `hub` into `folder`."""
    more = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
    return qwen_environment(checkpoints, LLM_DIT_QWEN_IMAGE__EDIT_MODEL_PATH="", **more)

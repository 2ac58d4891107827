"""A real service in a process of its own."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.forks import ROOT, Process, begin
from tests.kit.hub import Hub
from tests.kit.running import ended, workers_of
from tests.kit.waiting import PATIENCE_S, wait_until

ADDRESS = re.compile(r"Uvicorn running on (http://\S+)")
RUNNING: "list[Service]" = []
"""The services that run now: the report of a test that fails shows what they wrote."""
OWN_PIPELINE = {"TEST_PIPELINE": ""}
"""The environment in which `tests.kit.app` runs the pipeline that its settings choose."""
QUARTER = {"TEST_PIPELINE": "", "TEST_QUARTER": "tests.kit.quarter:pipeline"}
"""The same for the Qwen engine, whose models then work at a quarter of their width and height."""
QUARTER_IMAGES = QUARTER | {"TEST_QUARTER": "tests.kit.images_server:pipeline"}
"""The same for the engine that is a server of `tests.kit.images_server`."""


@dataclass(frozen=True)
class Service:
    """A running service: its base URL, its process and the folder with its log and data."""

    url: str
    process: Process
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "service.log").read_text(errors="replace")

    def worker_pids(self) -> list[int]:
        """Return the processes that run the pipeline."""
        return workers_of(self.process.pid)

    def connect(self) -> httpx.Client:
        return connect(self.url)

    def get(self, path: str, **how: Any) -> httpx.Response:
        """Ask for one thing, over a connection of its own."""
        with self.connect() as client:
            return client.get(path, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        """Send one thing, over a connection of its own."""
        with self.connect() as client:
            return client.post(path, **how)


def connect(url: str) -> httpx.Client:
    """Return a client that waits for an answer as long as it takes."""
    # To read certificates takes the time of twenty requests, and no service of the tests has one.
    return httpx.Client(base_url=url, timeout=PATIENCE_S, verify=False)


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
    settings = {
        "LLM_DIT_CONFIG": str(folder / "config.toml"),
        "LLM_DIT_SERVER__DATA_DIR": str(folder / "data"),
        "LLM_DIT_SERVER__DRAIN_S": "0",  # what still runs when its test is over is of no interest
    }
    log = folder / "service.log"
    log.unlink(missing_ok=True)
    process = begin(
        "uvicorn",
        # `llm-dit serve` uses h11, too; where httptools is installed, as with the extra `ray`, uvicorn would prefer it.
        [app, "--port", "0", "--timeout-graceful-shutdown", "5", "--no-proxy-headers", "--http", "h11"],
        cwd=ROOT,
        environment=inherited | settings | dict(environment or {}),
        out=log,
    )
    with ended(process):
        service = Service(url=_address(process, log), process=process, folder=folder)
        if ready:
            token = (environment or {}).get("LLM_DIT_SERVER__TOKEN")
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            wait_until(lambda: service.get("/readyz", headers=headers).status_code == 200, "/readyz")
        RUNNING.append(service)
        try:
            yield service
        finally:
            RUNNING.remove(service)


def _address(process: Process, log: Path) -> str:
    def printed() -> re.Match[str] | None:
        return ADDRESS.search(log.read_text(errors="replace")) if log.exists() else None

    wait_until(lambda: process.poll() is not None or printed(), "uvicorn's address")
    if (match := printed()) is None:
        pytest.fail(f"the service did not start:\n{log.read_text(errors='replace')}")
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

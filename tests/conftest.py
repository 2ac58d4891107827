"""A real service on a free loopback port, for every test that speaks HTTP or drives a browser."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from tests.qwen.hub import Hub

LONGEST = ("browser/test_qwen.py", "qwen/", "browser/", "test_scenes.py", "editing/", "web/")
"""What takes long, the longest first: begun last, it would have one process work while the others wait."""

# Continuous integration runs the same examples each time; who develops looks at new ones.
settings.register_profile("house", derandomize=bool(os.environ.get("CI")), deadline=None)
settings.load_profile("house")

ROOT = Path(__file__).parents[1]
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
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"server.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until(
    condition: Callable[[], object], *, timeout_s: float = 120, every_s: float = 0.01, what: str = "the condition"
) -> None:
    """Return as soon as `condition()` is true, which is looked at `every_s`; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s in vain for {what}")
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


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process after the block, however that ends."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    def started() -> bool:
        if process.poll() is not None:
            pytest.fail(f"the service did not start:\n{log.read_text(errors='replace')}")
        return ADDRESS.search(log.read_text(errors="replace")) is not None

    wait_until(started, what="uvicorn's address")
    match = ADDRESS.search(log.read_text(errors="replace"))
    assert match is not None
    return match[1]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as users start it, shared by all tests that leave it as they found it."""
    with serve(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def base_url(service: Service) -> str:
    return service.url


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds `layered` and `edit`, tiny checkpoints of both Qwen models."""
    from tests.qwen.checkpoints import write_checkpoints  # torch is not for every test

    return write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


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


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services of one's own: `start_service(app=…, environment={…})`; all are stopped after the test."""
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def start(**options: object) -> Service:
            return stack.enter_context(serve(tmp_path / str(next(count)), **options))  # type: ignore[arg-type]

        yield start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [not item.nodeid.startswith(f"tests/{start}") for start in LONGEST])

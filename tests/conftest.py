"""A real service on a free loopback port, for every test that speaks HTTP or drives a browser."""

import contextlib
import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.kit.hub import Hub
from tests.kit.hub import serve as serve_hub
from tests.kit.service import QUARTER, RUNNING, Service, downloading_environment, qwen_environment, serve

LONGEST = (
    *("server/test_protocol.py", "qwen/test_service.py", "browser/test_qwen.py", "browser/", "test_classical_"),
    *("editing/", "test_scenes.py", "test_docs.py", "web/"),
)
"""What takes long, the longest first: begun last, it would have one process work while the others wait. The connections
of the first one wait for their ends most of the time, and leave the processor to all others. The second one looks at
the service of the Qwen engine before the page has it load its edit model."""

# Continuous integration runs the same examples each time, and more of them; who develops looks at new ones.
ON_CI = bool(os.environ.get("CI"))
settings.register_profile("house", derandomize=ON_CI, deadline=None, max_examples=100 if ON_CI else 30)
settings.load_profile("house")


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
    from tests.kit.checkpoints import write_checkpoints  # torch is not for every test

    return write_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def hub(checkpoints: Path) -> Iterator[Hub]:
    """A hub that has the edit model."""
    from llm_dit.qwen.loading.checkpoints import EDIT_MODEL

    with serve_hub({EDIT_MODEL: checkpoints / "edit"}) as hub:
        yield hub


@pytest.fixture(scope="session")
def qwen(checkpoints: Path, hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of the Qwen engine, with a LoRA `style` that is off; its first edit downloads the edit model."""
    from tests.kit.checkpoints import write_lora

    folder = tmp_path_factory.mktemp("qwen")
    lora = write_lora(folder / "style.safetensors", checkpoints / "layered")
    environment = downloading_environment(checkpoints, hub, folder) | QUARTER
    environment |= {"LLM_DIT_QWEN_IMAGE__LORAS": f"{lora}:0"}
    with serve(folder, app="tests.kit.app:kept", environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def newer_edit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of Qwen-Image-2.1."""
    from tests.kit.checkpoints import write_checkpoint_21

    return write_checkpoint_21(tmp_path_factory.mktemp("newer") / "edit")


@pytest.fixture(scope="session")
def transparent(checkpoints: Path, newer_edit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has an edit model alone, one that draws transparency itself."""
    only = {"LLM_DIT_QWEN_IMAGE__EDIT_MODEL_PATH": str(newer_edit), "LLM_DIT_QWEN_IMAGE__EDIT_ONLY": "true"}
    environment = qwen_environment(checkpoints, **only) | QUARTER
    del environment["LLM_DIT_QWEN_IMAGE__NUM_INFERENCE_STEPS"]
    with serve(tmp_path_factory.mktemp("transparent"), app="tests.kit.app:kept", environment=environment) as running:
        yield running


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services of one's own: `start_service(app=…, environment={…})`; all are stopped after the test."""
    with contextlib.ExitStack() as stack:
        count = iter(range(100))

        def start(**options: object) -> Service:
            return stack.enter_context(serve(tmp_path / str(next(count)), **options))  # type: ignore[arg-type]

        yield start


LAST_LINES = 60
"""So many lines of a service's log show in the report of a test that failed."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for service in RUNNING:
            # That a file of the page was sent says nothing.
            lines = [line for line in service.log.splitlines() if "route=/static/" not in line][-LAST_LINES:]
            report.sections.append((f"log of {service.url}", "\n".join(lines)))
    return report


# What is imported stays. To search it for garbage takes a fifth of torch's import, and 0.3 s of each later search.
gc.disable()


def pytest_sessionstart() -> None:
    """The folders that were named have imported what they need."""
    gc.freeze()
    gc.enable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [not item.nodeid.startswith(f"tests/{start}") for start in LONGEST])

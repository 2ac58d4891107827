"""The service around a pipeline that does as it is told."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.service import Service, serve


@pytest.fixture(scope="session")
def stepping_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with `StepPipeline`, shared by the tests of this folder, which may speak as a proxy."""
    environment = {"LLM_DIT_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    with serve(tmp_path_factory.mktemp("stepping"), app="tests.kit.app:app", environment=environment) as running:
        yield running


@pytest.fixture
def client(stepping_service: Service) -> Iterator[httpx.Client]:
    with stepping_service.connect() as client:
        yield client


@pytest.fixture
def go(stepping_service: Service) -> Iterator[Path]:
    """The file that lets those jobs of `stepping_service` go on that wait."""
    file = stepping_service.folder / "go"
    yield file
    file.unlink(missing_ok=True)

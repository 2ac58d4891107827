"""Every test of this folder has the mark `stress`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.service import Service, serve


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("stress")


@pytest.fixture(scope="session")
def stepping_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service around `StepPipeline`."""
    with serve(tmp_path_factory.mktemp("stepping"), app="tests.kit.app:app") as running:
        yield running


@pytest.fixture
def client(stepping_service: Service) -> Iterator[httpx.Client]:
    with stepping_service.connect() as client:
        yield client

"""The service around a pipeline that does as it is told."""

from collections.abc import Iterator

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
    with httpx.Client(base_url=stepping_service.url, timeout=30) as client:
        yield client

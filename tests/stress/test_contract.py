"""The contract of `tests.kit.contract`, kept by services that have others do their runs."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.kit.contract import CONTRACT
from tests.kit.service import OWN_PIPELINE, Service, serve


@pytest.fixture(scope="module", params=[1, 2])
def front(request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service in front of one with the classical engine, or of one in front of that one."""
    with contextlib.ExitStack() as stack:
        last = service
        for _ in range(request.param):
            environment = {"LLM_DIT_ENGINE": "remote", "LLM_DIT_REMOTE__URL": last.url, **OWN_PIPELINE}
            last = stack.enter_context(serve(tmp_path_factory.mktemp("front"), environment=environment))
        yield last.url


@pytest.mark.parametrize("holds", CONTRACT)
def test_a_service_in_front_of_another_keeps_the_contract(holds: Callable[[str], None], front: str) -> None:
    holds(front)

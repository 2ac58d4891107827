"""The contract of `tests.kit.contract`, kept by a service with an engine of its own."""

from collections.abc import Callable

import pytest

from tests.kit.contract import CONTRACT, STEPPING
from tests.kit.service import Service


@pytest.mark.parametrize("holds", CONTRACT)
def test_a_service_keeps_the_contract(holds: Callable[[str], None], base_url: str) -> None:
    holds(base_url)


@pytest.mark.parametrize("holds", STEPPING)
def test_a_service_tells_what_its_pipeline_does(holds: Callable[[str], None], stepping_service: Service) -> None:
    holds(stepping_service.url)

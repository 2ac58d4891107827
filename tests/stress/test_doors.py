"""Names, origins, tokens and slow connections, with less time for the slow ones than `doors.py` gives them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.running import Running, running
from tests.stress import doors
from tests.stress.door_cases import ALLOWED_HOST


@pytest.fixture(scope="module")
def open_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("open"), allowed_hosts=ALLOWED_HOST, client_timeout_s="2") as service:
        yield service


def test_only_names_of_the_service_are_answered(open_service: Running) -> None:
    figures = doors.hosts(open_service)
    assert figures["wrong"] == []
    assert (figures["right"], figures["refused"]) == (6, 25)


def test_no_other_site_changes_anything(open_service: Running) -> None:
    figures = doors.origins(open_service)
    assert figures["wrong"] == []
    assert figures["refused"] == 128


def test_slow_connections_are_closed_and_hold_nobody_up(open_service: Running) -> None:
    figures = doors.slow_sockets(open_service, 40, timeout_s=2)
    assert figures["wrong"] == []
    assert figures["asked"] > 10
    assert min(figures["slowest_s"].values()) > 1.5


def test_no_address_answers_without_the_token(tmp_path: Path) -> None:
    with running(tmp_path, token=doors.TOKEN) as service:
        figures = doors.tokenless(service)
        assert figures["wrong"] == []
        assert figures["nothing"] > 200
        assert doors.TOKEN not in (tmp_path / "log").read_text()

"""Which connection gives way, and what the log says when there are no files left."""

import asyncio
import errno
import logging
from dataclasses import dataclass

import pytest

from cli.serving import LoopErrors, first_to_go


@dataclass(eq=False)
class Held:
    heard: float
    at_work: bool = False
    address: str = "10.0.0.1"


def test_silent_ones_go_first_and_of_them_those_of_the_client_with_most() -> None:
    honest = Held(0, address="10.0.0.9")
    flood = [Held(heard) for heard in (3, 1, 2)]
    working = [Held(heard, at_work=True) for heard in (0.2, 0.1)]
    assert first_to_go([honest, *working, *flood]) is flood[1]
    assert first_to_go([honest, *working]) is honest
    assert first_to_go(working) is working[1]
    assert first_to_go([]) is None


def test_a_full_table_of_files_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    loop, handler = asyncio.new_event_loop(), LoopErrors()
    for _ in range(100):
        handler(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "too many")})
    assert len(caplog.records) == 1
    with caplog.at_level(logging.ERROR):
        handler(loop, {"message": "something else", "exception": ValueError()})
    assert len(caplog.records) == 2
    loop.close()

"""Several clients at once, and mixed traffic: a glimpse of what `make stress` does for long."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.kit.asking import DECOMPOSE, fields_of, post, ready
from tests.stress import load, soak


@pytest.mark.slow
def test_each_client_of_a_small_crowd_gets_one_answer(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as pool, ready(tmp_path, fork=True, max_queue="2") as service:
        post(service, DECOMPOSE, fields_of(2 * load.RETRIED))
        figures = load.one_answer_each(service, pool, 4, 3)
    assert figures["wrong"] == []
    assert sum(figures["ended_in"].values()) == 12


@pytest.mark.slow
def test_mixed_traffic_gets_what_it_should() -> None:
    traffic, _ = soak.mix(seconds=2, every_s=0.5, fork=True)
    assert traffic["wrong"] == []
    assert sum(count for count in traffic.values() if isinstance(count, int)) > 4

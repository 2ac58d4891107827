"""Several clients at once, and mixed traffic: a glimpse of what `make stress` does for long."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.kit.asking import DECOMPOSE, fields_of, post, ready
from tests.stress import load, soak


def test_each_client_of_a_small_crowd_gets_one_answer(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as pool, ready(tmp_path, max_queue="2") as service:
        post(service, DECOMPOSE, fields_of(2 * load.RETRIED))
        figures = load.one_answer_each(service, pool, 4, 3)
    # How fast is for a quiet machine.
    assert [case for case in figures["wrong"] if "p99" not in case] == []
    assert sum(figures["ended_in"].values()) == 12


def test_mixed_traffic_gets_what_it_should() -> None:
    traffic = soak.measure(seconds=2, every_s=0.5)["traffic"]
    assert traffic["wrong"] == []

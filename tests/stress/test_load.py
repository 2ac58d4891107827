"""A crowd of few clients: one answer each, one run at a time, nobody held up."""

from tests.stress import load


def test_a_crowd_is_served_one_by_one() -> None:
    figures = load.measure(short=True)
    assert {name: part["wrong"] for name, part in figures.items() if part["wrong"]} == {}
    # Whether the queue of 3 is ever full depends on how fast the crowd comes; `full_queue` fills it.
    ended = figures["without_retries"]["ended_in"]
    assert 200 in ended and ended.keys() <= {200, 503} and sum(ended.values()) == 40
    assert figures["with_retries"]["ended_in"] == {200: 40}

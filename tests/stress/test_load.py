"""A crowd of few clients: one answer each, one run at a time, nobody held up."""

from tests.stress import load


def test_a_crowd_is_served_one_by_one() -> None:
    figures = load.measure(short=True)
    # How fast is for the benchmark on a quiet machine.
    clocked = ("p99", "waited")
    wrong = {
        name: [case for case in part["wrong"] if not any(word in case for word in clocked)]
        for name, part in figures.items()
    }
    assert wrong == {name: [] for name in figures}
    assert figures["without_retries"]["ended_in"].keys() == {200, 503}
    assert figures["with_retries"]["ended_in"] == {200: 40}

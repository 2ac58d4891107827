"""The figure of `benchmarks/alpha_edits.py` in short: one pair of each kind."""

from benchmarks.alpha_edits import Outcome, measure_pair, summarize


def test_edits_are_at_least_twice_as_true_as_other_ways() -> None:
    # Shifted and zoomed, on a ground that is kept and one that is graded.
    outcomes: list[Outcome] = [measure_pair(index) for index in (24, 33)]
    figures = summarize(outcomes, [])
    assert figures["all"]["all"]["to_raw"] <= 0.25
    assert figures["all"]["all"]["to_green"] <= 0.25
    assert figures["identity"]["worst"] <= 1

"""Edits of known truth: small pictures, every kind of layer on every ground."""

import pytest

from tests.kit.edits.alpha_figures import summarize, summarize_shapes
from tests.kit.edits.alpha_pairs import Scale, measure_pair, measure_shape_pair

SHORT = Scale(area=320 * 320, max_shift_px=5.0, longest_px=(200, 500))
# Every kind of layer, two of them on the ground that a model paints again.
PAIRS = (*range(0, 18, 2), 20, 26)


@pytest.mark.slow
def test_edits_are_at_least_twice_as_true_as_other_ways() -> None:
    figures = summarize([measure_pair(index, SHORT) for index in PAIRS])
    assert figures["all"]["all"]["to_raw"] <= 0.25
    assert figures["all"]["all"]["to_green"] <= 0.25
    assert max(figures["worst_kind"].values()) <= 0.5
    assert figures["unmoved"]["identity_max_shift_px"] < 0.5
    assert figures["unmoved"]["identity_max_error"] <= 1
    registration = figures["registration"]["all"]
    assert registration["found"] >= 0.7
    assert registration["px_median"] <= 0.1 and registration["%_median"] <= 0.05


@pytest.mark.slow
def test_new_shapes_are_at_least_twice_as_true_as_a_green_key() -> None:
    figures = summarize_shapes([measure_shape_pair(index, SHORT) for index in range(0, 36, 4)])
    assert figures["ratio_to_better"] <= 0.5

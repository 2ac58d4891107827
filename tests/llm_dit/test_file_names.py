"""One rule for the names of files, in Python and on the page, and for names that are too long."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_dit.names import MAX_NAME, file_stem, shortened

EXAMPLES = json.loads((Path(__file__).parents[1] / "file_names.json").read_text())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: ascii(example["name"][:20]))
def test_a_name_makes_the_stem_of_a_file(example: dict[str, str]) -> None:
    assert file_stem(example["name"], "layer") == example["stem"]


@given(st.text(max_size=300))
def test_every_stem_is_one_that_every_system_takes(name: str) -> None:
    stem = file_stem(name, "layer")
    assert 0 < len(stem.encode()) <= 150 and stem.strip(" .") == stem
    assert not set(stem) & set('/\\:*?"<>|') and file_stem(stem, "other") == stem


@given(st.text(min_size=190, max_size=400))
def test_a_name_is_shortened_to_what_fits(name: str) -> None:
    short = shortened(name)
    assert len(short) <= MAX_NAME and shortened(short) == short
    assert short == name if len(name) <= MAX_NAME else short.endswith("…") and name.startswith(short[:-1])


def test_no_sign_is_cut_in_two() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert shortened("a" * 196 + family) == "a" * 196 + "…"
    assert shortened("a" * 197 + "e\u0301\u0323\u0308") == "a" * 197 + "…"
    assert shortened("a" * 300) == "a" * 199 + "…"

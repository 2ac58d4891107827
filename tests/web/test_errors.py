"""Every error of the library and the service has a status and one shape."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import get_args

import pytest
from pydantic import TypeAdapter

from llm_dit.classical.operations import Reason, refusal
from llm_dit.errors import (
    DeviceLostError,
    DiskFullError,
    EditOnlyError,
    InputError,
    InstructionError,
    LLMDiTError,
    WeightsError,
)
from server.errors import Failure, NotFoundError, QueueFullError, SettingsError, WorkerLostError
from tests.kit.forks import ROOT
from web.errors import STATUS, error_body, retry_after_s, status_of


def errors(base: type[LLMDiTError] = LLMDiTError) -> Iterator[type[LLMDiTError]]:
    for error in base.__subclasses__():
        yield error
        yield from errors(error)


# Only the start raises SettingsError, where no client is.
CLASSES = [error for error in errors() if error is not SettingsError]


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_has_a_status_of_its_kind(error_class: type[LLMDiTError]) -> None:
    assert any(ancestor in STATUS for ancestor in error_class.__mro__ if ancestor is not LLMDiTError)


def test_codes_are_told_apart() -> None:
    codes = [error.code for error in CLASSES]
    assert len(codes) == len(set(codes))


def test_what_another_try_will_not_change_does_not_ask_for_one() -> None:
    assert status_of(EditOnlyError("x")) == 409


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        (QueueFullError("x", retry_after_s=17), 17),
        (DeviceLostError("x"), 5),
        (DiskFullError("x"), 5),
        (WorkerLostError("x"), 5),
        (WeightsError("x"), 60),
    ],
)
def test_a_503_says_when_another_try_may_help(error: LLMDiTError, wait_s: int) -> None:
    assert status_of(error) == 503
    assert retry_after_s(error) == wait_s


def test_every_503_is_in_the_documentation() -> None:
    page = (ROOT / "docs/operating.md").read_text()
    unavailable = [
        error.code for error in CLASSES if next(STATUS[base] for base in error.__mro__ if base in STATUS) == 503
    ]
    assert len(unavailable) > 10
    assert [code for code in (*unavailable, "loading") if f"| `{code}` |" not in page] == []


def test_python_names_become_those_of_http() -> None:
    error = NotFoundError("x")
    assert (status_of(error), error_body(error).type) == (404, "invalid_request_error")
    assert error_body(InputError("x", param="num_inference_steps")).param == "steps"
    assert error_body(InputError("x", param="layer_image")).param == "image"


def test_why_an_instruction_is_refused_travels_to_the_client() -> None:
    error = refusal("unclear_part", "zh", part="屋顶")
    stored = TypeAdapter(Failure).validate_json(json.dumps(asdict(Failure.of(error)))).error()
    body = error_body(stored).model_dump()
    assert body["hint"] == {"reason": "unclear_part", "way": "select", "part": "屋顶"}
    assert body["message"] == error.message
    assert "hint" not in error_body(InstructionError("x")).model_dump()


def test_every_reason_of_a_refusal_is_in_the_documentation_with_its_way() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    for reason in get_args(Reason):
        way = refusal(reason, part="x", most=1, count=1).hint.get("way")
        named = f'`"{way}"`' if way else "`null`"
        assert any(named in row and f"`{reason}`" in row for row in page.splitlines() if row.startswith("| `")), reason

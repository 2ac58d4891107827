"""Every error of the library and the service has a status and one shape."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
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
from web.errors import CODES, STATUS, error_body, retry_after_s, status_of


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


def answered(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the code and status of each problem that a module answers with by itself."""
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"_problem", "_refused", "problem_response"}:
            constants = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
            codes = [each for each in constants if isinstance(each, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", each)]
            statuses = [each for each in constants if isinstance(each, int)]
            yield from ((code, statuses[0]) for code in codes if code != "request_id")


def test_every_code_is_explained_with_its_status() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| .+ \| .+ \|$", page, re.MULTILINE)
    found = {("loading", 503), *((code, status) for status, code in CODES.items())}
    found |= {(error.code, next(STATUS[base] for base in error.__mro__ if base in STATUS)) for error in CLASSES}
    for file in [*(ROOT / "web").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        found |= set(answered(file))
    assert {"token_missing", "too_many_attempts", "invalid_request", "cross_origin"} <= {code for code, _ in found}
    assert sorted((code, int(status)) for code, status in rows) == sorted(found)


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

"""The HTTP status and body of every error.

A response never contains an exception's own text, a path, or the client's data.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from llm_dit.errors import (
    EditOnlyError,
    EngineError,
    InputError,
    InstructionError,
    LLMDiTError,
    NonFiniteOutputError,
    ServiceError,
)
from llm_dit.options import LayerNum, bounds, http_name
from server.errors import (
    DamagedError,
    JobCanceledError,
    NotFoundError,
    PipelineError,
    ProjectChangedError,
    QueueFullError,
    QuotaError,
    StoppingError,
    StorageError,
    TaskError,
    TaskLostError,
    WorkerLostError,
)
from web.bodies.large_json import LongText

# The body of every error: `application/problem+json` (RFC 9457) with an additional `error` member as OpenAI has it.

CODES = {
    400: "invalid_json",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    500: "internal_error",
    503: "busy",
}
"""The codes of problems that have only a status."""

EXAMPLE: dict[str, Any] = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": f"layer_num must be less than or equal to {bounds(LayerNum)[1]}.",
    "code": "invalid_input",
    "request_id": "9f86d081884c7d65",
    "error": {
        "message": f"layer_num must be less than or equal to {bounds(LayerNum)[1]}.",
        "type": "invalid_request_error",
        "code": "invalid_input",
        "param": "layer_num",
    },
}


class Hint(BaseModel):
    """Why an instruction was refused, for programs."""

    reason: str = Field(description="Stable name of the reason, such as `unclear_part`.")
    way: str | None = Field(description="The alternative: `select`, `new_shape`, `resize`, …; null if there is none.")
    part: str | None = Field(description="The words of the instruction in question, as written.")


class ErrorBody(BaseModel):
    """The same failure in OpenAI's format."""

    message: str
    type: str = Field(
        description="`invalid_request_error`, `authentication_error`, `permission_error` or `server_error`."
    )
    code: str = Field(description="Stable name of the failure.")
    param: str | None = Field(description="The invalid field.")
    hint: Hint | None = Field(
        default=None, exclude_if=lambda hint: hint is None, description="Only with `unsupported_instruction`."
    )


class Problem(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """The body of every response with status 400 or above."""

    media_type: ClassVar[str] = "application/problem+json"

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do, in a sentence.")
    code: str
    request_id: str = Field(description="Also in the header X-Request-ID and in the server's log.")
    error: ErrorBody


def problem_response(
    request_id: str,
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    hint: Hint | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    code = code or CODES.get(status, "error")
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        code=code,
        request_id=request_id,
        error=ErrorBody(message=message, type=error_type(status), code=code, param=param, hint=hint),
    )
    return Response(problem.model_dump_json(), status, headers, media_type=Problem.media_type)


def error_type(status: int) -> str:
    """Return OpenAI's type of an error with this status."""
    named = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return named.get(status, "invalid_request_error" if status < 500 else "server_error")


def internal_error(request_id: str) -> Response:
    return problem_response(request_id, 500, f"The server failed: its log has the details under {request_id}.")


REASONS = {
    400: "The body is not valid JSON.",
    404: "Not found.",
    409: "The awaited job was canceled, or the project was changed elsewhere.",
    413: "The body is too large.",
    415: "Wrong Content-Type for this address.",
    422: "A field or an image is invalid; `param` names it, `detail` says what to send instead.",
    429: "The queue is full; `Retry-After` says when to retry.",
    503: "The queue is full, the engine cannot run, or its process ended; `Retry-After` says when to retry.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses for a route's `responses`."""
    return {status: {"model": Problem, "description": REASONS[status]} for status in statuses}


# Patterns of text in requests; `_FORMS` describes each.
NOT_BLANK = r"\S"
HEX_COLOR = r"^#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})$"
VISIBLE_ASCII = r"^[!-~]+$"
SIZE = r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$"
IMAGE_ADDRESS = r"^/api/images/[0-9a-f]{64}\.png$"


STATUS: Mapping[type[LLMDiTError], int] = {
    InputError: 422,
    EngineError: 503,
    ServiceError: 503,
    EditOnlyError: 409,
    NotFoundError: 404,
    QuotaError: 409,
    DamagedError: 503,
    StorageError: 503,
    QueueFullError: 503,
    StoppingError: 503,
    TaskError: 422,
    TaskLostError: 503,
    JobCanceledError: 409,
    ProjectChangedError: 409,
    WorkerLostError: 503,
    NonFiniteOutputError: 500,
    PipelineError: 500,
    LLMDiTError: 500,
}
RETRY_AFTER_S = 5
"""Retry-After of a 503 from which the service recovers by itself."""
REPAIR_AFTER_S = 60
"""Retry-After of a 503 that somebody has to fix."""

OPENAI = "/v1/"
"""The addresses of OpenAI's API, whose clients know a full queue as the status 429."""
AGAIN = frozenset({409, 500, 503})
"""Statuses after which OpenAI's clients send a request again, unless `X-Should-Retry` says that it is of no use."""

_MESSAGES = {
    400: "The request cannot be read: send valid JSON.",
    404: "There is nothing at this address: /docs lists the addresses.",
    405: "This address does not support this method: see the Allow header.",
}
_FORMS = {
    NOT_BLANK: "must not be blank",
    HEX_COLOR: "must be a color as #rrggbb or #rrggbbaa",
    SIZE: "must be auto or WIDTHxHEIGHT in pixels, such as 640x480",
    IMAGE_ADDRESS: "must be the address /api/images/….png of a picture on this server",
    VISIBLE_ASCII: "must be visible ASCII characters without spaces",
}
_SUBJECT = re.compile(r"^(Input|List|String|Value) should")
_PRINTABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class UnsupportedMediaTypeError(HTTPException):
    def __init__(self, wanted: str) -> None:
        super().__init__(415, f"Send this request with the header Content-Type: {wanted}.")


class BodyTooLargeError(HTTPException):
    def __init__(self, limit: int) -> None:
        most = f"{limit / 1024 / 1024:g} MB" if limit >= 1024 * 1024 else f"{limit / 1024:g} kB"
        super().__init__(413, f"The request's body is larger than {most}, the limit of this address.")


class BusyError(HTTPException):
    def __init__(self) -> None:
        message = "The server is busy receiving other requests: try again in 5 s."
        super().__init__(503, message, {"Connection": "close", "Retry-After": str(RETRY_AFTER_S)})


class BodyTooSlowError(HTTPException):
    def __init__(self, timeout_s: float) -> None:
        message = f"The request's body paused for {timeout_s:g} s or arrived at less than 32 kB/s: send it again."
        super().__init__(408, message, {"Connection": "close"})


def error_body(error: LLMDiTError) -> ErrorBody:
    """Return an error as a job's `error` has it."""
    param = error.param if isinstance(error, InputError) else None
    return ErrorBody(
        message=error.message,
        type=error_type(status_of(error)),
        code=error.code,
        param=param and http_name(param),
        hint=_hint(error),
    )


def _hint(error: LLMDiTError) -> Hint | None:
    if not isinstance(error, InstructionError) or not error.hint:
        return None
    return Hint(reason=error.hint["reason"], way=error.hint.get("way"), part=error.hint.get("part"))


def status_of(error: LLMDiTError) -> int:
    return next(STATUS[ancestor] for ancestor in type(error).__mro__ if ancestor in STATUS)


def retry_after_s(error: LLMDiTError) -> int:
    """Return the Retry-After seconds of an error with status 503."""
    if isinstance(error, QueueFullError):
        return error.retry_after_s
    return RETRY_AFTER_S if error.temporary else REPAIR_AFTER_S


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(LLMDiTError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LLMDiTError)
    status, body = status_of(error), error_body(error)
    if isinstance(error, QueueFullError) and request.scope["path"].startswith(OPENAI):
        status = HTTPStatus.TOO_MANY_REQUESTS
    headers: dict[str, str] = {}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers["Retry-After"] = str(retry_after_s(error))
    if status in AGAIN and not error.temporary:
        headers["X-Should-Retry"] = "false"
    return problem_response(
        request.state.request_id,
        status,
        body.message,
        code=body.code,
        param=body.param,
        hint=body.hint,
        headers=headers,
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    own = error.detail != HTTPStatus(error.status_code).phrase
    message = error.detail if own else _MESSAGES.get(error.status_code, error.detail)
    return problem_response(request.state.request_id, error.status_code, message, headers=error.headers)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = cast(Sequence[Mapping[str, Any]], error.errors())
    sentences = dict.fromkeys(_sentence(problem) for problem in problems[:3])
    if len(problems) > 3:
        sentences[f"and {len(problems) - 3} more"] = None
    return problem_response(
        request.state.request_id, 422, "; ".join(sentences) + ".", code="invalid_input", param=_param(problems[0])
    )


def _param(problem: Mapping[str, Any]) -> str | None:
    """Return the path of an invalid value, such as `layers.0.image`; None if the name is not printable."""
    name = ".".join(str(part) for part in problem["loc"][1:])
    return name if _PRINTABLE_NAME.fullmatch(name) else None


def _sentence(problem: Mapping[str, Any]) -> str:
    """Return pydantic's message as a sentence that says what is accepted; it never contains the value."""
    name = _param(problem) or ("the body" if len(problem["loc"]) < 2 else "a field")
    match problem["type"]:
        case "missing":
            return f"{name} is missing"
        case _ if isinstance(problem.get("input"), LongText):
            return f"{name} is too long"
        case "extra_forbidden" if name == "layer_image":
            return "layer_image is another name for image: send one of them"
        case "extra_forbidden":
            return f"{name} is unknown: /docs lists the fields"
        case "too_short":
            return f"{name} must have at least {problem['ctx']['min_length']} item"
        case "model_attributes_type" | "model_type" | "dict_type":
            return f"{name} must be a JSON object"
        case "string_pattern_mismatch":
            return f"{name} {_FORMS[problem['ctx']['pattern']]}"
        case _:
            message = str(problem["msg"]).removeprefix("Value error, ")
            return f"{name} {_SUBJECT.sub('must', message)}"

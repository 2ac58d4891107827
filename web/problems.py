"""The shape of every refusal: `application/problem+json` (RFC 9457) with OpenAI's `error` member beside it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from pydantic import BaseModel, Field
from starlette.responses import Response

from llm_dit.options import LayerNum, bounds

_CODES = {
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


class ErrorBody(BaseModel):
    """The same failure as OpenAI's clients read it."""

    message: str
    type: str = Field(description="`invalid_request_error`, or `server_error` from status 500 on.")
    code: str = Field(description="Stable name of the failure.")
    param: str | None = Field(description="The field that is not valid.")


class Problem(BaseModel, json_schema_extra={"examples": [EXAMPLE]}):
    """What every answer with a status from 400 on holds."""

    media_type: ClassVar[str] = "application/problem+json"

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What is wrong and what would do, in a sentence.")
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
    headers: Mapping[str, str] | None = None,
) -> Response:
    code = code or _CODES.get(status, "error")
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        code=code,
        request_id=request_id,
        error=ErrorBody(message=message, type=error_type(status), code=code, param=param),
    )
    return Response(problem.model_dump_json(), status, headers, media_type=Problem.media_type)


def error_type(status: int) -> str:
    """Return the kind of a failure in OpenAI's words."""
    return "invalid_request_error" if status < 500 else "server_error"


def internal_error(request_id: str) -> Response:
    return problem_response(request_id, 500, f"Something went wrong here: the server's log has it under {request_id}.")

"""The description of the API: what FastAPI finds in the routes, with examples, error answers and curl lines added."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from llm_dit.options import SAMPLING, RunDefaults, http_name
from web.errors import Problem

Json = dict[str, Any]

REASONS = {
    400: "The body is not valid JSON.",
    404: "Not found.",
    409: "The awaited job was canceled, or the project was changed elsewhere.",
    413: "The body is too large.",
    415: "Wrong Content-Type for this address.",
    422: "A field or an image is invalid; `param` names it, `detail` says what to send instead.",
    503: "The queue is full, the engine cannot run, or its process ended; `Retry-After` says when to retry.",
}
ADDRESS = "http://127.0.0.1:8000"
TOKEN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "The token of the service. A logged-in browser sends a cookie instead.",
}
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def problems(*statuses: int) -> dict[int | str, Json]:
    """Return the answers in case of errors, as routes list them."""
    return {status: {"model": Problem, "description": REASONS[status]} for status in statuses}


def describe(app: FastAPI, defaults: RunDefaults, *, needs_token: bool = False) -> Json:
    """Return the OpenAPI document of a service; `defaults` are those of its engine."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    if needs_token:
        document["components"]["securitySchemes"] = {"token": TOKEN_SCHEME}
        document["security"] = [{"token": []}]
        document["paths"]["/livez"]["get"]["security"] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["operationId"] = operation["operationId"].partition("_api_")[0]
            _correct_answers(operation["responses"])
            sample = curl(path, method, example(document, operation), next(iter(content_of(operation)), ""))
            if operation.get("security", document.get("security")):
                sample = sample.replace("curl ", "curl -H 'Authorization: Bearer TOKEN' ", 1)
            operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": sample}]
    for name, options in (("DecomposeRequest", defaults._fields), ("EditLayerRequest", SAMPLING)):
        described = document["components"]["schemas"][name]["properties"]
        for option in options:
            described[http_name(option)]["default"] = getattr(defaults, option)
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def content_of(operation: Json) -> Json:
    """Return the request body of an operation by media type."""
    return operation.get("requestBody", {}).get("content", {})


def resolve(document: Json, schema: Json) -> Json:
    """Return a schema, or the one that it refers to."""
    reference: str = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def example(document: Json, operation: Json) -> Json | None:
    """Return an example of an operation's JSON body."""
    schema = content_of(operation).get("application/json", {}).get("schema")
    return resolve(document, schema)["examples"][0] if schema else None


def curl(path: str, method: str, body: Json | None, media_type: str) -> str:
    """Return a line for a shell that sends a request like this one."""
    line = "curl " + ADDRESS + re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), path)
    if method not in {"get", "post"}:
        line += f" -X {method.upper()}"
    if media_type == "multipart/form-data":
        return f"{line} -F image=@picture.png -F 'prompt=Make it blue'"
    if media_type:
        line += f" -H 'Content-Type: {media_type}'"
    if body is not None:
        return f"{line} -d '{json.dumps(body)}'"
    return f"{line} --data-binary @picture.png" if media_type else line


def _correct_answers(responses: Json) -> None:
    """Say what FastAPI does not know: the media type of errors, and that an address alone is never a 422."""
    if responses.get("422", {}).get("description") == "Validation Error":
        del responses["422"]
    for status, response in responses.items():
        if int(status) < 400:
            response["description"] = response["description"].replace("Successful Response", "Success.")
        else:
            response["content"] = {Problem.media_type: {"schema": PROBLEM_SCHEMA}}
    responses["default"] = {
        "description": "Any other failure, in the same shape.",
        "content": {Problem.media_type: {"schema": PROBLEM_SCHEMA}},
    }


# The description as people read it: one entry for each operation, with its fields.


@dataclass(frozen=True, kw_only=True)
class Field:
    name: str
    type: str
    default: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    method: str
    path: str
    description: str
    fields: list[Field]
    sample: str
    answers: list[tuple[str, str]]


def operations(document: Json) -> Iterator[tuple[str, list[Operation]]]:
    """Yield the operations of an OpenAPI document by their tag, in the document's order."""
    groups: dict[str, list[Operation]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    yield from groups.items()


def _operation(document: Json, path: str, method: str, operation: Json) -> Operation:
    schema = content_of(operation).get("application/json", {}).get("schema", {})
    return Operation(
        method=method.upper(),
        path=path,
        description=operation.get("description", ""),
        fields=list(_fields(document, resolve(document, schema))),
        sample=operation["x-codeSamples"][0]["source"],
        answers=[(status, answer["description"]) for status, answer in operation["responses"].items()],
    )


def _fields(document: Json, schema: Json, prefix: str = "") -> Iterator[Field]:
    """Yield the fields of an object, first those that must be given, and below a list the fields of its items."""
    needed = schema.get("required", ())
    for name, field in sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in needed):
        yield Field(
            name=prefix + name,
            type=_type(field),
            default="required" if name in needed else json.dumps(field.get("default"), ensure_ascii=False),
            description=field.get("description", ""),
        )
        if "items" in field:
            yield from _fields(document, resolve(document, field["items"]), f"{prefix}{name}[].")


def _type(schema: Json) -> str:
    """Return the type of a value and its bounds in a few characters, such as `integer 1–10`."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    name: str = schema.get("const") or schema.get("type", "object")
    if "minimum" in schema and "maximum" in schema:
        return f"{name} {schema['minimum']:.0f} to {schema['maximum']:.0f}"
    return f"{name}, at most {schema['maxLength']} characters" if "maxLength" in schema else name

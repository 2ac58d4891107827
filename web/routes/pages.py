"""The page, its files, its login, and the documentation of the API."""

import gzip
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope

from llm_dit.options import SAMPLING, RunDefaults, http_name
from web.bodies.reading import media_type
from web.door.hosts import current_prefix, located
from web.door.tokens import Attempts, Token, local_path, login_page, wants_page
from web.errors import Problem, UnsupportedMediaTypeError, problem_response
from web.state import state_of

ROOT = Path(__file__).parents[2]

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(ROOT / "templates")


@router.get("/")
@router.get("/p/{project_id}")
async def page(request: Request) -> Response:
    login = bool(state_of(request)["settings"].server.token.get_secret_value())
    headers = {"Cache-Control": "no-cache"}
    shown = {"login": login, "prefix": current_prefix()}
    response = templates.TemplateResponse(request, "index.html", shown, headers=headers)
    state_of(request)["clients"].recognize(request, response)
    return response


# `/login` and `/logout`: the token in exchange for a cookie, which browsers then send by themselves.

logger = logging.getLogger("llm_dit.server")

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 4096
"""Bytes of a login form; it has three short fields."""


def login_routes(token: Token) -> APIRouter:
    """Return the login routes for `token`."""
    router = APIRouter(include_in_schema=False)
    attempts = Attempts()

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        client = request.client.host if request.client else ""
        fields = await _form(request)
        path = local_path(fields.get("next", "/"))
        if wait_s := attempts.wait_s(client):
            message = f"Too many wrong tokens. Try again in {wait_s} s."
            return _refused(request, 429, message, "too_many_attempts", {"Retry-After": str(wait_s)}, path)
        if token and not token.equals(fields.get("token", "").strip().encode()):
            attempts.add(client)
            logger.warning("request %s: a wrong token from %s", request.state.request_id, client)
            return _refused(request, 401, "This is not the token.", "wrong_token", {"WWW-Authenticate": "Bearer"}, path)
        response = RedirectResponse(located(path), 303)
        if token:
            token.log_in(request.scope, response)
        return response

    @router.get("/login")
    async def be_in() -> Response:
        return RedirectResponse(located("/"), 303)  # who gets here has shown the token

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        response = RedirectResponse(located("/"), 303)
        token.log_out(request.scope, response)
        return response

    return router


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form; the first of repeated ones."""
    if media_type(request) != FORM:
        raise UnsupportedMediaTypeError(FORM)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise HTTPException(413, f"The form is larger than {MAX_FORM} bytes: send the token alone.")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8)
    except ValueError:
        raise HTTPException(422, "The form cannot be read: send token=TOKEN.") from None
    return {name: values[0] for name, values in fields.items()}


def _refused(request: Request, status: int, message: str, code: str, headers: dict[str, str], path: str) -> Response:
    """Return an error; browsers get the login page again, with the reason on it."""
    if wants_page(request.scope):
        return login_page(status, message, headers, path=path)
    return problem_response(request.state.request_id, status, message, code=code, headers=headers)


class PageFiles(StaticFiles):
    """The files of the page, with an ETag that browsers revalidate each time, so that an update shows at once.

    Text is compressed once for clients that accept gzip, and not minified: a browser's tools show the source.
    """

    # What a system's own table calls a module decides whether a browser runs it.
    TYPES: ClassVar[dict[str, str]] = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
        ".webmanifest": "application/manifest+json",
    }
    TEXT: ClassVar[frozenset[str]] = frozenset(TYPES) - {".webp"}

    def __init__(self) -> None:
        super().__init__(directory=ROOT / "static")

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        path, asked = Path(full_path), Headers(scope=scope)
        if path.suffix not in self.TEXT:
            return super().file_response(full_path, stat_result, scope, status_code)
        if "gzip" in asked.get("accept-encoding", ""):
            body, headers = compressed(path, stat_result.st_mtime_ns), {"Content-Encoding": "gzip"}
        else:
            body, headers = path.read_bytes(), {}
        headers |= {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Vary": "Accept-Encoding"}
        response = Response(body, status_code, headers)
        if self.is_not_modified(response.headers, asked):
            return NotModifiedResponse(response.headers)
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if response.status_code == 200 and Path(path).suffix in self.TYPES:
            response.headers["Content-Type"] = self.TYPES[Path(path).suffix]
        return response


@lru_cache(maxsize=512)
def compressed(path: Path, changed: int) -> bytes:
    """A compressed file; `changed` is its modification time, so that an update is read again."""
    return gzip.compress(path.read_bytes(), mtime=0)


# The description of the API: as OpenAPI for programs, and as a page that needs neither a script nor a network.

Json = dict[str, Any]

DOCS = Path(__file__).parents[1] / "docs"

docs_templates = Jinja2Templates(DOCS)
ADDRESS = "http://127.0.0.1:8000"
TOKEN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "The token of the service. A logged-in browser sends a cookie instead.",
}
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


@router.get("/api/openapi.json")
def openapi(request: Request) -> Response:
    return JSONResponse({**_description(request).document, "servers": [{"url": current_prefix() or "/"}]})


@router.get("/docs")
def docs(request: Request) -> Response:
    shown = {**_description(request).shown, "prefix": current_prefix()}
    return docs_templates.TemplateResponse(request, "page.html", shown)


@router.get("/docs/page.css")
def stylesheet() -> Response:
    return FileResponse(DOCS / "page.css", media_type="text/css", headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True)
class _Description:
    """Cached data of an app: it takes a while to compute and never changes."""

    document: Json
    shown: Json


def _description(request: Request) -> _Description:
    state = state_of(request)
    needs_token = bool(state["settings"].server.token.get_secret_value())
    return _description_of(cast(FastAPI, request.app), state["engine"].defaults, needs_token)


@lru_cache(maxsize=4)
def _description_of(app: FastAPI, defaults: RunDefaults, needs_token: bool) -> _Description:
    document = describe(app, defaults, needs_token=needs_token)
    shown = {**document["info"], "groups": list(operations(document)), "needs_token": needs_token}
    return _Description(document, shown)


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
    """Return a schema, or its target if it is a reference."""
    reference: str = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def example(document: Json, operation: Json) -> Json | None:
    """Return an example of an operation's JSON body."""
    schema = content_of(operation).get("application/json", {}).get("schema")
    return resolve(document, schema)["examples"][0] if schema else None


def curl(path: str, method: str, body: Json | None, media_type: str) -> str:
    """Return a shell command that sends a request like this."""
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
    """Add what FastAPI does not know: the media type of errors, and that a path alone never causes a 422."""
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


# The description for people: an entry per operation, with its fields.


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
    """Yield the operations of an OpenAPI document by tag, in the document's order."""
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
    """Yield the fields of an object, required ones first, and below a list the fields of its items."""
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
    """Return the type of a value and its bounds in short, such as `integer 1–10`."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    name: str = schema.get("const") or schema.get("type", "object")
    if "minimum" in schema and "maximum" in schema:
        return f"{name} {schema['minimum']:.0f} to {schema['maximum']:.0f}"
    return f"{name}, at most {schema['maxLength']} characters" if "maxLength" in schema else name

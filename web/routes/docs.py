"""The description of the API: as OpenAPI for programs, and as a page that needs neither a script nor a network."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.templating import Jinja2Templates

from llm_dit.options import RunDefaults
from web.openapi import Json, describe
from web.prefix import current_prefix
from web.reference import operations
from web.state import state_of

FOLDER = Path(__file__).parents[1] / "docs"

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(FOLDER)


@router.get("/api/openapi.json")
def openapi(request: Request) -> Response:
    return JSONResponse({**_description(request).document, "servers": [{"url": current_prefix() or "/"}]})


@router.get("/docs")
def docs(request: Request) -> Response:
    shown = {**_description(request).shown, "prefix": current_prefix()}
    return templates.TemplateResponse(request, "page.html", shown)


@router.get("/docs/page.css")
def stylesheet() -> Response:
    return FileResponse(FOLDER / "page.css", media_type="text/css", headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True)
class _Description:
    """What is said of an app: it takes a while to make, and stays the same."""

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

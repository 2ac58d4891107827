"""The description of the API: as OpenAPI for programs, and as a page that needs neither a script nor a network."""

from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.templating import Jinja2Templates

from web.openapi import describe
from web.prefix import current_prefix
from web.reference import operations
from web.state import state_of

FOLDER = Path(__file__).parents[1] / "docs"

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(FOLDER)


@router.get("/api/openapi.json")
def openapi(request: Request) -> dict[str, Any]:
    return _describe(request)


@router.get("/docs")
def docs(request: Request) -> Response:
    document = _describe(request)
    shown = {**document["info"], "groups": list(operations(document)), "needs_token": "security" in document}
    shown["prefix"] = current_prefix()
    return templates.TemplateResponse(request, "page.html", shown)


@router.get("/docs/page.css")
def stylesheet() -> Response:
    return FileResponse(FOLDER / "page.css", media_type="text/css", headers={"Cache-Control": "no-cache"})


def _describe(request: Request) -> dict[str, Any]:
    settings = state_of(request)["settings"]
    token = settings.server.token.get_secret_value()
    document = describe(cast(FastAPI, request.app), settings.qwen_image, needs_token=bool(token))
    return {**document, "servers": [{"url": current_prefix() or "/"}]}

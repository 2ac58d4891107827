"""The page, its files, and the documentation of the API."""

from pathlib import Path
from typing import ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.types import Scope

from web.clients import recognize

ROOT = Path(__file__).parents[2]

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(ROOT / "templates")


@router.get("/")
@router.get("/p/{project_id}")
async def page(request: Request) -> Response:
    response = templates.TemplateResponse(request, "index.html", headers={"Cache-Control": "no-cache"})
    recognize(request, response)
    return response


class PageFiles(StaticFiles):
    """The files of the page. They carry an ETag and are asked for anew each time, so an update shows at once."""

    # What a system's own table calls a module decides whether a browser runs it.
    TYPES: ClassVar[dict[str, str]] = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
        ".webmanifest": "application/manifest+json",
    }

    def __init__(self) -> None:
        super().__init__(directory=ROOT / "static")

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        if response.status_code == 200 and Path(path).suffix in self.TYPES:
            response.headers["Content-Type"] = self.TYPES[Path(path).suffix]
        return response

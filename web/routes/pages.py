"""The page, its files, and the documentation of the API."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

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

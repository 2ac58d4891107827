"""The page, its files, and the documentation of the API."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from web.prefix import current_prefix
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

"""The page that asks for the token: one file that needs no other, since every other address asks for the token too."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from web.prefix import current_prefix

FOLDER = Path(__file__).parent
STATIC = FOLDER.parents[1] / "static"
# One address of this service: no host, and nothing that a browser reads as the start of one.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")

templates = Jinja2Templates(FOLDER)


def wants_page(scope: Scope) -> bool:
    """Say whether people will look at the answer: a browser asks for a page, not a program for data."""
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith("/api/")


def local_path(path: str) -> str:
    """Return a path of this service as it is, and "/" for whatever could lead elsewhere."""
    return path if _PATH.fullmatch(path) else "/"


def address_of(scope: Scope) -> str:
    """Return path and query of a request as they came."""
    query = scope["query_string"]
    return (scope.get("raw_path") or b"/").decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")


def login_page(status: int, message: str, headers: dict[str, str], *, path: str) -> Response:
    """Return the login page; `message` says what went wrong, "" that nothing did yet."""
    style, digest, icon = _inlined()
    page = templates.get_template("page.html").render(
        style=Markup(style), icon=icon, message=message, path=local_path(path), prefix=current_prefix()
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'"
    )
    # With no-referrer, the usual policy, a browser would send its form with the Origin "null".
    own = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
    return Response(page, status, headers | own, media_type="text/html")


@cache
def _inlined() -> tuple[str, str, str]:
    """Return the style sheet, its SHA-256 in base64 as a policy names it, and the icon in base64."""
    style = (STATIC / "css/tokens.css").read_text(encoding="utf-8") + (FOLDER / "page.css").read_text(encoding="utf-8")
    icon = (STATIC / "icons/logo.svg").read_bytes()
    digest = hashlib.sha256(style.encode()).digest()
    return style, base64.b64encode(digest).decode(), base64.b64encode(icon).decode()

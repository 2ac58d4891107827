"""Who a client is: what the list of one's own jobs and fairness between clients go by, and no proof of anything."""

import re
import secrets

from fastapi import Request, Response

from web.prefix import cookie_path

COOKIE = "llm_dit_client"
COOKIE_S = 365 * 24 * 3600
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def client_of(request: Request) -> str:
    """Return `browser:ID` for a browser that has opened the page, else `address:IP`.

    Nobody can guess another browser's ID (128 random bits); programs of one machine count as one client.
    """
    given = request.cookies.get(COOKIE, "")
    if _ID.fullmatch(given):
        return f"browser:{given}"
    return f"address:{request.client.host if request.client else 'local'}"


def recognize(request: Request, response: Response) -> None:
    """Give a browser that opens the page an ID, if it has none."""
    if client_of(request).startswith("address:"):
        secure = request.url.scheme == "https"
        value = secrets.token_urlsafe(16)
        response.set_cookie(COOKIE, value, max_age=COOKIE_S, path=cookie_path(), secure=secure, httponly=True)

"""`/login` and `/logout`: the token in exchange for a cookie, which browsers then send by themselves."""

import logging
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from web.bodies.json_routes import media_type
from web.door.login import local_path, login_page, wants_page
from web.door.tokens import Attempts, Token
from web.errors import UnsupportedMediaTypeError
from web.prefix import located
from web.problems import problem_response

logger = logging.getLogger("llm_dit.server")

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 4096
"""Bytes of a login form; it has three short fields."""


def login_routes(token: Token) -> APIRouter:
    """Return the routes that know `token`."""
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
            return _refused(request, 401, "That is not the token.", "wrong_token", {"WWW-Authenticate": "Bearer"}, path)
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
    """Return the fields of a small form; of those that are there twice the first."""
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
    """Return a refusal: to people the login page again, with the reason on it."""
    if wants_page(request.scope):
        return login_page(status, message, headers, path=path)
    return problem_response(request.state.request_id, status, message, code=code, headers=headers)

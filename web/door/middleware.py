"""The door: who and what is let in, decided from a request's head alone, before any body is read or work done."""

from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.addresses import is_loopback
from server.settings import ServerSettings
from web.door.hosts import Hosts, comes_through_proxy, is_foreign
from web.door.tokens import Token, address_of, bearer_tokens, login_page, wants_page
from web.errors import problem_response

OPEN_TO_ALL = "/livez"
LOGIN = "/login"
SHORT_TOKEN = 16
CHALLENGE = {"WWW-Authenticate": "Bearer"}
WRONG = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Door:
    """Lets in what is meant for this service, comes from its own page or a program, and shows the token.

    The checks go from what no honest client fails to what needs a human: the Host header (400), the other end's
    address while there is no token (403), other sites (403), the token (401).
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings, token: Token) -> None:
        self._app = app
        self._token = token
        self._hosts = Hosts(settings)
        self._local_only = not token and not settings.insecure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if not self._hosts.admit(scope):
            return _problem(
                scope,
                400,
                "host_not_allowed",
                "This service does not go by the name in the Host header: use the address that it showed when it was "
                "started, or add the name to allowed_hosts.",
            )
        if self._local_only and not _is_local(scope):
            return _problem(
                scope,
                403,
                "token_not_set",
                "This service answers its own machine only, since it has no token: start it with one, as --token or "
                "LLM_DIT_SERVER__TOKEN.",
            )
        if is_foreign(scope):
            return _problem(
                scope,
                403,
                "cross_origin",
                "Another website asked for this: do it on the service's own page. If this was its own page, a proxy in "
                "between has to pass the Host header on as it came.",
            )
        if scope["path"] == OPEN_TO_ALL or (scope["path"] == LOGIN and scope["method"] == "POST"):
            return None
        return None if self._token.admits(scope) else _unauthorized(scope)


def warnings(settings: ServerSettings) -> Iterator[str]:
    """Yield what the person who starts the service should know about how well it is shut."""
    token = settings.token.get_secret_value()
    if settings.insecure and not token:
        yield "Without a token (insecure) anyone who reaches this service can use it and see its pictures."
    if 0 < len(token) < SHORT_TOKEN:
        yield f"The token has only {len(token)} characters and could be guessed: take at least {SHORT_TOKEN}."


def _is_local(scope: Scope) -> bool:
    # The other end of a Unix socket is a proxy, whose clients can be anywhere.
    return bool(scope.get("client")) and is_loopback(scope["client"][0]) and not comes_through_proxy(scope)


def _unauthorized(scope: Scope) -> Response:
    if scope["method"] == "GET" and wants_page(scope):
        return login_page(401, "", CHALLENGE, path=address_of(scope))
    if bearer_tokens(scope):
        message = "The token is not right: send the one that the service was started with."
        return _problem(scope, 401, "wrong_token", message, WRONG)
    message = "This service needs its token: send the header Authorization: Bearer TOKEN, or open the page and log in."
    return _problem(scope, 401, "token_missing", message, CHALLENGE)


def _problem(scope: Scope, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return problem_response(scope["state"]["request_id"], status, message, code=code, headers=headers)

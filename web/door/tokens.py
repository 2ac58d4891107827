"""Access control by the token, or by the cookie that represents it in a browser.

It decides from a request's head alone, before reading the body or doing any work.
"""

import base64
import hashlib
import hmac
import math
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from fastapi.templating import Jinja2Templates
from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.settings import ServerSettings, parse_ip
from web.door.hosts import Hosts, comes_through_proxy, cookie_path, current_prefix, host_of, is_foreign, is_loopback
from web.errors import problem_response

COOKIE_S = 30 * 24 * 3600
"""Seconds for which a login is valid."""


class Token:
    """The service's token. If it is empty, every request is admitted."""

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    def __bool__(self) -> bool:
        return bool(self._value)

    def admits(self, scope: Scope) -> bool:
        """Return whether a request has the token, or the cookie of a valid login."""
        if not self:
            return True
        shown = bearer_tokens(scope)
        if shown:
            return len(shown) == 1 and self.equals(shown[0])
        cookie = HTTPConnection(scope).cookies.get(_cookie_name(scope), "")
        expires, _, _ = cookie.partition(".")
        # The expiry is compared last: it counts only if this service signed it.
        return hmac.compare_digest(cookie.encode(), self._cookie(expires).encode()) and int(expires) > time.time()

    def equals(self, given: bytes) -> bool:
        """Compare in constant time, as bytes, because `compare_digest` accepts only ASCII text."""
        return hmac.compare_digest(given, self._value)

    def log_in(self, scope: Scope, response: Response) -> None:
        """Give the browser a login cookie, which does not contain the token."""
        value = self._cookie(str(int(time.time()) + COOKIE_S))
        response.set_cookie(
            _cookie_name(scope),
            value,
            max_age=COOKIE_S,
            path=cookie_path(),
            secure=scope["scheme"] == "https",
            httponly=True,
        )

    def log_out(self, scope: Scope, response: Response) -> None:
        secure = scope["scheme"] == "https"
        response.delete_cookie(_cookie_name(scope), path=cookie_path(), secure=secure, httponly=True)

    def _cookie(self, expires: str) -> str:
        signed = hmac.new(self._value, b"login until " + expires.encode(), hashlib.sha256)
        return f"{expires}.{signed.hexdigest()}"


def bearer_tokens(scope: Scope) -> list[bytes]:
    """Return the token of `Authorization: Bearer …`; other schemes are for a proxy."""
    values = [value.partition(b" ") for name, value in scope["headers"] if name == b"authorization"]
    return [given.strip() for scheme, _, given in values if scheme.lower() == b"bearer"]


def _cookie_name(scope: Scope) -> str:
    """Return a cookie name with the browser's port, because browsers send cookies to all ports of a host."""
    host = host_of(scope)
    port = host.port if host and host.port else (443 if scope["scheme"] == "https" else 80)
    return f"llm_dit_login_{port}"


# Rate limit for wrong tokens at the login form.

MOST_ADDRESSES = 1000
"""Most remembered addresses; the one with the oldest failure is forgotten first."""


class Attempts:
    """Counts the wrong tokens of each address: the limit is `most` in `span_s` seconds."""

    def __init__(self, *, most: int = 10, span_s: float = 60, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._span_s = span_s
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait_s(self, address: str) -> int:
        """Return the seconds until the address may try again, or 0."""
        times = self._wrong.get(source_of(address))
        if times is None or len(times) < self._most:
            return 0
        return max(0, math.ceil(times[0] + self._span_s - self._clock()))

    def add(self, address: str) -> None:
        """Record a wrong token from the address."""
        source = source_of(address)
        self._wrong.setdefault(source, deque(maxlen=self._most)).append(self._clock())
        self._wrong.move_to_end(source)
        if len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def source_of(address: str) -> str:
    """Return the key of an address: an IPv6 network of 2⁶⁴ addresses counts as one machine."""
    ip = parse_ip(address)
    return str(ip) if ip is None or ip.version == 4 else ip.exploded[:19]


# The login page is a single file, because every other address requires the token.

FOLDER = Path(__file__).parent
STATIC = FOLDER.parents[1] / "static"
# A path of this service: no host, and nothing that a browser interprets as one.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")

templates = Jinja2Templates(FOLDER)


def wants_page(scope: Scope) -> bool:
    """Return whether a browser navigates to a page, rather than a program asking for data."""
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith("/api/")


def local_path(path: str) -> str:
    """Return a path of this service, or "/" for anything that could lead elsewhere."""
    return path if _PATH.fullmatch(path) else "/"


def address_of(scope: Scope) -> str:
    """Return path and query of a request."""
    query = scope["query_string"]
    return (scope.get("raw_path") or b"/").decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")


def login_page(status: int, message: str, headers: dict[str, str], *, path: str) -> Response:
    """Return the login page; `message` is an error, or ""."""
    style, digest, icon = _inlined()
    page = templates.get_template("page.html").render(
        style=Markup(style), icon=icon, message=message, path=local_path(path), prefix=current_prefix()
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'"
    )
    # With no-referrer, the usual policy, browsers send forms with the Origin "null".
    own = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
    return Response(page, status, headers | own, media_type="text/html")


@cache
def _inlined() -> tuple[str, str, str]:
    """Return the style sheet, its SHA-256 in base64 for the policy, and the icon in base64."""
    style = (STATIC / "css/tokens.css").read_text(encoding="utf-8") + (FOLDER / "page.css").read_text(encoding="utf-8")
    icon = (STATIC / "icons/logo.svg").read_bytes()
    digest = hashlib.sha256(style.encode()).digest()
    return style, base64.b64encode(digest).decode(), base64.b64encode(icon).decode()


# The middleware, which checks hosts and sites before the token.

OPEN_TO_ALL = "/livez"
LOGIN = "/login"
SHORT_TOKEN = 16
CHALLENGE = {"WWW-Authenticate": "Bearer"}
WRONG = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Door:
    """Admits requests that name this service, come from its own page or from a program, and have the token.

    The order of the checks: the Host header (400), the peer's address if there is no token (403), other sites (403),
    the token (401).
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
                "The Host header is not a name of this service: use the address that it showed at its start, or add "
                "the name to allowed_hosts.",
            )
        if self._local_only and not _is_local(scope):
            return _problem(
                scope,
                403,
                "token_not_set",
                "This service answers its own machine only, because it has no token: start it with --token or "
                "LLM_DIT_SERVER__TOKEN.",
            )
        if is_foreign(scope):
            return _problem(
                scope,
                403,
                "cross_origin",
                "Another website sent this request: use the service's own page. If you did, a proxy in between must "
                "pass the Host header on unchanged.",
            )
        if scope["path"] == OPEN_TO_ALL or (scope["path"] == LOGIN and scope["method"] == "POST"):
            return None
        return None if self._token.admits(scope) else _unauthorized(scope)


def warnings(settings: ServerSettings) -> Iterator[str]:
    """Yield startup warnings about access."""
    token = settings.token.get_secret_value()
    if settings.insecure and not token:
        yield "Without a token (insecure) anyone who reaches this service can use it and see its pictures."
    if 0 < len(token) < SHORT_TOKEN:
        yield f"The token has only {len(token)} characters and could be guessed: use at least {SHORT_TOKEN}."


def _is_local(scope: Scope) -> bool:
    # The peer on a Unix socket is a proxy, whose clients can be anywhere.
    return bool(scope.get("client")) and is_loopback(scope["client"][0]) and not comes_through_proxy(scope)


def _unauthorized(scope: Scope) -> Response:
    if scope["method"] == "GET" and wants_page(scope):
        return login_page(401, "", CHALLENGE, path=address_of(scope))
    if bearer_tokens(scope):
        message = "The token is wrong: send the token of this service."
        return _problem(scope, 401, "wrong_token", message, WRONG)
    message = "This service needs its token: send the header Authorization: Bearer TOKEN, or open the page and log in."
    return _problem(scope, 401, "token_missing", message, CHALLENGE)


def _problem(scope: Scope, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return problem_response(scope["state"]["request_id"], status, message, code=code, headers=headers)

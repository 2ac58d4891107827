"""The token: how a request shows it, and the cookie that stands for it in a browser."""

import hashlib
import hmac
import time

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from web.door.hosts import host_of
from web.prefix import cookie_path

COOKIE_S = 30 * 24 * 3600
"""Seconds that a login holds."""


class Token:
    """What lets a request in. Without a token (an empty one) everything is let in."""

    def __init__(self, value: str) -> None:
        self._value = value.encode()

    def __bool__(self) -> bool:
        return bool(self._value)

    def admits(self, scope: Scope) -> bool:
        """Say whether a request shows the token, or the cookie of a login that still holds."""
        if not self:
            return True
        shown = bearer_tokens(scope)
        if shown:
            return len(shown) == 1 and self.equals(shown[0])
        cookie = HTTPConnection(scope).cookies.get(_cookie_name(scope), "")
        expires, _, _ = cookie.partition(".")
        # The time is compared last: it counts only when it is this service that wrote it.
        return hmac.compare_digest(cookie.encode(), self._cookie(expires).encode()) and int(expires) > time.time()

    def equals(self, given: bytes) -> bool:
        """Compare in constant time, and as bytes: of text `compare_digest` takes ASCII only."""
        return hmac.compare_digest(given, self._value)

    def log_in(self, scope: Scope, response: Response) -> None:
        """Give the browser a cookie that stands for the token, which itself never leaves the service."""
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
    """Return what is shown as `Authorization: Bearer …`; other schemes are for a proxy in front."""
    values = [value.partition(b" ") for name, value in scope["headers"] if name == b"authorization"]
    return [given.strip() for scheme, _, given in values if scheme.lower() == b"bearer"]


def _cookie_name(scope: Scope) -> str:
    """Return a name with the port that the browser sees: it sends cookies to all ports of a host alike."""
    host = host_of(scope)
    port = host.port if host and host.port else (443 if scope["scheme"] == "https" else 80)
    return f"llm_dit_login_{port}"

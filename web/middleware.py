"""What happens to every request, as plain ASGI: only so does a route see that its client has left."""

import asyncio
import logging
import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.logs import Concealed
from web.access import method_of, route_of
from web.door.hosts import is_secure_context
from web.errors import BodyTooLargeError, BodyTooSlowError, BusyError
from web.problems import internal_error, problem_response

logger = logging.getLogger("llm_dit.server")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), hid=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()"
    ),
}
SECURE_CONTEXT_HEADERS = {"Cross-Origin-Opener-Policy": "same-origin"}
"""Browsers heed it over HTTPS and on loopback only, and elsewhere report an error on every page's console."""
SLOWEST_BYTES_PER_S = 32_000
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """Gives every request an id, every answer the id and the security headers, and every crash a plain answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        # The state of the lifespan is shared by all requests; what belongs to one goes into a copy.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        secure = is_secure_context(scope)
        started = False

        async def send_sealed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in (SECURITY_HEADERS | (SECURE_CONTEXT_HEADERS if secure else {})).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_sealed)
        except Exception as error:
            # Validators and codecs quote what they were given.
            fields = {"request_id": request_id, "method": method_of(scope), "route": route_of(scope)}
            logger.error("request failed", exc_info=Concealed.of(error), extra=fields)
            if not started:
                await internal_error(request_id)(scope, receive, send_sealed)


BODIES = 16
"""How many of the largest bodies may be in memory at once."""


class Body:
    """A request's body on its way in: how much of it there is, and how long it may take.

    It has `timeout_s` seconds from when it is first waited for, and a second for each 32 kB that have come.
    """

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive = receive
        self._deadline: float | None = None
        self._timeout_s = timeout_s
        self.received = 0
        self.complete = False

    async def receive(self) -> Message:
        """Return the next message; raises `TimeoutError` when a part of the body is too long in coming."""
        if self.complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        async with asyncio.timeout_at(self._deadline + self.received / SLOWEST_BYTES_PER_S):
            message = await self._receive()
        self.received += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        return message


class BodyLimit:
    """Refuses a body above the limit, at once when its length is announced, and one that comes too slowly.

    Bodies are in memory until they are answered, so all of them together have a limit as well: `BODIES` of the largest.
    """

    def __init__(self, app: ASGIApp, *, limit_mb: float, limits_mb: Mapping[str, float], timeout_s: float) -> None:
        """`limits_mb` are those of single paths."""
        self._app = app
        self._limit_mb = limit_mb
        self._limits_mb = limits_mb
        self._timeout_s = timeout_s
        self._most_held = int(BODIES * limit_mb * 1024 * 1024)
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(receive, self._timeout_s)
        held = 0
        limit_mb = self._limits_mb.get(scope["path"], self._limit_mb)
        limit = int(limit_mb * 1024 * 1024)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > limit:
            await self._refuse(limit_mb, scope, body, send)
            return
        started = False

        async def receive_limited() -> Message:
            nonlocal held
            try:
                message = await body.receive()
            except TimeoutError:
                if started:  # an answer that does not need the body: it ends as if the client had left
                    return {"type": "http.disconnect"}
                raise BodyTooSlowError(self._timeout_s) from None
            if body.received > limit:
                raise BodyTooLargeError(limit_mb)
            if scope["path"] not in self._limits_mb:  # those go to the disk
                held += len(message.get("body", b""))
                self._held += len(message.get("body", b""))
                if self._held > self._most_held:
                    raise BusyError
            return message

        async def send_noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive_limited, send_noticed)
        finally:
            self._held -= held

    async def _refuse(self, limit_mb: float, scope: Scope, body: Body, send: Send) -> None:
        """Answer 413, then read on for a while: a client that is still sending would not see the answer otherwise."""
        error = BodyTooLargeError(limit_mb)

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await self._drain(body, int(2 * limit_mb * 1024 * 1024))
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        headers = {"Connection": "close"}
        response = problem_response(scope["state"]["request_id"], 413, error.detail, headers=headers)
        await response(scope, body.receive, send_then_drain)

    async def _drain(self, body: Body, most: int) -> None:
        try:
            while not body.complete and body.received <= most:
                await body.receive()
        except TimeoutError:
            return

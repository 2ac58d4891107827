"""What happens to every request, as plain ASGI: only so does a route see that its client has left."""

import logging
import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.logs import Concealed
from web.access import method_of, route_of
from web.errors import BodyTooLargeError
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
}
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
        started = False

        async def send_sealed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
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


class BodyLimit:
    """Refuses a body above the limit: at once when its length is announced, else as soon as it has grown too long."""

    def __init__(self, app: ASGIApp, *, limit_mb: float) -> None:
        self._app = app
        self._limit_mb = limit_mb
        self._limit = int(limit_mb * 1024 * 1024)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > self._limit:
            await self._refuse(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise BodyTooLargeError(self._limit_mb)
            return message

        await self._app(scope, receive_counted, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, then read on for a while: a client that is still sending would not see the answer otherwise."""
        error = BodyTooLargeError(self._limit_mb)

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await self._drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        response = problem_response(scope["state"]["request_id"], 413, error.detail)
        await response(scope, receive, send_then_drain)

    async def _drain(self, receive: Receive) -> None:
        drained = 0
        while drained <= 2 * self._limit:
            message = await receive()
            drained += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return

"""What happens to every request, as plain ASGI: only so does a route see that its client has left."""

import asyncio
import logging
import re
import secrets
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.logs import Concealed
from server.settings import ServerSettings
from web.bodies.limits import Incoming, Pot, Size, Sizes
from web.door.hosts import is_secure_context
from web.errors import BodyTooLargeError, BodyTooSlowError, BusyError, internal_error, problem_response
from web.middleware.access_log import method_of, route_of
from web.middleware.connections import Credit

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
"""Browsers apply it over HTTPS and on loopback only, and elsewhere report an error on every page's console."""
SMALL = 65_536
"""Bytes of a body that need no place."""
MOST_IN_MEMORY = 64 * 1024 * 1024
"""Bytes of bodies that are read into memory, all together."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Heads:
    """Answers HEAD as GET, without the body: what a route would stream is not even begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"


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


DRAINED = 128 * 1024 * 1024
"""Bytes that are read of a body that is refused: a client that is still sending does not see the answer otherwise."""


class Body:
    """A request's body on its way in: how much of it there is, and how long the next piece may take."""

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self._credit: Credit | None = None
        self._left_at = 0.0
        self.place: Incoming | None = None
        """What the body holds of a pot."""
        self.received = 0
        self.complete = False

    async def receive(self) -> Message:
        """Return the next message; raises `TimeoutError` when it is too long in coming, or has to give way."""
        if self.complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._credit is None:
            self._credit = Credit(self._timeout_s, loop.time())
        else:
            self._credit.pause(loop.time() - self._left_at)
        async with asyncio.timeout_at(self._credit.deadline):
            message = await self._next()
        self._left_at = now = loop.time()
        count = len(message.get("body", b""))
        self._credit.earn(count, now)
        self.received += count
        self.complete = not message.get("more_body", False)
        if self.place is not None:
            self.place.received, self.place.heard = self.received, now
        return message

    async def _next(self) -> Message:
        if self.place is None:
            return await self._receive()
        coming = asyncio.ensure_future(self._receive())
        told = asyncio.ensure_future(self.place.give_way.wait())
        try:
            await asyncio.wait({coming, told}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise TimeoutError
            return coming.result()
        finally:
            coming.cancel()
            told.cancel()


class BodyLimit:
    """Refuses a body above its route's limit, at once when its length is announced, and one that comes too slowly.

    What is large goes to files; it has a place in a pot as long as it is on its way, what is small needs none.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._timeout_s = settings.client_timeout_s
        self._sizes: Sizes | None = None
        most_files = 64 * Size.PICTURES.limit(settings) + 2 * Size.FILE.limit(settings)
        files, memory = Pot(most_files, self._timeout_s), Pot(MOST_IN_MEMORY, self._timeout_s)
        self._pots = {Size.DOCUMENT: memory, Size.PICTURES: files, Size.FILE: files}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(receive, self._timeout_s)
        given = Headers(scope=scope)
        announced = given.get("content-length", "0")
        length = int(announced) if announced.isdecimal() and len(announced) < 16 else None
        is_small = "transfer-encoding" not in given and length is not None and length <= SMALL
        size = Size.SMALL if is_small else self._size_of(scope)
        limit = size.limit(self._settings)
        if length is None or length > limit:
            await self._refuse(limit, scope, body, send)
            return
        if size not in self._pots or is_small:
            await self._pass_on(scope, body, limit, send, None)
            return
        needed = limit if "transfer-encoding" in given else length
        await self._pass_on(scope, body, limit, send, self._pots[size].place(_source(scope), needed))

    async def _pass_on(
        self, scope: Scope, body: Body, limit: int, send: Send, place: AbstractAsyncContextManager[Incoming] | None
    ) -> None:
        started = False

        async def receive_limited() -> Message:
            nonlocal place
            if place is not None:  # a request that is refused by its head alone needs no place
                waiting, place = place, None
                try:
                    body.place = await held.enter_async_context(waiting)
                except TimeoutError:
                    raise BusyError from None
            try:
                message = await body.receive()
            except TimeoutError:
                if started:  # an answer that does not need the body: it ends as if the client had left
                    return {"type": "http.disconnect"}
                raise BodyTooSlowError(self._timeout_s) from None
            if body.received > limit:
                raise BodyTooLargeError(limit)
            if body.complete:
                body.place = None
                await held.aclose()
            return message

        async def send_noticed(message: Message) -> None:
            nonlocal started
            started = True
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_last and body.received and not body.complete:
                await held.aclose()
                message = await self._answer_and_drain(message, body, send)
            await send(message)

        async with AsyncExitStack() as held:
            await self._app(scope, receive_limited, send_noticed)

    def _size_of(self, scope: Scope) -> Size:
        if self._sizes is None:
            self._sizes = Sizes(scope["app"])
        return self._sizes.of(scope)

    async def _refuse(self, limit: int, scope: Scope, body: Body, send: Send) -> None:
        """Answer 413, then read on for a while."""
        error = BodyTooLargeError(limit)

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = await self._answer_and_drain(message, body, send)
            await send(message)

        headers = {"Connection": "close"}
        response = problem_response(scope["state"]["request_id"], 413, error.detail, headers=headers)
        await response(scope, body.receive, send_then_drain)

    async def _answer_and_drain(self, message: Message, body: Body, send: Send) -> Message:
        """Send the last piece of an answer, read on for a while, and return what ends the answer."""
        await send({**message, "more_body": True})
        body.place = None
        try:
            async with asyncio.timeout(3 * self._timeout_s):
                while not body.complete and body.received <= DRAINED:
                    if (await body.receive())["type"] == "http.disconnect":
                        break
        except TimeoutError:
            pass
        return {"type": "http.response.body", "body": b""}


def _source(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""

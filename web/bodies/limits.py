"""Limits on the size, the speed and the number of request bodies.

A route declares its size with `takes`; every other address accepts one or two packets. Large bodies go to files, so
that their number and size take no memory.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.settings import ServerSettings
from web.errors import BodyTooLargeError, BodyTooSlowError, BusyError, problem_response

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
KB, MB = 1024, 1024 * 1024
MOST_AT_ONCE = 64
"""Each of them keeps a file open."""
_FAST_BYTES_PER_S = 256_000
_STALLED_S = 1.0


class Size(Enum):
    """The size class of a body: `SMALL` and `DOCUMENT` are read into memory, the others into files."""

    SMALL = 0
    DOCUMENT = 1
    """A project: 4 MB of document and its name."""
    PICTURES = 2
    """Up to `max_body_mb`."""
    FILE = 3
    """Up to `max_project_mb`."""

    def limit(self, settings: ServerSettings) -> int:
        """Return the most bytes of a body."""
        largest = int(settings.max_body_mb * MB)
        match self:
            case Size.SMALL:
                return min(64 * KB, largest)
            case Size.DOCUMENT:
                return min(5 * MB, largest)
            case Size.PICTURES:
                return largest
            case Size.FILE:
                return int(settings.max_project_mb * MB)


def takes(size: Size) -> Callable[[Endpoint], Endpoint]:
    """Let a route accept bodies of another size than `SMALL`."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["takes"] = size
        return endpoint

    return mark


class Sizes:
    """The size classes of an application's routes, by method and path."""

    def __init__(self, app: FastAPI) -> None:
        self._routes: list[tuple[re.Pattern[str], set[str], Size]] = []
        for route in iter_route_contexts(app.routes):
            size = getattr(getattr(route, "endpoint", None), "takes", None)
            if size is not None:
                self._routes.append((compile_path(str(route.path))[0], set(route.methods or ()), size))

    def of(self, scope: Scope) -> Size:
        found = (
            size for path, methods, size in self._routes if scope["method"] in methods and path.match(scope["path"])
        )
        return next(found, Size.SMALL)


class Incoming:
    """An incoming body: its client, its received bytes, and its start."""

    def __init__(self, client: str, size: int, now: float) -> None:
        self.client = client
        self.size = size
        self.began = self.heard = now
        self.received = 0
        self.give_way = asyncio.Event()
        """Set when a faster client needs the place."""

    def pace(self, now: float) -> float:
        """Return the bytes per second; 0 if it has stopped."""
        return 0.0 if now - self.heard > _STALLED_S else self.received / max(now - self.began, 0.1)


class Pot:
    """A budget of bytes and places that incoming bodies share; if it runs short, slow bodies are dropped.

    Of the slow ones, those of the client with the most go first. If none can be dropped, a new body waits.
    """

    def __init__(self, capacity: int, patience_s: float) -> None:
        self._capacity = capacity
        self._patience_s = patience_s
        self._bodies: list[Incoming] = []
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def place(self, client: str, size: int) -> AsyncGenerator[Incoming]:
        """Reserve `size` bytes during the block; raises `TimeoutError` if they are not available in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_s
        while not self._has_room(size):
            self._changed.clear()
            self._ask_for_room(loop.time())
            left = deadline - loop.time()
            if left <= 0:
                raise TimeoutError
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, _STALLED_S))
        body = Incoming(client, size, loop.time())
        self._bodies.append(body)
        try:
            yield body
        finally:
            self._bodies.remove(body)
            self._changed.set()

    def _has_room(self, size: int) -> bool:
        held = sum(body.size for body in self._bodies)
        return not self._bodies or (held + size <= self._capacity and len(self._bodies) < MOST_AT_ONCE)

    def _ask_for_room(self, now: float) -> None:
        counts = Counter(body.client for body in self._bodies)
        slow = [
            body
            for body in self._bodies
            if now - body.began > _STALLED_S and body.pace(now) < _FAST_BYTES_PER_S and not body.give_way.is_set()
        ]
        if slow:
            min(slow, key=lambda body: (-counts[body.client], body.pace(now), body.began)).give_way.set()


SLOWEST_BYTES_PER_S = 32_000
"""The slowest accepted client."""


class Credit:
    """A time credit in seconds: `span_s` at first and at most, plus a second for each 32 kB.

    So neither a pause of `span_s` is allowed nor a longer time below 32 kB/s, whatever the earlier speed.
    """

    def __init__(self, span_s: float, now: float) -> None:
        self._span_s = span_s
        self._deadline = now + span_s

    @property
    def deadline(self) -> float:
        return self._deadline

    def earn(self, count: int, now: float) -> None:
        """Add `count` bytes that have moved by `now`."""
        self._deadline = min(self._deadline + count / SLOWEST_BYTES_PER_S, now + self._span_s)

    def pause(self, seconds: float) -> None:
        """Exclude a time in which the client was not the cause of the delay."""
        self._deadline += seconds


# Enforcing the limits on an incoming body.

SMALL = 65_536
"""Bytes of a body that needs no place."""
MOST_IN_MEMORY = 64 * MB
"""Most bytes of all bodies that are read into memory."""
DRAINED = 128 * MB
"""Bytes to read of a refused body, because a client that is still sending would not see the response."""


class Body:
    """An incoming body: its received bytes, and the time limit of the next piece."""

    def __init__(self, receive: Receive, timeout_s: float) -> None:
        self._receive = receive
        self._timeout_s = timeout_s
        self._credit: Credit | None = None
        self._left_at = 0.0
        self.place: Incoming | None = None
        """The body's share of a budget."""
        self.received = 0
        self.complete = False

    async def receive(self) -> Message:
        """Return the next message; raises `TimeoutError` if it is too late, or if the body is dropped."""
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
    """Refuses a body above its route's limit, at once if its length is announced, and a body that is too slow.

    Large bodies go to files and have a place in a budget while they arrive; small ones need none.
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
        source = scope["client"][0] if scope.get("client") else ""
        await self._pass_on(scope, body, limit, send, self._pots[size].place(source, needed))

    async def _pass_on(
        self,
        scope: Scope,
        body: Body,
        limit: int,
        send: Send,
        place: AbstractAsyncContextManager[Incoming] | None,
    ) -> None:
        started = False

        async def receive_limited() -> Message:
            nonlocal place
            if place is not None:  # a request that its head alone refuses needs no place
                waiting, place = place, None
                try:
                    body.place = await held.enter_async_context(waiting)
                except TimeoutError:
                    raise BusyError from None
            try:
                message = await body.receive()
            except TimeoutError:
                if started:  # the response does not need the body: end it as if the client had disconnected
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

        async with contextlib.AsyncExitStack() as held:
            await self._app(scope, receive_limited, send_noticed)

    def _size_of(self, scope: Scope) -> Size:
        if self._sizes is None:
            self._sizes = Sizes(scope["app"])
        return self._sizes.of(scope)

    async def _refuse(self, limit: int, scope: Scope, body: Body, send: Send) -> None:
        """Answer 413, then keep reading for a while."""
        error = BodyTooLargeError(limit)

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = await self._answer_and_drain(message, body, send)
            await send(message)

        headers = {"Connection": "close"}
        response = problem_response(scope["state"]["request_id"], 413, error.detail, headers=headers)
        await response(scope, body.receive, send_then_drain)

    async def _answer_and_drain(self, message: Message, body: Body, send: Send) -> Message:
        """Send the last piece of a response, keep reading for a while, and return the final message."""
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

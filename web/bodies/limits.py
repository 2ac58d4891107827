"""Which routes take how large a body, and what may be on its way at once.

A route says so with `takes`; every other address takes what fits into one packet or two. Bodies that are large go to
files, so that their number and size cost no memory.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from enum import Enum
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path
from starlette.types import Scope

from server.settings import ServerSettings

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
KB, MB = 1024, 1024 * 1024
MOST_AT_ONCE = 64
"""Each of them has a file open."""
_FAST_BYTES_PER_S = 256_000
_STALLED_S = 1.0


class Size(Enum):
    """How large a body may be: `SMALL` and `DOCUMENT` are read into memory, the others into files."""

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
    """Have a route take bodies of another size than `SMALL`."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["takes"] = size
        return endpoint

    return mark


class Sizes:
    """The sizes of an application's routes, which it looks up by method and path."""

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
    """A body on its way in: whose it is, how much of it has come, and since when."""

    def __init__(self, client: str, size: int, now: float) -> None:
        self.client = client
        self.size = size
        self.began = self.heard = now
        self.received = 0
        self.give_way = asyncio.Event()
        """Set when the place is needed for somebody who is faster."""

    def pace(self, now: float) -> float:
        """Return the bytes a second, 0 for one that has stopped."""
        return 0.0 if now - self.heard > _STALLED_S else self.received / max(now - self.began, 0.1)


class Pot:
    """Bodies that are being received share so many bytes and places; where these are short, who is slow gives way.

    Of the slow ones, those of the client that has most give way first. A newcomer for whom nobody gives way waits.
    """

    def __init__(self, capacity: int, patience_s: float) -> None:
        self._capacity = capacity
        self._patience_s = patience_s
        self._bodies: list[Incoming] = []
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def place(self, client: str, size: int) -> AsyncGenerator[Incoming]:
        """Hold room for `size` bytes until the block ends; raises `TimeoutError` when there is none for too long."""
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

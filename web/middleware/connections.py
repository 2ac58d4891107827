"""How many connections the service holds, how slow they may be, and how many requests begin at once."""

import asyncio
import errno
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from web.middleware.access_log import PROBES

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None

logger = logging.getLogger("llm_dit.server")

RESERVED = 256
"""Files that are left to the database, to pictures and to bodies on their way in."""
MOST = 2048
WAITING = 128
"""Connections that the system keeps until they are taken."""
AT_ONCE = 16
"""Connections that are taken in one go: what others wait for meanwhile comes after all of them."""
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
QUIET_S = 60.0


def most_connections() -> int:
    """Raise the limit of open files as far as it goes, and return how many of them connections may take."""
    if resource is None:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + RESERVED if hard == resource.RLIM_INFINITY else min(hard, MOST + RESERVED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST if soft == resource.RLIM_INFINITY else max(16, min(MOST, soft - RESERVED, int(soft * 0.75)))


class Connection(Protocol):
    """What decides which connection gives way; `heard` is when its client was last heard of, in monotonic seconds."""

    heard: float

    @property
    def at_work(self) -> bool: ...

    @property
    def address(self) -> str: ...


def first_to_go(connections: Iterable[Connection]) -> Connection | None:
    """Return the connection that gives way: a silent one where there is one, else one that is at work.

    Of these, it is one of the address that has most of them, the one that was heard of longest ago. So many silent
    connections of one machine cost nobody else theirs, and many people behind one address are not kept out.
    """
    all_of_them = list(connections)
    candidates = [connection for connection in all_of_them if not connection.at_work] or all_of_them
    if not candidates:
        return None
    counts = Counter(connection.address for connection in candidates)
    return min(candidates, key=lambda connection: (-counts[connection.address], connection.heard))


class LoopErrors:
    """Says once a minute that connections cannot be taken for want of files, and not for each of them."""

    def __init__(self) -> None:
        self._said_at = -QUIET_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in OUT_OF_FILES):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said_at >= QUIET_S:
            self._said_at = time.monotonic()
            logger.error("there are no files left for new connections: raise the limit (ulimit -n)")


# How slow the other end of a connection may be.

SLOWEST_BYTES_PER_S = 32_000


class Credit:
    """Time that somebody has, in seconds: `span_s` at first and at most, and a second more for each 32 kB that move.

    So neither a pause of `span_s` is allowed nor a pace that is below 32 kB/s for longer, whatever went before.
    """

    def __init__(self, span_s: float, now: float) -> None:
        self._span_s = span_s
        self._deadline = now + span_s

    @property
    def deadline(self) -> float:
        return self._deadline

    def earn(self, count: int, now: float) -> None:
        """Take in that `count` bytes have moved by `now`."""
        self._deadline = min(self._deadline + count / SLOWEST_BYTES_PER_S, now + self._span_s)

    def pause(self, seconds: float) -> None:
        """Leave out a time in which it was not the other end that was waited for."""
        self._deadline += seconds


# How many requests begin at once.

BEGIN_AT_ONCE = 4
"""Requests that begin in one turn of the event loop."""


class Turns:
    """Has a few requests begin in each turn of the event loop, the first ones first, and probes at once.

    All requests that have begun share each turn. When hundreds of them come within a moment, one that wants little
    would otherwise have to wait for all of the others in each of the turns that it takes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            await self._turn()
        await self._app(scope, receive, send)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            loop.call_soon(self._next, loop)
        if self._begun < BEGIN_AT_ONCE:
            self._begun += 1
        else:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begun = 0
        while self._waiting and self._begun < BEGIN_AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begun += 1
        if self._begun > 0:
            loop.call_soon(self._next, loop)

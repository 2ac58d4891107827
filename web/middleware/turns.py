"""How many requests begin at once."""

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

from web.middleware.access_log import PROBES

AT_ONCE = 4
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
        if self._begun < AT_ONCE:
            self._begun += 1
        else:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begun = 0
        while self._waiting and self._begun < AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._begun += 1
        if self._begun > 0:
            loop.call_soon(self._next, loop)

"""One line in the log and one count for each request, as plain ASGI around everything else."""

import logging
import time
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.metrics import METHODS, OTHER_METHOD, OTHER_ROUTE
from web.state import State

logger = logging.getLogger("llm_dit.access")

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when they fail."""
MOST_LINES, LINES_A_SECOND = 200, 40
"""Lines that are written at once, and from then on a second: half a megabyte a minute, however many requests come."""
NO_ANSWER = 499
"""The status of a request whose client left before there was an answer, as nginx counts it."""


class Access:
    """Logs and counts requests by their route: neither an address nor a body as the client wrote it goes anywhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pace = Pace(time.monotonic())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, bytes_in, bytes_out = NO_ANSWER, 0, 0

        async def receive_counted() -> Message:
            nonlocal bytes_in
            message = await receive()
            bytes_in += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            nonlocal status, bytes_out
            if message["type"] == "http.response.start":
                status = message["status"]
            bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive_counted, send_counted)
        finally:
            self._report(scope, status, time.perf_counter() - began, bytes_in, bytes_out)

    def _report(self, scope: Scope, status: int, duration_s: float, bytes_in: int, bytes_out: int) -> None:
        state, method, route = cast(State, scope["state"]), method_of(scope), route_of(scope)
        state["metrics"].request_ended(method, route, status, duration_s)
        if (route in PROBES and status < 400) or not self._pace.allows(time.monotonic()):
            return
        fields = {
            "request_id": scope["state"].get("request_id"),
            "method": method,
            "route": route,
            "status": status,
            "ms": round(duration_s * 1000, 1),
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "client": scope["client"][0] if scope.get("client") else None,
        }
        if left_out := self._pace.left_out():
            fields["left_out"] = left_out
        logger.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra=fields)


class Pace:
    """Which lines of a flood are written."""

    def __init__(self, now: float) -> None:
        self._lines, self._at, self._left_out = float(MOST_LINES), now, 0

    def allows(self, now: float) -> bool:
        """Whether one more line is written at `now`, in monotonic seconds."""
        self._lines = min(MOST_LINES, self._lines + (now - self._at) * LINES_A_SECOND)
        self._at = now
        allowed = self._lines >= 1
        self._lines -= allowed
        self._left_out += not allowed
        return allowed

    def left_out(self) -> int:
        """Return how many lines have been left out since this was asked before."""
        count, self._left_out = self._left_out, 0
        return count


def route_of(scope: Scope) -> str:
    """Return the template of the path, such as `/api/jobs/{job_id}`, that took the request, or `other`."""
    if "route" in scope:
        return scope["route"].path
    mount = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
    return f"{mount}/{{path}}" if mount else OTHER_ROUTE


def method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else OTHER_METHOD

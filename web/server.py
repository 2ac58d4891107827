"""The application, found by `uvicorn web.server:app`: its parts put together, and what every request goes through.

The latter is plain ASGI: only so does a route see that its client has left. `web/bodies/limits.py` and `web/door` have
the rest of it: how large a body may be, and who is let in.
"""

import asyncio
import contextlib
import dataclasses
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator
from importlib.metadata import version
from typing import cast

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_dit.errors import LLMDiTError
from server.engines import engine_of_service
from server.service import open_service
from server.settings import Settings, load_settings
from server.storage.database import secret_in
from server.telemetry import METHODS, OTHER_METHOD, OTHER_ROUTE, Concealed, configure
from web.bodies.limits import BodyLimit
from web.door.hosts import Proxies, is_secure_context
from web.door.tokens import Door, Token, warnings
from web.errors import OPENAI, Problem, add_error_handlers, internal_error
from web.routes import layers, openai, pages, service
from web.routes.pages import PageFiles, login_routes
from web.state import Clients, Offload, Retries, State, Streams

logger = logging.getLogger("llm_dit.server")


def create_app(settings: Settings, pipeline: str | None = None) -> FastAPI:
    """Return the service; raises `EngineError` if the engine of the settings cannot run here.

    `pipeline`, `module:Class`, replaces the engine's own pipeline.
    """
    chosen = engine_of_service(settings)
    if pipeline is not None:
        chosen = dataclasses.replace(chosen, pipeline=pipeline, options=None)
    token = Token(settings.server.token.get_secret_value())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        logger.info("the engine is %s. %s %s", chosen.label, chosen.reason, chosen.hint)
        for warning in warnings(settings.server):
            logger.warning("%s", warning)
        async with open_service(settings, chosen) as service:
            yield State(
                **service,
                clients=Clients(secret_in(settings.server.data_dir)),
                offload=Offload(),
                streams=Streams(),
                retries=Retries(),
            )

    app = FastAPI(
        title="llm-dit",
        version=version("llm-dit"),
        summary="Split an image into layers, edit one by an instruction, composite them again.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(Heads)
    app.add_middleware(BodyLimit, settings=settings.server)
    app.add_middleware(Door, settings=settings.server, token=token)
    app.add_middleware(Envelope)
    app.add_middleware(Turns)
    app.add_middleware(Access)
    app.add_middleware(Proxies, settings=settings.server)
    add_error_handlers(app)
    app.add_exception_handler(ClientDisconnect, _on_client_left)
    for router in (
        layers.runs,
        layers.stacks,
        service.projects,
        service.images,
        service.router,
        openai.router,
        openai.hugging_face,
        pages.router,
    ):
        app.include_router(router)
    app.include_router(login_routes(token))
    app.mount("/static", PageFiles(), name="static")
    return app


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; access logs use this number


def __getattr__(name: str) -> FastAPI:
    """Create `app` on first access, from the settings of the working directory and the environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure(settings.server.log_format)
        return create_app(settings)
    except LLMDiTError as error:
        raise SystemExit(f"error: {error.message}") from None


# What happens to every request.

access_logger = logging.getLogger("llm_dit.access")

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Polled by machines every few seconds: logged only if they fail."""
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
"""Browsers apply it only over HTTPS and on loopback, and elsewhere log an error to every page's console."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Heads:
    """Answers HEAD like GET without the body; a route's stream is not even started."""

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
    """Gives every request an id, every response the id and the security headers, and every crash a plain response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        # All requests share the lifespan's state; data of one request goes into a copy.
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        secure = is_secure_context(scope)
        started = False

        async def send_sealed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if headers.get("content-type") == Problem.media_type and scope["path"].startswith(OPENAI):
                    headers["Content-Type"] = "application/json"  # OpenAI's clients expect this name
                for name, value in (SECURITY_HEADERS | (SECURE_CONTEXT_HEADERS if secure else {})).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_sealed)
        except Exception as error:
            # Validators and codecs quote their input.
            fields = {"request_id": request_id, "method": method_of(scope), "route": route_of(scope)}
            logger.error("request failed", exc_info=Concealed.of(error), extra=fields)
            if not started:
                await internal_error(request_id)(scope, receive, send_sealed)


# Limiting how many requests start at once.

BEGIN_AT_ONCE = 4
"""Requests that start in one turn of the event loop."""


class Turns:
    """Starts a few requests in each turn of the event loop, in order of arrival, and probes at once.

    All started requests share each turn. If hundreds arrive at once, a small request would otherwise wait for all
    others in each of its turns.
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


# One log line and one count per request.

MOST_LINES, LINES_A_SECOND = 200, 40
"""Most lines in a burst, and then per second: half a megabyte a minute, however many requests come."""
NO_ANSWER = 499
"""The status of a request whose client disconnected before the response, as in nginx."""


class Access:
    """Logs and counts requests by their route: never the address or the body as the client wrote it."""

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
        access_logger.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra=fields)


class Pace:
    """Decides which lines of a flood are written."""

    def __init__(self, now: float) -> None:
        self._lines, self._at, self._left_out = float(MOST_LINES), now, 0

    def allows(self, now: float) -> bool:
        """Whether to write another line at `now`, in monotonic seconds."""
        self._lines = min(MOST_LINES, self._lines + (now - self._at) * LINES_A_SECOND)
        self._at = now
        allowed = self._lines >= 1
        self._lines -= allowed
        self._left_out += not allowed
        return allowed

    def left_out(self) -> int:
        """Return the number of omitted lines since the last call."""
        count, self._left_out = self._left_out, 0
        return count


def route_of(scope: Scope) -> str:
    """Return the template of the matched route, such as `/api/jobs/{job_id}`, or `other`."""
    if "route" in scope:
        return scope["route"].path
    mount = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
    return f"{mount}/{{path}}" if mount else OTHER_ROUTE


def method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else OTHER_METHOD

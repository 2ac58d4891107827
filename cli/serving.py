"""`llm-dit serve`: the socket, its connections, and the startup messages."""

import asyncio
import errno
import logging
import os
import secrets
import shlex
import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast

import h11
import segno
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from cli.terminal import console
from server.engines import Engine
from server.errors import SettingsError
from server.settings import ServerSettings, Settings, bracketed
from server.telemetry import configure
from web.bodies.limits import SLOWEST_BYTES_PER_S
from web.door.hosts import is_any_address, is_exposed, is_loopback, lan_address
from web.errors import problem_response
from web.server import create_app

DRAIN_S = 1
"""Seconds for open event streams and responses to end after a stop signal."""
TOKEN_BYTES = 12
"""Random bytes of a suggested token: 16 characters, short enough to type on a phone."""


class Server(uvicorn.Server):
    """Exits with 0 also on a signal before `StopSignals` is installed; uvicorn would re-raise the signal."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        await super().startup(sockets)
        for each in sockets or []:
            each.listen(WAITING)  # asyncio uses its backlog both for this and for the number of accepts at once

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def require_token(settings: ServerSettings) -> None:
    """Raise `SettingsError`, with a working command, if other machines could connect without a token."""
    if settings.token.get_secret_value() or settings.insecure or not is_exposed(settings.host):
        return
    token = secrets.token_urlsafe(TOKEN_BYTES)
    program = Path(sys.argv[0]).name
    command = [program if shutil.which(program) == sys.argv[0] else sys.argv[0], *sys.argv[1:]]
    raise SettingsError(
        f"other machines can reach {settings.host or 'all addresses'}, so the service needs a token. Here is a new one:"
        f"\n\n  {shlex.join([*command, f'--token={token}'])}\n\n"
        "To keep it out of the process list, set LLM_DIT_SERVER__TOKEN in the environment or `token` in config.toml. "
        "With --insecure anyone who reaches the address can use the service."
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `SettingsError` if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown host"
        raise SettingsError(
            f"cannot listen on {host}:{port} ({reason}): choose another with --port or --host."
        ) from None


def serve_forever(listener: socket.socket, settings: Settings) -> None:
    """Serve the application until a stop signal."""
    configure(settings.server.log_format)
    config = uvicorn.Config(
        create_app(settings),
        http=protocol_within(settings.server.client_timeout_s, most_connections()),
        backlog=AT_ONCE,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # `web.door.hosts` is stricter about which proxies it trusts
        timeout_graceful_shutdown=DRAIN_S,
    )
    Server(config).run(sockets=[listener])


def show_addresses(settings: ServerSettings, port: int) -> None:
    """Print the page's address; beyond loopback also a QR code of the LAN address and a note on the token."""
    host = settings.host
    if is_loopback(host):
        console.print(f"The page is on http://{bracketed(host)}:{port}")
        return
    address = f"http://{bracketed(lan_address() if is_any_address(host) else host)}:{port}"
    console.print(f"The page is on {address}")
    if sys.stderr.isatty():
        segno.make(address, error="l").terminal(out=sys.stderr, compact=True)
    if settings.token.get_secret_value():
        console.print("It asks for the token once on each device.")


def show_engine(engine: Engine) -> None:
    """Print which engine runs, why, and how to get the other one."""
    console.print(f"The engine is {engine.label}. {engine.reason} {engine.hint}", markup=False)


# Limits on the number of connections and on idle clients; uvicorn itself has none.


try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

logger = logging.getLogger("llm_dit.server")

RESERVED = 256
"""Open files reserved for the database, pictures and incoming bodies."""
MOST = 2048
WAITING = 128
"""Backlog of the socket: connections that the OS holds until they are accepted."""
AT_ONCE = 16
"""Connections accepted in one go; other events wait until all of them are accepted."""
OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
QUIET_S = 60.0


def most_connections() -> int:
    """Raise the limit of open files as far as possible, and return how many of them connections may use."""
    if resource is None:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + RESERVED if hard == resource.RLIM_INFINITY else min(hard, MOST + RESERVED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST if soft == resource.RLIM_INFINITY else max(16, min(MOST, soft - RESERVED, int(soft * 0.75)))


class Connection(Protocol):
    """What decides which connection is closed first; `heard` is the time of the last data, in monotonic seconds."""

    heard: float

    @property
    def at_work(self) -> bool: ...

    @property
    def address(self) -> str: ...


def first_to_go(connections: Iterable[Connection]) -> Connection | None:
    """Return the connection to close: an idle one if there is one, otherwise an active one.

    Of these, it is the longest silent one of the address with the most connections. So idle connections of one machine
    do not displace those of others, and many people behind one address can still connect.
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
            logger.error("no open files are left for new connections: raise the limit (ulimit -n)")


# The slowest accepted client.

SEND_BUFFER = 262_144
"""Bytes of an answer that the system takes on for one connection: by itself it takes megabytes, and tells late that a
client reads."""
NOT_HTTP = "This is not a valid HTTP/1.1 request: it needs exactly one Host header, and a header of at most 64 kB."


class PromptProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose client neither sends what it owes nor reads what it asked for.

    A request's header has `timeout_s` seconds from the connection or from its own first byte, however it drips, and
    so has what is left of a body after the request has been answered. An answer that is read at less than 32 kB/s for
    three times as long is given up. Beyond `most` connections, each new one has another one closed. How long a body
    may take that is still wanted is up to `web.bodies.limits.BodyLimit`, and how long a connection may rest
    between two requests to uvicorn's keep-alive (5 s).
    """

    timeout_s: float = 10.0
    most: int = MOST

    heard: float = 0.0

    _owed: tuple[object, object] | None = None
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _paused: tuple[float, int] | None = None
    """When the client was last seen to read, and how much it had still to read then."""
    _waited_s: float = 0.0
    _read: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > SEND_BUFFER:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.heard = self.loop.time()
        if len(self.connections) > self.most:
            others = (each for each in self.connections if isinstance(each, PromptProtocol) and each is not self)
            if (leaving := cast(PromptProtocol | None, first_to_go(others))) is not None:
                leaving.give_way()
        self._expect_request()

    @property
    def at_work(self) -> bool:
        """Whether a request is being answered."""
        return bool(self.cycle) and not self.cycle.response_complete  # None before the first request

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def give_way(self) -> None:
        """Close at once."""
        self.connections.discard(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        super().data_received(data)
        self._expect_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect_closing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_closing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of every other refusal, as long as no other answer has begun."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            headers = {"X-Content-Type-Options": "nosniff", "Connection": "close"}
            refusal = problem_response(secrets.token_hex(8), 400, NOT_HTTP, code="invalid_request", headers=headers)
            head = h11.Response(status_code=refusal.status_code, headers=refusal.raw_headers)
            for event in (head, h11.Data(data=bytes(refusal.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._note_reading()
        self._paused = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        """Have one timer run from the moment that something is owed until it is there, whatever comes in between."""
        answered = bool(self.cycle) and self.cycle.response_complete  # None before the first request
        state = self.conn.their_state
        owes = state is h11.IDLE or (answered and state is h11.SEND_BODY)
        owed = (self.cycle, state) if owes else None
        if owed == self._owed:
            return
        self._owed = owed
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self.loop.call_later(self.timeout_s, self.timeout_keep_alive_handler) if owes else None

    def _expect_closing(self) -> None:
        """A transport that closes writes out its buffer first, for which it would wait without an end."""
        if self.transport.is_closing() and self.transport.get_write_buffer_size() > 0:
            self._expect_reading()

    def _expect_reading(self) -> None:
        if self._paused is None:
            self._paused = (self.loop.time(), self.transport.get_write_buffer_size())
        if self._writing is None:
            self._waited_s, self._read = 0.0, 0
            self._writing = self.loop.call_later(3 * self.timeout_s, self._check_reading)

    def _note_reading(self) -> None:
        """Count for how long it was the client that was waited for, and what it has read meanwhile."""
        if self._paused is not None:
            since, unread = self._paused
            now, left = self.loop.time(), self.transport.get_write_buffer_size()
            self._waited_s += now - since
            self._read += max(0, unread - left)
            self._paused = (now, left)

    def _check_reading(self) -> None:
        self._writing = None
        if not (self.flow.write_paused or self.transport.is_closing()):
            return
        self._note_reading()
        if self._read < self._waited_s * SLOWEST_BYTES_PER_S:
            self.transport.abort()
        else:
            self._expect_reading()


def protocol_within(timeout_s: float, most: int = MOST) -> type[PromptProtocol]:
    """Return the protocol with other limits, seconds and connections; uvicorn takes a class and calls it by itself."""
    return type("PromptProtocol", (PromptProtocol,), {"timeout_s": timeout_s, "most": most})

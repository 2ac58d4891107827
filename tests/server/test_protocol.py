"""Connections whose client does not get on, and those that only look like it."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from cli.serving import protocol_within
from tests.kit.waiting import PATIENCE_S, wait_until

TIMEOUT_S = 0.3
LARGE = 1_000_000
"""Bytes, more than the system keeps for a connection."""
MOST = 8
"""Connections that the server holds."""
SMALL = 50_000
"""Bytes that a transport takes in at once, and that do not fit into a connection with the least room."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what came in, later or at length, as the path says."""
    if scope["type"] != "http":
        raise RuntimeError("HTTP only")
    body, more = b"", scope["path"] not in {"/unread", "/endless"}
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if scope["path"] == "/later":
        await asyncio.sleep(3 * TIMEOUT_S)
    answer = {"/large": b"x" * LARGE, "/small": b"x" * SMALL}.get(scope["path"], body)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while scope["path"] == "/endless" and (await receive())["type"] != "http.disconnect":
        pass
    await send({"type": "http.response.body", "body": answer})


class Server:
    """A server on a free port, in a thread."""

    def __init__(self, listener: socket.socket, timeout_s: float, keep_alive_s: int) -> None:
        config = uvicorn.Config(
            app,
            http=protocol_within(timeout_s, MOST),
            ws="none",
            lifespan="off",
            log_level="error",
            timeout_keep_alive=keep_alive_s,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self.address = listener.getsockname()

    def connect(self, *, room: int | None = None) -> socket.socket:
        """Return a connection; `room` bytes is what this end takes in before it is read."""
        connection = socket.socket()
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(PATIENCE_S)
        connection.connect(self.address)
        return connection

    @property
    def at_work(self) -> int:
        return sum(getattr(each, "at_work", False) for each in list(self._server.server_state.connections))

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def __enter__(self) -> "Server":
        self._thread.start()
        wait_until(lambda: self._server.started, "the server")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@contextlib.contextmanager
def serving(timeout_s: float = TIMEOUT_S, keep_alive_s: int = 1) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # its connections inherit it
        with Server(listener, timeout_s, keep_alive_s) as running:
            yield running


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def patient() -> Iterator[Server]:
    """A server that gives nobody up for the time that passes."""
    with serving(PATIENCE_S, int(PATIENCE_S)) as running:
        yield running


def seconds_until_closed(connection: socket.socket, drip: bytes = b"") -> float:
    """Read until the other end closes, and send `drip` every 50 ms meanwhile."""
    connection.settimeout(0.05)

    def closed() -> bool:
        try:
            while connection.recv(65_536):
                pass
        except TimeoutError:
            with contextlib.suppress(ConnectionError):
                connection.sendall(drip)
            return False
        except ConnectionError:
            pass
        return True

    return wait_until(closed, "the end of the connection")


@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"x"),
        (b"\r\n", b"\r\n"),
        (b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX: ", b"x"),
    ],
)
def test_what_is_owed_and_does_not_come_ends_the_connection(server: Server, sent: bytes, drip: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        seconds_until_closed(connection, drip)
    wait_until(lambda: server.connections == 0, "the end of the connection")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_a_problem_as_well(server: Server, request_: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(request_)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert (json.loads(body)["code"], json.loads(body)["status"]) == ("invalid_request", 400)


def test_garbage_after_the_answer_has_begun_only_ends_it(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /endless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"no chunk\r\n")
        seconds_until_closed(connection)
    wait_until(lambda: server.connections == 0, "its end")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def answered(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        piece = connection.recv(65_536)
        assert piece, "the connection ended before the answer"
        received += piece
    return received


def test_an_answer_may_take_longer(server: Server) -> None:
    with server.connect() as connection:
        assert answered(connection, b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_wanted_may_take_longer(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for _ in range(4):
            connection.sendall(b"x")
            time.sleep(TIMEOUT_S / 2)
        assert b"xxxxx" in answered(connection, b"x")


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_connection_rests_between_requests_and_is_used_again() -> None:
    with serving(keep_alive_s=int(PATIENCE_S)) as server, server.connect() as connection:
        for _ in range(3):
            answered(connection, REQUEST)
            time.sleep(1.3 * TIMEOUT_S)
        answered(connection, REQUEST)


def test_a_rest_is_longer_than_a_request_may_take_and_ends(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(REQUEST + REQUEST)
        assert seconds_until_closed(connection) > TIMEOUT_S


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("path", [b"/large", b"/small"])
def test_an_answer_that_nobody_reads_is_given_up(server: Server, path: bytes, more: bytes) -> None:
    with server.connect(room=4096) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        wait_until(lambda: server.connections == 1, "the connection")
        wait_until(lambda: server.connections == 0, "its end")


def test_an_answer_that_is_read_slowly_arrives(server: Server) -> None:
    with server.connect(room=4096) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received, started = 0, time.monotonic()
        while chunk := connection.recv(1_000_000):
            received += len(chunk)
            if time.monotonic() - started < 6 * TIMEOUT_S:
                time.sleep(0.03)
        assert time.monotonic() - started > 6 * TIMEOUT_S
    assert received > LARGE


def test_a_new_connection_has_the_one_that_was_silent_longest_closed(patient: Server) -> None:
    with contextlib.ExitStack() as stack:
        at_work = stack.enter_context(patient.connect())
        at_work.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
        silent = [stack.enter_context(patient.connect()) for _ in range(MOST - 1)]
        wait_until(lambda: patient.connections == MOST, "the connections")
        newest = stack.enter_context(patient.connect())
        assert answered(newest, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        seconds_until_closed(silent[0])
        assert b"xxxxx" in answered(at_work, b"xxxx")
        assert patient.connections <= MOST


def test_where_all_are_at_work_the_one_heard_of_longest_ago_is_closed(patient: Server) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(patient.connect()) for _ in range(MOST)]
        for connection in held:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nx")
        wait_until(lambda: patient.at_work == MOST, "the requests")
        newest = stack.enter_context(patient.connect())
        assert answered(newest, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        seconds_until_closed(held[0])


def test_an_answer_that_is_read_too_slowly_is_given_up(server: Server) -> None:
    with server.connect(room=4096) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        received = 0
        with contextlib.suppress(ConnectionError):
            while received < LARGE and (piece := connection.recv(1000)):
                received += len(piece)
                time.sleep(0.1)
        assert received < LARGE

"""How long the service waits for the other end of a connection; uvicorn by itself waits for ever."""

import asyncio
import json
import math
import secrets

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_MESSAGE = "This is not a request of HTTP/1.1: it needs one Host header, and a header of at most 64 kB."
# In the shape of web.problems, which the server does not know: these never reach the application.
NOT_HTTP: dict[str, object] = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": _MESSAGE,
    "code": "invalid_request",
    "error": {"message": _MESSAGE, "type": "invalid_request_error", "code": "invalid_request", "param": None},
}
NOT_HTTP_HEADERS = [
    (b"content-type", b"application/problem+json"),
    (b"x-content-type-options", b"nosniff"),
    (b"connection", b"close"),
]


class PromptProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose client neither sends what it owes nor reads what it asked for.

    A request's header has `timeout_s` seconds from the connection or from its own first byte, however it drips, and
    so has what is left of a body after the request has been answered. An answer of which nothing is read for three
    times as long is given up. How long a body may take that is still wanted is up to `web.middleware.BodyLimit`, and
    how long a connection may rest between two requests to uvicorn's keep-alive (5 s).
    """

    timeout_s: float = 10.0

    _owed: tuple[object, object] | None = None
    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _unread: float = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
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
            body = json.dumps(NOT_HTTP | {"request_id": secrets.token_hex(8)}).encode()
            headers = [*NOT_HTTP_HEADERS, (b"content-length", str(len(body)).encode())]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = math.inf

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
        if self._writing is None:
            self._unread = self.transport.get_write_buffer_size()
            self._writing = self.loop.call_later(3 * self.timeout_s, self._check_reading)

    def _check_reading(self) -> None:
        self._writing = None
        if not (self.flow.write_paused or self.transport.is_closing()):
            return
        if self.transport.get_write_buffer_size() >= self._unread:
            self.transport.abort()
        else:
            self._expect_reading()


def protocol_within(timeout_s: float) -> type[PromptProtocol]:
    """Return the protocol with another time to wait, in seconds; uvicorn takes a class and calls it by itself."""
    return type("PromptProtocol", (PromptProtocol,), {"timeout_s": timeout_s})

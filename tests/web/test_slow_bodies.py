"""A body has a time in which to arrive, whatever server runs the application."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit.jobs import DECOMPOSE, fields
from tests.kit.pictures import SQUARE_URL, png, square
from tests.kit.service import Service, serve
from web.bodies.limits import MOST_AT_ONCE

TIMEOUT_S = 0.5


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"LLM_DIT_SERVER__CLIENT_TIMEOUT_S": str(TIMEOUT_S), "LLM_DIT_SERVER__MAX_BODY_MB": "1"}
    with serve(tmp_path_factory.mktemp("hasty"), app="tests.kit.app:app", environment=environment) as running:
        yield running


def exchange(service: Service, head: str, drip: Callable[[socket.socket], None]) -> tuple[bytes, float]:
    """Send a request's head, let `drip` go on until the other end has had enough; return the answer and the seconds."""
    address = urlsplit(service.url)
    started = time.monotonic()
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"{head}\r\nHost: {address.netloc}\r\n\r\n".encode())
        answer = b""
        try:
            drip(connection)
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionError:
            pass
        return answer, time.monotonic() - started


def upload(length: int) -> str:
    return f"POST /api/images HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: {length}"


def nothing(connection: socket.socket) -> None:
    connection.sendall(b"x")


def byte_by_byte(connection: socket.socket) -> None:
    connection.settimeout(0.05)
    for _ in range(100):
        connection.sendall(b"x")
        try:
            if not connection.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            continue
        else:
            break
    connection.settimeout(None)


JOB = "POST /api/qwen-image/decompose HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000"
CHUNKED = "POST /api/images HTTP/1.1\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (upload(1000), nothing),
        (upload(1000), byte_by_byte),
        (JOB, nothing),
        (JOB, byte_by_byte),
        (CHUNKED, lambda connection: connection.sendall(b"5\r\nxx")),
    ],
)
def test_a_body_that_does_not_come_is_408_and_closed(
    hasty: Service, head: str, drip: Callable[[socket.socket], None]
) -> None:
    answer, seconds = exchange(hasty, head, drip)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in answer
    assert b"connection: close" in answer.lower()
    assert seconds >= TIMEOUT_S


def test_a_body_that_is_too_large_is_not_waited_for_either(hasty: Service) -> None:
    answer, _ = exchange(hasty, upload(10_000_000), nothing)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_keeps_coming_has_the_time_it_needs(hasty: Service) -> None:
    content = png(square()) + b"\0" * 200_000

    def steady(connection: socket.socket) -> None:
        for start in range(0, len(content), 10_000):
            connection.sendall(content[start : start + 10_000])
            time.sleep(0.04)  # 0.8 s in all, more than the timeout

    head = upload(len(content)) + "\r\nConnection: close"
    answer, seconds = exchange(hasty, head, steady)
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert seconds > TIMEOUT_S


def test_an_answer_that_has_begun_ends_where_its_request_does_not(hasty: Service) -> None:
    with hasty.connect() as client:
        fields = {"image": SQUARE_URL, "prompt": "wait"}
        job = client.post("/api/qwen-image/decompose", json=fields, headers={"Prefer": "respond-async"})
        answer, _ = exchange(
            hasty, f"GET {job.headers['location']}/events HTTP/1.1\r\nContent-Length: 5\r\nConnection: close", nothing
        )
        client.delete(job.headers["location"])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"event: succeeded" not in answer, "the connection ends before the job does"
    assert "Traceback" not in hasty.log


@pytest.mark.slow
def test_bodies_that_stop_give_way_to_those_that_come(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__CLIENT_TIMEOUT_S": "60"})
    head = f"POST {DECOMPOSE} HTTP/1.1\r\nHost: localhost\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 250000\r\n\r\n"
    address = httpx.URL(service.url)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_AT_ONCE + 3):
            connection = stack.enter_context(socket.create_connection((address.host, address.port)))
            connection.sendall(head.encode() + b"{" + b" " * 249_000)  # the rest does not come
        with service.connect() as client:
            body = json.dumps(fields()).encode().ljust(250_000)
            answer = client.post(DECOMPOSE, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 200
            assert client.post(DECOMPOSE, json=fields()).status_code == 200

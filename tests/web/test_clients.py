"""Who a client is: a browser by its cookie, a program by its address."""

import re

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from web.state import COOKIE, NEW_BROWSERS, Clients


def request(cookie: str | None = None, peer: tuple[str, int] | None = ("192.168.1.9", 4000)) -> Request:
    headers = [] if cookie is None else [(b"cookie", f"{COOKIE}={cookie}".encode("latin-1"))]
    return Request(
        {"type": "http", "headers": headers, "client": peer, "scheme": "http", "server": ("h", 1), "path": "/"}
    )


@pytest.fixture
def clients() -> Clients:
    return Clients(b"k" * 32)


def cookie_for(clients: Clients, peer: str = "192.168.1.9") -> str | None:
    """Open the page and return the cookie that comes with it."""
    response = Response()
    clients.recognize(request(peer=(peer, 1)), response)
    match = re.match(rf"{COOKIE}=([\w-]{{22}});", response.headers.get("set-cookie", ""))
    return match[1] if match else None


def test_only_an_id_that_was_given_out_counts(clients: Clients) -> None:
    cookie = cookie_for(clients)
    assert cookie is not None
    assert clients.of(request(cookie)) == f"browser:{cookie}"
    assert clients.of(request(cookie[:-1] + ("A" if cookie[-1] != "A" else "Q"))) == "address:192.168.1.9"
    assert Clients(b"x" * 32).of(request(cookie)) == "address:192.168.1.9"


def test_an_address_is_not_a_new_client_each_time(clients: Clients) -> None:
    given = [cookie_for(clients) for _ in range(NEW_BROWSERS + 5)]
    assert len({cookie for cookie in given if cookie}) == NEW_BROWSERS
    assert given[-1] is None
    assert cookie_for(clients, "192.168.1.10") is not None, "another address has its own"
    assert clients.of(request(given[0])) == f"browser:{given[0]}", "who has one keeps it"
    first, second = (clients.of(request(peer=(f"2001:db8::{host}", 1))) for host in (1, 2))
    assert first == second, "a machine has a whole network of these"


def test_the_page_gives_a_browser_an_id_once(client: httpx.Client) -> None:
    answer = client.get("/")
    match = re.fullmatch(
        rf"{COOKIE}=([\w-]{{22}}); HttpOnly; Max-Age=31536000; Path=/; SameSite=lax", answer.headers["set-cookie"]
    )
    assert match is not None
    assert "set-cookie" not in client.get("/").headers
    assert "set-cookie" not in client.get("/api/qwen-image/status").headers
    client.cookies.clear()
    assert client.get("/").cookies[COOKIE] != match[1]


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 22, "x" * 23, "x" * 21 + "é", "x" * 21 + "\n"])
def test_a_client_without_an_id_is_an_address(clients: Clients, cookie: str | None) -> None:
    assert clients.of(request(cookie)) == "address:192.168.1.9"
    assert clients.of(request(cookie, None)) == "address:local"

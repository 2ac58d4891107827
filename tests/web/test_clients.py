"""Who a client is: a browser by its cookie, a program by its address."""

import re

import httpx
import pytest
from starlette.requests import Request

from web.clients import COOKIE, client_of


def request(cookie: str | None = None, peer: tuple[str, int] | None = ("192.168.1.9", 4000)) -> Request:
    headers = [] if cookie is None else [(b"cookie", f"{COOKIE}={cookie}".encode("latin-1"))]
    return Request({"type": "http", "headers": headers, "client": peer})


def test_the_page_gives_a_browser_an_id_once(client: httpx.Client) -> None:
    answer = client.get("/")
    match = re.fullmatch(
        rf"{COOKIE}=([\w-]{{22}}); HttpOnly; Max-Age=31536000; Path=/; SameSite=lax", answer.headers["set-cookie"]
    )
    assert match is not None
    assert client_of(request(match[1])) == f"browser:{match[1]}"
    assert "set-cookie" not in client.get("/").headers
    assert "set-cookie" not in client.get("/api/qwen-image/status").headers
    client.cookies.clear()
    assert client.get("/").cookies[COOKIE] != match[1]


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 23, "x" * 21 + "é", "x" * 21 + "\n"])
def test_whoever_has_no_id_is_an_address(cookie: str | None) -> None:
    assert client_of(request(cookie)) == "address:192.168.1.9"
    assert client_of(request(cookie, None)) == "address:local"

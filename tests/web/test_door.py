"""The door one case at a time: other machines, the token, the login, what a browser is told."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import Response

from server.settings import ServerSettings
from tests.kit.service import Service, serve
from tests.web.corpus import assert_problem
from web.door.hosts import Hosts
from web.door.tokens import COOKIE_S, MOST_ADDRESSES, Attempts, Token, local_path, warnings

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHER_MACHINE = {"X-Forwarded-For": "192.168.1.50"}


@pytest.fixture(scope="module")
def shut_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"LLM_DIT_SERVER__TOKEN": TOKEN, "LLM_DIT_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    folder = tmp_path_factory.mktemp("shut")
    with serve(folder, app="tests.kit.app:app", environment=environment) as running:
        yield running


@pytest.fixture
def shut(shut_service: Service) -> Iterator[httpx.Client]:
    with shut_service.connect() as client:
        yield client


def log_in(client: httpx.Client, token: str = TOKEN, path: str = "/", **headers: str) -> httpx.Response:
    return client.post("/login", data={"token": token, "next": path}, headers=headers)


# Other machines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/livez", "/api/qwen-image/status", "/nothing"])
def test_without_a_token_other_machines_are_not_answered(client: httpx.Client, path: str) -> None:
    error = assert_problem(client.get(path, headers=OTHER_MACHINE), 403, "token_not_set")
    assert "--token" in str(error["message"])
    assert client.get(path, headers={"X-Forwarded-For": "127.0.0.1"}).status_code != 403


def test_with_the_token_other_machines_are_answered(shut: httpx.Client) -> None:
    assert shut.get("/livez", headers=OTHER_MACHINE).status_code == 200
    assert shut.get("/readyz", headers=OTHER_MACHINE).status_code == 401
    assert shut.get("/readyz", headers=OTHER_MACHINE | BEARER).status_code == 200


def test_insecure_answers_everybody_and_says_so(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__INSECURE": "true"})
    assert service.get("/readyz", headers=OTHER_MACHINE).status_code == 200
    assert "anyone who reaches this service can use it" in service.log


def scope(host: str, local: str = "192.168.1.20") -> dict[str, object]:
    return {"type": "http", "headers": [(b"host", host.encode())], "server": (local, 8000)}


def test_the_networks_names_of_this_machine_count_for_a_service_of_the_network() -> None:
    name = socket.gethostname().lower()
    for settings in (ServerSettings(token=TOKEN, host="0.0.0.0"), ServerSettings(insecure=True)):  # type: ignore[arg-type]
        hosts = Hosts(settings)
        right = ["192.168.1.20:8000", name, f"{name.partition('.')[0]}.local:8000", "localhost"]
        assert [host for host in right if not hosts.admit(scope(host))] == []
        assert hosts.admit(scope("[fe80::1]", "fe80::1%eth0"))
        assert hosts.admit(scope("192.168.1.20", "::ffff:192.168.1.20"))
        assert not any(hosts.admit(scope(host)) for host in ("192.168.1.21", "0.0.0.0", "example.com"))
        assert not hosts.admit(scope("0.0.0.0", "0.0.0.0"))
    own = Hosts(ServerSettings())
    assert not any(own.admit(scope(host)) for host in ("192.168.1.20", name + ".local"))
    assert Hosts(ServerSettings(host="Studio.lan")).admit(scope("studio.lan:8000"))
    assert Hosts(ServerSettings(allowed_hosts=("::1", "FD00::7"))).admit(scope("[fd00::7]:80"))


# Other sites --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/qwen-image/status", "/static/js/main.js"])
def test_another_site_may_link_to_here_and_no_more(
    client: httpx.Client, path: str, headers: dict[str, str], status: int
) -> None:
    assert client.get(path, headers=headers).status_code == status


def test_no_other_site_is_told_that_it_may_ask(client: httpx.Client) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/qwen-image/decompose", headers=headers)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_what_only_a_secure_context_heeds_is_sent_to_such_alone(shut: httpx.Client) -> None:
    name = "cross-origin-opener-policy"
    assert name in shut.get("/livez").headers
    plain = {"Host": socket.gethostname()}
    assert name not in shut.get("/livez", headers=plain).headers
    assert name in shut.get("/livez", headers=plain | {"X-Forwarded-Proto": "https"}).headers


# The token ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "token_missing"),
        ("Bearer", "wrong_token"),
        ("Bearer wrong", "wrong_token"),
        (f"Bearer {TOKEN}x", "wrong_token"),
        (f"Bearer {TOKEN} {TOKEN}", "wrong_token"),
        ("Bearer é".encode(), "wrong_token"),
        ("Bearer é".encode("latin-1"), "wrong_token"),
        (b"Bearer \xff\xfe", "wrong_token"),
        (TOKEN, "token_missing"),
        (f"Basic {TOKEN}", "token_missing"),
    ],
)
def test_what_is_not_the_token(shut: httpx.Client, authorization: str | bytes | None, code: str) -> None:
    headers = [] if authorization is None else [("Authorization", authorization)]
    answer = shut.get("/api/qwen-image/status", headers=headers)  # type: ignore[arg-type]
    assert_problem(answer, 401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text


def test_the_token_is_shown_once_in_the_header(shut: httpx.Client) -> None:
    assert shut.get("/readyz", headers=BEARER).status_code == 200
    assert shut.get("/readyz", headers={"Authorization": f"bearer  {TOKEN}"}).status_code == 200
    twice = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")]
    assert shut.get("/readyz", headers=twice).status_code == 401
    assert shut.get(f"/readyz?token={TOKEN}&access_token={TOKEN}").status_code == 401


def test_a_request_without_the_token_is_refused_before_its_body(shut_service: Service) -> None:
    address = urlsplit(shut_service.url)
    head = f"POST /api/qwen-image/decompose HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 30000000\r\n\r\n"
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")


def test_the_description_says_how_to_show_the_token(shut: httpx.Client, client: httpx.Client) -> None:
    document = shut.get("/api/openapi.json", headers=BEARER).json()
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["paths"]["/livez"]["get"]["security"] == []
    sample = document["paths"]["/readyz"]["get"]["x-codeSamples"][0]["source"]
    assert "-H 'Authorization: Bearer TOKEN'" in sample
    assert "Authorization: Bearer TOKEN" in shut.get("/docs", headers=BEARER).text
    assert "security" not in client.get("/api/openapi.json").json()


# The login ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/p/7?tab=layers&x=%22", "/nothing"])
def test_a_browser_gets_the_login_page_wherever_it_goes(shut: httpx.Client, path: str) -> None:
    answer = shut.get(path, headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    assert f'name="next" value="{path.replace("&", "&amp;")}"' in answer.text
    assert 'role="alert"' not in answer.text
    assert re.findall(r"<script|<link(?! rel=\"icon\" href=\"data:)|(?:src|action)=\"(?!/login\")", answer.text) == []


@pytest.mark.parametrize(
    ("method", "path", "accept"),
    [("GET", "/api/qwen-image/status", "text/html"), ("GET", "/", "*/*"), ("POST", "/", "text/html")],
)
def test_programs_get_a_problem(shut: httpx.Client, method: str, path: str, accept: str) -> None:
    assert_problem(shut.request(method, path, headers={"Accept": accept}), 401, "token_missing")


def test_the_login_gives_a_cookie_that_opens_everything(shut: httpx.Client) -> None:
    answer = log_in(shut, path="/docs?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs?x=1")
    cookie = answer.headers["set-cookie"]
    port = urlsplit(str(shut.base_url)).port
    assert cookie.startswith(f"llm_dit_login_{port}=")
    assert {part.strip() for part in cookie.split(";")[1:]} == {
        "HttpOnly",
        "Max-Age=2592000",
        "Path=/",
        "SameSite=lax",
    }
    assert TOKEN not in cookie
    assert shut.get("/", headers=BROWSER).status_code == 200
    assert shut.get("/login", headers=BROWSER).headers["location"] == "/"
    assert shut.get("/api/qwen-image/status").status_code == 200

    answer = shut.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert shut.get("/api/qwen-image/status").status_code == 401


def test_over_tls_the_cookie_stays_there(shut: httpx.Client) -> None:
    assert "; Secure" in log_in(shut, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]


def test_a_cookie_ends_and_cannot_be_changed(shut: httpx.Client) -> None:
    log_in(shut)
    ((name, value),) = shut.cookies.items()
    expires, _, seal = value.partition(".")
    forged = ["", value[:-1], f"{int(expires) + 1}.{seal}", f"{expires}.{'0' * 64}", f".{seal}", f"é.{seal}", TOKEN]
    shut.cookies.clear()
    for wrong in forged:
        header = f"{name}={wrong}".encode("latin-1")
        assert shut.get("/readyz", headers=[(b"Cookie", header)]).status_code == 401, wrong
    assert shut.get("/readyz", headers={"Cookie": f"{name}={value}"}).status_code == 200


def test_a_login_holds_for_thirty_days(monkeypatch: pytest.MonkeyPatch) -> None:
    token, other = Token(TOKEN), Token(TOKEN + "x")
    answer, request = Response(), scope("localhost:8000") | {"scheme": "http"}
    token.log_in(request, answer)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    request["headers"] = [(b"host", b"localhost:8000"), (b"cookie", cookie.encode())]
    assert token.admits(request) and not other.admits(request)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + COOKIE_S + 2)
    assert not token.admits(request)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN.upper(), "é", "\x00", "x" * 3000])
def test_a_wrong_token_is_said_on_the_page(shut: httpx.Client, token: str) -> None:
    # Each from an address of its own, since the form takes only ten.
    answer = log_in(shut, token, "/docs", **BROWSER, **{"X-Forwarded-For": f"10.0.0.{len(token) % 250}"})
    assert answer.status_code == 401
    assert "This is not the token." in answer.text
    assert 'name="next" value="/docs"' in answer.text
    assert "set-cookie" not in answer.headers


def test_forms_that_are_not_valid(shut: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_problem(shut.post("/login", json={"token": TOKEN}), 415)
    assert_problem(shut.post("/login", content=b"token=" + b"x" * 5000, headers=form), 413)
    assert_problem(shut.post("/login", content="token=é".encode(), headers=form), 422)
    assert_problem(shut.post("/login", content="a=1&" * 50, headers=form), 422)
    foreign = form | {"Origin": "https://evil.example"}
    assert_problem(shut.post("/login", content=f"token={TOKEN}", headers=foreign), 403, "cross_origin")


def test_after_ten_wrong_tokens_the_form_waits(shut: httpx.Client) -> None:
    here, there = {"X-Forwarded-For": "10.9.9.9"}, {"X-Forwarded-For": "10.9.9.8"}
    for _ in range(30):
        assert shut.get("/", headers=BROWSER | here).status_code == 401  # a missing token is no wrong one
    assert [log_in(shut, "wrong", **here).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    answer = log_in(shut, **here)
    assert_problem(answer, 429, "too_many_attempts")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many wrong tokens" in log_in(shut, **here, **BROWSER).text
    assert log_in(shut, **there).status_code == 303
    assert shut.get("/readyz", headers=here | BEARER).status_code == 200


def test_attempts_are_forgotten_in_time_and_take_little_memory() -> None:
    now = [0.0]
    attempts = Attempts(most=2, span_s=60, clock=lambda: now[0])
    attempts.add("10.0.0.1")
    now[0] = 30
    attempts.add("10.0.0.1")
    assert (attempts.wait_s("10.0.0.1"), attempts.wait_s("10.0.0.2")) == (30, 0)
    now[0] = 61
    assert attempts.wait_s("10.0.0.1") == 0
    attempts.add("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == 29  # the second and the third are within a minute
    for number in range(3 * MOST_ADDRESSES):
        attempts.add(f"10.1.{number // 256}.{number % 256}")
    assert len(attempts) == MOST_ADDRESSES
    attempts.add("2001:db8::1")
    attempts.add("2001:db8::ffff:2")
    assert attempts.wait_s("2001:db8::3") > 0


@pytest.mark.parametrize("path", ["/", "/docs", "/p/x?y=%2F&z#top", "/a//b", "/%5Cevil", "/@evil"])
def test_paths_of_the_service_are_kept(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "docs",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\\b",
        "https://evil.example",
        "javascript:alert(1)",
        "/\tx",
        "/\n/evil.example",
        " /",
        "/é",
        "/" + "x" * 3000,
    ],
)
def test_paths_that_could_lead_elsewhere_are_not(path: str) -> None:
    assert local_path(path) == "/"


def test_a_short_token_is_warned_of() -> None:
    (warning,) = warnings(ServerSettings(token="short"))  # type: ignore[arg-type]
    assert "5 characters" in warning
    assert list(warnings(ServerSettings(token=TOKEN))) == []  # type: ignore[arg-type]
    assert list(warnings(ServerSettings())) == []

"""The service below a path of its host, and whom it believes what about its clients."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.kit.jobs import ASYNC, DECOMPOSE, events, fields, start
from tests.kit.pictures import png, square
from tests.kit.service import Service, serve
from tests.web.corpus import assert_problem
from web.door.hosts import set_prefix, with_prefix, without_prefix

BELOW = {"X-Forwarded-Prefix": "/studio"}
TOKEN = "a-token-of-the-tests"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FILES = re.compile(r'(?:src|href|action)="([^"#][^"]*)"')


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a token, and without a proxy that it would know of."""
    environment = {"LLM_DIT_SERVER__TOKEN": TOKEN}
    folder = tmp_path_factory.mktemp("shut")
    with serve(folder, app="tests.kit.app:app", environment=environment, ready=False) as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/p/some-project", "/docs"])
def test_every_file_of_a_page_lies_below_the_prefix(client: httpx.Client, path: str) -> None:
    files = FILES.findall(client.get(path, headers=BELOW).text)
    assert files and all(file.startswith("/studio/") for file in files)
    assert all(not file.startswith("/studio/") for file in FILES.findall(client.get(path).text))
    for file in files:
        assert client.get(file.removeprefix("/studio"), headers=BELOW).status_code == 200
        assert client.get(file, headers=BELOW).status_code == 200, "a proxy that leaves the prefix on"
    assert client.get("/studio/", headers={}).status_code == 404


def test_what_the_api_answers_lies_below_the_prefix(client: httpx.Client) -> None:
    kept = client.post("/api/images", content=png(square()), headers={**BELOW, "Content-Type": "image/png"})
    address = kept.json()["image"]
    assert address == kept.headers["location"]
    assert address.startswith("/studio/api/images/")
    assert client.get(address.removeprefix("/studio")).status_code == 200

    job = client.post(DECOMPOSE, json=fields(image=address), headers=ASYNC | BELOW).headers["location"]
    assert job.startswith("/studio/api/jobs/")
    client.headers.update(BELOW)
    told = [answer for _, _, answer in events(client, job)][-1]
    assert told["result"]["layers"][0]["image"].startswith("/studio/api/images/")  # type: ignore[index]
    assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/studio"}]


def test_a_project_names_its_pictures_where_its_reader_finds_them(client: httpx.Client) -> None:
    kept = client.post("/api/images", content=png(square()), headers={"Content-Type": "image/png"}).json()["image"]
    below = f"/studio{kept}"
    content = {"name": "Poster", "document": {"layers": [{"image": below, "name": kept}]}, "thumbnail": below}
    made = client.post("/api/projects", json=content, headers=BELOW)
    assert made.status_code == 201
    assert made.headers["location"] == f"/studio/api/projects/{made.json()['id']}"
    assert made.json()["document"]["layers"] == [{"image": below, "name": below}]
    address = made.headers["location"].removeprefix("/studio")
    plain = client.get(address).json()
    assert (plain["document"], plain["thumbnail"]) == ({"layers": [{"image": kept, "name": kept}]}, kept)
    elsewhere = client.get(address, headers={"X-Forwarded-Prefix": "/a/b"}).json()
    assert elsewhere["document"]["layers"][0]["image"] == f"/a/b{kept}"


@pytest.mark.parametrize(
    "prefix",
    ["//evil.example", "/a//b", "https://evil.example", "studio", '/a"onload="x', "/a\\b", "/../x", "/a?b", "/é"],
)
def test_what_is_no_prefix_is_ignored(client: httpx.Client, prefix: str) -> None:
    page = client.get("/", headers={"X-Forwarded-Prefix": prefix.encode()})  # type: ignore[dict-item]
    assert page.text == client.get("/").text


def test_the_prefix_can_be_a_setting(start_service: Callable[..., Service]) -> None:
    settings = {"LLM_DIT_SERVER__ROOT_PATH": "/studio/", "LLM_DIT_SERVER__TRUSTED_PROXIES": "10.0.0.0/8"}
    service = start_service(app="tests.kit.app:app", environment=settings)
    with service.connect() as client:
        for path in ("/", "/studio", "/studio/"):
            assert 'src="/studio/static/js/boot.js"' in client.get(path).text
        assert (
            client.get("/static/js/boot.js").status_code == client.get("/studio/static/js/boot.js").status_code == 200
        )
        assert "/other/static/" in client.get("/", headers={"X-Forwarded-Prefix": "/other"}).text


def test_the_login_stays_below_the_prefix(shut: Service) -> None:
    with shut.connect() as client:
        client.headers.update(BELOW)
        page = client.get("/p/x?a=1", headers=BROWSER)
        assert 'action="/studio/login"' in page.text and 'name="next" value="/p/x?a=1"' in page.text
        answer = client.post("/login", data={"token": TOKEN, "next": "/p/x?a=1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/studio/p/x?a=1")
        assert "; Path=/studio;" in answer.headers["set-cookie"]
        out = client.post("/studio/logout")
        assert (out.headers["location"], "; Path=/studio;" in out.headers["set-cookie"]) == ("/studio/", True)


def test_who_is_no_known_proxy_cannot_be_many_clients(shut: Service) -> None:
    with shut.connect() as client:
        statuses = [
            client.post("/login", data={"token": "wrong"}, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
            for number in range(12)
        ]
        assert statuses == [401] * 10 + [429] * 2
        plain = client.post("/login", data={"token": "wrong"}, headers={"X-Forwarded-Proto": "https"})
        assert "Secure" not in plain.headers.get("set-cookie", "")


def test_an_unknown_proxy_does_not_open_the_service_to_its_clients(service: Service) -> None:
    error = service.get("/", headers={"X-Forwarded-For": "192.168.1.50"})
    assert_problem(error, 403, "token_not_set")


def test_of_many_proxies_the_last_unknown_one_is_the_client(client: httpx.Client) -> None:
    """Whom a client claims to be stands first; what our own proxy adds stands last."""
    job = start(client, steps=1, headers={"X-Forwarded-For": "127.1.1.1, 127.7.7.7, 127.0.0.1"})
    for claim, found in (("127.7.7.7", True), ("127.1.1.1", False), ("127.9.9.9, 127.7.7.7:4711", True)):
        jobs = client.get("/api/jobs", headers={"X-Forwarded-For": claim}).json()["jobs"]
        assert (job.removeprefix("/api/jobs/") in {each["id"] for each in jobs}) == found


def test_the_host_that_a_known_proxy_was_asked_for_counts(client: httpx.Client) -> None:
    assert client.get("/livez", headers={"X-Forwarded-Host": "localhost"}).status_code == 200
    assert_problem(client.get("/livez", headers={"X-Forwarded-Host": "evil.example"}), 400, "host_not_allowed")


def test_addresses_alone_are_moved() -> None:
    sha256 = "0" * 64
    plain = f'{{"image": "/api/images/{sha256}.png", "prompt": "see /api/images/{sha256}.png"}}'.encode()
    assert with_prefix(plain) == without_prefix(plain) == plain
    set_prefix("/studio")
    try:
        below = with_prefix(plain)
        assert below.count(b"/studio/") == 1
        assert without_prefix(below) == without_prefix(plain) == plain
    finally:
        set_prefix("")

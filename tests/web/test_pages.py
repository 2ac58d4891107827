"""The page's files, the description of the API, and the headers of every answer."""

import json
import re
import subprocess

import httpx
import pytest

from tests.kit.forks import ROOT
from tests.kit.service import Service
from web.server import SECURE_CONTEXT_HEADERS, SECURITY_HEADERS

FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "static").rglob("*.*") if path.suffix)


def test_the_page_is_served_with_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"""(src|href)=["'](https?:)?//""", answer.text) is None


@pytest.mark.parametrize("path", FILES)
def test_every_file_of_the_page_has_its_type(client: httpx.Client, path: str) -> None:
    types = {
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
        ".webp": "image/webp",
        ".webmanifest": "application/manifest+json",
        ".png": "image/png",
        ".json": "application/json",
    }
    answer = client.get(f"/{path}")
    assert answer.headers["content-type"] == types["." + path.rpartition(".")[2]]
    # An update shows at once: whatever a browser keeps, it asks again.
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["static/js/main.js", "static/css/base.css", "static/i18n/en.json"])
def test_text_is_sent_as_it_is_written_and_compressed_to_those_who_take_it_so(client: httpx.Client, path: str) -> None:
    packed, plain = (client.get(f"/{path}", headers={"Accept-Encoding": way}) for way in ("gzip, br", "identity"))
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.content == plain.content == (ROOT / path).read_bytes()
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.headers["etag"] != plain.headers["etag"] and packed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/docs", "/livez", "/nothing", "/static/css/base.css", "/api/openapi.json"])
def test_every_answer_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    headers, wanted = client.get(path).headers, SECURITY_HEADERS | SECURE_CONTEXT_HEADERS
    assert {name: headers[name] for name in wanted} == wanted
    assert headers["x-request-id"]
    assert "access-control-allow-origin" not in headers


@pytest.mark.slow
def test_the_description_has_an_example_for_every_operation_and_every_example_runs(stepping_service: Service) -> None:
    document = stepping_service.get("/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sample = operation["x-codeSamples"][0]["source"].replace("http://127.0.0.1:8000", stepping_service.url)
            assert operation["description"]
            if "{" not in path and "@" not in sample:
                done = subprocess.run(["bash", "-c", f"{sample} -sf -o /dev/null"], capture_output=True, check=False)
                assert done.returncode == 0, (method, sample)


def test_every_reference_of_the_description_leads_somewhere(client: httpx.Client) -> None:
    answer = client.get("/api/openapi.json")
    for name in re.findall(r'"#/components/schemas/([^"]+)"', answer.text):
        assert name in answer.json()["components"]["schemas"]
    assert "HTTPValidationError" not in answer.text


def test_the_docs_are_readable_offline(client: httpx.Client) -> None:
    page = client.get("/docs").text
    for path in client.get("/api/openapi.json").json()["paths"]:
        assert path in page
    assert re.findall(r'(?:src|href)="(?!#|/)', page) == []
    assert client.get("/docs/page.css").headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/docs", "/api/qwen-image/status", "/api/jobs/x", "/static/js/main.js"]
)
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, got = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers.get(name) == got.headers.get(name)
    assert client.head("/api/qwen-image/decompose").status_code == 405


def test_the_page_takes_the_seeds_that_the_server_takes(client: httpx.Client) -> None:
    program = "import { LIMITS } from './static/js/state/initial.js'; console.log(JSON.stringify(LIMITS));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    limits = client.get("/api/qwen-image/config").json()["limits"]
    assert json.loads(done.stdout)["maxSeed"] == limits["seed"][1]

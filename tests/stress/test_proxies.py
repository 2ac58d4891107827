"""The service below a path of nginx and of Caddy, with the configurations in `deploy`.

Needs `apt-get install nginx-light caddy openssl`; without a proxy its tests are skipped.
"""

import contextlib
import getpass
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import OTHER_NAME, PATIENCE_MS, chromium
from tests.browser.studio import Studio
from tests.kit.forks import ROOT
from tests.kit.jobs import ASYNC, DECOMPOSE, fields
from tests.kit.running import STAND_IN, Running, ended, running
from tests.kit.waiting import PATIENCE_S, wait_until
from tests.web.test_prefix import BROWSER, FILES

TOKEN = "a-token-of-the-tests"
NAME = "studio.example.org"
PREFIX = "/studio"


@dataclass(frozen=True)
class Proxy:
    """A running proxy: the address of the service below it, its ports, its certificate, and the service itself."""

    port: int
    plain_port: int
    certificate: Path
    service: Running

    @property
    def url(self) -> str:
        return f"https://{OTHER_NAME}:{self.port}{PREFIX}"

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def connect(self, host: str = "") -> httpx.Client:
        """Return a client with the service's token that asks for paths of the host."""
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": host or f"{OTHER_NAME}:{self.port}", "Authorization": f"Bearer {TOKEN}"},
            verify=self.context,
            timeout=PATIENCE_S,
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def with_changes(file: str, changes: dict[str, str]) -> str:
    """Return a configuration of `deploy` with other names, ports and paths, all of which must be in it."""
    text = (ROOT / "deploy" / file).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, proxy: Proxy) -> tuple[list[str], dict[str, str]]:
    site = with_changes(
        "nginx.conf",
        {
            NAME: OTHER_NAME,
            "listen 80;": f"listen 127.0.0.1:{proxy.plain_port};",
            "listen 443": f"listen 127.0.0.1:{proxy.port}",
            "/etc/nginx/llm-dit.crt": str(proxy.certificate),
            "/etc/nginx/llm-dit.key": str(proxy.certificate.with_suffix(".key")),
            "127.0.0.1:8000": f"127.0.0.1:{proxy.service.port}",
        },
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    around = (
        f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}\n"
    )
    (folder / "nginx.conf").write_text(f"{around}http {{ access_log off; {paths} include {folder}/site.conf; }}\n")
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], {}


def caddy(folder: Path, proxy: Proxy) -> tuple[list[str], dict[str, str]]:
    certificate = f"{proxy.certificate} {proxy.certificate.with_suffix('.key')}"
    site = with_changes(
        "Caddyfile",
        {
            NAME: OTHER_NAME,
            "# tls /etc/caddy/llm-dit.crt /etc/caddy/llm-dit.key": f"tls {certificate}",
            "127.0.0.1:8000": f"127.0.0.1:{proxy.service.port}",
        },
    )
    here = f"admin off\nhttp_port {proxy.plain_port}\nhttps_port {proxy.port}\ndefault_bind 127.0.0.1"
    (folder / "Caddyfile").write_text(f"{{\n{here}\n}}\n{site}")
    return ["caddy", "run", "--config", str(folder / "Caddyfile")], {"XDG_DATA_HOME": str(folder), "HOME": str(folder)}


PROXIES: dict[str, Callable[[Path, Proxy], tuple[list[str], dict[str, str]]]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(scope="module", params=list(PROXIES))
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    door = {"token": TOKEN, "allowed_hosts": OTHER_NAME, "trusted_proxies": "127.0.0.1"}
    engine = {"STAND_IN": "tests.kit.pipelines:StepPipeline"}
    with running(folder, program=STAND_IN, environment=engine, **door) as service:
        yield from in_front_of(service, folder, PROXIES[request.param])


def in_front_of(
    service: Running, folder: Path, configure: Callable[[Path, Proxy], tuple[list[str], dict[str, str]]]
) -> Iterator[Proxy]:
    """Lend a proxy with a new certificate."""
    certificate = folder / "site.crt"
    names = f"subjectAltName=DNS:{OTHER_NAME},IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", certificate.with_suffix(".key"), "-out", certificate, "-days", "2"]
    subprocess.run([*command, "-subj", f"/CN={OTHER_NAME}", "-addext", names], check=True, capture_output=True)
    made = Proxy(port=free_port(), plain_port=free_port(), certificate=certificate, service=service)
    command, environment = configure(folder, made)
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    with ended(process):
        wait_until(lambda: process.poll() is not None or listens(made.port), "the proxy to listen")
        assert process.poll() is None, (folder / "proxy.log").read_text()
        yield made


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.connect() as client:
        yield client


def noise(side: int) -> bytes:
    """Return a PNG that cannot be compressed, three bytes a pixel."""
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def test_pages_and_answers_lie_below_the_path(proxy: Proxy, client: httpx.Client) -> None:
    files = FILES.findall(client.get(f"{PREFIX}/").text)
    assert files and all(file.startswith(f"{PREFIX}/") for file in files)
    assert {client.get(file).status_code for file in files} == {200}
    job = client.post(PREFIX + DECOMPOSE, json=fields(steps=1), headers=ASYNC)
    assert job.status_code == 202
    assert job.headers["location"].startswith(f"{PREFIX}/api/jobs/")
    moved = client.get(PREFIX)
    assert (moved.status_code, moved.headers["location"].endswith(f"{PREFIX}/")) == (308, True)
    assert client.get("/").status_code == client.get("/livez").status_code == 404
    plain = httpx.get(f"http://127.0.0.1:{proxy.plain_port}{PREFIX}/", headers={"Host": OTHER_NAME})
    assert plain.status_code in {301, 308}
    assert plain.headers["location"].startswith(f"https://{OTHER_NAME}")


def test_the_login_is_of_the_path_and_of_tls(client: httpx.Client) -> None:
    del client.headers["Authorization"]
    assert client.get(f"{PREFIX}/api/jobs").status_code == 401
    assert f'action="{PREFIX}/login"' in client.get(f"{PREFIX}/p/x", headers=BROWSER).text
    answer = client.post(f"{PREFIX}/login", data={"token": TOKEN, "next": "/p/x"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PREFIX}/p/x")
    assert f"; Path={PREFIX};" in answer.headers["set-cookie"] and "; Secure" in answer.headers["set-cookie"]


def test_events_arrive_while_the_job_runs(proxy: Proxy, client: httpx.Client) -> None:
    """The run ends only after its progress has arrived."""
    go = proxy.service.folder / "go"
    job = client.post(PREFIX + DECOMPOSE, json=fields("wait", steps=3), headers=ASYNC).headers["location"]
    seen: list[str] = []
    try:
        with client.stream("GET", f"{job}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    told = json.loads(line.removeprefix("data: "))
                    seen.append(told["status"])
                    if told["status"] == "processing" and told["step"]:
                        go.touch()
        assert seen[-1] == "succeeded"
    finally:
        go.unlink(missing_ok=True)


def test_a_client_that_leaves_ends_its_run(proxy: Proxy, client: httpx.Client) -> None:
    def running_jobs() -> int:
        return client.get(f"{PREFIX}/api/qwen-image/status").json()["queue"]["running"]

    wait_until(lambda: running_jobs() == 0, "an idle engine")
    body = json.dumps(fields("wait", steps=3)).encode()
    lines = [f"POST {PREFIX}{DECOMPOSE} HTTP/1.1", f"Host: {OTHER_NAME}:{proxy.port}"]
    lines += [f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    plain = socket.create_connection(("127.0.0.1", proxy.port))
    with proxy.context.wrap_socket(plain, server_hostname=OTHER_NAME) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        wait_until(lambda: running_jobs() == 1, "the run to begin")
    wait_until(lambda: running_jobs() == 0, "the run to end")


def test_large_bodies_pass_and_too_large_ones_get_the_services_answer(client: httpx.Client) -> None:
    picture = noise(2900)
    assert len(picture) > 25_000_000
    kept = client.post(f"{PREFIX}/api/images", content=picture, headers={"Content-Type": "image/png"})
    assert kept.status_code == 201, kept.text
    address = kept.json()["image"]
    assert address.startswith(f"{PREFIX}/api/images/")
    with Image.open(io.BytesIO(client.get(address).content)) as back, Image.open(io.BytesIO(picture)) as sent:
        assert back.convert("RGB").tobytes() == sent.tobytes()
    refused = client.post(
        f"{PREFIX}/api/images", content=bytes(33 * 1024 * 1024), headers={"Content-Type": "image/png"}
    )
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


def test_foreign_hosts_and_origins_are_refused(proxy: Proxy, client: httpx.Client) -> None:
    with proxy.connect("evil.example") as foreign:
        answer = foreign.get(f"{PREFIX}/api/jobs")
        assert answer.status_code in {400, 404, 421} or answer.content == b""
    for headers in ({"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "/evil"}):
        assert "evil" not in client.get(f"{PREFIX}/", headers=headers).text
    own, job = f"https://{OTHER_NAME}:{proxy.port}", fields(steps=1)
    for origin in ("https://evil.example", f"https://{OTHER_NAME}", "null"):
        assert client.post(PREFIX + DECOMPOSE, json=job, headers={**ASYNC, "Origin": origin}).status_code == 403
    assert client.post(PREFIX + DECOMPOSE, json=job, headers={**ASYNC, "Origin": own}).status_code == 202


def test_nobody_chooses_the_address_that_counts(client: httpx.Client) -> None:
    """A client that claims another address at each attempt is still one client."""
    del client.headers["Authorization"]
    claimed = [{"X-Forwarded-For": f"10.0.0.{number}"} for number in range(12)]
    answers = [client.post(f"{PREFIX}/login", data={"token": "wrong"}, headers=each).status_code for each in claimed]
    assert answers[-1] == 429


def test_the_page_works_below_the_path(proxy: Proxy, tmp_path: Path) -> None:
    picture = tmp_path / "shapes.png"
    Image.new("RGB", (240, 180), "orange").save(picture)
    with chromium() as browser:
        context = browser.new_context(
            ignore_https_errors=True,
            extra_http_headers={"Authorization": f"Bearer {TOKEN}"},
            reduced_motion="reduce",
            locale="en-US",
        )
        context.set_default_timeout(PATIENCE_MS)
        studio = Studio(context, proxy.url)
        studio.open()
        studio.choose(picture)
        studio.decompose(layers=2)
        studio.wait_until_saved()
        assert f"{proxy.url}/p/" in studio.page.url
        studio.page.reload()
        expect(studio.rows).to_have_count(2)
        studio.wait_for_paint()
        studio.assert_clean()

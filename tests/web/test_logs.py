"""The log of a running service: a line a request, nothing of what clients send, nothing that they can forge."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.forks import begin
from tests.kit.jobs import queue
from tests.kit.pictures import SQUARE_URL
from tests.kit.running import ended, leave
from tests.kit.service import Service, connect, serve
from tests.kit.waiting import wait_until
from tests.server.test_metrics import parse
from web.server import LINES_A_SECOND, MOST_LINES, Pace

DECOMPOSE = "/api/qwen-image/decompose"
EDIT = "/api/qwen-image/edit-layer"
CANARY = 'quote the canary that sings “Ærmel” at midnight, 一只金丝雀在唱歌 and "sleeps" until noon'
PIECES = re.compile(r"canary|sings|Ærmel|midnight|金丝雀|\\u91d1\\u4e1d|sleeps|until noon", re.IGNORECASE)
TOKEN = "a-token-of-somebody-0123456789"
KEEPS_JOBS = {"studio.db", "studio.db-wal", "studio.db-shm"}
"""Where accepted jobs wait, with what they are to do."""


@pytest.fixture(scope="module")
def json_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"LLM_DIT_SERVER__LOG_FORMAT": "json"}
    with serve(tmp_path_factory.mktemp("json"), app="tests.kit.app:app", environment=environment) as running:
        yield running


def lines(service: Service) -> list[dict[str, object]]:
    """Return the log; every line of it must be an object."""
    return [json.loads(line) for line in service.log.split("\n")[:-1]]


def line_of(service: Service, request_id: str) -> dict[str, object]:
    """Return the line of a request, which is written once the answer is out."""

    def found() -> list[dict[str, object]]:
        return [line for line in lines(service) if line["message"] == "request" and line["request_id"] == request_id]

    wait_until(found, f"the line of {request_id}")
    (line,) = found()
    return line


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/", "/", 200),
        ("GET", "/static/js/main.js", "/static/{path}", 200),
        ("GET", "/static/no/secret-file", "/static/{path}", 404),
        ("GET", "/api/qwen-image/status?secret=query", "/api/qwen-image/status", 200),
        ("GET", "/api/jobs/secret-job", "/api/jobs/{job_id}", 404),
        ("GET", "/secret/path", "other", 404),
        ("PUT", DECOMPOSE, DECOMPOSE, 405),
        ("BREW", "/", "/", 405),
        ("POST", DECOMPOSE, DECOMPOSE, 415),
    ],
)
def test_a_request_is_one_line_with_its_route(
    json_service: Service, method: str, path: str, route: str, status: int
) -> None:
    request_id = f"r{abs(hash((method, path)))}"
    headers = {
        "X-Request-ID": request_id,
        "Accept-Encoding": "identity",
        "Authorization": f"Bearer {TOKEN}",
        "Cookie": f"session={TOKEN}",
    }
    with json_service.connect() as client:
        answer = client.request(method, path, headers=headers, content=b"x" * 10)
    assert answer.status_code == status
    line = line_of(json_service, request_id)
    assert {"level", "logger", "ts", "ms"} <= set(line)
    assert (line["route"], line["status"], line["client"]) == (route, status, "127.0.0.1")
    assert line["method"] == ("OTHER" if method == "BREW" else method)
    assert line["bytes_out"] == len(answer.content)
    assert re.search(rf"secret|BREW|{TOKEN}", json_service.log) is None


def test_probes_are_counted_and_only_logged_when_they_fail(json_service: Service) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert json_service.get(path, headers={"X-Request-ID": "probe"}).status_code == 200
        json_service.post(path, headers={"X-Request-ID": f"wrong{path.replace('/', '-')}"})
        assert line_of(json_service, f"wrong{path.replace('/', '-')}")["status"] == 405
    assert not [line for line in lines(json_service) if line.get("request_id") == "probe"]
    figures = parse(json_service.get("/metrics").text)
    labels = {"method": "GET", "route": "/livez", "status": "200"}
    assert figures["llm_dit_http_requests_total", frozenset(labels.items())] >= 1
    assert figures["llm_dit_http_request_duration_seconds_count", frozenset({("method", "GET"), ("route", "/livez")})]


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 3)), min_size=1, max_size=12))
def test_a_flood_is_counted_and_its_lines_are_bounded(bursts: list[tuple[int, float]]) -> None:
    now, written, told, pace = 0.0, 0, 0, Pace(0.0)
    for count, pause in bursts:
        for _ in range(count):
            if pace.allows(now):
                written += 1
                told += pace.left_out()
        assert written <= MOST_LINES + now * LINES_A_SECOND + 1e-6
        now += pause
    assert written >= min(MOST_LINES, sum(count for count, _ in bursts))
    assert written + told + pace.left_out() == sum(count for count, _ in bursts)


def test_bytes_are_those_of_the_bodies(json_service: Service) -> None:
    body = json.dumps({"layers": [{"image": SQUARE_URL}]})
    headers = {"X-Request-ID": "bytes", "Content-Type": "application/json"}
    answer = json_service.post("/api/qwen-image/composite", content=body, headers=headers)
    line = line_of(json_service, "bytes")
    assert (line["bytes_in"], line["bytes_out"]) == (len(body), len(answer.content))


def test_a_client_that_leaves_is_a_line_too(json_service: Service) -> None:
    fields = {"image": SQUARE_URL, "prompt": "wait"}
    with json_service.connect() as client:
        leave(
            client.base_url.netloc.decode(),
            DECOMPOSE,
            fields,
            lambda: queue(client)["running"] == 1,
            "X-Request-ID: left",
        )
    assert line_of(json_service, "left")["status"] == 499


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_was_asked_for_is_in_no_log_no_answer_and_no_file(
    start_service: Callable[..., Service], log_format: str
) -> None:
    service = start_service(app="tests.kit.app:app", environment={"LLM_DIT_SERVER__LOG_FORMAT": log_format})
    layer = {"image": SQUARE_URL, "name": CANARY}
    requests = [
        (DECOMPOSE, {"image": SQUARE_URL, "prompt": CANARY, "negative_prompt": CANARY}, 500),
        (EDIT, {"image": SQUARE_URL, "instruction": CANARY}, 500),
        (EDIT, {"image": SQUARE_URL, "instruction": CANARY, "steps": 0}, 422),
        (EDIT, {"image": CANARY, "instruction": CANARY}, 422),
        (DECOMPOSE, {"image": SQUARE_URL, CANARY: CANARY}, 422),
        ("/api/qwen-image/composite", {"layers": [layer]}, 422),
        ("/api/qwen-image/export", {"layers": [layer], "format": "png"}, 200),
        ("/api/qwen-image/export", {"layers": [layer], "format": CANARY}, 422),
        (f"/api/{CANARY}", {}, 404),
    ]
    for path, fields, status in requests:
        answer = service.post(path, json=fields, params={"q": CANARY})
        assert answer.status_code == status, answer.text
        assert PIECES.search(str(answer.headers)) is None
        assert status == 200 or PIECES.search(answer.text) is None, answer.text
    location = service.post(
        EDIT,
        json={"image": SQUARE_URL, "instruction": CANARY},
        headers={"Prefer": "respond-async"},
    ).headers["location"]
    wait_until(lambda: service.get(location).json()["status"] == "failed")
    assert PIECES.search(service.get(f"{location}/events").text) is None
    assert PIECES.search(service.get("/metrics").text) is None
    wait_until(lambda: "route=other" in service.log or '"route": "other"' in service.log, "the last lines")
    # What failed is there to be found, without the words that it failed on.
    assert "ValueError: no token for" in service.log and "tests/kit/pipelines.py" in service.log
    assert "truncated because of" in service.log and "this is long" in service.log
    written = [line for line in service.log.splitlines() if PIECES.search(line)]
    assert written == []
    for path in service.folder.rglob("*"):
        if path.is_file() and path.name not in KEEPS_JOBS:
            assert PIECES.search(path.read_bytes().decode(errors="replace")) is None, path


@pytest.mark.slow
def test_a_text_log_has_no_line_of_a_client(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.kit.app:app")
    service.post(DECOMPOSE, json={"image": SQUARE_URL, "prompt": CANARY})
    wait_until(lambda: "forged line" in service.log, "what the worker logs")
    records = [line for line in service.log.splitlines() if not line.startswith("    ")]
    assert not [line for line in records if "forged line" in line]


def test_uvicorn_as_it_is_started_by_hand_logs_once(service: Service) -> None:
    service.get("/api/qwen-image/config?secret=query", headers={"X-Request-ID": "by-hand"})
    wait_until(lambda: "request_id=by-hand" in service.log, "the line")
    found = [line for line in service.log.splitlines() if "by-hand" in line or "secret=query" in line]
    assert len(found) == 1
    assert " INFO llm_dit.access: request request_id=by-hand method=GET route=/api/qwen-image/config " in found[0]


def test_the_command_line_logs_in_the_same_way(tmp_path: Path) -> None:
    """`llm-dit serve` is `web.server` in the same log, without uvicorn's own lines."""
    environment = os.environ | {"LLM_DIT_SERVER__LOG_FORMAT": "json", "LLM_DIT_ENGINE": "classical"}
    log = tmp_path / "log"
    with ended(begin("llm-dit", ["serve", "--port", "0"], cwd=tmp_path, environment=environment, out=log)):
        wait_until(lambda: log.exists() and re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()), "the address")
        address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert address is not None

        with connect(address[0]) as client:
            assert client.get("/api/qwen-image/config").status_code == 200
    assert "GET /api" not in log.read_text()
    objects = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line for line in objects if line.get("route") == "/api/qwen-image/config" and line["status"] == 200]
    assert all(line["logger"] != "uvicorn.access" for line in objects)

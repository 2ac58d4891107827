"""The webhook: what a receiver gets when a job ends, and what the service does if it gets nothing."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.kit.hub import listening
from tests.kit.jobs import metric, start, wait_for
from tests.kit.service import Service, serve
from tests.kit.waiting import wait_until

KEY = b"twenty-four bytes of key."
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class Receiver:
    """Keeps what it gets at `url`, headers and body; answers with `statuses`, then 204. It hangs until `released`."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.released = threading.Event()
        self.released.set()

    def data(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, body in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.released.wait()
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    receiver = Receiver()
    with listening(Handler, receiver.released) as address:
        receiver.url = f"{address}/hook?k3y"
        yield receiver


@contextmanager
def telling(folder: Path, url: str) -> Iterator[Service]:
    environment = {"LLM_DIT_WEBHOOK__URL": url, "LLM_DIT_WEBHOOK__SECRET": SECRET, "NO_PROXY": "127.0.0.1"}
    with serve(folder, app="tests.kit.app:app", environment=environment) as service:
        yield service


def test_every_end_of_a_job_is_told_signed_and_without_what_the_client_wrote(tmp_path: Path) -> None:
    with receiving() as receiver, telling(tmp_path, receiver.url) as service, service.connect() as client:
        receiver.statuses = [500]
        jobs = [start(client, "quote my secret plans"), start(client, "wait"), start(client)]
        wait_for(client, jobs[1], "processing")
        client.delete(jobs[1])
        ended = [wait_for(client, job, "succeeded", "failed", "canceled") for job in jobs]
        wait_until(lambda: metric(client, "llm_dit_webhooks_total") == 3, "three messages")

        first, again = receiver.got[:2]
        assert first[1] == again[1]
        assert first[0]["webhook-id"] == again[0]["webhook-id"]
        told = receiver.data()[1:]
        assert [job.pop("seconds") > 0 for job in told] == [True] * 3
        assert told == [
            {"id": job["id"], "kind": "decompose", "status": job["status"], "code": (job["error"] or {}).get("code")}  # type: ignore[attr-defined]
            for job in ended
        ]
        assert [job["code"] for job in told] == ["pipeline_failed", "canceled", None]
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3
        for headers, body in receiver.got:
            content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            digest = hmac.new(KEY, content, hashlib.sha256).digest()
            assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
            assert b"plans" not in body
        assert 'problem="status 500"' in service.log
        assert all(secret not in service.log for secret in ("k3y", SECRET, KEY.decode()))


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with receiving() as receiver, telling(tmp_path, receiver.url) as service, service.connect() as client:
        receiver.statuses = [302]
        wait_for(client, start(client), "succeeded")
        wait_until(lambda: metric(client, "llm_dit_webhooks_total") == 1, "the message")
        assert len(receiver.got) == 2
        assert 'problem="status 302"' in service.log


def test_a_receiver_that_hangs_or_is_not_there_delays_no_job(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.released.clear()
        with telling(tmp_path / "hangs", receiver.url) as service, service.connect() as client:
            for _ in range(2):
                wait_for(client, start(client), "succeeded")
            wait_until(lambda: receiver.got, "the message")
            assert metric(client, "llm_dit_webhooks_total") == 0
    with telling(tmp_path / "nobody", receiver.url) as service, service.connect() as client:
        wait_for(client, start(client), "succeeded")
        wait_until(lambda: "problem=ConnectionRefusedError" in service.log, "the failure in the log")
        wait_for(client, start(client), "succeeded")
    assert "k3y" not in service.log

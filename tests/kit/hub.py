"""A small hub on loopback that serves folders as repositories, and misbehaves on request."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """`repos` maps ids to folders; `sent` has the bytes sent by file name, `ranges` the Range headers.

    The faults are `cut_after` and `stall_after` (bytes), `refuse` (a status) and `lie` (zeros). They hold for the next
    `faults` downloads of weights.
    """

    def __init__(self, repos: dict[str, Path]) -> None:
        self.repos = repos
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.refuse: int | None = None
        self.lie = False
        self.faults = 0
        self.sent: dict[str, int] = {}
        self.ranges: list[str] = []
        self.released = threading.Event()
        self.endpoint = ""

    def takes_fault(self, name: str) -> bool:
        if not name.endswith(".safetensors") or self.faults == 0:
            return False
        self.faults -= 1
        return True


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], released: threading.Event, port: int = 0) -> Iterator[str]:
    """Answer on loopback until the block ends, and give the address; then `released` frees what still waits for it."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serve(repos: dict[str, Path], port: int = 0) -> Iterator[Hub]:
    """Run the hub until the block ends, on a free port if none is given."""
    hub = Hub(repos)
    with listening(_handler(hub), hub.released, port) as hub.endpoint:
        yield hub


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            parts = unquote(self.path.split("?")[0]).strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                return self.about("/".join(parts[2:4]), parts[4:])
            return self.file("/".join(parts[:2]), "/".join(parts[4:]), body)

        def about(self, repo: str, rest: list[str]) -> None:
            if repo not in hub.repos:
                return self.fail(404, "RepoNotFound")
            if rest[:1] == ["tree"]:
                return self.json([_entry(hub.repos[repo], file) for file in _files(hub.repos[repo])])
            if rest[:1] == ["revision"] and rest[1] not in {"main", COMMIT}:
                return self.fail(404, "RevisionNotFound")
            return self.json({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": []})

        def file(self, repo: str, name: str, body: bool) -> None:
            file = hub.repos[repo] / name if repo in hub.repos else None
            if file is None or not file.is_file():
                return self.fail(404, "EntryNotFound")
            content = file.read_bytes()
            faulty = body and hub.takes_fault(name)
            if faulty and hub.refuse:
                return self.fail(hub.refuse, "")
            start = self.start_of_range()
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if body:
                self.send(name, bytes(len(content) - start) if faulty and hub.lie else content[start:], faulty)
            return None

        def send(self, name: str, content: bytes, faulty: bool) -> None:
            limit = (hub.cut_after or hub.stall_after) if faulty else None
            if limit is not None:
                content = content[:limit]
            hub.sent[name] = hub.sent.get(name, 0) + len(content)
            try:
                self.wfile.write(content)
                self.wfile.flush()
            except ConnectionError:
                return
            if limit is not None:
                if hub.stall_after:
                    hub.released.wait()
                self.close_connection = True

        def start_of_range(self) -> int:
            wanted = self.headers.get("Range")
            if not wanted:
                return 0
            hub.ranges.append(wanted)
            return int(wanted.removeprefix("bytes=").split("-")[0])

        def json(self, value: object) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def fail(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _entry(folder: Path, file: Path) -> dict[str, object]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    size = file.stat().st_size
    entry: dict[str, object] = {
        "type": "file",
        "path": file.relative_to(folder).as_posix(),
        "size": size,
        "oid": digest[:40],
    }
    if file.suffix == ".safetensors":
        entry["lfs"] = {"oid": digest, "size": size, "pointerSize": 130}
    return entry

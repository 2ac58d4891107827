"""A service in a process of its own, and requests to it byte for byte."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"The page is on http://127\.0\.0\.1:(\d+)")
START_S = 60


@dataclass(frozen=True)
class Running:
    """A service that listens on 127.0.0.1: its port and the folder with its data and log."""

    port: int
    folder: Path

    @property
    def host(self) -> str:
        """The Host header of those who use the address that was printed."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Answer:
    """An answer as it came: its status, its header in lower case and its body."""

    status: int
    head: str
    body: bytes


@contextlib.contextmanager
def running(folder: Path, **settings: str) -> Iterator[Running]:
    """Run `llm-dit serve` on a free port until the block ends; `settings` are keys of `[default.server]`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LLM_DIT_")}
    given = {"data_dir": str(folder / "data"), **settings}
    environment |= {f"LLM_DIT_SERVER__{name.upper()}": value for name, value in given.items()}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    command = [sys.executable, "-c", "from server.cli import app; app()", "serve", "--port", "0"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield Running(_port(process, folder / "log"), folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if match := ADDRESS.search(log.read_text()):
            port = int(match[1])
            with contextlib.suppress(OSError):
                if ask(port, ["GET /livez HTTP/1.1", f"Host: 127.0.0.1:{port}"]).status == 200:
                    return port
        time.sleep(0.05)
    raise SystemExit(f"the service did not start:\n{log.read_text()}")


def ask(port: int, lines: Sequence[str], body: bytes = b"", *, timeout_s: float = 10) -> Answer:
    """Send a request line and header lines as they are, and return the answer."""
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(head + body)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head_bytes, _, content = received.partition(b"\r\n\r\n")
    return Answer(int(head_bytes.split(b" ", 2)[1]), head_bytes.decode("latin-1").lower(), content)

"""A service in a process of its own, and requests to it byte for byte."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from tests.kit.forks import ROOT, Process
from tests.kit.forks import begin as begin_fork
from tests.kit.waiting import PATIENCE_S, wait_until

ADDRESS = re.compile(r"The page is on http://127\.0\.0\.1:(\d+)")
LLM_DIT = ("-c", "from llm_dit_studio import main; main()")
STAND_IN = ("-m", "tests.kit.stand_in")
"""How Python runs `llm-dit`, with its own engines and with that of `tests/kit/stand_in.py`."""
ARGUMENTS = ["serve", "--port", "0"]


def workers_of(service: int) -> list[int]:
    """Return the processes that run the pipeline of the service with this process id, as they are just now."""
    return _children_of(service, b"server.worker.process")


def pool_processes_of(service: int) -> list[int]:
    """Return the processes of the pool of the service with this process id, as they are just now."""
    return _children_of(service, b"server.processes")


def _children_of(service: int, module: bytes) -> list[int]:
    children = Path(f"/proc/{service}/task/{service}/children").read_text().split()
    # What was forked has the arguments of its parent, and the first 15 letters of the module for a name.
    return [
        int(child)
        for child in children
        if b"-m\0" + module in _read(int(child), "cmdline") or module[:15] == _read(int(child), "comm").strip()
    ]


def _read(pid: int, what: str) -> bytes:
    """Return what the kernel tells of a process; nothing where it has ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@dataclass(frozen=True)
class Running:
    """A service that listens on 127.0.0.1: its port, its process and the folder with its data and log."""

    port: int
    folder: Path
    process: Process

    @property
    def runs(self) -> Path:
        """The file in which the stand-in writes its runs down."""
        return self.folder / "runs"

    @property
    def workers(self) -> list[int]:
        """The processes that run the pipeline."""
        return workers_of(self.process.pid)

    @property
    def processes(self) -> Iterator[int]:
        """The service and all that it started, but for the engine's process and what that started."""
        pids = [self.process.pid]
        for pid in pids:
            with contextlib.suppress(OSError):  # it may end while it is looked at
                if b"server.worker.process" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pids += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                    yield pid

    @property
    def memory_mb(self) -> float:
        """The summed PSS of `processes`."""
        total = 0
        for pid in self.processes:
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        return total / 1000

    @property
    def host(self) -> str:
        """The Host header of those who use the address that was printed."""
        return f"127.0.0.1:{self.port}"


class Memory:
    """The most PSS of a service, looked at every `every_s` in a thread until the block ends."""

    every_s = 0.05

    def __init__(self, service: Running) -> None:
        self._service = service
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mb, self.samples = 0.0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.look()
            if self._end.wait(self.every_s):
                return

    def look(self) -> None:
        self.most_mb = max(self.most_mb, self._service.memory_mb)
        self.samples += 1


@dataclass(frozen=True)
class Answer:
    """An answer as it came: its status, its header in lower case and its body."""

    status: int
    head: str
    body: bytes


@contextlib.contextmanager
def running(
    folder: Path, *, program: Sequence[str] = LLM_DIT, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Running]:
    """Run `llm-dit serve` on a free port until the block ends; `settings` are keys of `[default.server]`."""
    with (folder / "log").open("ab") as log:
        before = log.tell()
        process = begin(folder, log, program=program, environment=environment, **settings)
    with ended(process):
        yield Running(_port(process, folder / "log", before), folder, process)


@contextlib.contextmanager
def forked(folder: Path, **settings: str) -> Iterator[Running]:
    """Run a fork of the stand-in, for what is not measured, until the block ends."""
    environment, log = _environment(folder, settings), folder / "log"
    with ended(begin_fork("stand-in", ARGUMENTS, cwd=folder, environment=environment, out=log)) as process:
        yield Running(_port(process, log, 0), folder, process)


@contextlib.contextmanager
def ended(process: Process) -> Iterator[Process]:
    """End a process after the block, however that ends."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def begin(
    folder: Path,
    log: BinaryIO,
    *,
    program: Sequence[str] = LLM_DIT,
    environment: Mapping[str, str] | None = None,
    **settings: str,
) -> subprocess.Popen[bytes]:
    """Start `llm-dit serve` and return at once."""
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    inherited = _environment(folder, settings) | path | dict(environment or {})
    return subprocess.Popen([sys.executable, *program, *ARGUMENTS], cwd=folder, env=inherited, stdout=log, stderr=log)


def _environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service that keeps its data in `folder`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLM_DIT_")}
    given = {"data_dir": str(folder / "data"), **settings}
    inherited |= {f"LLM_DIT_SERVER__{name.upper()}": value for name, value in given.items()}
    return inherited | {"STAND_IN_RUNS": str(folder / "runs")}


def _port(process: Process, log: Path, before: int) -> int:
    def printed() -> re.Match[str] | None:
        return ADDRESS.search(log.read_bytes()[before:].decode(errors="replace")) if log.exists() else None

    wait_until(lambda: printed() or process.poll() is not None, "the address of the page", every_s=0.05)
    if found := printed():
        port = int(found[1])
        with contextlib.suppress(OSError, IndexError):  # it may end before it answers
            if ask(port, ["GET /livez HTTP/1.1", f"Host: 127.0.0.1:{port}"]).status == 200:
                return port
    raise SystemExit(f"the service did not start:\n{log.read_text()}")


def ask(port: int, lines: Sequence[str], body: bytes = b"", *, timeout_s: float = PATIENCE_S) -> Answer:
    """Send a request line and header lines as they are, and return the answer."""
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        connection.sendall(head + body)
        received = bytearray()  # bytes would be copied for each piece: minutes for an export of 250 MB
        while chunk := connection.recv(65_536):
            received += chunk
    head_bytes, _, content = bytes(received).partition(b"\r\n\r\n")
    return Answer(int(head_bytes.split(b" ", 2)[1]), head_bytes.decode("latin-1").lower(), content)


def leave(address: str, path: str, fields: Mapping[str, Any], when: Callable[[], object], *more: str) -> None:
    """Post `fields` as JSON to host:port, and close the connection without an answer as soon as `when()` is true."""
    body = json.dumps(fields).encode()
    lines = [f"POST {path} HTTP/1.1", f"Host: {address}", "Content-Type: application/json"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", *more, "", ""]).encode("latin-1")
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head + body)
        wait_until(when, "the moment to leave")

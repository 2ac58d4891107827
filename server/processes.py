"""What the service's child processes have in common: they end with it, and speak to it over their standard streams."""

import asyncio
import contextlib
import ctypes
import os
import pickle
import signal
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from llm_dit.runs import PipelineStatus, Progress
from server.errors import Failure
from server.jobs.inputs import JobInput, JobResult

PR_SET_PDEATHSIG = 1
LENGTH = struct.Struct(">I")
"""What stands before a message: how many bytes it has."""


def environment_of_child(**variables: str) -> Mapping[str, str]:
    """Return the environment of a child that finds this program's modules where this process found them."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)} | variables


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends: that is the service's event loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the service; whatever else is printed goes to standard error, and reading gives nothing."""
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with contextlib.closing(os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb")) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return commands, events


def framed(message: bytes) -> bytes:
    """Return a message behind its length."""
    return LENGTH.pack(len(message)) + message


def read_framed(stream: BinaryIO) -> bytes | None:
    """Return the next message without its length; None when the other end is gone."""
    header = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(header)[0]) if len(header) == LENGTH.size else None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that a process holds, and bytes that the machine has."""

    used_bytes: int
    total_bytes: int


def memory_of(pid: int) -> Memory | None:
    """Return the memory of a process, or None where the system does not tell (it is read from Linux's /proc)."""
    try:
        used = statm(1, pid)
    except OSError:
        return None
    return Memory(used_bytes=used, total_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def statm(field: int, pid: int | Literal["self"] = "self") -> int:
    """Return a field of proc_pid_statm(5) in bytes; raises `OSError` where there is none."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[field]) * os.sysconf("SC_PAGE_SIZE")


# What the service and its worker say to each other: pickles, since both ends are this program. None but a preview holds
# pixels.


@dataclass(frozen=True, kw_only=True)
class Run:
    job_id: str
    job_input: JobInput
    previews: bool = False
    """Whether anybody looks at what it is going to make."""


@dataclass(frozen=True, kw_only=True)
class Cancel:
    job_id: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The pipeline can run."""

    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    """The pipeline cannot run; the worker ends."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """The pipeline has got on with loading, or with the run."""

    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """A PNG, a few kB, of what `layer` is going to be, 1 at the bottom."""

    layer: int
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    result: JobResult
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Failed:
    failure: Failure
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended because it was canceled."""

    status: PipelineStatus


Command = Run | Cancel
Event = Loaded | LoadFailed | Stepped | Previewed | Succeeded | Failed | Stopped


def pack(message: Command | Event) -> bytes:
    return framed(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def read_command(stream: BinaryIO) -> Command | None:
    """Return the next command; None when the service is gone."""
    content = read_framed(stream)
    return None if content is None else pickle.loads(content)


async def read_event(stream: asyncio.StreamReader) -> Event | None:
    """Return the worker's next event; None when it is gone."""
    try:
        header = await stream.readexactly(LENGTH.size)
        return pickle.loads(await stream.readexactly(LENGTH.unpack(header)[0]))
    except asyncio.IncompleteReadError:
        return None

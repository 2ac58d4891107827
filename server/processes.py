"""Child processes, which end with the service and talk to it over standard streams; those of the pool run tasks.

`python -m server.processes NICE` is a process of the pool (`server/pool/pool.py`). It runs one task after another, each
within its budget. A task arrives on standard input as a length and a pickle. The answer leaves on standard output as a
length and JSON, because a compromised decoder must not be able to send pickles to the service. Output of libraries is
discarded.

Only POSIX limits CPU time, and only Linux limits memory. Elsewhere only the service's clock ends a slow task.
"""

import contextlib
import ctypes
import gc
import json
import os
import pickle
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic_core import to_jsonable_python

from llm_dit.errors import LLMDiTError
from server.errors import Failure

PR_SET_PDEATHSIG = 1
LENGTH = struct.Struct(">I")
"""The header of a message: its length in bytes."""


def environment_of_child(**variables: str) -> Mapping[str, str]:
    """Return an environment in which a child finds this program's modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)} | variables


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent thread, the service's event loop, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become_child() -> tuple[BinaryIO, BinaryIO]:
    """Ignore Ctrl-C, and return the pipes to the service.

    Other output goes to standard error, and standard input is empty.
    """
    # Ctrl-C reaches all processes of the terminal; the service decides which of them end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with contextlib.closing(os.fdopen(os.open(os.devnull, os.O_RDONLY), "rb")) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return commands, events


def framed(message: bytes) -> bytes:
    """Return a message with its length in front."""
    return LENGTH.pack(len(message)) + message


def read_framed(stream: BinaryIO) -> bytes | None:
    """Return the next message without its length, or None if the other end is closed."""
    header = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(header)[0]) if len(header) == LENGTH.size else None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of a process, and of the machine, in bytes."""

    used_bytes: int
    total_bytes: int


def memory_of(pid: int) -> Memory | None:
    """Return the memory of a process, or None without Linux's /proc."""
    try:
        used = statm(1, pid)
    except OSError:
        return None
    return Memory(used_bytes=used, total_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def statm(field: int, pid: int | Literal["self"] = "self") -> int:
    """Return a field of proc_pid_statm(5) in bytes; raises `OSError` on other systems."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[field]) * os.sysconf("SC_PAGE_SIZE")


# A process of the pool.

MOST_TASKS = 500
"""Errors after which a process ends, because it may be damaged."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of a task: CPU seconds, bytes of memory above an idle process, and seconds.

    A process that still holds more than `kept` bytes afterwards exits, because only that frees all of them.
    """

    cpu_s: float
    memory: int
    wall_s: float
    kept: int = 96 << 20


@dataclass(frozen=True, kw_only=True)
class Task:
    """A call of a module's function, with arguments that can be pickled."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    budget: Budget


def pack_task(task: Task) -> bytes:
    return framed(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Run tasks until the service closes the stream, or this process should end."""
    for number in range(1, MOST_TASKS + 1):
        content = read_framed(tasks)
        if content is None:
            return
        task: Task = pickle.loads(content)
        answer = run(task)
        gc.collect()
        resident = statm(1) if sys.platform == "linux" else 0
        answer["ends"] = ends = number == MOST_TASKS or resident > task.budget.kept
        answers.write(framed(json.dumps(answer, default=to_jsonable_python).encode()))
        answers.flush()
        if ends:
            return


def run(task: Task) -> dict[str, Any]:
    """Return the outcome of a task: its `result`, a public `failure`, `memory`, or the stack of a `crash`."""
    _limit(task.budget)
    try:
        return {"result": task.function(*task.args, **task.kwargs)}
    except LLMDiTError as error:
        return {"failure": Failure.of(error)}
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # noqa: BLE001 - whatever a task raises ends the task, not the process
        # An exception's message may contain a client's data.
        frames = reversed(traceback.extract_tb(error.__traceback__))
        stack = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        return {"crash": [type(error).__qualname__, stack]}
    finally:
        _limit(None)


def _limit(budget: Budget | None) -> None:
    """Limit this process to a budget from now on; None: no limits."""
    if sys.platform == "win32":
        return
    # RLIMIT_CPU counts whole seconds of the whole process; SIGPROF ends a process like SIGXCPU.
    signal.setitimer(signal.ITIMER_PROF, 0 if budget is None else budget.cpu_s)
    if sys.platform == "linux":
        import resource

        # RLIMIT_DATA counts the fifth field.
        most = resource.RLIM_INFINITY if budget is None else statm(5) + budget.memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))


def main(nice: int) -> None:
    die_with_parent()
    tasks, answers = become_child()
    if sys.platform != "win32":
        import resource

        os.nice(nice)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(tasks, answers)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A process of the pool (`server/pool/pool.py`): it runs one task after another, each within its budget.

`python -m server.pool.process NICE`. A task is a pickle behind its length on the standard input, and its answer JSON
behind its length on the standard output: a decoder that somebody has taken over must not be able to send pickles to
the service. What libraries print goes nowhere.

Only POSIX has limits of CPU time, and only Linux holds a process to one of memory. Elsewhere the service's clock alone
ends a task that takes too long.
"""

import gc
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import to_jsonable_python

from llm_dit.errors import LLMDiTError
from server.errors import Failure
from server.processes import die_with_parent, framed, read_framed, statm, take_standard_streams

MOST_TASKS = 500
"""After which a process ends, whatever it may have lost by then."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a task may take: seconds of CPU time, bytes of memory on top of what an idle process has, and seconds.

    A process that holds more than `kept` bytes after it ends, which alone gives all of them back.
    """

    cpu_s: float
    memory: int
    wall_s: float
    kept: int = 96 << 20


@dataclass(frozen=True, kw_only=True)
class Task:
    """A call: a function of a module, with arguments that can be pickled."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    budget: Budget


def pack_task(task: Task) -> bytes:
    return framed(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))


def serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    """Run tasks until the service closes the stream, or this process had better end."""
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
    """Return what became of a task: its `result`, a `failure` that may be told, `memory`, or the stack of a `crash`."""
    _limit(task.budget)
    try:
        return {"result": task.function(*task.args, **task.kwargs)}
    except LLMDiTError as error:
        return {"failure": Failure.of(error)}
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # noqa: BLE001 - whatever a task raises ends the task, not the process
        # The words of an exception may hold what a client has sent.
        frames = reversed(traceback.extract_tb(error.__traceback__))
        stack = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        return {"crash": [type(error).__qualname__, stack]}
    finally:
        _limit(None)


def _limit(budget: Budget | None) -> None:
    """Hold this process to a budget from here on; None: to none."""
    if sys.platform == "win32":
        return
    # RLIMIT_CPU counts whole seconds of a process's whole life; SIGPROF ends a process just as SIGXCPU does.
    signal.setitimer(signal.ITIMER_PROF, 0 if budget is None else budget.cpu_s)
    if sys.platform == "linux":
        import resource

        # The fifth field is what RLIMIT_DATA counts.
        most = resource.RLIM_INFINITY if budget is None else statm(5) + budget.memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))


def main(nice: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the service decides what ends
    die_with_parent()
    tasks, answers = take_standard_streams()
    if sys.platform != "win32":
        import resource

        os.nice(nice)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(tasks, answers)


if __name__ == "__main__":
    main(int(sys.argv[1]))

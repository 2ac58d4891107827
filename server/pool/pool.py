"""A small pool of CPU processes beside the engine, for library work on pictures that must not block anything.

`await pool.run(Lane.QUICK, budget, function, *args, **kwargs)` runs a function in another process and returns its
result. It is for work that takes CPU time and no GPU: decoding uploads, exports, imports, selections.

- `function` is a function of a module (no lambda, no method), imported on both sides; it imports large libraries
  inside. Its arguments are pickled: paths and small values; pixels stay in files. Its return annotation, JSON values
  and dataclasses of them, is the schema by which the answer is checked.
- `budget` limits CPU time, memory and wall-clock time. A task beyond it is killed: `TaskTimeError`, `TaskMemoryError`.
  If a process dies otherwise, this is a `TaskLostError`. The next task gets a fresh process.
- A `LLMDiTError` of the function is raised here unchanged; anything else is logged and raised as `TaskLostError`.
- Canceling `run` kills the task. The caller removes the files that it wrote.
- Each lane has its own processes and queue, so that none waits for another. A full queue is a `PoolFullError`, a 503.
- Processes start on demand and end when they are idle, to return their memory.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import typing
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from server.errors import Failure, PoolFullError, TaskLostError, TaskMemoryError, TaskTimeError
from server.processes import LENGTH, Budget, Task, environment_of_child, pack_task

logger = logging.getLogger("llm_dit.server")

P = ParamSpec("P")
T = TypeVar("T")

TOO_LONG = "This takes longer than the server allows: try it with fewer or smaller pictures."
TOO_MUCH = "This takes more memory than the server allows: try it with fewer or smaller pictures."
LOST = "The process that worked on this ended: try again."
FULL = "The server is busy with the same kind of request: try again in {seconds} s."
MOST_ANSWER = 64 << 20
"""Most bytes of an answer; a correct task sends less."""
LOCAL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""One thread per process."""
THRIFTY = {"MALLOC_MMAP_THRESHOLD_": "262144"}
"""Freed memory returns to the OS at once."""
GRACE_S = 2.0
"""Seconds for a process to end after it closed its streams."""
_KILLED_FOR_TIME = {-getattr(signal, name) for name in ("SIGPROF", "SIGXCPU") if hasattr(signal, name)}


class Lane(StrEnum):
    """Tasks of one lane may wait for each other."""

    QUICK = "quick"
    """Very short tasks: small uploads, thumbnails."""
    PICTURES = "pictures"
    """One large picture: uploaded photographs."""
    FILES = "files"
    """Many pictures: exports and imports."""
    SELECTION = "selection"
    """Selections on the page, for which a user waits."""
    LAYERS = "layers"
    """Layers of a finished run, restored at the picture's size."""


@dataclass(frozen=True, kw_only=True)
class LaneLimits:
    """A lane's number of processes, most waiting tasks, niceness, and idle seconds until a process ends.

    A `thrifty` lane returns freed memory to the OS at once. Array computations then take a third longer, because the OS
    clears new memory.
    """

    processes: int
    waiting: int
    nice: int
    idle_s: float
    thrifty: bool = True


_SHARE = 1 if (os.cpu_count() or 1) < 8 else 2
LANES: Mapping[Lane, LaneLimits] = {
    Lane.QUICK: LaneLimits(processes=2, waiting=64, nice=2, idle_s=300),
    Lane.PICTURES: LaneLimits(processes=_SHARE, waiting=32, nice=8, idle_s=15),
    Lane.FILES: LaneLimits(processes=_SHARE, waiting=16, nice=12, idle_s=15),
    Lane.SELECTION: LaneLimits(processes=2, waiting=32, nice=4, idle_s=120, thrifty=False),
    # The job queue limits the waiting tasks; a job that has run on the device must not be refused here.
    Lane.LAYERS: LaneLimits(processes=1, waiting=1_000_000, nice=6, idle_s=15, thrifty=False),
}


class Pool:
    """The lanes; use and close them on one event loop."""

    def __init__(self, lanes: Mapping[Lane, LaneLimits] = LANES) -> None:
        self._lanes = {lane: _LaneProcesses(limits) for lane, limits in lanes.items()}

    async def run(self, lane: Lane, budget: Budget, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a process; the module's docstring has the rules and the errors."""
        task = Task(function=function, args=args, kwargs=kwargs, budget=budget)
        answer = await self._lanes[lane].run(task)
        try:
            return cast(T, _returned(function).validate_python(answer))
        except ValidationError:
            logger.error("%s did not return what its annotation says", function.__qualname__)
            raise TaskLostError(LOST) from None

    async def close(self) -> None:
        """Kill all tasks, and return when all processes have ended."""
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))

    @property
    def pids(self) -> list[int]:
        return [pid for lane in self._lanes.values() for pid in lane.pids]


@contextlib.asynccontextmanager
async def open_pool(lanes: Mapping[Lane, LaneLimits] = LANES) -> AsyncGenerator[Pool]:
    """Provide a pool; all of its processes end with the block."""
    pool = Pool(lanes)
    try:
        yield pool
    finally:
        await pool.close()


@lru_cache(maxsize=64)
def _returned(function: Callable[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(typing.get_type_hints(function)["return"])


class _LaneProcesses:
    """The processes of one lane, and the tasks that wait for one, first come, first served."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.processes)
        self._waiting = 0
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._mean_s = 1.0
        self._closed = False

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._all]

    async def run(self, task: Task) -> Any:
        if self._free.locked():
            if self._waiting >= self._limits.waiting:
                seconds = max(1, min(60, round(self._mean_s * self._waiting / self._limits.processes)))
                raise PoolFullError(FULL.format(seconds=seconds), retry_after_s=seconds)
            self._waiting += 1
            try:
                await self._free.acquire()
            finally:
                self._waiting -= 1
        else:
            await self._free.acquire()
        try:
            started = asyncio.get_running_loop().time()
            answer = await self._run(task)
            self._mean_s += 0.2 * (asyncio.get_running_loop().time() - started - self._mean_s)
            return answer
        finally:
            self._free.release()

    async def close(self) -> None:
        self._closed = True
        for process in self._all:
            process.kill()
        await asyncio.gather(*(process.ended() for process in self._all))

    async def _run(self, task: Task) -> Any:
        process = self._rested() or await self._start()
        try:
            answer = await process.run(task)
        except BaseException:
            process.kill()
            raise
        if answer.get("ends") or self._closed:
            process.kill()
        else:
            self._idle.append(process)
            process.rest(self._limits.idle_s, self._retire)
        return _result_of(answer, task)

    def _rested(self) -> "_Process | None":
        """Return the process with the shortest idle time, so that the others reach their end."""
        while self._idle:
            process = self._idle.pop()
            process.wake()
            if process.alive:
                return process
        return None

    def _retire(self, process: "_Process") -> None:
        if process in self._idle:
            self._idle.remove(process)
            process.kill()

    async def _start(self) -> "_Process":
        if self._closed:
            raise TaskLostError(LOST)
        process = await _Process.start(self._limits)
        self._all.add(process)
        process.when_ended(self._all.discard)
        return process


class _Process:
    """One process, which runs one task at a time."""

    @classmethod
    async def start(cls, limits: LaneLimits) -> "_Process":
        arguments = [sys.executable, "-m", "server.processes", str(limits.nice)]
        environment = environment_of_child(**LOCAL, **(THRIFTY if limits.thrifty else {}))
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=pipe, stdout=pipe, stderr=nothing, env=environment
            )
        except OSError as error:
            logger.error("a process for pictures cannot be started: %s", error)
            raise PoolFullError(FULL.format(seconds=5), retry_after_s=5) from None
        return cls(process)

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._timer: asyncio.TimerHandle | None = None
        self._life = asyncio.create_task(process.wait())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def kill(self) -> None:
        self.wake()
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> int:
        return await asyncio.shield(self._life)

    def when_ended(self, callback: "Callable[[_Process], None]") -> None:
        self._life.add_done_callback(lambda _: callback(self))

    def rest(self, seconds: float, callback: "Callable[[_Process], None]") -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, callback, self)

    def wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def run(self, task: Task) -> dict[str, Any]:
        """Return the answer to a task; raises `TaskTimeError` or `TaskLostError` without one."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(task.budget.wall_s):
                self._process.stdin.write(pack_task(task))
                return await self._answer()
        except TimeoutError:
            raise TaskTimeError(TOO_LONG) from None
        except (asyncio.IncompleteReadError, OSError, ValueError) as problem:
            if isinstance(problem, ValueError):
                self.kill()
            code = await self._end()
            if code in _KILLED_FOR_TIME:
                raise TaskTimeError(TOO_LONG) from None
            logger.error("a process for pictures ended with code %d in %s", code, task.function.__qualname__)
            raise TaskLostError(LOST) from None

    async def _end(self) -> int:
        """Return the exit code of a process that no longer answers; usually it ended by itself."""
        # Killing a process that has already ended hides its exit code from asyncio.
        await asyncio.wait({self._life}, timeout=GRACE_S)
        self.kill()
        return await self.ended()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))[0]
        if length > MOST_ANSWER:
            raise ValueError("the answer is too long")
        answer: object = json.loads(await self._process.stdout.readexactly(length))
        if not isinstance(answer, dict):
            raise ValueError("this is not an answer")
        return cast(dict[str, Any], answer)


def _result_of(answer: Mapping[str, Any], task: Task) -> Any:
    if "failure" in answer:
        raise Failure(**answer["failure"]).error()
    if "memory" in answer:
        raise TaskMemoryError(TOO_MUCH)
    if "crash" in answer:
        fields = {"error": answer["crash"][0], "stack": answer["crash"][1]}
        logger.error("%s failed unexpectedly", task.function.__qualname__, extra=fields)
        raise TaskLostError(LOST)
    return answer["result"]

"""Programs in processes of their own that begin where their imports end.

To import the service takes a processor longer than most of its tests. So one process imports it, and each program is
forked from that one, with the folder, the environment and the standard streams that it would have been started with.
The same holds for the processes that a service starts: they are forked from the service.
"""

import functools
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, reload
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS: Mapping[str, tuple[str, str]] = {
    "uvicorn": ("uvicorn.main", "main"),
    "llm-dit": ("cli.commands", "app"),
    "python": ("tests.kit.forks", "interpret"),
    "stand-in": ("tests.kit.stand_in", "main"),
}
"""The module and the function of each program."""
COMMANDS: Mapping[str, list[str]] = {
    "uvicorn": [sys.executable, "-m", "uvicorn"],
    "llm-dit": [str(Path(sys.executable).with_name("llm-dit"))],
    "python": [sys.executable],
    "stand-in": [sys.executable, "-m", "tests.kit.stand_in"],
}
CHILDREN = ("server.processes", "server.worker.process")
"""The modules that a service runs in processes of its own."""
PRELOADED = [
    *(module for module, _ in PROGRAMS.values()),
    *("web.server", "llm_dit.pipelines.classical", "server.pool.tasks", "server.worker.process"),
    "tests.kit.warm",  # last: what it freezes is never searched for garbage
]
# Coverage measures processes that begin by themselves, and only Linux forks what has threads safely.
FORKS = sys.platform == "linux" and "COVERAGE_PROCESS_CONFIG" not in os.environ


class Fork:
    """A forked program, with what is needed of `subprocess.Popen`."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._process = _context().Process(target=target, args=arguments)
        # A fork imports the program that starts it: pytest, which takes as long as most of what is run here.
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("", timeout or 0)
        return self._process.exitcode

    def send_signal(self, sent: signal.Signals | int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Fork


def begin(program: str, arguments: list[str], *, cwd: Path, environment: Mapping[str, str], out: Path) -> Process:
    """Start a program whose both outputs are added to the file `out`."""
    # What is to import from elsewhere has to begin by itself.
    if FORKS and environment.get("PYTHONPATH") == os.environ.get("PYTHONPATH"):
        return Fork(_become, program, arguments, cwd, dict(environment), out, out)
    with out.open("ab") as output:
        command = [*COMMANDS[program], *arguments]
        return subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=output)


def llm_dit(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; `environment` is what differs."""
    return _to_its_end("llm-dit", list(map(str, arguments)), cwd, os.environ | dict(environment or {}))


def python(program: str, *, cwd: Path) -> None:
    """Run a program as `python -c` does; raises `AssertionError` if it fails."""
    done = _to_its_end("python", ["-c", program], cwd, dict(os.environ))
    assert done.returncode == 0, f"{program}\n{done.stdout}\n{done.stderr}"


def run(program: str, arguments: list[str], cwd: Path, environment: dict[str, str], out: Path, err: Path) -> int:
    """Run a fork to its end, which adds to two files, and return its exit code."""
    return Fork(_become, program, arguments, cwd, environment, out, err).wait()


def interpret(arguments: Sequence[str]) -> None:
    """Do as `python -c PROGRAM`."""
    sys.path.insert(0, "")
    exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})


def _to_its_end(
    program: str, arguments: list[str], cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    if not FORKS:
        command = [*COMMANDS[program], *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name) / "out", Path(name) / "err"
        code = run(program, arguments, cwd, environment, out, err)
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # Torch is not for every test: the forks have it where the tests do.
    qwen = ["llm_dit.pipelines.qwen_image_diffusers"] if "torch" in sys.modules else []
    context.set_forkserver_preload([*qwen, *PRELOADED])
    term = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"  # what is imported must not take the terminal of the tests for its own
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("TERM") if term is None else os.environ.update(TERM=term)
    return context


def _become(program: str, arguments: list[str], cwd: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    os.chdir(cwd)
    _heed(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for descriptor, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    _open_outputs()
    sys.argv = [COMMANDS[program][-1], *arguments]
    subprocess.Popen = _Forking
    module, name = PROGRAMS[program]
    getattr(import_module(module), name)(arguments)


def _heed(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if constants := sys.modules.get("huggingface_hub.constants"):
        reload(constants)  # it reads the environment when it is imported


def _open_outputs() -> None:
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


class _Forking(subprocess.Popen[bytes]):
    """Starts a process of a service as a fork that does not start over."""

    def __init__(self, args: Sequence[str], **how: Any) -> None:
        if list(args[:2]) == [sys.executable, "-m"] and args[2] in CHILDREN:
            how["preexec_fn"] = functools.partial(_run, args[2], args[3:], dict(how["env"]))
        super().__init__(args, **how)


def _run(module: str, arguments: Sequence[str], environment: dict[str, str]) -> None:
    """Run a module as `python -m` does, in a fork whose standard streams are what they should be, to its end."""
    code = 1
    try:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # one of them tells who started this that the program runs
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        gc.freeze()
        _heed(environment)
        Path("/proc/self/comm").write_text(module)
        _open_outputs()
        sys.argv = [module, *arguments]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it is imported already
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - it ends the process, as it would end a program
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)

"""`llm-dit` for shells, forked like the programs of `forks.py`."""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.kit.forks import FORKS, run


@contextlib.contextmanager
def path_of_forks() -> Iterator[str]:
    """Give the PATH of a shell that forks `llm-dit`, one call after the other, until the block ends."""
    if not FORKS:
        yield os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.mkfifo(folder / "calls")
        command = folder / "llm-dit"
        command.write_text(
            # In a shell of its own, whose output alone is the pipe: the caller's own is what the call writes to.
            f"#!/bin/sh\nmkfifo {folder}/$$; (echo $$ > {folder}/calls); read code < {folder}/$$; exit $code\n"
        )
        command.chmod(0o755)
        answering = threading.Thread(target=_answer, args=(folder,))
        answering.start()
        try:
            yield os.pathsep.join([name, os.environ["PATH"]])
        finally:
            (folder / "calls").write_text("\n")
            answering.join()


def _answer(folder: Path) -> None:
    """Run what is called in `folder`: a caller writes its process id, and waits for an exit code."""
    # A pipe that is open for both waits for nobody, and does not end with the first caller.
    with os.fdopen(os.open(folder / "calls", os.O_RDWR)) as calls:
        while pid := calls.readline().strip():
            caller = Path("/proc") / pid
            _, _, *arguments = (caller / "cmdline").read_text("utf-8").split("\0")[:-1]
            entries = (caller / "environ").read_text("utf-8").split("\0")[:-1]
            environment = dict(entry.split("=", 1) for entry in entries)
            code = run("llm-dit", arguments, (caller / "cwd").readlink(), environment, caller / "fd/1", caller / "fd/2")
            (folder / pid).write_text(f"{code}\n")

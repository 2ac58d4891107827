"""`llm-dit serve` around a pipeline that does as it is told: all of the service is real, apart from the engine.

`STAND_IN`, `module:Class`, names the pipeline; `RecordedPipeline` by default. The worker imports it from here too.
"""

import contextlib
import fcntl
import functools
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from llm_dit.layers import Decomposition
from tests.kit.pipelines import StepPipeline

RUNS, LOAD_S = "STAND_IN_RUNS", "STAND_IN_LOAD_S"
"""Environment: the file in which runs are written down, and how many seconds loading takes."""


class RecordedPipeline(StepPipeline):
    """`StepPipeline` that writes its runs down, and notices by a lock of the kernel when two go on at once.

    Every run adds a line "run SEED"; one that begins while another goes on, in whatever process, adds "overlap SEED"
    too. The kernel frees the lock of a process that is killed.
    """

    def __init__(self) -> None:
        time.sleep(float(os.environ.get(LOAD_S, "0")))

    def decompose(self, *arguments: Any, seed: int, **options: Any) -> Decomposition:
        with _recorded(seed):
            return super().decompose(*arguments, seed=seed, **options)


@contextlib.contextmanager
def _recorded(seed: int) -> Iterator[None]:
    path = Path(os.environ[RUNS])
    with path.open("ab", buffering=0) as runs, path.with_suffix(".lock").open("wb") as lock:
        runs.write(f"run {seed}\n".encode())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            runs.write(f"overlap {seed}\n".encode())
        yield


def read_runs(path: Path) -> tuple[Counter[int], list[int]]:
    """Return how often each seed was run, and the seeds of the runs that began during another one."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    runs = Counter(int(seed) for word, seed in lines if word == "run")
    return runs, [int(seed) for word, seed in lines if word == "overlap"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; with the arguments of this process where none are given."""
    import web.server
    from cli.commands import app

    pipeline = os.environ.get("STAND_IN", "tests.kit.stand_in:RecordedPipeline")
    # `llm-dit serve` takes `create_app` from here when it is called.
    web.server.create_app = functools.partial(web.server.create_app, pipeline=pipeline)
    app(arguments)


if __name__ == "__main__":
    main()

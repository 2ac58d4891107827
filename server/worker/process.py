"""The worker process owns the pipeline and runs one job at a time.

`python -m server.worker.process MODULE:CLASS DATA_DIR LOG_FORMAT`; the environment has the pipeline's options as JSON:
null, or what it is built with. A token among them would show in the list of processes.

It ends with the service in any case: its standard input closes, and on Linux the kernel kills it as well.
"""

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image

from llm_dit.errors import EngineError, InputError, LLMDiTError, OutOfMemoryError
from llm_dit.images import encode_png
from llm_dit.runs import Canceled, LayerPipeline, Progress
from server.engines import load_pipeline
from server.errors import Failure, PipelineError
from server.jobs.inputs import Shelf
from server.processes import become_child, die_with_parent
from server.storage.images import ImageStore
from server.telemetry import LogFormat, Redaction, configure
from server.worker.supervisor import (
    OPTIONS,
    Event,
    Failed,
    Loaded,
    LoadFailed,
    Previewed,
    Run,
    Stepped,
    Stopped,
    Succeeded,
    pack,
    read_command,
)

logger = logging.getLogger("llm_dit.worker")
OUT_OF_MEMORY = "There is not enough memory for this job: try a smaller image, fewer layers or resolution 640."


class Child:
    """Reads commands in a thread, so that a cancel arrives while the pipeline runs."""

    def __init__(self, commands: BinaryIO, events: BinaryIO, store: ImageStore, redaction: Redaction) -> None:
        self._commands = commands
        self._events = events
        self._store = store
        self._redaction = redaction
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        self._canceled = ""

    def serve(self, pipeline: LayerPipeline) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            command = self._runs.get()
            with self._redaction.hiding(*command.job_input.texts):
                outcome = carry_out(command, pipeline, self._store, lambda job_id: self._canceled == job_id, self.send)
            self.send(outcome)

    def send(self, event: Event) -> None:
        self._events.write(pack(event))
        self._events.flush()

    def _listen(self) -> None:
        while (command := read_command(self._commands)) is not None:
            if isinstance(command, Run):
                self._runs.put(command)
            else:
                self._canceled = command.job_id
        os._exit(0)  # the main thread may be deep in native code


def carry_out(
    command: Run,
    pipeline: LayerPipeline,
    shelf: Shelf,
    canceled: Callable[[str], bool],
    send: Callable[[Stepped | Previewed], None],
) -> Succeeded | Failed | Stopped:
    """Run a job with its progress through `send`, and return its outcome; it stops at a step once it is `canceled`."""
    job_id = command.job_id

    def progress(step: Progress) -> None:
        if canceled(job_id):
            raise Canceled
        send(Stepped(job_id=job_id, progress=step))

    def preview(layer: int, picture: Image.Image) -> None:
        send(Previewed(job_id=job_id, layer=layer, png=encode_png(picture)))

    try:
        # A failed run may have loaded a model that stays.
        result = command.job_input.run(pipeline, shelf, progress, preview if command.previews else None)
    except Canceled:
        return Stopped(job_id=job_id, status=pipeline.status())
    except Exception as error:  # noqa: BLE001 - whatever a pipeline raises ends its job, not the worker
        return Failed(job_id=job_id, failure=_failure(error, f"job {job_id}"), status=pipeline.status())
    return Succeeded(job_id=job_id, result=result, status=pipeline.status())


def _failure(error: Exception, where: str) -> Failure:
    """Return the public part of an error; the log gets the rest."""
    if isinstance(error, LLMDiTError):
        return Failure.of(error)
    if isinstance(error, MemoryError):
        return Failure.of(OutOfMemoryError(OUT_OF_MEMORY))
    logger.error("%s failed", where, exc_info=error)
    return Failure.of(PipelineError(f"The engine failed; the server's log has the reason, under {where}."))


def load_failure(error: Exception) -> Failure:
    """Return why the engine cannot run."""
    if isinstance(error, InputError):
        # The error is in the configuration, not in a request.
        return Failure.of(EngineError(error.message))
    return _failure(error, "loading the engine")


def main(pipeline_path: str, data_dir: str, log_format: str) -> None:
    die_with_parent()
    commands, events = become_child()
    redaction = configure(cast(LogFormat, log_format))
    child = Child(commands, events, ImageStore(Path(data_dir)), redaction)
    try:
        pipeline = load_pipeline(
            pipeline_path, json.loads(os.environ.pop(OPTIONS)), lambda progress: child.send(Stepped(progress=progress))
        )
    except Exception as error:  # noqa: BLE001 - the service is told, and logs it
        child.send(LoadFailed(failure=load_failure(error)))
        raise SystemExit(1) from None
    status = pipeline.status()
    logger.info(
        "%s is loaded on %s: %s", ", ".join(status.models), status.device, status.placement or "nothing to place"
    )
    child.send(Loaded(status=status))
    child.serve(pipeline)


if __name__ == "__main__":
    main(*sys.argv[1:])

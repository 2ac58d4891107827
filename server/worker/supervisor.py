"""The service's side of one worker process, and the messages between the two."""

import asyncio
import json
import logging
import pickle
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_dit.errors import LLMDiTError
from llm_dit.runs import Canceled, PipelineStatus, Progress
from server.engines import Options
from server.errors import Failure, StalledError, WorkerLostError
from server.jobs.inputs import JobInput, JobResult
from server.processes import LENGTH, environment_of_child, framed, read_framed
from server.telemetry import LogFormat

logger = logging.getLogger("llm_dit.server")

# Messages between the service and its worker are pickles, because both sides are this program. Only previews contain
# pixels.


@dataclass(frozen=True, kw_only=True)
class Run:
    job_id: str
    job_input: JobInput
    previews: bool = False
    """Whether a client wants previews."""


@dataclass(frozen=True, kw_only=True)
class Cancel:
    job_id: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The pipeline is ready."""

    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    """The pipeline cannot run; the worker ends."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """Progress of a run, or of loading, which belongs to no job."""

    job_id: str = ""
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """A preview PNG of `layer`, a few kB; 1 is the bottom layer."""

    job_id: str
    layer: int
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    job_id: str
    result: JobResult
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Failed:
    job_id: str
    failure: Failure
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended because it was canceled."""

    job_id: str
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """The number of replicas that run now."""

    status: PipelineStatus
    replicas: int


Command = Run | Cancel
Event = Loaded | LoadFailed | Scaled | Stepped | Previewed | Succeeded | Failed | Stopped


def pack(message: Command | Event) -> bytes:
    return framed(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def read_command(stream: BinaryIO) -> Command | None:
    """Return the next command, or None if the service has ended."""
    content = read_framed(stream)
    return None if content is None else pickle.loads(content)


async def read_event(stream: asyncio.StreamReader) -> Event | None:
    """Return the worker's next event, or None if it has ended."""
    try:
        header = await stream.readexactly(LENGTH.size)
        return pickle.loads(await stream.readexactly(LENGTH.unpack(header)[0]))
    except asyncio.IncompleteReadError:
        return None


# The supervisor.

LOCAL = "server.worker.process"
"""The program of a process that holds the pipeline itself."""
LEAVE_S = 10.0
"""Seconds for a process with replicas to leave them in order."""
OPTIONS = "LLM_DIT_WORKER_OPTIONS"
"""The variable that holds a pipeline's options."""
LOST = "The process that runs the engine ended during this job and is restarting: send the job again."
NOT_STARTED = "The process that runs the engine cannot start: the server's log has the reason."
STALLED = "The engine made no progress for {seconds:.0f} s and is restarting: send the job again."

ShowPreview = Callable[[int, bytes], None]
"""Called with a layer's number, 1 at the bottom, and its preview as a PNG."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Seconds without progress after which a process counts as hung, in a run and while it loads.

    `Pace` gives a run of long steps more. With `run_s` None runs are not watched: those of several jobs at once must
    not end together.
    """

    run_s: float | None
    load_s: float


class Pace:
    """Tells how long a run may take for its next step: `run_s`, or ten times the median of its last steps if that is
    longer, or `load_s` while a model loads; all in seconds."""

    def __init__(self, run_s: float, load_s: float) -> None:
        self._run_s, self._load_s = run_s, load_s
        self._steps_s: deque[float] = deque(maxlen=50)

    def after(self, progress: Progress, took_s: float) -> float:
        if progress.is_loading:
            return self._load_s
        self._steps_s.append(took_s)
        return max(self._run_s, 10 * statistics.median(self._steps_s))


@dataclass(kw_only=True, eq=False)
class _Running:
    """A run in the process, and who hears of it."""

    outcome: asyncio.Future[JobResult]
    on_progress: Callable[[Progress], None]
    on_preview: ShowPreview | None
    pace: Pace | None
    """None if the run is not watched."""


class Worker:
    """A process that owns a pipeline. It starts once; after its end another `Worker` replaces it.

    `module` is the process's program: one run at a time, or as many as its pipeline has replicas.
    """

    def __init__(
        self,
        pipeline: str,
        data_dir: Path,
        options: Options = None,
        *,
        watch: Watch,
        log_format: LogFormat = "text",
        module: str = LOCAL,
    ) -> None:
        self._arguments = [sys.executable, "-m", module, pipeline, str(data_dir), log_format]
        self._options = json.dumps(options)
        self._watch = watch
        self._gentle = module != LOCAL
        self._process: asyncio.subprocess.Process | None = None
        self._settled = asyncio.Event()
        self._runs: dict[str, _Running] = {}
        self._on_loading: list[Callable[[Progress], None]] = []
        self._on_loaded: Callable[[Worker], None] | None = None
        self._deadline = asyncio.timeout(None)
        self._born = self._heard = time.monotonic()
        self.loading = Progress(phase="loading", step=0, total=0)
        self._gone = self._killed = False
        self.loaded = False
        self.load_s = 0.0
        """Seconds of loading so far."""
        self.status: PipelineStatus | None = None
        self.replicas: int | None = None
        """How many replicas of the pipeline run, if it has any."""
        self.error: LLMDiTError | None = None
        self.end_reason = "crashed"
        """Why the process ended: "crashed", or the reason given to `kill`."""
        self._life = asyncio.create_task(self._live())

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and not self.ended else None

    @property
    def ended(self) -> bool:
        return self._life.done()

    @property
    def ending(self) -> bool:
        """Whether the process has ended or is ending, so that no run may begin in it."""
        return self._gone or self._killed or self.ended

    def when_loaded(self, callback: Callable[["Worker"], None]) -> None:
        self._on_loaded = callback

    def when_ended(self, callback: Callable[["Worker"], None]) -> None:
        self._life.add_done_callback(lambda _: callback(self))

    async def wait_ended(self) -> None:
        """Return when the process has ended and its listeners were notified."""
        await asyncio.wait({self._life})

    async def wait_loaded(self, on_loading: Callable[[Progress], None]) -> None:
        """Return when the pipeline is ready; raises the error of its loading."""
        on_loading(self.loading)
        self._on_loading.append(on_loading)
        try:
            await self._settled.wait()
        finally:
            self._on_loading.remove(on_loading)
        if self.error is not None:
            raise self.error

    async def run(
        self,
        job_id: str,
        job_input: JobInput,
        on_progress: Callable[[Progress], None],
        on_preview: ShowPreview | None = None,
    ) -> JobResult:
        """Run a job to its end; raises `Canceled`, `WorkerLostError`, or the pipeline's error.

        Call it for as many runs at a time as the process takes, and await their ends: only then is there room again.
        """
        if self.ending:
            raise WorkerLostError(LOST)
        run_s = self._watch.run_s
        run = _Running(
            outcome=asyncio.get_running_loop().create_future(),
            on_progress=on_progress,
            on_preview=on_preview,
            pace=None if run_s is None else Pace(run_s, self._watch.load_s),
        )
        self._runs[job_id] = run
        self._be_patient(run_s)
        self._send(Run(job_id=job_id, job_input=job_input, previews=on_preview is not None))
        return await run.outcome

    def cancel(self, job_id: str) -> None:
        """Ask the run of this job to stop at its next step; a run of another job continues."""
        self._send(Cancel(job_id=job_id))

    def kill(self, reason: str) -> None:
        """End the process at once; `reason` is for the metrics."""
        if self._process is not None and self._process.returncode is None:
            self.end_reason = reason
            self._killed = True
            self._process.kill()

    async def stop(self) -> None:
        """End the process, and return when it has ended: it has some seconds to leave its replicas in order."""
        if self._gentle and self._process is not None and self._process.stdin is not None and not self.ended:
            self.end_reason, self._killed = "stopped", True
            self._process.stdin.close()
            await asyncio.wait({self._life}, timeout=LEAVE_S)
        while not self.ended:
            self.kill("stopped")
            await asyncio.wait({self._life}, timeout=0.1)

    def _send(self, command: Command) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(pack(command))

    async def _live(self) -> None:
        try:
            self._process = await self._spawn()
        except OSError as error:
            logger.error("the worker process cannot be started: %s", error)
            self._bury()
            return
        assert self._process.stdout is not None
        try:
            async with self._deadline:
                self._be_patient(self._watch.load_s)
                while (event := await read_event(self._process.stdout)) is not None:
                    self._handle(event)
        except TimeoutError:
            self._end_stalled()
        self._gone = True
        code = await self._process.wait()
        if self._killed:
            logger.info("the worker process %d was ended: %s", self._process.pid, self.end_reason)
        else:
            logger.info("the worker process %d ended with code %d", self._process.pid, code)
        self._bury()

    def _be_patient(self, seconds: float | None) -> None:
        """Expect the next event within so many seconds; None: without a limit."""
        self._heard = time.monotonic()
        self._deadline.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    def _end_stalled(self) -> None:
        waited_s = time.monotonic() - self._heard
        logger.error("the worker process made no progress for %.0f s: it is killed", waited_s)
        self.error = StalledError(STALLED.format(seconds=waited_s))
        self.kill("stalled")

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._arguments, stdin=pipe, stdout=pipe, env=environment_of_child(**{OPTIONS: self._options})
        )

    def _handle(self, event: Event) -> None:
        match event:
            case Loaded():
                self.loaded = True
                self.load_s = time.monotonic() - self._born
                self.status = event.status
                self._be_patient(None)
                self._settled.set()
                if self._on_loaded is not None:
                    self._on_loaded(self)
            case LoadFailed():
                self.error = event.failure.error()
                logger.error("the engine cannot run: %s", self.error.message)
            case Scaled():
                self.status, self.replicas = event.status, event.replicas
            case Stepped() if event.job_id:
                self._step(self._runs[event.job_id], event.progress)
            case Stepped():
                self.loading = event.progress
                self._be_patient(self._watch.load_s)
                for on_loading in self._on_loading:
                    on_loading(event.progress)
            case Previewed():
                if (on_preview := self._runs[event.job_id].on_preview) is not None:
                    on_preview(event.layer, event.png)
            case Succeeded():
                self._finish(event).set_result(event.result)
            case Failed():
                self._finish(event).set_exception(event.failure.error())
            case Stopped():
                self._finish(event).set_exception(Canceled())

    def _step(self, run: _Running, progress: Progress) -> None:
        if run.pace is not None:
            self._be_patient(run.pace.after(progress, time.monotonic() - self._heard))
        run.on_progress(progress)

    def _finish(self, event: Succeeded | Failed | Stopped) -> asyncio.Future[JobResult]:
        self.status = event.status
        self._be_patient(None)
        return self._runs.pop(event.job_id).outcome

    def _bury(self) -> None:
        self.load_s = self.load_s or time.monotonic() - self._born
        self.error = self.error or WorkerLostError(LOST if self.loaded else NOT_STARTED)
        self._settled.set()
        error = self.error if isinstance(self.error, WorkerLostError) else WorkerLostError(LOST)
        for run in self._runs.values():
            run.outcome.set_exception(Failure.of(error).error())
        self._runs.clear()

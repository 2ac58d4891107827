"""The engine on a Ray cluster: replicas of its pipeline, and the process through which the service gives them jobs.

`python -m server.ray_engine MODULE:CLASS DATA_DIR LOG_FORMAT` takes the place of `server/worker/process.py`; the
environment has a `Plan` as JSON. Only this module imports Ray, and only in that process and in the replicas: when a
cluster is lost, Ray ends the process that uses it.

`server.ray_engine:application` is the same for a cluster that deploys by itself, such as KubeRay's RayService.
"""

import asyncio
import hashlib
import importlib
import json
import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from llm_dit.errors import DeviceLostError, EngineError, LLMDiTError, OutOfMemoryError
from llm_dit.runs import PipelineStatus, Progress
from server.engines import Engine, engine_of_service, load_pipeline
from server.errors import ClusterError, Failure, PipelineError, WorkerLostError
from server.processes import become_child
from server.settings import RaySettings, Settings, load_settings
from server.storage.images import ImageStore
from server.telemetry import Concealed, LogFormat, configure
from server.worker.process import carry_out, load_failure
from server.worker.supervisor import (
    LEAVE_S,
    OPTIONS,
    Event,
    Failed,
    Loaded,
    LoadFailed,
    Pace,
    Previewed,
    Run,
    Scaled,
    Stepped,
    Stopped,
    Succeeded,
    pack,
    read_command,
)

logger = logging.getLogger("llm_dit.worker")

LOST_TWICE = "Two replicas of the engine ended during this job, so it is not tried again: see the log of Ray."
UNREACHABLE = (
    "The Ray cluster cannot be reached: check that it runs, that this machine has joined it, and address under "
    "[default.ray]."
)
REFUSED = "The Ray cluster refuses this service, which has not the cluster's token: see docs/security.md."
NO_CLUSTER = "No Ray cluster runs on this machine: start one with `ray start`, or set address under [default.ray]."
REPLACED = (
    "Another service has replaced the replicas of this one: give one of them another application under "
    "[default.ray], then restart this one."
)
NOT_DEPLOYED = "The replicas of the engine cannot start: the log of Ray Serve has the reason."
SAID = "llm-dit: "
"""Marks the public reason in the message of a replica that cannot start."""
ASSIGNING = Progress(phase="assigning", step=0, total=0)
"""The phase of a job that has no replica yet: all are at work, or new ones are starting."""
REACH_S = 5.0
ANSWER_S = 20.0
"""How long the cluster may take to answer before it counts as lost."""
LOOK_S = 1.0
"""Seconds between two looks at the number of replicas."""
PRESSED_S = (0.2, 0.5, 1.0, 2.0)
"""Pauses before a job is offered again to replicas that refuse more."""
QUEUED_FOR_EACH = 4
"""Jobs that may wait in Ray for each replica; Ray counts those that are just being assigned, too."""
MOST_STARTS = 3

Outcome = Succeeded | Failed | Stopped


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines the replicas: the pipeline's `options`, Ray's settings, and times in seconds."""

    options: Mapping[str, Any] | None
    ray: Mapping[str, Any]
    gpus: float
    cancel_s: float
    stall_s: float
    load_s: float


def plan_of(settings: Settings, engine: Engine) -> Plan:
    server, ray = settings.server, settings.ray
    own_gpus = "1" if engine.name == "qwen" else "0"
    return Plan(
        options=engine.options,
        ray=ray.model_dump(mode="json"),
        gpus=float(own_gpus if ray.num_gpus == "auto" else ray.num_gpus),
        cancel_s=max(server.cancel_grace_s, engine.step_s),
        stall_s=max(server.stall_timeout_s, 2 * engine.step_s),
        load_s=server.load_timeout_s,
    )


# A replica, in a process of Ray's.


class _Memory:
    """The pictures of one job: those that it reads, and those that it has `made`."""

    def __init__(self, given: Mapping[str, bytes]) -> None:
        self._given = given
        self.made: dict[str, bytes] = {}

    def read(self, sha256: str) -> bytes:
        return self._given[sha256]

    def put(self, png: bytes) -> str:
        sha256 = hashlib.sha256(png).hexdigest()
        self.made[sha256] = png
        return sha256


class Replica:
    """Holds one pipeline and runs one job at a time.

    Ray frees the place of a canceled job at once, while its step goes on: the lock keeps the next job waiting until it
    has ended. A job that stops neither at a cancel nor makes progress ends with this process, which Ray replaces.
    """

    def __init__(self, pipeline: str, plan: Plan) -> None:
        self._plan = plan
        self._redaction = configure("text")
        # Torch keeps its device for each thread, so one thread loads and runs.
        self._thread = ThreadPoolExecutor(1)
        try:
            self._pipeline = self._thread.submit(load_pipeline, pipeline, plan.options, lambda _: None).result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the service says why
            raise RuntimeError(f"{SAID}{load_failure(error).message}") from None
        self._lock = asyncio.Lock()
        self._short_of_memory = 0

    async def describe(self) -> PipelineStatus:
        return self._pipeline.status()

    async def check_health(self) -> None:
        if self._short_of_memory > 1:
            raise RuntimeError("the memory is short again and again")

    async def run(
        self, command: Run, pictures: Mapping[str, bytes]
    ) -> AsyncIterator[tuple[Stepped | Previewed | Outcome, Mapping[str, bytes]]]:
        """Yield the events of a job; the last one comes with the pictures that it made."""
        async with self._lock:
            memory, stop, loop = _Memory(pictures), threading.Event(), asyncio.get_running_loop()
            events: asyncio.Queue[Stepped | Previewed | Outcome] = asyncio.Queue()

            def send(event: Stepped | Previewed | Outcome) -> None:
                loop.call_soon_threadsafe(events.put_nowait, event)

            def work() -> None:
                with self._redaction.hiding(*command.job_input.texts):
                    send(carry_out(command, self._pipeline, memory, lambda _: stop.is_set(), send))

            run = self._thread.submit(work)
            try:
                async for event in self._heard(events):
                    yield event, memory.made if isinstance(event, Succeeded) else {}
            finally:
                stop.set()
                await self._see_it_stop(run)

    async def _heard(
        self, events: asyncio.Queue[Stepped | Previewed | Outcome]
    ) -> AsyncIterator[Stepped | Previewed | Outcome]:
        limit_s, pace = self._plan.stall_s, Pace(self._plan.stall_s, self._plan.load_s)
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            try:
                event = await asyncio.wait_for(events.get(), limit_s)
            except TimeoutError:
                _die(f"made no progress for {limit_s:.0f} s")
            if isinstance(event, Stepped):
                limit_s = pace.after(event.progress, loop.time() - since)
            if not isinstance(event, Outcome):
                yield event
                continue
            failure = event.failure.name if isinstance(event, Failed) else ""
            if failure == DeviceLostError.__name__:
                _die("lost its device")  # another replica runs the job
            self._short_of_memory = self._short_of_memory + 1 if failure == OutOfMemoryError.__name__ else 0
            yield event
            return

    async def _see_it_stop(self, run: Future[None]) -> None:
        _, going_on = await asyncio.wait({asyncio.wrap_future(run)}, timeout=self._plan.cancel_s)
        if going_on:
            _die("did not stop")


def _die(reason: str) -> NoReturn:
    """End this process, whatever its threads are doing."""
    logger.error("a job %s: this replica ends", reason)
    os._exit(1)


def deployment(pipeline: str, plan: Plan) -> tuple[str, Any]:
    """Return the name of the deployment, which changes with the plan, and its application."""
    serve = importlib.import_module("ray.serve")
    ray = RaySettings.model_validate(plan.ray)
    autoscaling: dict[str, Any] = {"num_replicas": ray.min_replicas}
    if ray.most > ray.min_replicas:
        autoscaling = {
            "autoscaling_config": {
                "min_replicas": ray.min_replicas,
                "max_replicas": ray.most,
                "target_ongoing_requests": 1,
                "upscale_delay_s": ray.upscale_delay_s,
                "downscale_delay_s": ray.downscale_delay_s,
            }
        }
    name = _name(pipeline, plan)
    made: Any = serve.deployment(Replica).options(
        name=name,
        max_ongoing_requests=1,
        max_queued_requests=QUEUED_FOR_EACH * ray.most,
        graceful_shutdown_timeout_s=ray.longest_run_s,
        max_constructor_retry_count=MOST_STARTS,
        ray_actor_options={"num_cpus": ray.num_cpus, "num_gpus": plan.gpus},
        **autoscaling,
    )
    return name, made.bind(pipeline, plan)


def _name(pipeline: str, plan: Plan) -> str:
    """Return the same name for what makes the same replicas, by whatever address a service reaches them."""
    ray = {name: value for name, value in plan.ray.items() if name not in {"address", "application"}}
    content = json.dumps([version("llm-dit"), pipeline, asdict(plan) | {"ray": ray}], sort_keys=True)
    return f"pipeline-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def application(_: Mapping[str, str]) -> Any:
    """Return the application of the settings, for `serve deploy` and RayService."""
    settings = load_settings()
    engine = engine_of_service(settings)
    return deployment(engine.pipeline, plan_of(settings, engine))[1]


# The process of the service.


class Door:
    """Connects to the cluster, deploys the replicas unless they are there, and passes jobs and events on."""

    def __init__(
        self, commands: BinaryIO, events: BinaryIO, store: ImageStore, pipeline: str, plan: Plan, log_format: LogFormat
    ) -> None:
        self._commands, self._events, self._store = commands, events, store
        self._pipeline, self._plan = pipeline, plan
        self._settings = RaySettings.model_validate(plan.ray)
        self._log_format = log_format
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._status = PipelineStatus(models=(), has_edit_model=False, device="Ray")
        self._replicas: int | None = 0
        """The number of running replicas; None once another service has replaced them."""
        self._ray: Any = None
        self._serve: Any = None
        self._handle: Any = None

    async def serve(self) -> None:
        """Serve the service until it leaves; ends this process if the cluster cannot be used."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            await asyncio.to_thread(self._connect)
            name = await self._deploy()
        except LLMDiTError as error:
            self._send(LoadFailed(failure=Failure.of(error)))
            return
        self._handle = self._serve.get_deployment_handle(name, self._settings.application)
        with suppress(TimeoutError):  # all replicas may be at work for a service that has ended
            self._status = await asyncio.wait_for(_result(self._handle.describe.remote()), ANSWER_S)
        self._tell_replicas()
        self._send(Loaded(status=self._shown()))
        while True:
            await asyncio.sleep(LOOK_S)
            self._replicas = await self._count(name)
            self._tell_replicas()

    def _tell_replicas(self) -> None:
        self._send(Scaled(status=self._shown(), replicas=self._replicas or 0))

    def _send(self, event: Event) -> None:
        self._events.write(pack(event))
        self._events.flush()

    def _shown(self) -> PipelineStatus:
        number = self._replicas or 0
        return replace(self._status, device=f"{number} × {self._status.device}" if number > 1 else self._status.device)

    def _connect(self) -> None:
        address = self._settings.address
        host, colon, port = address.rpartition(":")
        if colon:
            try:
                socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
            except OSError:
                raise ClusterError(UNREACHABLE) from None
        # Ray reports the use of a cluster to its makers unless it is told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Without it Ray does not send its token to an address.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if address == "local":
            # Ray's switch for systems without clusters: its processes listen on 127.0.0.1 only.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        self._ray, self._serve = importlib.import_module("ray"), importlib.import_module("ray.serve")
        try:
            self._ray.init(
                address=address,
                log_to_driver=self._log_format == "text",
                logging_level=logging.WARNING,
                **({"include_dashboard": False} if address == "local" else {}),
            )
            self._serve.start(proxy_location="Disabled")
        except Exception as error:
            logger.error("no connection to Ray: %s", type(error).__name__, exc_info=error)
            if any("AuthenticationError" in line for line in traceback.format_exception(error)):
                raise ClusterError(REFUSED) from None
            raise ClusterError(NO_CLUSTER if address == "auto" else UNREACHABLE) from None

    async def _deploy(self) -> str:
        """Return the name of the deployment once one of its replicas runs."""
        application = self._settings.application
        found = (await asyncio.to_thread(self._serve.status)).applications.get(application)
        name = _name(self._pipeline, self._plan)
        if found is None or name not in found.deployments or found.status == "DEPLOY_FAILED":
            name, bound = deployment(self._pipeline, self._plan)
            target = self._serve.RunTarget(bound, name=application, route_prefix=None)
            await asyncio.to_thread(self._serve.run_many, [target], wait_for_applications_running=False)
        while not (running := await self._count(name)):
            now = (await asyncio.to_thread(self._serve.status)).applications[application]
            if now.status == "DEPLOY_FAILED":
                messages = [now.message, *(each.message for each in now.deployments.values())]
                logger.error("the replicas cannot start: %s", "; ".join(messages))
                said = [text.partition(SAID)[2].splitlines()[0] for text in messages if SAID in text]
                raise EngineError(said[0] if said else NOT_DEPLOYED)
            self._send(Stepped(progress=Progress(phase="loading", step=0, total=self._settings.min_replicas)))
            await asyncio.sleep(LOOK_S)
        self._replicas = running
        return name

    async def _count(self, name: str) -> int | None:
        """Return the number of running replicas, or None without such a deployment.

        Ends this process if the cluster does not answer.
        """
        try:
            status = await asyncio.wait_for(asyncio.to_thread(self._serve.status), ANSWER_S)
            found = status.applications[self._settings.application].deployments.get(name)
        except Exception as error:  # noqa: BLE001 - a cluster has many ways to be gone, all with the same remedy
            logger.error("the Ray cluster does not answer: %s", type(error).__name__)
            os._exit(1)
        return None if found is None else found.replica_states.get("RUNNING", 0)

    def _listen(self) -> None:
        while (command := read_command(self._commands)) is not None:
            if isinstance(command, Run):
                self._loop.call_soon_threadsafe(self._begin, command)
            else:
                self._loop.call_soon_threadsafe(self._cancel, command.job_id)
        # The service has ended, perhaps without a word: the replicas should not go on with its jobs.
        late = threading.Timer(LEAVE_S, os._exit, [0])
        late.daemon = True
        late.start()
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        if self._ray is not None:
            self._ray.shutdown()
        os._exit(0)

    async def _leave(self) -> None:
        for job in self._jobs.values():
            job.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs.values())

    def _begin(self, command: Run) -> None:
        self._jobs[command.job_id] = job = asyncio.create_task(self._run(command))
        job.add_done_callback(lambda _: self._jobs.pop(command.job_id))

    def _cancel(self, job_id: str) -> None:
        if job_id in self._jobs:
            self._jobs[job_id].cancel()

    async def _run(self, command: Run) -> None:
        try:
            outcome = await self._outcome(command)
        except asyncio.CancelledError:
            outcome = Stopped(job_id=command.job_id, status=self._shown())
        except LLMDiTError as error:
            outcome = Failed(job_id=command.job_id, failure=Failure.of(error), status=self._shown())
        except Exception as error:
            logger.error("job %s failed in Ray", command.job_id, exc_info=Concealed.of(error))
            failure = Failure.of(PipelineError(f"Ray failed; the server's log has the reason, under {command.job_id}."))
            outcome = Failed(job_id=command.job_id, failure=failure, status=self._shown())
        self._send(outcome)

    async def _outcome(self, command: Run) -> Outcome:
        """Run a job on a replica, and once more if that one ends: the seed is fixed, so the result is the same."""
        if self._replicas is None:
            raise EngineError(REPLACED)
        names = command.job_input.pictures
        pictures = {sha256: await asyncio.to_thread(self._store.read, sha256) for sha256 in names}
        lost, pressed = 0, 0
        while True:
            self._send(Stepped(job_id=command.job_id, progress=ASSIGNING))
            try:
                return await self._stream(command, pictures)
            except self._serve.exceptions.BackPressureError:
                await asyncio.sleep(PRESSED_S[min(pressed, len(PRESSED_S) - 1)])
                pressed += 1
            except self._ray.exceptions.RayActorError:
                lost += 1
                logger.warning("a replica ended during a job", extra={"job_id": command.job_id})
                if lost > 1:
                    raise WorkerLostError(LOST_TWICE) from None

    async def _stream(self, command: Run, pictures: Mapping[str, bytes]) -> Outcome:
        response = self._handle.options(stream=True).run.remote(command, pictures)
        ended = False
        try:
            async for event, made in response:
                if not isinstance(event, Outcome):
                    self._send(event)
                    continue
                for png in made.values():
                    await asyncio.to_thread(self._store.put, png)
                self._status, ended = event.status, True
                return replace(event, status=self._shown())
        except asyncio.CancelledError:
            raise
        except Exception:
            ended = True  # to cancel a call that has failed raises its error again
            raise
        finally:
            if not ended:
                response.cancel()
        raise WorkerLostError(LOST_TWICE)


async def _result(response: Any) -> Any:
    return await response


async def _serve(*arguments: Any) -> None:
    await Door(*arguments).serve()


def main(pipeline: str, data_dir: str, log_format: str) -> None:
    commands, events = become_child()
    configure(cast(LogFormat, log_format))
    plan = Plan(**json.loads(os.environ.pop(OPTIONS)))
    asyncio.run(_serve(commands, events, ImageStore(Path(data_dir)), pipeline, plan, log_format))
    raise SystemExit(1)


if __name__ == "__main__":
    # Ray sends classes by the name of their module, which must not be __main__.
    from server.ray_engine import main as start

    start(*sys.argv[1:])

"""Jobs on replicas, with a cluster that stands in for Ray and runs the replicas in this process.

`tests/stress/test_ray.py` tries the same on Ray itself.
"""

import asyncio
import contextlib
import os
import pickle
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import yaml

import server.ray_engine as on_ray
from llm_dit.errors import EngineError
from server import engines
from server.engines import engine_of_service
from server.jobs.inputs import DecomposeInput
from server.processes import read_framed
from server.ray_engine import Door, Plan, Replica, plan_of
from server.settings import load_settings
from server.storage.images import ImageStore
from server.telemetry import Redaction
from server.worker.supervisor import Cancel, Failed, Loaded, LoadFailed, Run, Scaled, Stepped, Stopped, Succeeded, pack
from tests.kit.forks import ROOT
from tests.kit.pictures import png, square
from tests.kit.waiting import PATIENCE_S

STEPS = "tests.kit.pipelines:StepPipeline"


class ActorLost(Exception):
    """What Ray raises when a replica ends during a call."""


class Refused(Exception):
    """What Ray raises when as many calls wait as may."""


class Response:
    """A call of a replica, which may be refused or lose its replica in its second event."""

    def __init__(self, events: AsyncIterator[Any], fault: type[Exception] | None) -> None:
        self._events, self._fault, self._count = events, fault, 0
        self.canceled = False

    def __aiter__(self) -> "Response":
        return self

    async def __anext__(self) -> Any:
        self._count += 1
        if self._fault is Refused or (self._fault is ActorLost and self._count > 1):
            raise self._fault
        return await anext(self._events)

    def cancel(self) -> None:
        assert self._fault is not Refused, "Ray raises the refusal again"
        self.canceled = True


class Cluster:
    """The parts of Ray that the service uses. `faults` are those of the next calls."""

    def __init__(self, pipeline: str = STEPS) -> None:
        self.faults: list[type[Exception] | None] = []
        self.responses: list[Response] = []
        self.left = threading.Event()
        self._pipeline = pipeline
        self._deployed: dict[str, SimpleNamespace] = {}
        self.exceptions = SimpleNamespace(RayActorError=ActorLost, BackPressureError=Refused)
        self.describe = SimpleNamespace(remote=lambda: self._replica().describe())
        self.run = SimpleNamespace(remote=self._call)

    def init(self, **_: object) -> None: ...

    def start(self, **_: object) -> None: ...

    def shutdown(self) -> None:
        self.left.set()

    def options(self, **named: object) -> Any:
        return SimpleNamespace(name=named["name"], bind=lambda *_: named["name"]) if "name" in named else self

    def deployment(self, _: type) -> "Cluster":
        return self

    def RunTarget(self, bound: str, **_: object) -> str:
        return bound

    def run_many(self, targets: list[str], **_: object) -> None:
        try:
            self._replica()
            deployment, status = SimpleNamespace(replica_states={"RUNNING": 2}, message=""), "RUNNING"
        except RuntimeError as error:
            deployment, status = (
                SimpleNamespace(replica_states={}, message=f"Traceback\n{error}\n  more"),
                "DEPLOY_FAILED",
            )
        application = SimpleNamespace(status=status, message="", deployments={targets[0]: deployment})
        self._deployed = {"llm-dit": application}

    def replace(self) -> None:
        """Do as another service with other settings does."""
        self._deployed["llm-dit"].deployments = {}

    def status(self) -> SimpleNamespace:
        return SimpleNamespace(applications=self._deployed)

    def get_deployment_handle(self, *_: str) -> "Cluster":
        return self

    def _replica(self) -> Replica:
        return Replica(self._pipeline, PLAN)

    def _call(self, command: Run, pictures: dict[str, bytes]) -> Response:
        fault = self.faults.pop(0) if self.faults else None
        self.responses.append(Response(self._replica().run(command, pictures), fault))
        return self.responses[-1]


RAY = {"address": "auto", "application": "llm-dit", "min_replicas": 2, "max_replicas": 2}
PLAN = Plan(options=None, ray=RAY, gpus=0, cancel_s=60, stall_s=60, load_s=60)


@pytest.fixture(autouse=True)
def beside_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_DIT_SERVER__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(on_ray, "configure", lambda _: Redaction())
    monkeypatch.setattr(on_ray, "PRESSED_S", (0.0,))
    monkeypatch.setattr(os, "_exit", lambda _: None)  # the process is that of the tests


class Service:
    """The service's end of the pipes."""

    def __init__(self, folder: Path) -> None:
        self.store = ImageStore(folder)
        self._commands, self._events = self._pipe(), self._pipe()

    def _pipe(self) -> tuple[BinaryIO, BinaryIO]:
        read, write = os.pipe()
        return os.fdopen(read, "rb"), os.fdopen(write, "wb")

    @property
    def streams(self) -> tuple[BinaryIO, BinaryIO]:
        return self._commands[0], self._events[1]

    def send(self, command: Run | Cancel) -> None:
        self._commands[1].write(pack(command))
        self._commands[1].flush()

    def leave(self) -> None:
        self._commands[1].close()

    def close(self) -> None:
        for stream in (self._commands[0], self._events[1], self._events[0]):
            stream.close()

    def job(self, prompt: str = "", seed: int = 1, steps: int = 2) -> str:
        job_input = DecomposeInput(
            image=self.store.put(png(square())), prompt=prompt, num_inference_steps=steps, seed=seed, layer_num=1
        )
        self.send(Run(job_id=f"job {seed}", job_input=job_input))
        return f"job {seed}"

    async def event(self) -> Any:
        """Return the next event, but for those of the number of replicas."""
        while True:
            content = await asyncio.to_thread(read_framed, self._events[0])
            assert content is not None
            event = pickle.loads(content)
            if not isinstance(event, Scaled):
                return event

    async def outcome(self, job_id: str) -> tuple[Any, list[Stepped]]:
        """Return the last event of a job, and its steps."""
        steps: list[Stepped] = []
        while isinstance(event := await self.event(), Stepped):
            steps.append(event)
        assert event.job_id == job_id
        return event, steps


@contextlib.asynccontextmanager
async def serving(cluster: Cluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setitem(sys.modules, "ray", cluster)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "ray.serve", cluster)  # type: ignore[arg-type]
    service = Service(folder)
    door = asyncio.create_task(Door(*service.streams, service.store, STEPS, PLAN, "text").serve())
    try:
        yield service
    finally:
        service.leave()
        assert await asyncio.to_thread(cluster.left.wait, PATIENCE_S), "the process should leave the cluster"
        door.cancel()
        service.close()


def test_a_result_comes_back_with_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with serving(Cluster(), tmp_path, monkeypatch) as service:
            loaded = await service.event()
            assert isinstance(loaded, Loaded)
            assert (loaded.status.models, loaded.status.device) == (("steps",), "2 × CPU")
            made, steps = await service.outcome(service.job())
            assert isinstance(made, Succeeded)
            assert [step.progress.phase for step in steps] == ["assigning", "stepping", "stepping", "stepping"]
            for image in made.result.images:
                assert service.store.read(image.sha256).startswith(b"\x89PNG")

    asyncio.run(play())


def test_a_lost_replica_costs_one_more_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        cluster = Cluster()
        async with serving(cluster, tmp_path, monkeypatch) as service:
            await service.event()
            right, _ = await service.outcome(service.job(seed=1))
            cluster.faults = [ActorLost]
            again, steps = await service.outcome(service.job(seed=2))
            assert again.result.images == right.result.images
            assert [step.progress.phase for step in steps].count("assigning") == 2
            cluster.faults = [ActorLost, ActorLost]
            failed, _ = await service.outcome(service.job(seed=3))
            assert isinstance(failed, Failed)
            assert (failed.failure.name, "Two replicas" in failed.failure.message) == ("WorkerLostError", True)

    asyncio.run(play())


def test_a_refused_job_is_offered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        cluster = Cluster()
        async with serving(cluster, tmp_path, monkeypatch) as service:
            await service.event()
            cluster.faults = [Refused] * 5
            made, _ = await service.outcome(service.job())
            assert isinstance(made, Succeeded)
            assert len(cluster.responses) == 6

    asyncio.run(play())


def test_a_cancel_ends_its_own_job_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        cluster = Cluster()
        async with serving(cluster, tmp_path, monkeypatch) as service:
            await service.event()
            waits, goes = service.job("wait", seed=1), service.job("wait", seed=2)
            while (step := await service.event()).job_id != goes or step.progress.step < 1:
                pass
            service.send(Cancel(job_id=goes))
            while isinstance(event := await service.event(), Stepped):
                pass
            assert isinstance(event, Stopped) and event.job_id == goes
            assert sorted(response.canceled for response in cluster.responses) == [False, True]
            (tmp_path / "go").touch()
            made, _ = await service.outcome(waits)
            assert isinstance(made, Succeeded)

    asyncio.run(play())


def test_a_service_whose_replicas_were_replaced_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "LOOK_S", 0.0)

    async def play() -> None:
        cluster = Cluster()
        async with serving(cluster, tmp_path, monkeypatch) as service:
            await service.event()
            cluster.replace()
            while not isinstance(outcome := (await service.outcome(service.job()))[0], Failed):
                pass
            assert "Another service has replaced" in outcome.failure.message

    asyncio.run(play())


def test_replicas_that_cannot_start_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        async with serving(Cluster("tests.kit.pipelines:BrokenPipeline"), tmp_path, monkeypatch) as service:
            failed = await service.event()
            assert isinstance(failed, LoadFailed)
            assert failed.failure.message == "This engine needs a part that is not here: install it."

    asyncio.run(play())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _: object())


def settings_of(**more: str) -> Any:
    named = {f"LLM_DIT_{name}": value for name, value in more.items()}
    return load_settings(environment={"LLM_DIT_RAY__ADDRESS": "auto", **named})


@pytest.mark.usefixtures("installed")
def test_an_address_puts_the_chosen_engine_on_ray() -> None:
    """The computer of the service need not have what the replicas' computers need."""
    plain = engine_of_service(settings_of(RAY__MAX_REPLICAS="8"))
    assert (plain.name, plain.slots, plain.reason) == ("classical", 8, "It runs on Ray, in 1 to 8 replicas.")
    model = settings_of(QWEN_IMAGE__MODEL_PATH="m", RAY__MIN_REPLICAS="3")
    qwen = engine_of_service(model)
    assert (qwen.name, qwen.slots, plan_of(model, qwen).gpus) == ("qwen", 3, 1.0)
    with pytest.raises(EngineError, match="no model is configured"):
        engine_of_service(settings_of(ENGINE="qwen"))
    with pytest.raises(EngineError, match="no remote engine"):
        engine_of_service(settings_of(ENGINE="remote"))


def test_without_ray_the_service_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match="llm-dit install ray"):
        engine_of_service(settings_of())


def test_the_manifest_for_kubernetes_agrees_with_the_service() -> None:
    settings, cluster, _ = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text())
    chosen = load_settings(environment=settings["data"])
    (deployed,) = yaml.safe_load(cluster["spec"]["serveConfigV2"])["applications"]
    assert deployed["name"] == chosen.ray.application
    assert getattr(on_ray, deployed["import_path"].removeprefix("server.ray_engine:")) is on_ray.application
    (group,) = cluster["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (chosen.ray.min_replicas, chosen.ray.max_replicas)
    assert group["template"]["spec"]["terminationGracePeriodSeconds"] == chosen.ray.longest_run_s

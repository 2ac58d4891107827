"""The lock around the pipeline: one run at a time, no matter who waits or leaves."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image

from llm_dit.errors import LLMDiTError
from llm_dit.runs import Progress
from server.errors import WorkerLostError
from server.jobs.inputs import EditLayerInput, JobResult
from server.storage.images import ImageStore
from server.telemetry import Metrics, Readings
from server.worker.host import Patience, PipelineHost
from server.worker.supervisor import Watch, Worker
from tests.kit.pictures import png
from tests.kit.waiting import PATIENCE_S

Run = Callable[..., Awaitable[JobResult]]


@contextlib.asynccontextmanager
async def hosting(folder: Path, cancel_grace_s: float = PATIENCE_S) -> AsyncIterator[tuple[PipelineHost, Run]]:
    """Yield a host around `StepPipeline` and a function that runs an edit on it."""
    image = ImageStore(folder).put(png(Image.new("RGBA", (4, 4))))
    metrics = Metrics(lambda: Readings(version="", engine="steps", queue_length=0, running=0, ready=True))
    watch = Watch(run_s=60, load_s=60)
    host = PipelineHost(
        lambda: Worker("tests.kit.pipelines:StepPipeline", folder, watch=watch),
        Patience(cancel_s=cancel_grace_s),
        metrics,
    )

    async def run(
        behaviour: str = "work", steps: int = 3, on_progress: Callable[[Progress], None] = print
    ) -> JobResult:
        job_input = EditLayerInput(
            image=image,
            instruction=behaviour,
            num_inference_steps=steps,
            cfg_scale=4.0,
            seed=1,
            negative_prompt=" ",
            shape="keep",
            output_size="layer",
        )
        return await host.run(secrets.token_hex(4), job_input, on_loading=lambda _: None, on_progress=on_progress)

    try:
        yield host, run
    finally:
        await host.stop()


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside this folder the pipeline looks for what lets it go on."""
    monkeypatch.setenv("LLM_DIT_SERVER__DATA_DIR", str(tmp_path / "data"))


async def started(run: Run, behaviour: str) -> asyncio.Task[JobResult]:
    """Return a run in its only step, or one that has ended."""
    waiting = asyncio.Event()
    task = asyncio.ensure_future(run(behaviour, 1, lambda _: waiting.set()))
    task.add_done_callback(lambda _: waiting.set())
    await waiting.wait()
    return task  # type: ignore[return-value]


def test_the_lock_is_held_until_the_worker_has_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, run):
            steps: list[int] = []
            first = await started(run, "deaf")
            second = asyncio.ensure_future(run("work", 2, lambda progress: steps.append(progress.total)))
            for _ in range(3):  # however often it is canceled
                first.cancel()
                await asyncio.sleep(0)
            assert not first.done()
            assert steps == []
            (tmp_path / "go").touch()
            await second
            assert first.cancelled()
            assert steps == [2, 2, 2], "no step of the first run came after it"
            assert host.state == "ready"

    asyncio.run(scenario())


def test_a_run_that_waits_for_the_lock_can_be_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (_, run):
            first = await started(run, "wait")
            second = asyncio.ensure_future(run())
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert not first.done()
            first.cancel()
            assert (await run()).engine == "steps"

    asyncio.run(scenario())


def test_a_run_that_ignores_its_cancel_loses_its_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path, cancel_grace_s=0.1) as (host, run):
            first = await started(run, "hang")
            pid = host.worker_pid
            first.cancel()
            assert (await run()).engine == "steps"
            assert host.worker_pid not in {None, pid}

    asyncio.run(scenario())


def test_cancel_and_completion_in_any_order_leave_the_next_run_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, run):
            for step in range(30):
                at_step = asyncio.Event()

                def watch(progress: Progress, step: int = step, at_step: asyncio.Event = at_step) -> None:
                    if progress.step >= min(step, 5):
                        at_step.set()

                raced = asyncio.ensure_future(run("work", 5, watch))
                await at_step.wait()
                raced.cancel()
                assert (await run()).seed == 1
                assert raced.done()
            assert host.state == "ready"

    asyncio.run(scenario())


def test_what_a_run_raises_arrives_and_frees_the_lock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (_, run):
            for behaviour, code in [("raise", "pipeline_failed"), ("oom", "out_of_memory"), ("crash", "worker_lost")]:
                with pytest.raises(LLMDiTError) as caught:
                    await run(behaviour)
                assert caught.value.code == code
                assert (await run()).engine == "steps"

    asyncio.run(scenario())


@pytest.mark.slow
def test_no_run_begins_in_a_process_that_is_about_to_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, run):
            for behaviours in (["lose device"], ["oom", "oom"]):
                await run()
                pid = host.worker_pid
                for behaviour in behaviours:
                    with pytest.raises(LLMDiTError):
                        await run(behaviour)
                # The process has been killed, and nothing has had the time to notice its end.
                assert host.state == "loading"
                assert (await run()).engine == "steps"
                assert host.worker_pid != pid

    asyncio.run(scenario())


def test_stopping_ends_what_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with hosting(tmp_path) as (host, run):
            task = await started(run, "hang")
            await host.stop()
            with pytest.raises(WorkerLostError):
                await task
            assert host.worker_pid is None

    asyncio.run(scenario())

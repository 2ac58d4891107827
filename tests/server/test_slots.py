"""Several jobs at once: the queue gives an engine as many as it has replicas, and the host lets as many in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from server.errors import ClusterError, JobCanceledError, WorkerLostError
from server.jobs.inputs import JobInput, JobResult
from server.jobs.job import Job, JobRecords, Submission
from server.jobs.queue import JobQueue
from server.settings import ServerSettings
from server.storage.database import Database
from server.telemetry import Metrics, Readings
from server.worker.host import Patience, PipelineHost
from server.worker.supervisor import Worker
from tests.server.inputs import EDIT

RESULT = JobResult(images=(), seed=1, prompt="", engine="qwen", generation_time_s=1.0)


class Engine:
    """A host and its worker in one: two runs at a time, each until the test ends it."""

    state = "ready"
    ended = ending = False
    status = None
    load_s = 0.0
    end_reason = "crashed"

    def __init__(self, slots: int = 2, *, reached: bool = True) -> None:
        self.slots = slots
        self.loaded = reached
        self.error = None if reached else ClusterError("The cluster cannot be reached.")
        self.runs: dict[str, asyncio.Future[JobResult]] = {}

    async def run(self, job_id: str, job_input: JobInput, *_: object, **__: object) -> JobResult:
        self.runs[job_id] = run = asyncio.get_running_loop().create_future()
        try:
            return await run
        finally:
            del self.runs[job_id]

    def cancel(self, job_id: str) -> None:
        self.runs[job_id].cancel()

    async def wait_loaded(self, _: object) -> None:
        assert self.error is not None
        raise self.error

    async def wait_ended(self) -> None:
        self.ended = True
        self._on_ended(self)

    async def stop(self) -> None:
        for run in self.runs.values():
            run.set_exception(WorkerLostError("The service is stopping."))

    def when_loaded(self, callback: Callable[..., None]) -> None: ...

    def when_ended(self, callback: Callable[..., None]) -> None:
        self._on_ended = callback


def metrics() -> Metrics:
    return Metrics(lambda: Readings(version="", engine="qwen", queue_length=0, running=0, ready=True))


@contextlib.asynccontextmanager
async def queue_of(folder: Path, engine: Engine) -> AsyncIterator[tuple[JobQueue, Callable[..., Any]]]:
    """Yield a queue in front of `engine`, and a function that submits a job of a client."""
    database = Database(folder, lambda _: 0)
    settings = ServerSettings(drain_s=0, max_queue=4)
    host = cast(PipelineHost, engine)
    queue = JobQueue({"qwen": host}, JobRecords(database), metrics(), settings, cast(Any, None), lambda _: None)

    async def submit(client: str = "a", *, kept: bool = True) -> Job:
        return await queue.submit(Submission(job_input=replace(EDIT), client=client), kept=kept)

    try:
        yield queue, submit
    finally:
        await queue.drain()
        database.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_two_jobs_run_at_once_and_the_third_takes_the_first_free_replica(tmp_path: Path) -> None:
    async def play() -> None:
        engine = Engine()
        async with queue_of(tmp_path, engine) as (queue, submit):
            first, second, third = [await submit() for _ in range(3)]
            await until(lambda: len(engine.runs) == 2)
            assert (queue.running, queue.length, third.position) == (2, 1, 1)
            engine.runs[second.id].set_result(RESULT)
            assert await queue.result_of(second) is RESULT
            await until(lambda: third.id in engine.runs)
            assert [job.status for job in (first, second, third)] == ["processing", "succeeded", "processing"]

    asyncio.run(play())


def test_a_cancel_reaches_only_its_own_job(tmp_path: Path) -> None:
    async def play() -> None:
        engine = Engine()
        async with queue_of(tmp_path, engine) as (queue, submit):
            first, second, third = [await submit() for _ in range(3)]
            await until(lambda: len(engine.runs) == 2)
            await queue.cancel(second)
            with pytest.raises(JobCanceledError):
                await queue.result_of(second)
            await until(lambda: third.id in engine.runs)
            assert first.id in engine.runs

    asyncio.run(play())


def test_a_waiting_job_is_promised_the_earliest_replica(tmp_path: Path) -> None:
    """Two replicas and runs of 10 s: the third job ends after 20 s, the fourth too, the fifth after 30 s."""

    async def play() -> None:
        engine = Engine()
        async with queue_of(tmp_path, engine) as (queue, submit):
            measured = await submit()
            await until(lambda: measured.id in engine.runs)
            engine.runs[measured.id].set_result(replace(RESULT, generation_time_s=10.0))
            await queue.result_of(measured)
            jobs = [await submit() for _ in range(5)]
            assert [round((job.view().eta_s or 0) / 10) for job in jobs] == [1, 1, 2, 2, 3]

    asyncio.run(play())


def test_a_stop_puts_every_kept_job_back(tmp_path: Path) -> None:
    async def play() -> list[Job]:
        engine = Engine()
        async with queue_of(tmp_path, engine) as (_, submit):
            jobs = [await submit() for _ in range(3)]
            await until(lambda: len(engine.runs) == 2)
        return jobs

    jobs = asyncio.run(play())
    assert [(job.suspended, job.runs) for job in jobs] == [(True, 0)] * 3


def test_a_host_lets_as_many_runs_in_as_it_has_slots() -> None:
    async def play() -> None:
        engine = Engine()
        host = PipelineHost(lambda: cast(Worker, engine), Patience(cancel_s=1), metrics(), slots=2)
        ignore = cast(Any, lambda _: None)
        runs = [asyncio.create_task(host.run(str(n), EDIT, on_loading=ignore, on_progress=ignore)) for n in range(3)]
        await until(lambda: len(engine.runs) == 2)
        engine.runs["0"].set_result(RESULT)
        await until(lambda: "2" in engine.runs)
        assert sorted(engine.runs) == ["1", "2"]
        runs[2].cancel()
        await until(lambda: runs[2].done())
        assert sorted(engine.runs) == ["1"]
        engine.runs["1"].set_result(RESULT)
        assert await runs[1] is RESULT

    asyncio.run(play())


def test_a_job_waits_for_a_cluster_that_is_out_of_reach() -> None:
    async def play() -> None:
        workers = [Engine(reached=False), Engine()]
        host = PipelineHost(lambda: cast(Worker, workers.pop(0)), Patience(cancel_s=1), metrics(), slots=2)
        last, ignore = workers[-1], cast(Any, lambda _: None)
        run = asyncio.create_task(host.run("1", EDIT, on_loading=ignore, on_progress=ignore))
        await until(lambda: bool(last.runs))
        last.runs["1"].set_result(RESULT)
        assert await run is RESULT

    asyncio.run(play())

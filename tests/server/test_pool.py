"""The pool: what a task returns and raises, how it ends when it takes too much, and what is left then."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits
from server.errors import PoolFullError, TaskLostError, TaskMemoryError, TaskTimeError
from server.pool.pool import Lane, LaneLimits, Pool, open_pool
from server.pool.tasks import GivenPicture, Intake, keep_picture
from server.processes import Budget
from tests.kit.waiting import PATIENCE_S
from tests.server import tasks

BUDGET = Budget(cpu_s=20, memory=256 << 20, wall_s=60)
BRIEF = replace(BUDGET, cpu_s=0.2)
ONE = LaneLimits(processes=1, waiting=1, nice=0, idle_s=60)


@asynccontextmanager
async def pool_of(limits: LaneLimits = ONE) -> AsyncGenerator[Pool]:
    async with open_pool({Lane.QUICK: limits, Lane.FILES: limits}) as pool:
        yield pool


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def within(steps: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(steps())  # type: ignore[arg-type]


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_task_returns_what_it_says_from_a_process_that_is_used_again() -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            first = await pool.run(Lane.QUICK, BUDGET, tasks.tell, "a", "é")
            second = await pool.run(Lane.QUICK, BUDGET, tasks.tell)
            assert first == tasks.Told(pid=first.pid, given=("a", "é"))
            assert second.pid == first.pid
            assert pool.pids == [first.pid]
            with pytest.raises(ImageError, match="This is not valid") as refusal:
                await pool.run(Lane.QUICK, BUDGET, tasks.refuse)
            assert refusal.value.param == "layers.1.image"
            assert (await pool.run(Lane.QUICK, BUDGET, tasks.tell)).pid == first.pid
        assert not is_running(first.pid)

    within(steps)


@pytest.mark.parametrize(
    ("task", "budget", "error"),
    [
        (tasks.burn, BRIEF, TaskTimeError),
        (tasks.hang, replace(BUDGET, wall_s=0.2), TaskTimeError),
        (tasks.crash, BUDGET, TaskLostError),
        pytest.param(
            tasks.hoard,
            BUDGET,
            TaskMemoryError,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory"),
        ),
    ],
)
def test_a_task_that_takes_too_much_ends_and_the_next_one_runs(
    task: Callable[[], None], budget: Budget, error: type[Exception]
) -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            before = await pool.run(Lane.QUICK, BUDGET, tasks.tell)
            with pytest.raises(error):
                await pool.run(Lane.QUICK, budget, task)
            after = await pool.run(Lane.QUICK, BUDGET, tasks.tell)
            assert (after.pid == before.pid) == (task is tasks.hoard)

    within(steps)


@pytest.mark.slow
def test_why_a_process_was_killed_is_known_each_time() -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            for _ in range(6):
                with pytest.raises(TaskTimeError):
                    await pool.run(Lane.QUICK, replace(BRIEF, memory=1 << 30), tasks.burn_much)

    within(steps)


def test_what_a_task_raises_unexpectedly_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            with pytest.raises(TaskLostError):
                await pool.run(Lane.QUICK, BUDGET, tasks.fail, "a secret word")

    with caplog.at_level(logging.ERROR):
        within(steps)
    record = next(record for record in caplog.records if record.name == "llm_dit.server")
    assert vars(record)["error"] == "ZeroDivisionError"
    assert "tasks.py" in vars(record)["stack"]
    assert "secret" not in str(vars(record))


def test_an_answer_of_the_wrong_kind_is_not_believed() -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            with pytest.raises(TaskLostError):
                await pool.run(Lane.QUICK, BUDGET, tasks.lie)

    within(steps)


def test_a_canceled_task_is_killed(tmp_path: Path) -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            note = tmp_path / "pid"
            running = asyncio.create_task(pool.run(Lane.QUICK, BUDGET, tasks.burn, note))
            await until(lambda: note.exists() and note.read_text() != "")
            running.cancel()
            await asyncio.wait({running})
            assert running.cancelled()
            await until(lambda: not pool.pids)
            assert not is_running(int(note.read_text()))

    within(steps)


def test_a_full_queue_refuses_and_another_lane_goes_on(tmp_path: Path) -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            note = tmp_path / "pid"
            running = asyncio.create_task(pool.run(Lane.FILES, BUDGET, tasks.burn, note))
            waiting = asyncio.create_task(pool.run(Lane.FILES, BUDGET, tasks.tell))
            await until(lambda: note.exists() and note.read_text() != "")
            with pytest.raises(PoolFullError) as refusal:
                await pool.run(Lane.FILES, BUDGET, tasks.tell)
            assert refusal.value.retry_after_s >= 1
            await pool.run(Lane.QUICK, BUDGET, tasks.tell)
            running.cancel()
            assert (await waiting).pid != int(note.read_text())

    within(steps)


def test_processes_end_when_they_have_idled() -> None:
    async def steps() -> None:
        async with pool_of(replace(ONE, idle_s=0.05)) as pool:
            first = await pool.run(Lane.QUICK, BUDGET, tasks.tell)
            await until(lambda: not pool.pids)
            assert (await pool.run(Lane.QUICK, BUDGET, tasks.tell)).pid != first.pid

    within(steps)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process holds")
def test_a_process_that_keeps_more_than_its_task_may_gives_way_to_a_fresh_one() -> None:
    async def steps() -> None:
        async with pool_of() as pool:
            generous = replace(BUDGET, kept=1 << 30)
            keeper = await pool.run(Lane.QUICK, generous, tasks.touch, 120)
            assert (await pool.run(Lane.QUICK, generous, tasks.tell)).pid == keeper.pid
            assert (await pool.run(Lane.QUICK, BUDGET, tasks.tell)).pid == keeper.pid
            assert (await pool.run(Lane.QUICK, BUDGET, tasks.tell)).pid != keeper.pid

    within(steps)


def test_a_picture_for_which_there_is_no_memory_is_too_large_and_not_damaged(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    Image.new("RGB", (4000, 4000)).save(file, "PNG", compress_level=1)
    intake = Intake(data_dir=tmp_path, limits=ImageLimits())

    async def steps() -> None:
        async with pool_of() as pool:
            with pytest.raises(TaskMemoryError):
                await pool.run(
                    Lane.QUICK, replace(BUDGET, memory=32 << 20), keep_picture, GivenPicture(file=file), intake
                )

    within(steps)

"""A crowd of requests begins little by little, each of them in the order in which it came."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from web.server import Turns

CROWD = 300


async def unused(*_: object) -> Any:
    raise AssertionError


def test_a_probe_passes_a_crowd_that_keeps_its_order() -> None:
    begun: list[str] = []
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        for _ in range(10):
            await asyncio.sleep(0)
        ended.append(scope["path"])

    async def come() -> None:
        turns = Turns(app)
        crowd = [f"/{number}" for number in range(CROWD)]
        async with asyncio.TaskGroup() as group:
            for path in [*crowd, "/livez"]:
                group.create_task(turns({"type": "http", "path": path}, unused, unused))
        assert [path for path in begun if path != "/livez"] == crowd
        assert len(ended) == CROWD + 1
        # All have come at once; most of them have not even begun when the probe has its answer.
        assert ended.index("/livez") < CROWD / 10

    asyncio.run(come())
    assert begun.index("/livez") < CROWD / 10


def test_who_leaves_while_it_waits_costs_nobody_a_turn() -> None:
    begun: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])

    async def come() -> None:
        turns = Turns(app)
        tasks = [
            asyncio.create_task(turns({"type": "http", "path": f"/{number}"}, unused, unused)) for number in range(40)
        ]
        await asyncio.sleep(0)
        for task in tasks[5:35]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(come())
    assert {f"/{number}" for number in (0, 1, 2, 3, 4, *range(35, 40))} <= set(begun)

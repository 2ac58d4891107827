"""Event streams give way to each other, end after a while, and are taken up again."""

import asyncio
from collections.abc import AsyncIterator

from web.state import Streams


async def endless() -> AsyncIterator[int]:
    yield 1
    await asyncio.Event().wait()


async def read(streams: Streams, client: str, read: list[str]) -> None:
    async for number in streams.limited(endless(), client):
        assert number == 1
        read.append(client)


def test_the_oldest_of_the_client_that_has_most_ends() -> None:
    async def crowd() -> None:
        streams, seen = Streams(most=3), list[str]()
        tasks: list[asyncio.Task[None]] = []
        for client in ("other", "greedy", "greedy", "new"):
            tasks.append(asyncio.create_task(read(streams, client, seen)))
            while len(seen) < len(tasks):
                await asyncio.sleep(0)
        await tasks[1]
        assert [task.done() for task in tasks] == [False, True, False, False]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(crowd())


def test_a_stream_ends_with_what_it_follows_or_after_a_while() -> None:
    async def one() -> AsyncIterator[int]:
        yield 1

    async def follow() -> None:
        assert [item async for item in Streams().limited(one(), "a")] == [1]
        assert [item async for item in Streams(lasts_s=0.01).limited(endless(), "a")] == [1]

    asyncio.run(follow())

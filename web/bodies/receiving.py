"""Bodies that go to a file while they come in."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread

PIECE = 1 << 20
"""Bytes that are gathered before they are worth a thread's time."""


async def receive(body: AsyncIterator[bytes], path: Path) -> None:
    """Write a body to a new file."""
    buffer = bytearray()
    with path.open("wb") as file:
        async for piece in body:
            buffer += piece
            if len(buffer) >= PIECE:
                await anyio.to_thread.run_sync(file.write, bytes(buffer))
                buffer.clear()
        await anyio.to_thread.run_sync(file.write, bytes(buffer))

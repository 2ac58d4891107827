"""Clients that keep a connection open and do not get on: how long the service lets them."""

import asyncio
import time
from dataclasses import dataclass

from tests.kit.waiting import PATIENCE_S

UPLOAD = "POST /api/images HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n"
UNWANTED = "POST /nothing HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"
GET = "GET /livez HTTP/1.1\r\nHost: {host}\r\n"

KINDS: dict[str, tuple[str, bool]] = {
    "idle": ("", False),
    "partial header": (GET, False),
    "dripping header": (GET + "X-Slow: ", True),
    "partial body": (UPLOAD + "x", False),
    "dripping body": (UPLOAD + "x", True),
    "dripping body that nobody wants": (UNWANTED + "x", True),
    "idle after an answer": (GET + "\r\n", False),
    "dripping after an answer": (GET + "\r\n" + GET + "X-Slow: ", True),
}
"""What a client sends at once, and whether a byte follows every so often."""


@dataclass(frozen=True)
class Outcome:
    """What became of a slow client: after how many seconds it was closed, None for never."""

    kind: str
    closed_s: float | None


def hold(port: int, count: int, *, drip_s: float) -> list[Outcome]:
    """Open `count` slow connections of all kinds, and wait until each is closed or `PATIENCE_S` are over."""

    async def hold_all() -> list[Outcome]:
        kinds = list(KINDS)
        clients = (_one(port, kinds[number % len(kinds)], drip_s) for number in range(count))
        return list(await asyncio.gather(*clients))

    return asyncio.run(hold_all())


async def _one(port: int, kind: str, drip_s: float) -> Outcome:
    sent, drips = KINDS[kind]
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.format(host=f"127.0.0.1:{port}").encode())
    end = asyncio.create_task(_ended(reader))
    try:
        while time.perf_counter() - started < PATIENCE_S:
            done, _ = await asyncio.wait({end}, timeout=drip_s)
            if done:
                return Outcome(kind, time.perf_counter() - started)
            if drips:
                writer.write(b"x")
        return Outcome(kind, None)
    finally:
        end.cancel()
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass  # a reset ends it as well

"""Many clients at once, each with one request after the other, in a process of their own."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.kit.pictures import SQUARE_URL
from tests.kit.running import Answer

DECOMPOSE = "/api/qwen-image/decompose"


@dataclass(kw_only=True)
class Outcome:
    """What became of one request: every answer it got, or what went wrong instead.

    `answered_seed` is the seed in the last answer, `seconds` how long each try took, `waited_s` how long it took from
    the first try to the result.
    """

    seed: int
    statuses: list[int] = field(default_factory=list[int])
    seconds: list[float] = field(default_factory=list[float])
    answered_seed: int | None = None
    waited_s: float | None = None
    wrong: str = ""


async def exchange(
    port: int, lines: Sequence[str], body: bytes = b"", *, address: str = "127.0.0.1", timeout_s: float = 60
) -> Answer:
    """Send a request from an address of this machine, which tells clients apart, and return the answer.

    Raises `ValueError` when it is not exactly one whole answer.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
        received = await asyncio.wait_for(reader.read(-1), timeout_s)
    finally:
        writer.close()
    head_bytes, _, content = received.partition(b"\r\n\r\n")
    head = head_bytes.decode("latin-1").lower()
    if not head:
        raise ValueError("no answer")
    if header(head, "content-length") != str(len(content)):
        raise ValueError(f"{len(content)} bytes for content-length {header(head, 'content-length')}")
    return Answer(int(head.split(" ", 2)[1]), head, content)


def header(head: str, name: str) -> str | None:
    """Return the value of a header from the head of an answer in lower case."""
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return lines.get(name)


def decompose_lines(port: int, length: int, *more: str) -> list[str]:
    """Return the head of a request to take a picture apart, whose body has `length` bytes."""
    lines = [f"POST {DECOMPOSE} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json"]
    return [*lines, f"Content-Length: {length}", *more]


def decompose_body(seed: int, prompt: str = "", steps: int = 1) -> bytes:
    """Return the body of a request for `tests.kit.pipelines.StepPipeline`."""
    fields = {"image": SQUARE_URL, "prompt": prompt, "layer_num": 1, "steps": steps, "seed": seed}
    return json.dumps(fields).encode()


def crowd(
    pool: ProcessPoolExecutor, port: int, *, clients: int, requests: int, retry: bool, first_seed: int = 0
) -> Future[list[Outcome]]:
    """Have `clients` send `requests` each, in a process of `pool`; every request has a seed of its own.

    With `retry` a 503 is tried again after the seconds that its Retry-After says and up to half as many more.
    """
    return pool.submit(_crowd, port, clients, requests, retry, first_seed)


def _crowd(port: int, clients: int, requests: int, retry: bool, first_seed: int) -> list[Outcome]:
    async def everybody() -> list[Outcome]:
        firsts = range(first_seed, first_seed + clients * requests, requests)
        sent = (
            _client(port, f"127.0.1.{number}", range(first, first + requests), retry)
            for number, first in enumerate(firsts, start=1)
        )
        return [outcome for outcomes in await asyncio.gather(*sent) for outcome in outcomes]

    return asyncio.run(everybody())


async def _client(port: int, address: str, seeds: Sequence[int], retry: bool) -> list[Outcome]:
    outcomes = [Outcome(seed=seed) for seed in seeds]
    for outcome in outcomes:
        try:
            await _request(port, address, outcome, retry)
        except TimeoutError:
            outcome.wrong = "hung"
        except (OSError, ValueError, KeyError) as error:
            outcome.wrong = f"{type(error).__name__}: {error}"
    return outcomes


async def _request(port: int, address: str, outcome: Outcome, retry: bool) -> None:
    body = decompose_body(outcome.seed)
    began = time.perf_counter()
    while True:
        started = time.perf_counter()
        answer = await exchange(port, decompose_lines(port, len(body)), body, address=address)
        outcome.seconds.append(time.perf_counter() - started)
        outcome.statuses.append(answer.status)
        content = json.loads(answer.body)
        if answer.status == 200:
            outcome.answered_seed = content["seed"]
            outcome.waited_s = time.perf_counter() - began
        if answer.status != 503 or not retry:
            return
        wait_s = int(header(answer.head, "retry-after") or "")
        await asyncio.sleep(wait_s * random.uniform(1, 1.5))

"""A fault to inject, and how its outcome is checked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.kit.asking import DECOMPOSE, fields_of, is_idle, post
from tests.kit.running import Answer, Running
from tests.kit.waiting import wait_until


class MissedError(Exception):
    """The service did not do what is required."""


class TooSlowError(MissedError):
    """It did, but took longer than it may on a machine that does nothing else."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`inject` does it for the nth time, from 0, and checks what comes of it; raises `MissedError`.

    It gets a running service, which must recover afterwards. Faults of whole services get a folder instead, start and
    end their own there, and returns the seconds that the last one took to recover.
    """

    number: int
    name: str
    required: str
    inject: Callable[[Any, int], float | None]


def require(condition: object, what: str) -> None:
    if not condition:
        raise MissedError(what)


def require_within(seconds: float, most_s: float, what: str) -> None:
    if seconds > most_s:
        raise TooSlowError(f"{what} took {seconds:.2f} s, more than {most_s:g}")


def require_refusal(answer: Answer, status: int, *codes: str) -> dict[str, Any]:
    """Check that an answer is a refusal in the usual form, small and with the time to come back where there is one."""
    text = answer.body.decode()
    require(answer.status == status, f"{answer.status} in place of {status}: {text[:200]}")
    body = json.loads(text)
    require(body["code"] in (codes or {body["code"]}), f"the code is {body['code']}")
    require(len(answer.body) <= 4096, "the answer has more than 4 KiB")
    require("Traceback" not in text and "0x7f" not in text, "the answer gives away more than it should")
    require(status != 503 or "\r\nretry-after:" in answer.head, "there is no Retry-After")
    return body


def decompose(service: Running, prompt: str = "", *more: str, seed: int = 1, steps: int = 3) -> Answer:
    return post(service, DECOMPOSE, fields_of(seed, prompt, steps), *more)


def recover(service: Running, good: Callable[[Running], Answer]) -> float:
    """Return the seconds until a good request has succeeded; the queue must then be empty, and one worker run."""
    seconds = wait_until(lambda: good(service).status == 200, "a good request to succeed")
    wait_until(lambda: is_idle(service), "an empty queue")
    require(len(service.workers) == 1, f"{len(service.workers)} workers run")
    return seconds

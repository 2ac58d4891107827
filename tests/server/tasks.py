"""Tasks for the pool that do what no task should."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from llm_dit.errors import ImageError


@dataclass(frozen=True, kw_only=True)
class Told:
    pid: int
    given: tuple[str, ...]


def tell(*given: str, note: Path | None = None) -> Told:
    if note is not None:
        note.write_text(str(os.getpid()))
    return Told(pid=os.getpid(), given=given)


def lie() -> int:
    return "a word"  # type: ignore[return-value]


def burn(note: Path | None = None) -> None:
    """Work for ever, after a note that it has begun."""
    if note is not None:
        note.write_text(str(os.getpid()))
    while True:
        pass


def burn_much() -> None:
    """Work for ever on much memory."""
    much = bytearray(200 << 20)
    while True:
        much[:] = bytes(len(much) >> 8) * 256


def hang() -> None:
    time.sleep(3600)


def hoard() -> int:
    return len(bytearray(1 << 30))


def touch(megabytes: int) -> Told:
    """Hold so much memory for a moment, and lose it for good."""
    tell.lost = bytearray(os.urandom(1)) * (megabytes << 20)  # type: ignore[attr-defined]
    return tell()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def refuse() -> None:
    raise ImageError("This is not valid.", param="layers.1.image")


def fail(word: str) -> None:
    raise ZeroDivisionError(word)

"""What the service and its worker process say to each other, over the worker's standard input and output.

A message is a pickle behind its length. Both ends are this program, and no message but a preview holds pixels.
"""

import asyncio
import pickle
from dataclasses import dataclass
from typing import BinaryIO

from llm_dit.runs import PipelineStatus, Progress
from server.errors import Failure
from server.jobs.inputs import JobInput, JobResult
from server.processes import LENGTH, framed, read_framed


@dataclass(frozen=True, kw_only=True)
class Run:
    job_id: str
    job_input: JobInput
    previews: bool = False
    """Whether anybody looks at what it is going to make."""


@dataclass(frozen=True, kw_only=True)
class Cancel:
    job_id: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The pipeline can run."""

    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class LoadFailed:
    """The pipeline cannot run; the worker ends."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """The pipeline has got on with loading, or with the run."""

    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """A PNG, a few kB, of what `layer` is going to be, 1 at the bottom."""

    layer: int
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    result: JobResult
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Failed:
    failure: Failure
    status: PipelineStatus


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended because it was canceled."""

    status: PipelineStatus


Command = Run | Cancel
Event = Loaded | LoadFailed | Stepped | Previewed | Succeeded | Failed | Stopped


def pack(message: Command | Event) -> bytes:
    return framed(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def read_command(stream: BinaryIO) -> Command | None:
    """Return the next command; None when the service is gone."""
    content = read_framed(stream)
    return None if content is None else pickle.loads(content)


async def read_event(stream: asyncio.StreamReader) -> Event | None:
    """Return the worker's next event; None when it is gone."""
    try:
        header = await stream.readexactly(LENGTH.size)
        return pickle.loads(await stream.readexactly(LENGTH.unpack(header)[0]))
    except asyncio.IncompleteReadError:
        return None

"""What every request can reach, and how routes ask for it."""

from collections.abc import Callable
from typing import Annotated, TypedDict, TypeVar, cast

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from server.engines import Engine
from server.jobs.job import Job
from server.jobs.queue import JobQueue
from server.metrics import Metrics
from server.pool.pictures import Pictures
from server.pool.pool import Pool
from server.projects.projects import Projects
from server.settings import Settings
from server.storage.database import Storage
from server.storage.folder import Transit
from server.storage.images import ImageStore
from server.worker.host import PipelineHost
from web.clients import Clients
from web.following import Streams

T = TypeVar("T")


class Offload:
    """Runs work on pixels and large bodies in a few threads, away from the event loop."""

    def __init__(self, threads: int = 2) -> None:
        self._limiter = anyio.CapacityLimiter(threads)

    async def __call__(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


class State(TypedDict):
    """The parts of the service, from its start to its end."""

    settings: Settings
    engine: Engine
    host: PipelineHost
    jobs: JobQueue
    store: ImageStore
    projects: Projects
    metrics: Metrics
    pool: Pool
    storage: Storage
    clients: Clients
    pictures: Pictures
    transit: Transit
    offload: Offload
    streams: Streams


def state_of(request: Request) -> State:
    return cast(State, request.scope["state"])


def engine_label(state: State) -> str:
    """Return what people call the engine, with its device as soon as that is known."""
    status = state["host"].status
    return state["engine"].label_on(status.device if status else None)


# FastAPI runs a dependency that is no coroutine in a thread, of which files on a slow disk may hold all.
async def _state(request: Request) -> State:
    return state_of(request)


async def _job(request: Request, job_id: str) -> Job:
    return state_of(request)["jobs"].roster.get(job_id)


StateDep = Annotated[State, Depends(_state)]
JobDep = Annotated[Job, Depends(_job)]

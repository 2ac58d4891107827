"""The service without HTTP: its assembly, start and end, stop signals, and housekeeping."""

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict

import uvicorn

from llm_dit.options import EngineName
from server.engines import Engine, spare_engine
from server.errors import SettingsError
from server.jobs.fair_queue import Roster
from server.jobs.job import JobRecords
from server.jobs.queue import JobQueue
from server.jobs.webhook import Webhook
from server.pool.pictures import Pictures
from server.pool.pool import Pool, open_pool
from server.processes import memory_of
from server.projects.projects import Projects, Quota, size_of_project
from server.ray_engine import plan_of
from server.settings import ServerSettings, Settings
from server.storage.database import Database, Storage
from server.storage.images import SHA256, ImageStore, StoredFile, Transit
from server.telemetry import Metrics, Readings
from server.worker.host import Patience, PipelineHost
from server.worker.supervisor import Watch, Worker

logger = logging.getLogger("llm_dit.server")
SPARE_UNLOAD_S = 120.0
"""Idle seconds after which the process of the second engine ends."""


class Service(TypedDict):
    """The parts of the service."""

    settings: Settings
    engine: Engine
    spare: Engine | None
    host: PipelineHost
    jobs: JobQueue
    store: ImageStore
    projects: Projects
    metrics: Metrics
    pool: Pool
    storage: Storage
    pictures: Pictures
    transit: Transit


@contextlib.asynccontextmanager
async def open_service(settings: Settings, engine: Engine) -> AsyncGenerator[Service]:
    """Start the engine and resume the stored jobs; at the end, drain.

    Raises `SettingsError` if the data folder is unusable. A failed start leaves nothing running.
    """
    server = settings.server
    store = ImageStore(server.data_dir)
    async with contextlib.AsyncExitStack() as undo:
        database = _open_database(server.data_dir, store)
        undo.callback(database.close)
        await asyncio.to_thread(store.try_out)
        storage = Storage(database=database, store=store)
        metrics = Metrics(lambda: _readings(engine, host, jobs, housekeeping, storage))
        idle_unload_s = server.idle_unload_s if engine.cluster is None else 0.0
        patience = Patience(cancel_s=max(server.cancel_grace_s, engine.step_s), unload_s=idle_unload_s)
        host = PipelineHost(lambda: _new_worker(settings, engine), patience, metrics, slots=engine.slots)
        undo.push_async_callback(host.stop)
        hosts: dict[EngineName, PipelineHost] = {engine.name: host}
        if (spare := spare_engine(settings, engine)) is not None:
            rest = Patience(cancel_s=server.cancel_grace_s, unload_s=SPARE_UNLOAD_S)
            hosts[spare.name] = PipelineHost(lambda: _new_worker(settings, spare), rest, metrics, at_once=False)
            undo.push_async_callback(hosts[spare.name].stop)
        pool = await undo.enter_async_context(open_pool())
        pictures = Pictures(pool, store)
        webhook = Webhook(settings.webhook, metrics.webhook_sent)
        undo.push_async_callback(webhook.stop)
        jobs = JobQueue(hosts, JobRecords(database), metrics, server, pictures.restore, webhook.announce)
        quota = Quota(projects=server.max_projects, bytes=server.max_projects_gb * 1e9)
        projects = Projects(database, store, quota)
        transit = Transit(server.data_dir)
        housekeeping = Housekeeping(database, jobs.roster, projects, store, transit, server)
        await jobs.restore()
        undo.push_async_callback(jobs.drain)
        cleaning = asyncio.create_task(housekeeping.keep_on())
        undo.push_async_callback(_end, cleaning)
        with StopSignals(jobs.drain, jobs.hurry).handled():
            yield Service(
                settings=settings,
                engine=engine,
                spare=spare,
                host=host,
                jobs=jobs,
                store=store,
                projects=projects,
                metrics=metrics,
                pool=pool,
                storage=storage,
                pictures=pictures,
                transit=transit,
            )


def _open_database(data_dir: Path, store: ImageStore) -> Database:
    try:
        return Database(data_dir, lambda document: size_of_project(document, store))
    except SettingsError as error:
        logger.error("the service cannot start: %s", error.message)  # the web server's own messages would hide it
        raise


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _new_worker(settings: Settings, engine: Engine) -> Worker:
    server = settings.server
    if engine.cluster is not None:
        return Worker(
            engine.pipeline,
            server.data_dir,
            asdict(plan_of(settings, engine)),
            watch=Watch(run_s=None, load_s=server.load_timeout_s),
            log_format=server.log_format,
            module="server.ray_engine",
        )
    # Nothing is reported within a step: a slow engine gets twice its longest step.
    watch = Watch(run_s=max(server.stall_timeout_s, 2 * engine.step_s), load_s=server.load_timeout_s)
    return Worker(
        engine.pipeline,
        server.data_dir,
        engine.options,
        watch=watch,
        log_format=server.log_format,
    )


def _readings(
    engine: Engine, host: PipelineHost, jobs: JobQueue, housekeeping: "Housekeeping", storage: Storage
) -> Readings:
    loaded = host.loaded
    memory = memory_of(host.worker_pid) if host.worker_pid else None
    return Readings(
        version=version("llm-dit"),
        engine=engine.name,
        queue_length=jobs.length,
        running=jobs.running,
        replicas=host.replicas,
        ready=jobs.ready and storage.problem is None,
        loaded_models=loaded.models if loaded else (),
        worker_memory_bytes=memory.used_bytes if memory else None,
        device_memory_used_bytes=loaded.device_used_bytes if loaded else None,
        device_memory_size_bytes=loaded.device_total_bytes if loaded else None,
        store_bytes=housekeeping.store_bytes,
    )


# Stop signals: the first one drains, the second one stops at once.

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Runs before the server's signal handlers: signals reach those only after the running job has ended.

    Until then the server answers, and tells clients that it is stopping.
    """

    def __init__(self, drain: Callable[[], Coroutine[Any, Any, None]], hurry: Callable[[], None]) -> None:
        self._drain = drain
        self._hurry = hurry
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self._servers_own: dict[int, Any] = {}

    @contextlib.contextmanager
    def handled(self) -> Generator[None]:
        """Handle signals during the block; does nothing outside the main thread, where Python has no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._servers_own = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in self._servers_own.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        if self._draining is not None:
            logger.info("a second signal: stopping now")
            self._hurry()
            return
        logger.info("a stop signal: no new jobs are accepted, and the current run gets its time")
        self._draining = asyncio.create_task(self._drain())
        self._draining.add_done_callback(lambda _: self._pass_on(number))

    def _pass_on(self, number: int) -> None:
        handler = self._servers_own[number]
        server = getattr(handler, "__self__", None)
        if isinstance(server, uvicorn.Server):
            # Uvicorn's handler would end the process by the signal itself; this way it exits with 0.
            server.should_exit = True
        elif callable(handler):
            handler(number, None)


# Housekeeping keeps the store within its limits; it never touches what a job or a project uses.


EVERY_S = 600
GRACE_S = 3600
"""Seconds for which a picture stays after its last use, because a request that names it may be in transit."""
DAY_S = 86_400
USED_BY_JOBS = "SELECT input || coalesce(result, '') FROM jobs"


class Housekeeping:
    """Removes old jobs and deleted projects, then unused pictures, by age and by size."""

    def __init__(
        self,
        database: Database,
        roster: Roster,
        projects: Projects,
        store: ImageStore,
        transit: Transit,
        settings: ServerSettings,
    ) -> None:
        self._database = database
        self._projects = projects
        self._roster = roster
        self._store = store
        self._transit = transit
        self._settings = settings
        self.store_bytes = 0
        """Size of all pictures at the last check."""

    async def keep_on(self) -> None:
        """Clean up regularly, until canceled."""
        while True:
            try:
                await self.clean_up()
            except Exception:
                logger.exception("the clean-up failed and will be repeated later")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._projects.freed.wait(), EVERY_S)
            self._projects.freed.clear()

    async def clean_up(self) -> None:
        now = time.time()
        too_old = now - self._settings.max_age_days * DAY_S
        await self._roster.forget_before(too_old)
        await self._projects.purge(deleted_before=too_old)
        rows = await self._database.rows(USED_BY_JOBS)
        used = {sha256 for row in rows for sha256 in SHA256.findall(row[0])}
        # A picture that a project starts to use from now on is touched, so its age protects it.
        async for images in self._projects.images():
            used.update(images)
        await asyncio.to_thread(self._sweep, used, now)

    def _sweep(self, used: Collection[str], now: float) -> None:
        self._store.remove_leftovers(now - GRACE_S)
        self._transit.clean(now - GRACE_S)
        files = sorted(self._store.files(), key=lambda file: file.used_at)
        held = sum(file.size for file in files)
        limit = self._settings.max_store_gb * 1e9
        removed = 0
        for file in files:
            too_old = file.used_at < now - self._settings.max_age_days * DAY_S
            if self._spare(file, used, now) and (too_old or held > limit) and self._store.remove(file):
                held -= file.size
                removed += 1
        self.store_bytes = held
        if removed:
            logger.info("%d unused pictures were removed", removed)
        if held > limit:
            logger.warning("the store holds %.1f GB, all in use: max_store_gb is %g", held / 1e9, limit / 1e9)

    @staticmethod
    def _spare(file: StoredFile, used: Collection[str], now: float) -> bool:
        return file.sha256 not in used and file.used_at < now - GRACE_S

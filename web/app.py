"""Puts the parts together."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from server.engines import Engine, choose_engine
from server.host import PipelineHost
from server.memory import memory_of
from server.metrics import Metrics, Readings
from server.queue import JobQueue
from server.settings import Settings
from server.store import ImageStore
from server.worker import Worker
from web.access import Access
from web.errors import add_error_handlers
from web.middleware import BodyLimit, Envelope
from web.routes import docs, engine, health, images, jobs, metrics, pages, qwen_image, stacks
from web.state import Offload, State

logger = logging.getLogger("llm_dit.server")


def create_app(settings: Settings, pipeline: str | None = None) -> FastAPI:
    """Return the service; raises `EngineError` when the engine that the settings ask for cannot run here.

    `pipeline`, `module:Class`, takes the place of the engine's own pipeline.
    """
    chosen = choose_engine(settings)
    data_dir, log_format = settings.server.data_dir, settings.server.log_format

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        host = PipelineHost(
            lambda: Worker(pipeline or chosen.pipeline, data_dir, None if pipeline else chosen.options, log_format),
            cancel_grace_s=max(settings.server.cancel_grace_s, chosen.step_s),
        )
        logger.info("the engine is %s. %s %s", chosen.label, chosen.reason, chosen.hint)
        queue = JobQueue(host, max_length=settings.server.max_queue, max_finished=settings.server.max_finished_jobs)
        yield State(
            settings=settings,
            engine=chosen,
            host=host,
            jobs=queue,
            store=ImageStore(data_dir),
            offload=Offload(),
            metrics=Metrics(lambda: _readings(chosen, host, queue)),
        )
        await queue.stop()

    app = FastAPI(
        title="llm-dit",
        version=version("llm-dit"),
        summary="Take an image apart into layers, edit one by instruction, put them together again.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limit_mb=settings.server.max_body_mb)
    app.add_middleware(Envelope)
    app.add_middleware(Access)
    add_error_handlers(app)
    app.add_exception_handler(ClientDisconnect, _on_client_left)
    for routes in (qwen_image, stacks, engine, jobs, images, health, metrics, docs, pages):
        app.include_router(routes.router)
    app.mount("/static", pages.PageFiles(), name="static")
    return app


def _readings(engine: Engine, host: PipelineHost, queue: JobQueue) -> Readings:
    loaded = host.status
    memory = memory_of(host.worker_pid) if host.worker_pid else None
    return Readings(
        version=version("llm-dit"),
        engine=engine.name,
        queue_length=queue.length,
        running=queue.running,
        ready=host.state == "ready",
        loaded_models=loaded.models if loaded else (),
        worker_memory_bytes=memory.used_bytes if memory else None,
        device_memory_used_bytes=loaded.device_used_bytes if loaded else None,
        device_memory_size_bytes=loaded.device_total_bytes if loaded else None,
    )


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the number is what access logs use for this

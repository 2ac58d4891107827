"""The application: its parts put together; `uvicorn web.server:app` finds it here."""

import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from llm_dit.errors import LLMDiTError
from server.engines import choose_engine
from server.logs import configure
from server.service import open_service
from server.settings import Settings, load_settings
from server.storage.database import secret_in
from web.bodies.limits import BodyLimit
from web.door.hosts import Proxies
from web.door.tokens import Door, Token, warnings
from web.errors import add_error_handlers
from web.middleware import Access, Envelope, Heads, Turns
from web.retries import Retries
from web.routes import layers, openai, pages, service, storage
from web.routes.pages import PageFiles, login_routes
from web.state import Clients, Offload, State, Streams

logger = logging.getLogger("llm_dit.server")


def create_app(settings: Settings, pipeline: str | None = None) -> FastAPI:
    """Return the service; raises `EngineError` when the engine that the settings ask for cannot run here.

    `pipeline`, `module:Class`, takes the place of the engine's own pipeline.
    """
    chosen = choose_engine(settings)
    if pipeline is not None:
        chosen = dataclasses.replace(chosen, pipeline=pipeline, options=None)
    token = Token(settings.server.token.get_secret_value())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[State]:
        logger.info("the engine is %s. %s %s", chosen.label, chosen.reason, chosen.hint)
        for warning in warnings(settings.server):
            logger.warning("%s", warning)
        async with open_service(settings, chosen) as service:
            yield State(
                **service,
                clients=Clients(secret_in(settings.server.data_dir)),
                offload=Offload(),
                streams=Streams(),
                retries=Retries(),
            )

    app = FastAPI(
        title="llm-dit",
        version=version("llm-dit"),
        summary="Split an image into layers, edit one by an instruction, composite them again.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(Heads)
    app.add_middleware(BodyLimit, settings=settings.server)
    app.add_middleware(Door, settings=settings.server, token=token)
    app.add_middleware(Envelope)
    app.add_middleware(Turns)
    app.add_middleware(Access)
    app.add_middleware(Proxies, settings=settings.server)
    add_error_handlers(app)
    app.add_exception_handler(ClientDisconnect, _on_client_left)
    for router in (
        layers.runs,
        layers.stacks,
        storage.projects,
        storage.images,
        service.router,
        openai.router,
        openai.hugging_face,
        pages.router,
    ):
        app.include_router(router)
    app.include_router(login_routes(token))
    app.mount("/static", PageFiles(), name="static")
    return app


async def _on_client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the number is what access logs use for this


def __getattr__(name: str) -> FastAPI:
    """Make `app` when somebody asks for it, by the settings of the working directory and the environment."""
    if name != "app":
        raise AttributeError(name)
    try:
        settings = load_settings()
        configure(settings.server.log_format)
        return create_app(settings)
    except LLMDiTError as error:
        raise SystemExit(f"error: {error.message}") from None

"""The service around a pipeline of `tests/kit/pipelines.py`, which `TEST_PIPELINE` names; around its own where that is
empty. `kept` is the same service for the tests of the page.

Where `TEST_STREAM_S` says how many seconds an event stream lasts, it lasts no longer. `TEST_QUARTER` names the function
that builds the pipeline in place of the engine's own, and has it work on small pictures.
"""

import dataclasses
import functools
import os

from starlette.types import Message, Receive, Scope, Send

import web.server
from server.settings import load_settings
from server.telemetry import configure

settings = load_settings()
configure(settings.server.log_format)
if "TEST_STREAM_S" in os.environ:
    web.server.Streams = functools.partial(web.server.Streams, lasts_s=float(os.environ["TEST_STREAM_S"]))  # type: ignore[misc,assignment]
if "TEST_QUARTER" in os.environ:
    chosen = dataclasses.replace(web.server.engine_of_service(settings), pipeline=os.environ["TEST_QUARTER"])
    web.server.engine_of_service = lambda settings: chosen
name = os.environ.get("TEST_PIPELINE", "StepPipeline")
app = web.server.create_app(settings, pipeline=f"tests.kit.pipelines:{name}" if name else None)


async def kept(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as `app` does, but let a browser keep the files of the page.

    There are sixty of them, and the product has a browser ask for each again whenever a page is opened: half of what a
    short test of the page costs. `tests/web/test_pages.py` looks at that.
    """

    async def send_kept(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200 and "/static/" in scope["path"]:
            others = [(name, value) for name, value in message["headers"] if name != b"cache-control"]
            message = {**message, "headers": [*others, (b"cache-control", b"max-age=86400")]}
        await send(message)

    await app(scope, receive, send_kept)

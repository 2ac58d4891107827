"""The service around a pipeline of `tests/kit/pipelines.py`, which `TEST_PIPELINE` names.

Where `TEST_STREAM_S` says how many seconds an event stream lasts, it lasts no longer.
"""

import functools
import os

import web.app
from server.logs import configure
from server.settings import load_settings

settings = load_settings()
configure(settings.server.log_format)
if "TEST_STREAM_S" in os.environ:
    web.app.Streams = functools.partial(web.app.Streams, lasts_s=float(os.environ["TEST_STREAM_S"]))  # type: ignore[misc,assignment]
app = web.app.create_app(settings, pipeline=f"tests.kit.pipelines:{os.environ.get('TEST_PIPELINE', 'StepPipeline')}")

"""The service around a pipeline of `tests/pipelines.py`, which `TEST_PIPELINE` names."""

import os

from server.logs import configure
from server.settings import load_settings
from web.app import create_app

settings = load_settings()
configure(settings.server.log_format)
app = create_app(settings, pipeline=f"tests.pipelines:{os.environ.get('TEST_PIPELINE', 'StepPipeline')}")

"""The service around a pipeline of `tests/pipelines.py`, which `TEST_PIPELINE` names."""

import os

from server.settings import load_settings
from web.app import create_app

app = create_app(load_settings(), pipeline=f"tests.pipelines:{os.environ.get('TEST_PIPELINE', 'StepPipeline')}")

"""Starting without the command line: `uvicorn web.server:app`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.forks import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LLM_DIT_SERVER__PROT": "1"}, "the environment: there is no key 'server.prot'"),
        ({"LLM_DIT_CONFIG": "gone.toml"}, "gone.toml: cannot be read"),
        ({"LLM_DIT_ENGINE": "qwen"}, "The Qwen-Image engine cannot run: no model is configured; set model_path"),
    ],
)
def test_what_is_not_valid_is_one_line(environment: dict[str, str], says: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "web.server:app", "--port", "0", "--app-dir", str(ROOT)]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {says}")

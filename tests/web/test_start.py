"""Starting without the command line: `uvicorn web.server:app`."""

import os
from pathlib import Path

import pytest

from tests.kit.forks import ROOT, begin
from tests.kit.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LLM_DIT_SERVER__PROT": "1"}, "the environment: there is no key 'server.prot'"),
        ({"LLM_DIT_CONFIG": "gone.toml"}, "gone.toml: cannot be read"),
        ({"LLM_DIT_ENGINE": "qwen"}, "The Qwen-Image engine cannot run: no model is configured; set model_path"),
    ],
)
def test_what_is_not_valid_is_one_line(environment: dict[str, str], says: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = ["web.server:app", "--port", "0", "--app-dir", str(ROOT)]
    process = begin("uvicorn", arguments, cwd=tmp_path, environment=os.environ | environment, out=log)
    assert process.wait(PATIENCE_S) == 1
    (line,) = log.read_text().splitlines()
    assert line.startswith(f"error: {says}")

"""The wheel in an empty environment of each supported Python: the contract over HTTP, and a journey in the browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.contract import CONTRACT
from tests.kit.forks import ROOT
from tests.kit.running import ADDRESS, ended
from tests.kit.service import connect
from tests.kit.waiting import wait_until
from tests.test_wheel import build_wheel

FIRST, *OTHERS = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
VERSIONS = [FIRST, *(pytest.param(version, marks=pytest.mark.long) for version in OTHERS)]


def interpreter(version: str) -> str | None:
    """Return the Python of a version: on the path, or one of pyenv's."""
    found = [path for path in (shutil.which(f"python{version}"), sys.executable) if path]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found += map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    for path in found:
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True)
        if done.stdout.strip() == version:
            return path
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=VERSIONS)
def url(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service that `llm-dit serve` runs from the wheel and what that requires, and nothing else."""
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} here")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([python, "-m", "venv", str(folder / "env")], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pins = ["--constraint", str(ROOT / "requirements/base.txt"), str(wheel)]
    subprocess.run([str(folder / "env/bin/python"), *install, *pins], check=True)
    llm_dit = str(folder / "env/bin/llm-dit")
    subprocess.run([llm_dit, "models", "fetch"], cwd=folder, check=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_DIT_", "PYTHON"))}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [llm_dit, "serve", "--port", "0"], cwd=folder, env=inherited, stdout=output, stderr=output
        )
    with ended(process):
        wait_until(lambda: process.poll() is not None or ADDRESS.search(log.read_text()), "the address of the page")
        found = ADDRESS.search(log.read_text())
        assert found, log.read_text()
        address = f"http://127.0.0.1:{found[1]}"
        with connect(address) as client:
            wait_until(lambda: client.get("/readyz").status_code == 200, "/readyz")
        subprocess.run([llm_dit, "health", "--port", found[1]], cwd=folder, check=True)
        yield address
    assert process.returncode == 0


@pytest.mark.timeout(0)
def test_the_wheel_keeps_the_contract(url: str) -> None:
    for holds in CONTRACT:
        holds(url)


@pytest.mark.timeout(0)
def test_the_wheel_serves_the_page(url: str) -> None:
    journey = [sys.executable, "-m", "pytest", str(ROOT / "tests/browser/test_journey.py")]
    done = subprocess.run(journey, cwd=ROOT, env=os.environ | {"TEST_SERVICE": url}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""The wheel: what it puts into site-packages, and that the product runs from there."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts import pin_requirements
from tests.kit.forks import ROOT
from tests.kit.pictures import SQUARE_URL
from tests.kit.running import ended
from tests.kit.service import connect
from tests.kit.waiting import wait_until

RUN = "import llm_dit_studio; llm_dit_studio.main()"


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder, and return its file."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel as installed, beside it one with a foreign package `web`."""
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(build_wheel(folder)).extractall(folder / "site")
    for name in ("cli", "web", "server"):
        (folder / "foreign" / name).mkdir(parents=True)
        (folder / "foreign" / name / "__init__.py").write_text("raise ImportError('of another project')")
    return folder / "site"


def environment(site: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLM_DIT_")}
    return inherited | {"PYTHONPATH": os.pathsep.join([str(site), str(site.parent / "foreign")])}


def test_the_wheel_claims_two_names(site: Path) -> None:
    names = {entry.name for entry in site.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"llm_dit", "llm_dit_studio"}
    assert not list(site.rglob("__pycache__"))


def test_the_wheel_prints_the_settings(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "config"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(site), capture_output=True, check=True)
    assert done.stdout == (ROOT / "config.toml").read_bytes()


@pytest.mark.slow
def test_the_wheel_serves_beside_other_projects_of_the_same_names(site: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "serve", "--port", "0"],
            cwd=tmp_path,
            env=environment(site),
            stdout=output,
            stderr=output,
        )
    with ended(process):
        wait_until(lambda: "http://" in log.read_text(), "the address of the page")
        found = re.search(r"http://[\d.:]+", log.read_text())
        assert found
        with connect(found[0]) as client:
            assert "<script" in client.get("/").text
            assert client.get("/static/js/boot.js").status_code == 200
            body = {"image": SQUARE_URL, "layer_num": 2}
            assert client.post("/api/qwen-image/decompose", json=body).json()["layer_count"] == 2


def test_uv_gets_the_versions_that_pip_gets() -> None:
    for file, names, prefix in pin_requirements.uv_lists():
        found = pin_requirements.BLOCK.search((ROOT / file).read_text(encoding="utf-8"))
        assert found and found[0] == pin_requirements.block(names, prefix), f"run make pins: {file} is behind"


def test_every_requirement_has_both_bounds_and_a_tested_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = {}
    for name in ("base", "qwen"):
        for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
            package, _, version = line.partition("==")
            pins[package.lower().replace("_", "-")] = version
    for requirement in [*project["dependencies"], *extras["qwen"], *extras["quantization"]]:
        match = re.fullmatch(r"([a-z0-9-]+)>=([\d.]+),<([\d.]+)", requirement)
        assert match, requirement
        least, tested, beyond = (tuple(map(int, text.split(".")[:3])) for text in (match[2], pins[match[1]], match[3]))
        assert least <= tested < beyond, requirement

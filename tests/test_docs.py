"""The documentation is run, not read: every block of commands and of Python in it works as it stands."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from server.settings import Settings
from tests.kit.forks import ROOT
from tests.kit.service import Service


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the pictures that the documentation speaks of."""
    image = Image.new("RGB", (120, 90), "#f4efe6")
    draw = ImageDraw.Draw(image)
    draw.ellipse((12, 12, 60, 60), fill="#d33a2c")
    draw.rectangle((70, 30, 110, 80), fill="#2456a6")
    image.save(tmp_path / "poster.png")
    image.save(tmp_path / "layer.png")
    return tmp_path


def shell(script: str, folder: Path) -> None:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_the_http_page_runs_from_top_to_bottom(desk: Path, service: Service) -> None:
    for script in blocks("docs/http.md", "bash"):
        shell(script.replace("http://127.0.0.1:8000", service.url), desk)
    assert json.loads((desk / "layers.json").read_text())["layer_count"] == 3
    with Image.open(desk / "edited.png") as edited:
        assert edited.size == (120, 90)
    assert json.loads((desk / "job.json").read_text())["status"] == "succeeded"
    with zipfile.ZipFile(desk / "layers.zip") as archive:
        assert "01-Poster.png" in archive.namelist()
    assert (desk / "Poster.psd").read_bytes().startswith(b"8BPS")


def test_the_readme_runs(desk: Path, service: Service) -> None:
    commands = [block for block in blocks("README.md", "bash") if not re.match(r"make |.*serve ", block)]
    assert len(commands) == 2
    for script in commands:
        shell(
            script.replace("http://127.0.0.1:8000", service.url).replace("llm-dit ", f"{sys.prefix}/bin/llm-dit "), desk
        )
    (program,) = blocks("README.md", "python")
    subprocess.run([sys.executable, "-c", program], cwd=desk, check=True)
    with Image.open(desk / "edited.png") as edited:
        assert edited.mode == "RGBA"


def test_the_settings_file_names_every_key_and_its_default() -> None:
    text = (ROOT / "config.toml").read_text()
    for section in ("server", "qwen_image"):
        for key in type(getattr(Settings(), section)).model_fields:
            assert re.search(rf"^#? ?{key} = ", text, re.MULTILINE), f"{section}.{key} is missing from config.toml"


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_the_map_names_what_there_is_and_all_folders() -> None:
    named = set(re.findall(r"`([\w./-]+)`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    assert [name for name in named if "/" in name and not (ROOT / name).exists()] == []
    code = {path.parent for top in ("src", "server", "web", "static/js") for path in (ROOT / top).rglob("*.[pj][sy]")}
    folders = {str(folder.relative_to(ROOT)) for folder in code} - {
        "src/llm_dit_studio",
        "static/js",
        "src/llm_dit/classical/effects",
    }
    assert {folder for folder in folders if not folder.startswith("static/js/views/")} <= named

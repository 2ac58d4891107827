"""The documentation is run, not read: every block of commands and of Python in it works as it stands."""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from llm_dit.layer import MAX_LAYERS
from llm_dit.options import (
    MAX_SEED,
    QWEN_IMAGE,
    SAMPLING,
    DecomposeOptions,
    EditOptions,
    bounds,
    choices,
    http_name,
    options_of,
)
from server.settings import Settings
from tests.kit.forks import ROOT, python
from tests.kit.service import Service
from tests.kit.shells import path_of_forks


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
    with path_of_forks() as path:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_page_of_openais_api_runs(desk: Path, service: Service) -> None:
    for script in blocks("docs/openai.md", "bash"):
        shell(script.replace("http://127.0.0.1:8000", service.url), desk)
    assert json.loads((desk / "answer.json").read_text())["size"] == "120x90"
    for program in blocks("docs/openai.md", "python"):
        python(program.replace("http://127.0.0.1:8000", service.url), cwd=desk)
        with Image.open(desk / "edited.png") as edited:
            assert (edited.mode, edited.size) == ("RGBA", (120, 90))
        (desk / "edited.png").unlink()
    assert len(list(desk.glob("[1-4].png"))) == 4


def test_the_page_of_clients_runs(desk: Path, service: Service) -> None:
    for program in blocks("docs/clients.md", "python"):
        python(program.replace("http://127.0.0.1:8000", service.url), cwd=desk)
    for name in ("edited.png", "blue.png", "green.png"):
        with Image.open(desk / name) as picture:
            assert (picture.mode, picture.size) == ("RGBA", (120, 90))
    assert (desk / "poster.psd").read_bytes().startswith(b"8BPS")


@pytest.mark.slow
def test_the_readme_runs(desk: Path, service: Service) -> None:
    commands = [block for block in blocks("README.md", "bash") if not re.match(r"make |.*serve ", block)]
    assert len(commands) == 2
    for script in commands:
        shell(script.replace("http://127.0.0.1:8000", service.url), desk)
    (program,) = blocks("README.md", "python")
    python(program, cwd=desk)
    with Image.open(desk / "edited.png") as edited:
        assert edited.mode == "RGBA"


@pytest.mark.slow
def test_the_quick_start_runs(desk: Path) -> None:
    (script,), (program,) = blocks("docs/quick_start.md", "bash"), blocks("docs/quick_start.md", "python")
    shell(script, desk)
    files = [desk / name for name in ("together.png", "poster.psd")]
    assert [file.stat().st_size > 0 for file in files] == [True, True]
    for file in files:
        file.unlink()
    python(program, cwd=desk)
    assert [file.exists() for file in files] == [True, True]


GUIDES = {
    "decompose": ("three/report.json", "auto/report.json", "named/poster_layers/manifest.json"),
    "edit": ("blue.png", "shadow.png", "same.png"),
    "files": ("poster.psd", "poster.svg", "flat.png"),
    "folders": ("layers/report.json", "files/poster.psd"),
    "groups": ("together.png",),
    "harmonize": ("fitted/manifest.json",),
    "regions": ("box.png", "masked.png"),
}
"""What the blocks of a guide write."""


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES)
def test_the_guides_run(guide: str, desk: Path) -> None:
    Image.linear_gradient("L").resize((120, 90)).save(desk / "mask.png")
    for script in blocks(f"docs/guides/{guide}.md", "bash"):
        shell(script, desk)
    for program in blocks(f"docs/guides/{guide}.md", "python"):
        for name in GUIDES[guide]:
            (desk / name).unlink(missing_ok=True)
        python(program, cwd=desk)
    assert [name for name in GUIDES[guide] if not (desk / name).exists()] == []


def test_the_page_of_the_command_line_runs(desk: Path) -> None:
    (script,) = blocks("docs/command_line.md", "bash")
    shell(script, desk)
    assert {file.name for file in (desk / "files").iterdir()} == {"layer.psd", "poster.psd", "report.json"}


def test_the_limits_that_the_text_speaks_of_are_those_of_the_code() -> None:
    server, http = Settings().server, (ROOT / "docs/http.md").read_text(encoding="utf-8")
    assert f"{server.max_pixels / 1e6:.1f} million pixels and {server.max_side} on a side" in http
    assert f"At most {MAX_LAYERS} layers" in (ROOT / "docs/exports.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["Dockerfile", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("deploy/*.*"))])
def test_what_a_file_of_deploy_sets_are_settings(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    variables = re.findall(r"LLM_DIT_([A-Z_]+?)__([A-Z_]+)", text)
    variables += [("SERVER", name.upper()) for name in re.findall(r"^#   (\w+) = ", text, re.MULTILINE)]
    assert variables
    for section, name in variables:
        assert name.lower() in type(getattr(Settings(), section.lower())).model_fields, name


NUMBERS = {"layer_num", "num_inference_steps", "cfg_scale", "seed"}


UNSAID = {"seed": "drawn", "loras": "all"}


def shown(name: str, value: object, *, as_json: bool) -> str:
    """Return a default as the tables have it."""
    if isinstance(value, str) or (as_json and (value is None or value is True)):
        return f"`{json.dumps(value)}`"
    if isinstance(value, bool):
        return "on" if value else "off"
    return UNSAID[name] if value is None else str(value)


@pytest.mark.parametrize(
    ("page", "kind", "as_json"),
    [
        ("docs/http.md", DecomposeOptions, True),
        ("docs/models/qwen_image_layered.md", DecomposeOptions, False),
        ("docs/models/qwen_image_edit.md", EditOptions, False),
    ],
)
def test_the_tables_have_every_option_with_its_default_and_bounds(page: str, kind: type, as_json: bool) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    rows = {name: (default, what) for name, default, what in found}
    taken = SAMPLING if kind is EditOptions else QWEN_IMAGE._fields
    own = {name: getattr(QWEN_IMAGE, name) for name in taken}
    for name, option in options_of(kind).items():
        default, what = rows[http_name(name) if as_json else name]
        value = own.get(name, getattr(kind, name, "required"))
        assert default == (value if value == "required" else shown(name, value, as_json=as_json)), name
        if name in NUMBERS:
            assert "–".join(map(str, bounds(option))).replace(str(MAX_SEED), "2^53 − 1") in what, name
        for choice in choices(option):
            assert json.dumps(choice) in what, name


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_the_map_names_what_there_is_and_all_folders() -> None:
    named = set(re.findall(r"`([\w./-]+)`", (ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    assert [name for name in named if "/" in name and not (ROOT / name).exists()] == []
    code = {
        path.parent for top in ("src", "cli", "server", "web", "static/js") for path in (ROOT / top).rglob("*.[pj][sy]")
    }
    folders = {str(folder.relative_to(ROOT)) for folder in code} - {
        "src/llm_dit_studio",
        "static/js",
        "src/llm_dit/classical/effects",
    }
    assert {folder for folder in folders if not folder.startswith("static/js/views/")} <= named

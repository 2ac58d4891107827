"""Every block of code in the documentation is run by a test, or says here why it cannot be; the site has every page."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from cli.commands import app
from scripts import build_site, plots
from server.settings import load_settings
from tests import test_docs
from tests.kit.forks import ROOT

PAGES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "clients/comfyui/README.md"),
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

HERE, QWEN = "tests/test_docs.py", "tests/qwen/test_docs.py"
RUN = {
    ("README.md", "bash"): (HERE, "test_the_readme_runs"),
    ("README.md", "python"): (HERE, "test_the_readme_runs"),
    ("docs/clients.md", "python"): (HERE, "test_the_page_of_clients_runs"),
    ("docs/command_line.md", "bash"): (HERE, "test_the_page_of_the_command_line_runs"),
    **{(f"docs/guides/{guide}.md", "bash"): (HERE, "test_the_guides_run") for guide in test_docs.GUIDES},
    **{(f"docs/guides/{guide}.md", "python"): (HERE, "test_the_guides_run") for guide in test_docs.GUIDES},
    ("docs/http.md", "bash"): (HERE, "test_the_http_page_runs_from_top_to_bottom"),
    ("docs/models/qwen_image_21.md", "python"): (QWEN, "test_the_programs_of_the_other_models_run"),
    ("docs/models/qwen_image_edit.md", "bash"): (QWEN, "test_the_command_line_runs"),
    ("docs/models/qwen_image_edit.md", "python"): (QWEN, "test_the_python_blocks_run"),
    ("docs/models/qwen_image_layered.md", "python"): (QWEN, "test_the_programs_of_the_other_models_run"),
    ("docs/openai.md", "bash"): (HERE, "test_the_page_of_openais_api_runs"),
    ("docs/openai.md", "python"): (HERE, "test_the_page_of_openais_api_runs"),
    ("docs/quick_start.md", "bash"): (HERE, "test_the_quick_start_runs"),
    ("docs/quick_start.md", "python"): (HERE, "test_the_quick_start_runs"),
}
"""The test that runs the blocks of a page in a language; those that it skips are in `NOT_RUN`, too."""

MODELS = "needs Qwen-Image's weights, 58 GB a model; tests/qwen makes the same calls of tiny checkpoints"
INSTALLS = "installs packages, which takes minutes and a network; tests/test_wheel.py installs the wheel"
SERVES = "serves until it is stopped, which the tests of tests/server and tests/web do"
DRAWING = "is a drawing or an excerpt, not a program"
OTHER_PROGRAM = "is for another program, which the tests do not have"

NOT_RUN = {
    ("README.md", "make run"): INSTALLS,
    ("README.md", ".venv/bin/llm-dit serve --host"): SERVES,
    ("CONTRIBUTING.md", "make run"): "each is a suite of its own; a test below looks for the targets",
    ("docs/architecture.md", "browser ── static/js"): DRAWING,
    ("docs/clients.md", "llm-dit install client"): INSTALLS,
    ("docs/clients.md", "vllm serve"): OTHER_PROGRAM,
    ("docs/editing.md", "canvas = prepare"): DRAWING,
    ("docs/evaluating.md", "llm-dit evaluate truth"): "tests/server/test_folders.py evaluates; a LoRA needs a model",
    ("docs/evaluating.md", "merges  RGB L1"): DRAWING,
    ("docs/guides/context.md", "llm-dit edit"): MODELS,
    ("docs/http.md", '{"image": "/api/'): "needs an engine that takes context, unlike the default one",
    ("docs/install.md", "make run"): INSTALLS,
    ("docs/install.md", "pip install"): INSTALLS,
    ("docs/models/qwen_image_edit.md", "Input Image"): DRAWING,
    ("docs/models/qwen_image_edit.md", "llm-dit install qwen"): INSTALLS,
    ("docs/models/qwen_image_edit.md", "hf download"): MODELS,
    ("docs/models/qwen_image_edit.md", "curl -X POST"): "tests/qwen/test_docs.py reads it; its picture is left out",
    ("docs/operating.md", "llm-dit backup"): "tests/server/test_backup.py runs both",
    ("docs/operating.md", "2026-11-24T"): DRAWING,
    ("docs/operating.md", "scrape_configs"): OTHER_PROGRAM,
    ("docs/operating.md", "groups"): OTHER_PROGRAM,
    ("docs/operating.md", "histogram_quantile"): OTHER_PROGRAM,
    ("docs/scaling.md", "llm-dit install ray"): INSTALLS,
    ("docs/security.md", "docker run"): OTHER_PROGRAM,
}
"""How a block begins that no test runs, and why."""


class Block(NamedTuple):
    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    """Return the blocks in some languages, or all of them."""
    found = [
        Block(page, match[2], match[3].strip())
        for page in PAGES
        for match in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))
    ]
    return [block for block in found if not languages or block.language in languages]


def reason_of(block: Block) -> str | None:
    return next(
        (why for (page, start), why in NOT_RUN.items() if page == block.page and block.text.startswith(start)), None
    )


def test_every_block_is_run_or_says_why_not() -> None:
    parsed = {"toml", "json"}  # by the tests below
    lost = [
        f"{block.page}: {block.text.splitlines()[0]}"
        for block in blocks()
        if (block.page, block.language) not in RUN and block.language not in parsed and reason_of(block) is None
    ]
    assert lost == [], "run these blocks in test_docs.py, or add the reason to NOT_RUN"


def test_the_reasons_and_the_tests_are_of_blocks_that_exist() -> None:
    here = {(block.page, block.text) for block in blocks()}
    assert [key for key in NOT_RUN if not any(page == key[0] and text.startswith(key[1]) for page, text in here)] == []
    for (page, language), (file, name) in RUN.items():
        assert [block for block in blocks(language) if block.page == page] or "guides/" in page, page
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text and re.sub(r"guides/\w+", "guides/{guide}", page) in text, name


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_settings_in_the_text_are_valid(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(block.text.replace("whsec_…", "whsec_" + "k3y/" * 8), encoding="utf-8")
    load_settings(file, environment={})


def test_the_example_of_a_profile_in_the_settings_file_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    file.write_text(re.sub(r"^# (?=\w+ = |\[lan)", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert load_settings(file, "lan", environment={}).server.host == "0.0.0.0"


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_json_in_the_text_is_json(block: Block) -> None:
    json.loads(block.text)


def test_programs_that_no_test_runs_are_at_least_programs() -> None:
    for block in blocks("python"):
        compile(block.text, block.page, "exec")
    for block in blocks("bash"):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.page}: {done.stderr}"


def test_commands_in_the_text_have_the_options_that_they_use() -> None:
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = 0
    for block in (each for each in blocks("bash", "") if reason_of(each) != DRAWING):
        for line in block.text.replace("\\\n", " ").splitlines():
            words = line.partition(" #")[0].split()
            if words[:1] == ["make"]:
                assert words[1] in targets, line
            program = next((at for at, word in enumerate(words) if word.rpartition("/")[2] == "llm-dit"), None)
            if program is None or program + 1 == len(words):
                continue
            command = commands[words[program + 1]]
            command = getattr(command, "commands", {}).get(
                words[program + 2] if program + 2 < len(words) else "", command
            )
            known = {name for each in command.params for name in each.opts}
            options = {word.partition("=")[0] for word in words[program + 2 :] if re.match(r"--?[a-z]", word)}
            assert options <= known, f"{block.page}: {line}"
            used += 1
    assert used > 15


def test_the_site_has_every_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its links, `make docs` checks the rest."""
    monkeypatch.setattr(build_site, "PAGES", tmp_path / "docs")
    build_site.gather()
    listed = re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    there = {str(page.relative_to(tmp_path / "docs")) for page in (tmp_path / "docs").rglob("*.md")}
    assert sorted(listed) == sorted({page for page in there if not re.match(r"adr/\d", page)})


@pytest.mark.parametrize("name", plots.PLOTS)
def test_plots_are_of_the_figures(name: str) -> None:
    kept = (plots.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == plots.drawing(name), "run python -m scripts.plots"


def test_what_is_wrong_with_a_site_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_site, "SITE", tmp_path)
    (tmp_path / "one.html").write_text('<a href="sub/two.html#here">fine</a><img src="sub/a.png"><a href="#nowhere">')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").touch()
    (tmp_path / "sub" / "two.html").write_text(
        '<h1 id="here"></h1><a href="../three.html"></a><script src="https://cdn.example/x.js"></script>'
        '<a href="https://example.org">fine</a>'
    )
    assert sorted(build_site.complaints()) == [
        "one.html links to #nowhere: there is no such place on that page",
        "sub/two.html links to ../three.html, which does not exist",
        "sub/two.html loads https://cdn.example/x.js",
    ]

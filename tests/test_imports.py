"""Which way imports point: cli → web → server → llm_dit, and nothing heavy before it is needed."""

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@cache
def imported(folder: Path) -> list[tuple[Path, str]]:
    """Return every module that a file below `folder` imports, wherever in the file, in a program for another process
    too, or names as `module:object`."""
    return [(path, module) for path in folder.rglob("*.py") for module in modules_in(path.read_text(encoding="utf-8"))]


def modules_in(program: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[a-z_.]+:[A-Za-z_.]+", str(node.value)):
            yield str(node.value).partition(":")[0]
        elif isinstance(node, ast.Constant) and re.match(r"\s*(from [\w.]+ )?import \w", str(node.value)):
            with suppress(SyntaxError):
                yield from modules_in(textwrap.dedent(str(node.value)))


@pytest.mark.parametrize("folder", ["src", "server", "web", "cli", "benchmarks", "scripts", "tests"])
def test_modules_of_ours_that_are_named_exist(folder: str) -> None:
    ours = {"llm_dit", "server", "web", "cli", "tests", "benchmarks", "scripts"}
    found = [(path, name) for path, name in imported(ROOT / folder) if name.partition(".")[0] in ours]
    assert found
    assert [(path, name) for path, name in found if find_spec(name) is None] == []


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("src/llm_dit", {"cli", "server", "web", "fastapi", "starlette", "uvicorn", "typer"}),
        ("server", {"cli", "web", "fastapi", "starlette", "typer"}),
        ("web", {"cli", "typer"}),
    ],
)
def test_imports_point_one_way(folder: str, forbidden: set[str]) -> None:
    wrong = [(path, module) for path, module in imported(ROOT / folder) if module.partition(".")[0] in forbidden]
    assert wrong == []


def test_tests_and_benchmarks_are_apart() -> None:
    """Benchmarks may take what they measure from `tests/kit`; no test depends on a benchmark."""
    assert [path for path, module in imported(ROOT / "tests") if module.partition(".")[0] == "benchmarks"] == []


def test_torch_is_imported_for_the_qwen_engine_only() -> None:
    libraries = {"torch", "diffusers", "transformers", "accelerate", "huggingface_hub"}
    found = [
        path
        for folder in ("src", "cli", "server", "web")
        for path, name in imported(ROOT / folder)
        if name.split(".")[0] in libraries
    ]
    engine = ROOT / "src/llm_dit"
    assert all(
        path.is_relative_to(engine / "qwen") or path == engine / "pipelines/qwen_image_diffusers.py" for path in found
    )


def test_one_module_imports_ray() -> None:
    named = re.compile(r'^\s*(import|from) ray\b|import_module\("ray', re.MULTILINE)
    files = [path for folder in ("src", "cli", "server", "web") for path in (ROOT / folder).rglob("*.py")]
    assert [path.name for path in files if named.search(path.read_text(encoding="utf-8"))] == ["ray_engine.py"]


def test_the_service_is_imported_without_pipelines() -> None:
    program = "import sys, web.server; print(*sorted({'torch', 'cv2', 'diffusers', 'ray'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.split() == []

"""Which way imports point: cli → web → server → llm_dit, and nothing heavy before it is needed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every module that a file below `folder` imports, wherever in the file, or names as `module:object`."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path, node.module
            elif isinstance(node, ast.Constant) and re.fullmatch(r"[a-z_.]+:[A-Za-z_.]+", str(node.value)):
                yield path, str(node.value).partition(":")[0]


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


def test_the_service_is_imported_without_pipelines() -> None:
    program = "import sys, web.app; print(*sorted({'torch', 'cv2', 'diffusers'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.split() == []

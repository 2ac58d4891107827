"""`llm-dit` with the Qwen engine: the commands, what they print and the files that they leave.

They run in this process, whose torch is loaded; `tests/server/test_cli.py` runs them as processes.
"""

# pyright: reportReturnType=false

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli.commands import app
from tests.kit.service import qwen_environment


@pytest.fixture
def scene(tmp_path: Path, picture: Image.Image) -> Path:
    picture.save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def run(checkpoints: Path, *arguments: object, **more: str) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env=qwen_environment(checkpoints) | more)


def test_decompose_and_edit(
    checkpoints: Path, scene: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scene.parent
    monkeypatch.chdir(folder)
    given = ["--prompt", "a house", "--layers", 2, "--steps", 1, "--seed", 4, "--engine", "qwen"]
    done = run(checkpoints, "decompose", scene.name, *given)
    assert done.exit_code == 0, done.output
    assert "2 layers, seed 4; fused blocks, torch kernels, sdpa attention" in done.stdout
    assert json.loads((folder / "scene_layers/manifest.json").read_text())["prompt"] == "a house"
    with Image.open(folder / "scene_layers/composite.png") as composite:
        assert composite.size == picture.size

    given = ["make it blue", "--steps", 1, "--seed", 4, "--engine", "qwen", "-o", "edited.png"]
    done = run(checkpoints, "edit", scene.name, *given)
    assert done.exit_code == 0, done.output
    with Image.open(folder / "edited.png") as edited:
        assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(picture)[..., 3])


def test_what_is_not_valid_is_one_line_and_an_exit_code(checkpoints: Path, scene: Path) -> None:
    gone = {"LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(scene.parent / "gone")}
    done = run(checkpoints, "decompose", scene, **gone)
    assert done.exit_code == 3
    assert done.stderr.strip().splitlines()[-1].startswith("error: model_path names neither a folder")

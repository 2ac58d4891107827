"""`llm-dit` with the Qwen engine, as people use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import qwen_environment


@pytest.fixture
def scene(tmp_path: Path, picture: Image.Image) -> Path:
    picture.save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def run(checkpoints: Path, folder: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llm-dit")), *map(str, arguments)]
    environment = os.environ | qwen_environment(checkpoints) | more
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_decompose_and_edit(checkpoints: Path, scene: Path, picture: Image.Image) -> None:
    folder = scene.parent
    given = ["--prompt", "a house", "--layers", 2, "--steps", 1, "--seed", 4, "--engine", "qwen"]
    done = run(checkpoints, folder, "decompose", scene.name, *given)
    assert done.returncode == 0, done.stderr
    assert "2 layers, seed 4" in done.stdout
    assert json.loads((folder / "scene_layers/manifest.json").read_text())["prompt"] == "a house"
    with Image.open(folder / "scene_layers/composite.png") as composite:
        assert composite.size == picture.size

    given = ["make it blue", "--steps", 1, "--seed", 4, "--engine", "qwen", "-o", "edited.png"]
    done = run(checkpoints, folder, "edit", scene.name, *given)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "edited.png") as edited:
        assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(picture)[..., 3])


def test_what_will_not_do_is_one_line_and_an_exit_code(checkpoints: Path, scene: Path) -> None:
    gone = {"LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(scene.parent / "gone")}
    done = run(checkpoints, scene.parent, "decompose", scene.name, **gone)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines()[-1].startswith("error: model_path names neither a folder")
    assert "Traceback" not in done.stderr

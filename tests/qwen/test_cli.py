"""`llm-dit` with the Qwen engine: the commands, what they print and the files that they leave.

They run in this process, whose torch is loaded; `tests/server/test_cli.py` runs them as processes.
"""

# pyright: reportReturnType=false

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image
from typer.testing import CliRunner, Result

from cli.commands import app
from llm_dit import Layer, export
from llm_dit.qwen.loading.checkpoints import EDIT_MODEL, LAYERED_MODEL
from server import engines
from tests.kit.hub import serve
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


def test_an_edit_in_context_finds_its_layer_in_the_stack(
    checkpoints: Path, scene: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scene.parent
    monkeypatch.chdir(folder)
    ground = Image.new("RGBA", picture.size, (200, 40, 30, 255))
    ground.save("ground.png")
    stack = [Layer(image=ground, name="Ground"), Layer(image=picture, name="scene")]
    (folder / "stack.zip").write_bytes(export(stack, "zip", width=picture.width, height=picture.height))
    given = ["make it blue", "--steps", 1, "--seed", 4, "--engine", "qwen", "-o"]
    for context, made in (("stack.zip", "one.png"), ("ground.png", "two.png")):
        done = run(checkpoints, "edit", scene.name, *given, made, "--context", context)
        assert done.exit_code == 0, done.output
    with Image.open("one.png") as one, Image.open("two.png") as two:
        assert one.tobytes() == two.tobytes()
    again = run(checkpoints, "edit", scene.name, "--like", "one.png", "--engine", "qwen")
    assert (again.exit_code, "give its stack by --context" in again.stderr) == (2, True), again.output
    ground.rotate(3).save("other.png")
    lost = run(checkpoints, "edit", "other.png", *given, "three.png", "--context", "stack.zip")
    assert (lost.exit_code, "is no layer of the stack" in lost.stderr) == (2, True), lost.output


def test_what_is_not_valid_is_one_line_and_an_exit_code(checkpoints: Path, scene: Path) -> None:
    gone = {"LLM_DIT_QWEN_IMAGE__MODEL_PATH": str(scene.parent / "gone")}
    done = run(checkpoints, "decompose", scene, **gone)
    assert done.exit_code == 3
    assert done.stderr.strip().splitlines()[-1].startswith("error: model_path names neither a folder")


def fetch_qwen(folder: Path, *more: str, **environment: str) -> Result:
    """Get Qwen-Image into a cache of its own, with the programs of that folder alone, where there is no accelerator."""
    around = {"HF_HUB_CACHE": str(folder / "hub"), "PATH": str(folder)} | environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        # Torch is asked in a process of its own (tests/server/test_engines.py), which takes seconds.
        patch.setattr(engines, "_accelerator", lambda: False)
        patch.chdir(folder)
        return CliRunner().invoke(app, ["models", "fetch", "--qwen", *more], env=around)


def test_getting_qwen_image_stops_where_it_could_not_run(checkpoints: Path, tmp_path: Path) -> None:
    done = fetch_qwen(tmp_path, **qwen_environment(checkpoints))
    assert done.exit_code == 3
    assert done.stdout.splitlines()[-1] == "4/5 The GPU in torch, and memory"
    assert "torch finds no accelerator" in done.stderr and "Update the driver" in done.stderr


def test_getting_qwen_image_continues_where_it_stopped(checkpoints: Path, tmp_path: Path) -> None:
    """From a hub that fails, and with a driver that tells of a GPU which torch does not find."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 580.95.05'\n")
    driver.chmod(0o755)
    with serve({LAYERED_MODEL: checkpoints / "layered", EDIT_MODEL: checkpoints / "edit"}) as hub:
        hub.refuse, hub.faults = 500, 100
        refused = fetch_qwen(tmp_path, "--anyway", HF_ENDPOINT=hub.endpoint)
        assert refused.exit_code == 3
        assert "    NVIDIA H200, 143771 MiB, 580.95.05\n" in refused.stdout
        assert "the partial download is kept" in refused.stderr

        hub.faults = 0
        done = fetch_qwen(tmp_path, "--anyway", HF_ENDPOINT=hub.endpoint)
        assert done.exit_code == 0, done.output
        assert f"{LAYERED_MODEL}: complete, in {tmp_path / 'hub'}" in done.stdout
        assert f'set model_path = "{LAYERED_MODEL}"' in done.stdout
        sent = dict(hub.sent)
        assert fetch_qwen(tmp_path, "--anyway", HF_ENDPOINT=hub.endpoint).exit_code == 0
        assert hub.sent == sent

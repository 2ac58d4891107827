"""Every code block of the edit model's page runs as it stands there, with only the paths changed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.qwen.hub import Hub, serve

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/models/qwen_image_edit.md").read_text(encoding="utf-8")
EDIT_MODEL = "Qwen/Qwen-Image-Edit-2509"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def hub(checkpoints: Path) -> Iterator[Hub]:
    with serve({EDIT_MODEL: checkpoints / "edit"}) as hub:
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path, picture: Image.Image) -> dict[str, str]:
    """Where the blocks run: a folder with the pictures that they open, and a hub that has the edit model."""
    picture.save(tmp_path / "scene.png")
    picture.convert("RGB").save(tmp_path / "input.jpg")
    return os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


@pytest.mark.timeout(400)  # two hundred steps of real sampling, as the page asks for
def test_the_python_blocks_run(checkpoints: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """One after the other, as somebody reads them; `model_path` and `layer` are the reader's own."""
    model = str(checkpoints / "layered")
    code = "\n".join(blocks("python")).replace("/path/to/Qwen_Qwen-Image-Layered", model)
    code = code.replace("from_pretrained(...)", f"from_pretrained({model!r})")
    assert code.count("from_pretrained(") == 4
    preamble = f"model_path = {model!r}\nfrom PIL import Image\nlayer = Image.new('RGBA', (32, 32), 'red')\n"
    # The last block prints what fails and goes on, as it should; here that must not happen.
    done = run([sys.executable, "-c", preamble + code], tmp_path, environment)
    assert "Edit failed" not in done.stdout
    assert describe(tmp_path / "edited_layer.png") == ("RGBA", (864, 480))


def test_the_command_line_runs(checkpoints: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    commands = next(block for block in blocks("bash") if "scripts/generate.py" in block)
    command = commands.split("\n\n")[1]
    for name, folder in (("Layered", "layered"), ("Edit-2509", "edit")):
        command = command.replace(f"~/Storage/Qwen_Qwen-Image-{name}", str(checkpoints / folder))
    # uv itself is not run: it would build an environment from the script's metadata, which the next test reads.
    command = command.replace("uv run scripts/generate.py", f"{sys.executable} {ROOT / 'scripts/generate.py'}")
    extra = ' --qwen-image-layers 2 --qwen-image-steps 1 --seed 5 --edit 2 "make it blue" --output out'
    done = run(["bash", "-c", command.rstrip() + extra], tmp_path, environment)
    names = ["composite", "layer_1", "layer_2"]
    written = [f"out/input_{name}.png" for name in names] + [f"out/input_edited_{name}.png" for name in names]
    assert done.stdout.split() == written
    assert {describe(tmp_path / name) for name in written} == {("RGBA", (864, 480))}
    assert "seed 5, prompt: Decomposition prompt" in done.stderr


def test_the_script_brings_its_requirements() -> None:
    text = (ROOT / "scripts/generate.py").read_text(encoding="utf-8")
    match = re.match(r"# /// script\n(.*?)# ///\n", text, re.DOTALL)
    assert match
    metadata = tomllib.loads(re.sub(r"^# ?", "", match[1], flags=re.MULTILINE))
    assert metadata["dependencies"] == ["llm-dit[qwen]"]
    assert (ROOT / "scripts" / metadata["tool"]["uv"]["sources"]["llm-dit"]["path"] / "pyproject.toml").is_file()


def test_the_configuration_and_the_request_are_what_they_claim() -> None:
    keys = tomllib.loads(blocks("toml")[0])["default"]["qwen_image"]
    assert set(keys) == {"model_path", "edit_model_path", "cpu_offload"}
    curl = next(block for block in blocks("bash") if block.startswith("curl"))
    body = json.loads(curl[curl.index("'{") + 1 : curl.rindex("}") + 1])
    assert set(body) == {"image", "instruction", "steps", "cfg_scale", "seed"}


def describe(file: Path) -> tuple[str, tuple[int, int]]:
    with Image.open(file) as image:
        return image.mode, image.size


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done

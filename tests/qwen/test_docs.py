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

from scripts import generate
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
    """Both commands, one after the other: the edit model comes from the hub, then from a folder."""
    commands = next(block for block in blocks("bash") if "scripts/generate.py" in block)
    assert commands.count("uv run scripts/generate.py") == 2
    for name, folder in (("Layered", "layered"), ("Edit-2509", "edit")):
        commands = commands.replace(f"~/Storage/Qwen_Qwen-Image-{name}", str(checkpoints / folder))
    # uv itself is not run: it would build an environment from the script's metadata, which the next test reads.
    commands = commands.replace("uv run scripts/generate.py", f"{sys.executable} {ROOT / 'scripts/generate.py'}")
    more = ' --layers 2 --steps 1 --seed 5 --edit-layer 2 --instruction "make it blue" --output out'
    commands = commands.replace('"Decomposition prompt"', '"Decomposition prompt"' + more)
    done = run(["bash", "-ec", commands], tmp_path, environment)
    names = ["composite", "layer_1", "layer_2"]
    written = [f"out/input_{name}.png" for name in names] + [f"out/input_edited_{name}.png" for name in names]
    assert done.stdout.split() == written * 2
    assert {describe(tmp_path / name) for name in written} == {("RGBA", (864, 480))}
    assert "seed 5, prompt: Decomposition prompt" in done.stderr
    assert "downloading" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--edit-layer", "5", "--instruction", "make it blue"], "no layer 5; there are 1 to 4"),
        (["--edit-layer", "1"], "an --instruction for every --edit-layer"),
        (["--qwen-image-model-path", "gone"], "model_path names neither a folder"),
        (["--steps", "0"], "num_inference_steps"),
    ],
)
def test_what_will_not_do_is_one_line(
    arguments: list[str],
    says: str,
    checkpoints: Path,
    picture: Image.Image,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture.save(tmp_path / "input.png")
    command = ["--img2img", str(tmp_path / "input.png"), "--qwen-image-model-path", str(checkpoints / "layered")]
    with pytest.raises(SystemExit) as ended:
        sys.exit(generate.main([*command, *arguments]))
    assert ended.value.code in {1, 2}
    assert says in capsys.readouterr().err


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

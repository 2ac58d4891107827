"""The code blocks of the models' pages run as they stand there, with only the paths changed."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from PIL import Image

from llm_dit.pipelines.qwen_image_diffusers import QwenImageDiffusersPipeline
from scripts import generate
from tests.kit.hub import Hub

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/models/qwen_image_edit.md").read_text(encoding="utf-8")
QUARTER = (224, 128)
"""What is 864 × 480 elsewhere, at a quarter of its width and height (`quarter_size`)."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(hub: Hub, tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the pictures that the blocks open; the hub has the edit model."""
    picture.save(tmp_path / "scene.png")
    picture.convert("RGB").save(tmp_path / "input.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the page says nothing of steps, the model's own number of them would take minutes."""
    for name in ("decompose", "edit_layer"):
        run = getattr(QwenImageDiffusersPipeline, name)

        def quick(*given: Any, _run: Callable[..., Any] = run, **options: Any) -> Any:
            return _run(*given, **{"num_inference_steps": 2, **options})

        monkeypatch.setattr(QwenImageDiffusersPipeline, name, quick)


@pytest.mark.usefixtures("few_steps")
def test_the_python_blocks_run(checkpoints: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, as somebody reads them, but at fewer steps; `model_path` and `layer` are the reader's."""
    model = str(checkpoints / "layered")
    code = "\n".join(blocks("python")).replace("/path/to/Qwen_Qwen-Image-Layered", model)
    code = code.replace("from_pretrained(...)", f"from_pretrained({model!r})")
    code = code.replace("num_inference_steps=50", "num_inference_steps=2")
    assert code.count("from_pretrained(") == 4
    exec(
        compile(code, "qwen_image_edit.md", "exec"), {"model_path": model, "layer": Image.new("RGBA", (32, 32), "red")}
    )
    # The last block prints what fails and goes on, as it should; here that must not happen.
    assert "Edit failed" not in capsys.readouterr().out
    assert describe(folder / "edited_layer.png") == ("RGBA", QUARTER)


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("page", ["docs/models/qwen_image_layered.md", "docs/models/qwen_image_21.md"])
def test_the_programs_of_the_other_models_run(page: str, checkpoints: Path, newer_edit: Path, folder: Path) -> None:
    for name in ("layer.png", "hat.png"):
        Image.new("RGBA", (32, 32), "red").save(name)
    paths = {"/path/to/Qwen_Qwen-Image-Layered": checkpoints / "layered", "/path/to/Qwen-Image-2.1": newer_edit}
    for program in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL):
        for theirs, ours in paths.items():
            program = program.replace(theirs, str(ours))
        exec(compile(program, page, "exec"), made := dict[str, Any]())
        assert "layers" in made or made["edited"].size == (32, 32)


def test_the_command_line_runs(checkpoints: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands, one after the other: the edit model comes from the hub, then from a folder."""
    block = next(block for block in blocks("bash") if "scripts/generate.py" in block).replace("\\\n", " ")
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    commands = [command for command in commands if command]
    assert [command[:3] for command in commands] == [["uv", "run", "scripts/generate.py"]] * 2
    more = shlex.split('--layers 2 --steps 1 --seed 5 --edit-layer 2 --instruction "make it blue" --output out')
    names = ["composite", "layer_1", "layer_2"]
    written = [f"out/input_{name}.png" for name in names] + [f"out/input_edited_{name}.png" for name in names]
    downloaded = []
    for command in commands:
        arguments = [at_home(checkpoints, argument) for argument in command[3:]]
        assert generate.main([*arguments, *more]) == 0
        said = capsys.readouterr()
        assert said.out.split() == written
        assert {describe(folder / name) for name in written} == {("RGBA", QUARTER)}
        assert "seed 5, prompt: Decomposition prompt" in said.err
        downloaded.append("downloading" in said.err)
    assert downloaded == [True, False]


def test_the_options_of_the_documents_own_project_are_known() -> None:
    theirs = "--qwen-image-layers 3 --qwen-image-steps 7 --qwen-image-cfg-scale 2 --qwen-image-resolution 1024"
    ours = "--layers 3 --steps 7 --cfg-scale 2 --resolution 1024 --cpu-offload true"
    given = ["--img2img", "input.jpg", "--qwen-image-cpu-offload", "A prompt"]
    assert generate.parse_arguments([*theirs.split(), *given]) == generate.parse_arguments([*ours.split(), *given])


def at_home(checkpoints: Path, argument: str) -> str:
    """Return a command's argument with our folders of the models for the reader's."""
    for name, folder in (("Layered", "layered"), ("Edit-2509", "edit")):
        argument = argument.replace(f"~/Storage/Qwen_Qwen-Image-{name}", str(checkpoints / folder))
    return argument


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--edit-layer", "5", "--instruction", "make it blue"], "no layer 5; there are 1 to 4"),
        (["--edit-layer", "1"], "an --instruction for every --edit-layer"),
        (["--qwen-image-model-path", "gone"], "model_path names neither a folder"),
        (["--steps", "0"], "num_inference_steps"),
    ],
)
def test_what_is_not_valid_is_one_line(
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


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    # uv itself is not run: it would build an environment from the script's metadata, which the next test reads.
    command = [sys.executable, ROOT / "scripts/generate.py", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--qwen-image-model-path" in done.stdout


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

"""The recipe of a result: in answers, PNG files and files of layers, and what is made by it again."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from llm_dit import InputError, Layer, export
from llm_dit.images import encode_png
from llm_dit.imports.layers import read_layers
from llm_dit.options import Recipe, Source, read_recipe, recipe_of, with_recipe
from llm_dit.runs import Forward, PipelineStatus
from tests.kit.forks import llm_dit as run
from tests.kit.pictures import DISC_URL, as_data_url, disc, png, square
from tests.kit.service import connect

RECIPE = Recipe(
    kind="edit",
    engine="qwen",
    model="Qwen/Qwen-Image-Edit-2509",
    revision="0f3e",
    version="0.2.0",
    options={"instruction": "make it blue — 变蓝", "seed": 2**53 - 1, "cfg_scale": 4.0, "loras": ["lightning:0.8"]},
)


def test_a_png_file_carries_a_recipe_and_the_same_pixels() -> None:
    plain = encode_png(disc())
    made = with_recipe(plain, RECIPE)
    assert read_recipe(made) == RECIPE
    with Image.open(io.BytesIO(made)) as image:
        image.load()
        assert np.array_equal(np.asarray(image), np.asarray(disc()))
    assert len(made) > len(plain)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"layers": []}',
        b'{"layers": [{"recipe": {"kind": "painting"}}]}',
        b"\x89PNG\r\n\x1a\n",
        png(square()),
        with_recipe(png(square()), RECIPE.model_copy(update={"kind": "else"})),
        with_recipe(png(square()), RECIPE.model_copy(update={"options": {"prompt": "x" * 40_000}})),
    ],
)
def test_a_file_without_a_recipe_is_told(content: bytes) -> None:
    with pytest.raises(InputError, match="has no recipe") as caught:
        read_recipe(content)
    assert caught.value.param == "like"


def test_what_an_engine_does_not_use_is_not_in_its_recipe() -> None:
    options = {"instruction": "make it blue", "num_inference_steps": 50, "cfg_scale": 4.0, "seed": 7, "loras": None}
    classical = PipelineStatus(models=("classical",), has_edit_model=True, device="CPU")
    assert recipe_of("edit", "classical", classical, options).options == {"instruction": "make it blue", "seed": 7}


def test_a_recipe_names_the_model_and_the_loras_that_were_on() -> None:
    status = PipelineStatus(
        models=("Qwen-Image-Edit",),
        has_edit_model=True,
        device="CPU",
        forward=Forward(blocks="fused", kernels="torch", attention="sdpa", loras=("lightning", "film:0.5")),
        sources={"edit": Source("Qwen/Qwen-Image-Edit-2509", "0f3e")},
    )
    made = recipe_of("edit", "qwen", status, {"instruction": "make it blue", "loras": None, "cfg_scale": None})
    assert (made.model, made.revision) == ("Qwen/Qwen-Image-Edit-2509", "0f3e")
    assert made.options == {"instruction": "make it blue", "loras": ["lightning", "film:0.5"]}


def test_a_zip_of_layers_keeps_recipes_in_its_manifest_and_in_its_pictures() -> None:
    stack = [Layer(image=square().convert("RGBA"), name="Ground"), Layer(image=disc(), name="Disc", recipe=RECIPE)]
    content = export(stack, "zip", width=48, height=48)
    read = read_layers(io.BytesIO(content))
    assert [layer.recipe for layer in read.layers] == [None, RECIPE]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert read_recipe(archive.read("02-Disc.png")) == RECIPE
        manifest = json.loads(archive.read("manifest.json"))
    # A recipe that nobody can read does not keep a layer from being read.
    manifest["layers"][1]["recipe"] = {"kind": "from the future", "options": 3}
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, json.dumps(manifest) if name == "manifest.json" else archive.read(name))
    assert [layer.recipe for layer in read_layers(target).layers] == [None, None]


def test_answers_and_exports_over_http_carry_it(base_url: str) -> None:
    edit = {"image": DISC_URL, "instruction": "make it blue", "seed": 9}
    with connect(base_url) as client:
        told = client.post("/api/qwen-image/edit-layer", json=edit).json()["recipe"]
        assert (told["kind"], told["engine"], told["model"]) == ("edit", "classical", "")
        assert told["options"] == {"instruction": "make it blue", "seed": 9, "shape": "keep", "output_size": "layer"}
        answer = client.post("/api/qwen-image/edit-layer", json=edit, headers={"Accept": "image/png"})
        assert read_recipe(answer.content).model_dump() == told
        layers = [{"image": as_data_url(answer.content), "name": "Disc", "recipe": told}]
        exported = client.post("/api/qwen-image/export", json={"layers": layers, "format": "zip"})
        assert exported.status_code == 200, exported.text
        headers = {"Content-Type": "application/zip"}
        imported = client.post("/api/qwen-image/import", content=exported.content, headers=headers).json()
        assert imported["layers"][0]["recipe"] == told
        wrong = [{"image": DISC_URL, "recipe": {"kind": "painting", "engine": "me"}}]
        refused = client.post("/api/qwen-image/export", json={"layers": wrong, "format": "zip"})
        assert refused.status_code == 422


def test_the_command_line_makes_the_same_again(tmp_path: Path) -> None:
    picture = square().resize((96, 72))
    picture.paste((240, 220, 110), (20, 20, 60, 50))
    picture.save(tmp_path / "picture.png")
    first = run("decompose", "picture.png", "--layers", 2, "--seed", 5, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    again = run("decompose", "picture.png", "--like", "picture_layers/manifest.json", "-o", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    names = sorted(file.name for file in (tmp_path / "picture_layers").iterdir())
    assert [(tmp_path / "again" / name).read_bytes() for name in names] == [
        (tmp_path / "picture_layers" / name).read_bytes() for name in names
    ]
    layer = next((tmp_path / "again").glob("02-*.png"))
    assert run("edit", layer, "make it red", "-o", "red.png", cwd=tmp_path).returncode == 0
    assert run("edit", layer, "--like", "red.png", "-o", "red again.png", cwd=tmp_path).returncode == 0
    assert (tmp_path / "red.png").read_bytes() == (tmp_path / "red again.png").read_bytes()
    other = run("edit", layer, "--like", "again/manifest.json", cwd=tmp_path)
    assert (other.returncode, "made by `llm-dit decompose`" in other.stderr) == (2, True)
    silent = run("edit", layer, cwd=tmp_path)
    assert (silent.returncode, "Say what to change" in silent.stderr) == (2, True)

"""The service describes itself as it is set up."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from llm_dit.evaluation import POOR_DB
from llm_dit.layer import Offset, Scale
from llm_dit.options import bounds
from server.engines import defaults_of
from server.settings import load_settings
from tests.kit.forks import ROOT
from tests.kit.pictures import SQUARE_URL
from tests.kit.running import LLM_DIT
from tests.kit.service import Service
from web.routes.pages import describe
from web.server import create_app


def test_the_described_defaults_are_those_of_the_configuration(client: httpx.Client) -> None:
    given = {"LLM_DIT_QWEN_IMAGE__NUM_INFERENCE_STEPS": "30", "LLM_DIT_QWEN_IMAGE__LAYER_NUM": "6"}
    settings = load_settings(environment=given)
    schemas = describe(create_app(settings), defaults_of(settings.qwen_image))["components"]["schemas"]
    told = {name: field.get("default") for name, field in schemas["DecomposeRequest"]["properties"].items()}
    assert (told["steps"], told["layer_num"], told["resolution"], told["cfg_scale"]) == (30, 6, 640, 4.0)
    assert schemas["EditLayerRequest"]["properties"]["steps"]["default"] == 30
    running = client.get("/api/openapi.json").json()["components"]["schemas"]["DecomposeRequest"]["properties"]
    defaults = client.get("/api/qwen-image/config").json()["defaults"]
    assert {name: running[name]["default"] for name in defaults} == defaults


LIBRARY = """
from PIL import Image
from llm_dit.errors import InputError
from llm_dit.pipelines.classical import ClassicalPipeline
print(len(ClassicalPipeline().decompose(Image.effect_noise((32, 32), 90), layer_num=12)))
try:
    ClassicalPipeline().decompose(Image.effect_noise((32, 32), 90), layer_num=13)
except InputError as error:
    print(error.message)
"""


def with_most_layers(folder: Path, count: int) -> dict[str, str]:
    """Return an environment in which the library in `folder` is imported: ours, with another most of layers."""
    shutil.copytree(ROOT / "src/llm_dit", folder / "llm_dit")  # with what is compiled of it
    home = folder / "llm_dit/options.py"
    ours = home.read_text(encoding="utf-8")
    theirs = ours.replace(
        "LayerNum = Annotated[int, Field(ge=1, le=10,", f"LayerNum = Annotated[int, Field(ge=1, le={count},"
    )
    assert theirs != ours
    home.write_text(theirs, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_a_limit_is_changed_in_one_place(start_service: Callable[..., Service], tmp_path: Path) -> None:
    """The page is asked in tests/browser/test_service.py."""
    environment = with_most_layers(tmp_path / "library", 12)

    def run(*arguments: str) -> str:
        return subprocess.run(
            arguments, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
        ).stdout

    assert run(sys.executable, "-c", LIBRARY).splitlines() == ["13", "layer_num must be from 1 to 12."]
    assert "(1–12)" in run(sys.executable, *LLM_DIT, "decompose", "--help")
    assert "(1–12)" in run(sys.executable, "scripts/generate.py", "--help")
    service = start_service(environment=environment)
    with service.connect() as client:
        asked = {"image": SQUARE_URL, "output_size": "original"}
        taken = client.post("/api/qwen-image/decompose", json={**asked, "layer_num": 12})
        assert (taken.status_code, taken.json()["layer_count"]) == (200, 12)
        refused = client.post("/api/qwen-image/decompose", json={**asked, "layer_num": 13})
        assert (refused.status_code, refused.json()["error"]["param"]) == (422, "layer_num")
        assert "12" in refused.json()["detail"]
        assert client.get("/api/qwen-image/config").json()["limits"]["layer_num"] == [1, 12]
        schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
        assert schemas["DecomposeRequest"]["properties"]["layer_num"]["anyOf"][0]["maximum"] == 12


def test_the_page_places_layers_within_the_bounds_that_the_server_has() -> None:
    text = (ROOT / "static/js/state/doc.js").read_text(encoding="utf-8")
    told = dict(re.findall(r"^export const (\w+) = (.*);$", text, re.MULTILINE))
    assert tuple(json.loads(told["SCALE_LIMITS"])) == bounds(Scale)
    most = int(told["OFFSET_LIMIT"].replace("_", ""))
    assert (-most, most) == bounds(Offset)


def test_the_page_and_the_library_call_the_same_layers_poor() -> None:
    text = (ROOT / "static/js/views/layers/results.js").read_text(encoding="utf-8")
    assert f"const POOR_DB = {POOR_DB:g};" in text

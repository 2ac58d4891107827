"""Many pictures in one command, and measuring what was made of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from llm_dit.exports.formats import ExportName, export
from llm_dit.layer import Layer
from tests.kit.forks import llm_dit as run

SIZE = (96, 64)


def layers_of_a_scene(color: str) -> list[Layer]:
    disc, box, hidden = (Image.new("RGBA", SIZE) for _ in range(3))
    ImageDraw.Draw(disc).ellipse((8, 8, 40, 40), fill=color)
    ImageDraw.Draw(box).rectangle((50, 20, 85, 55), fill="#123c8c")
    ImageDraw.Draw(hidden).rectangle((0, 0, 90, 60), fill="black")
    ground = Layer(image=Image.new("RGBA", SIZE, "#ffd93b"), name="Ground")
    shown = [Layer(image=disc, name="Disc"), Layer(image=box, name="Box")]
    return [ground, *shown, Layer(image=hidden, name="Notes", visible=False)]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """A PSD and an ORA of three layers, and a PSD that is cut off."""
    folder = tmp_path / "truth"
    folder.mkdir()
    kinds: dict[str, ExportName] = {"#c8102e": "psd", "#3a7a3a": "ora"}
    for color, kind in kinds.items():
        content = export(layers_of_a_scene(color), kind, width=SIZE[0], height=SIZE[1])
        (folder / f"scene.{kind}").write_bytes(content)
    (folder / "cut.psd").write_bytes((folder / "scene.psd").read_bytes()[:200])
    return folder


def report_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_an_engine_is_measured_on_stacks_that_are_known(truth: Path, tmp_path: Path) -> None:
    done = run("evaluate", truth, "--engine", "classical", "--out", "made.json", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "cut.psd: This Photoshop file is damaged" in done.stderr
    report = report_of(tmp_path / "made.json")
    assert (report["engine"], report["options"]) == ("classical", {"seed": 0})
    cut, first, second = report["pictures"]
    assert (cut["name"], cut["status"], "damaged" in cut["error"]) == ("cut.psd", "failed", True)
    # What is hidden is no layer to be found, and things that do not overlap are one.
    assert (first["name"], first["layers"], first["found"], first["useful"]) == ("scene.ora", 3, 3, 3)
    assert second["edits"][0]["alpha_iou"] > 0.98
    assert report["mean"][0]["rgb_l1"] < 0.01
    assert "\n2 done, 1 failed; made.json\n" in done.stdout


def test_layers_that_are_there_are_measured_by_their_names(truth: Path, tmp_path: Path) -> None:
    (truth / "cut.psd").unlink()
    (truth / "scene.ora").rename(truth / "other.ora")
    made = tmp_path / "made"
    made.mkdir()
    ground, disc, box, _ = layers_of_a_scene("#c8102e")
    content = export([ground, box], "zip", width=SIZE[0], height=SIZE[1])
    (made / "scene_layers.zip").write_bytes(content)
    (made / "other.psd").write_bytes(export([ground, disc, box], "psd", width=SIZE[0], height=SIZE[1]))
    done = run("evaluate", truth, "--against", made, "--side", 48, "--out", "report.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    other, scene = report_of(tmp_path / "report.json")["pictures"]
    # A disc of another color, and a scene without its disc.
    assert other["edits"][0]["alpha_iou"] > 0.999
    assert other["edits"][0]["rgb_l1"] > 0.02
    assert (scene["found"], 0.7 < scene["edits"][0]["alpha_iou"] < 0.9) == (2, True)
    (made / "other.psd").unlink()
    done = run("evaluate", truth, "--against", made, cwd=tmp_path)
    assert (done.returncode, "has no decomposition of it, such as other_layers" in done.stderr) == (4, True)
    for arguments, says in (
        ((truth, "--against", made, "--seed", 1), "leave the engine's options out"),
        ((made / "nothing",), "holds no layers"),
    ):
        done = run("evaluate", *arguments, cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr

"""Many pictures in one command, and measuring what was made of them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
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
    """A PSD, an ORA and an SVG of three layers, and a PSD that is cut off."""
    folder = tmp_path / "truth"
    folder.mkdir()
    kinds: dict[str, ExportName] = {"#c8102e": "psd", "#3a7a3a": "ora", "#2040c0": "svg"}
    for color, kind in kinds.items():
        content = export(layers_of_a_scene(color), kind, width=SIZE[0], height=SIZE[1])
        (folder / f"scene.{kind}").write_bytes(content)
    (folder / "cut.psd").write_bytes((folder / "scene.psd").read_bytes()[:200])
    return folder


def report_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_engine_is_measured_on_stacks_that_are_known(truth: Path, tmp_path: Path) -> None:
    done = run("evaluate", truth, "--engine", "classical", "--out", "made.json", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "cut.psd: This Photoshop file is damaged" in done.stderr
    report = report_of(tmp_path / "made.json")
    assert (report["engine"], report["options"]) == ("classical", {"seed": 0})
    cut, first, second, third = report["pictures"]
    assert (cut["name"], cut["status"], "damaged" in cut["error"]) == ("cut.psd", "failed", True)
    # What is hidden is no layer to be found, and things that do not overlap are one.
    assert (first["name"], first["layers"], first["found"], first["useful"]) == ("scene.ora", 3, 3, 3)
    assert (third["name"], third["layers"]) == ("scene.svg", 3)
    assert second["edits"][0]["alpha_iou"] > 0.98
    assert report["mean"][0]["rgb_l1"] < 0.01
    assert "\n3 done, 1 failed; made.json\n" in done.stdout


def test_layers_that_are_there_are_measured_by_their_names(truth: Path, tmp_path: Path) -> None:
    (truth / "cut.psd").unlink()
    (truth / "scene.svg").unlink()
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
    (tmp_path / "empty").mkdir()
    done = run("evaluate", truth, "--against", made, cwd=tmp_path)
    assert (done.returncode, "has no decomposition of this file, such as other_layers" in done.stderr) == (4, True)
    for arguments, says in (
        ((truth, "--against", made, "--seed", 1), "leave the engine's options out"),
        ((tmp_path / "empty",), "contains no layers"),
    ):
        done = run("evaluate", *arguments, cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, a file that is none, and notes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, color in (("red", "#c8102e"), ("green", "#3a7a3a")):
        image = Image.new("RGB", SIZE, "#ffd93b")
        ImageDraw.Draw(image).ellipse((8, 8, 40, 40), fill=color)
        image.save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("mine")
    return folder


def statuses(folder: Path) -> dict[str, str]:
    return {Path(entry["source"]).name: entry["status"] for entry in report_of(folder / "report.json")["pictures"]}


def test_many_pictures_are_taken_apart_and_one_that_is_broken_ends_nothing(pictures: Path, tmp_path: Path) -> None:
    command = ("decompose", pictures, "--layers", 2, "--seed", 7, "--out", "made")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "broken.png: This is not a readable picture" in done.stderr
    assert re.search(r"red\.png +done +2 layers, seed 7\n", done.stdout)
    assert done.stdout.endswith("2 done, 1 failed; made/report.json\n")
    assert statuses(tmp_path / "made") == {"broken.png": "failed", "green.png": "done", "red.png": "done"}
    made = report_of(tmp_path / "made" / "report.json")["pictures"][1]
    assert (made["target"], made["seed"], made["score"]["useful"]) == ("green_layers", 7, 2)
    assert json.loads((tmp_path / "made/red_layers/manifest.json").read_text())["seed"] == 7

    # Again: what is done and unchanged is left alone, another picture, other options and what is missing are not.
    Image.new("RGB", SIZE, "white").save(pictures / "red.png")
    kept = (tmp_path / "made/green_layers/manifest.json").stat().st_mtime_ns
    (pictures / "broken.png").unlink()
    done = run(*command, cwd=tmp_path)
    assert (done.returncode, "1 done, 1 skipped" in done.stdout) == (0, True), done.stderr
    assert (tmp_path / "made/green_layers/manifest.json").stat().st_mtime_ns == kept
    for more in (("--seed", 8), ("--seed", 8, "--again")):
        done = run(*command, *more, cwd=tmp_path)
        assert (done.returncode, "2 done; made" in done.stdout) == (0, True), done.stderr
    # The report still says of a picture that is gone what has become of it.
    assert statuses(tmp_path / "made") == {"broken.png": "failed", "green.png": "done", "red.png": "done"}


def test_many_layers_are_edited_and_many_stacks_exported(pictures: Path, tmp_path: Path) -> None:
    both = (pictures / "red.png", pictures / "green.png")
    done = run("edit", *both, "make it blue", "--seed", 3, "--out", "blue", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("red", "green"):
        with Image.open(tmp_path / f"blue/{name}_edited.png") as edited:
            r, _, b = np.asarray(edited.convert("RGB")).reshape(-1, 3).mean(axis=0)
        assert b > r
    # As one of them was made is how both were.
    like = ("edit", *both, "--like", tmp_path / "blue/red_edited.png", "--out", "blue")
    assert "2 skipped; blue" in run(*like, cwd=tmp_path).stdout
    assert "2 done; blue" in run(*like, "--region", "0,0,20,20", cwd=tmp_path).stdout
    refused = [
        (("edit", *both), "Say what to change"),
        (("decompose", *both, "-o", "x"), "-o is for one picture"),
        (("decompose", *both, pictures / "red.png"), "would both be"),
        (("decompose", tmp_path / "blue" / "nothing"), "cannot be read"),
    ]
    for command, says in refused[:3]:
        done = run(*command, "--out", "other", cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    for command, says in ((("decompose", *both), "need --out"), refused[3]):
        done = run(*command, cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr

    stacks = tmp_path / "stacks"
    stacks.mkdir()
    kinds: dict[str, ExportName] = {"a": "zip", "b_layers": "zip", "d": "svg"}
    for name, kind in kinds.items():
        content = export(layers_of_a_scene("#c8102e"), kind, width=SIZE[0], height=SIZE[1])
        (stacks / f"{name}.{kind}").write_bytes(content)
    (stacks / "c.psd").write_bytes(b"8BPS")
    done = run("export", stacks, "--out", "files", "--format", "psd", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert sorted(file.name for file in (tmp_path / "files").iterdir()) == ["a.psd", "b.psd", "d.psd", "report.json"]
    for arguments in (("--out", "files"), ("-o", "x.psd", "--format", "psd"), ()):
        done = run("export", stacks, *arguments, cwd=tmp_path)
        assert (done.returncode, "a format with --format" in done.stderr) == (2, True), done.stderr

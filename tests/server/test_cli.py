"""The command line as people use it: a process, its output, its exit code and the files it leaves."""

import json
import os
import re
import signal
import socket
import subprocess
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psd_tools
import pytest
from PIL import Image, ImageDraw

from llm_dit import export
from llm_dit.decoding.opening import FORMAT_NAMES
from llm_dit.options import read_recipe
from server.storage.database import FolderLock
from tests.kit.forks import COMMANDS, ROOT, begin
from tests.kit.forks import llm_dit as run
from tests.kit.running import ended
from tests.kit.service import connect
from tests.kit.stacks import layer_file, layers_of
from tests.kit.waiting import wait_until
from tests.test_classical_harmonizing import error, scene

COMMAND = COMMANDS["llm-dit"]


@pytest.fixture
def poster(tmp_path: Path) -> Path:
    image = Image.new("RGB", (160, 120), "#ffd93b")
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 80, 80), fill="#c8102e")
    draw.rectangle((100, 40, 150, 110), fill="#123c8c")
    image.save(tmp_path / "poster.png")
    return tmp_path / "poster.png"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA")).astype(int)


def one_line_error(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


def test_version_is_printed(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{version('llm-dit')}\n"), done.stderr


def test_decompose_edit_composite(poster: Path, tmp_path: Path) -> None:
    done = run("decompose", poster, "--layers", 3, "--seed", 7, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 layers, seed 7" in done.stdout
    folder = tmp_path / "poster_layers"
    layers, manifest = layer_file(folder)
    assert (len(layers), manifest.width, manifest.height) == (3, 160, 120)
    about = json.loads((folder / "manifest.json").read_text())
    assert about["seed"] == 7
    assert about["score"]["sentence"] == "All 3 layers are useful."
    assert "\nAll 3 layers are useful. The stack rebuilds" in done.stdout
    given = pixels(poster)
    assert np.abs(pixels(folder / "composite.png") - given).max() <= 1

    files = sorted(folder.glob("0*.png"))
    done = run("edit", files[-1], "change the color to green", "-o", files[-1], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"seed \d+", done.stdout)

    done = run("composite", folder, "-o", "again.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = pixels(tmp_path / "again.png")
    changed = np.abs(again - given).max(axis=-1) > 8
    assert 0.02 < changed.mean() < 0.4
    greener = again[changed][:, 1] - again[changed][:, [0, 2]].max(axis=1)
    assert np.median(greener) > 0


def test_layers_are_named_in_a_language_or_as_their_boxes_are(poster: Path, tmp_path: Path) -> None:
    door = "96,36,154,114=Blue door"
    done = run("decompose", poster, "--layers", 2, "--language", "zh-Hans", "--region", door, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    layers = layers_of(tmp_path / "poster_layers")
    assert [layer.name for layer in layers] == ["背景", "Blue door"]
    assert Image.fromarray(np.asarray(layers[1].image)[..., 3] // 128).getbbox() == (100, 40, 151, 111)


@pytest.mark.slow
def test_a_layer_is_harmonized_and_gets_a_shadow(tmp_path: Path) -> None:
    stack, truth = scene(401, (0.6, 0.65, 0.75))
    (tmp_path / "stack.zip").write_bytes(export(stack, "zip", width=320, height=240))
    done = run("harmonize", "stack.zip", "--layer", "Part", "--shadow", "-o", "fitted", cwd=tmp_path)
    assert (done.returncode, "Part changed by" in done.stdout) == (0, True), done.stderr
    layers = layers_of(tmp_path / "fitted")
    assert [layer.name for layer in layers] == ["Ground", "Shadow of Part", "Part"]
    assert error(layers[2], truth) < error(stack[1], truth)
    for layer in ("Nobody", "0", "3"):
        done = run("harmonize", "stack.zip", "--layer", layer, cwd=tmp_path)
        assert (done.returncode, "give a name or 1–2" in done.stderr) == (2, True), done.stderr


def test_an_edit_is_kept_within_a_box_or_a_mask(poster: Path, tmp_path: Path) -> None:
    mask = Image.new("L", (160, 120))
    mask.paste(255, (96, 36, 154, 114))
    mask.save(tmp_path / "mask.png")
    made = []
    for region in ("96,36,154,114", tmp_path / "mask.png"):
        done = run("edit", poster, "make it green", "--region", region, "-o", "edited.png", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        made.append(pixels(tmp_path / "edited.png"))
    assert np.array_equal(*made)
    done = run("edit", poster, "--like", "edited.png", "-o", "again.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(pixels(tmp_path / "again.png"), made[1])
    # A recipe names its mask, and does not say where it was.
    assert read_recipe((tmp_path / "again.png").read_bytes()).options["region"] == "mask.png"
    (tmp_path / "mask.png").unlink()
    done = run("edit", poster, "--like", "again.png", cwd=tmp_path)
    assert (done.returncode, "within the mask mask.png" in done.stderr) == (2, True), done.stderr
    run("edit", poster, "make it green", "--region", "96,36,154,114", "-o", "boxed.png", cwd=tmp_path)
    done = run("edit", poster, "--like", "boxed.png", "-o", "again.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(pixels(tmp_path / "again.png"), made[0])
    changed = np.abs(made[0] - pixels(poster)).max(-1) > 0
    assert Image.fromarray(changed).getbbox() == (96, 36, 154, 114)
    for region, says in (
        ("1,2,3", "4 comma-separated numbers"),
        ("200,1,300,9", "outside the layer"),
        ("nowhere.png", "cannot be read"),
    ):
        done = run("edit", poster, "make it green", "--region", region, cwd=tmp_path)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    done = run("edit", poster, "make it green", "--reference", poster, cwd=tmp_path)
    assert (done.returncode, "does not support reference pictures" in done.stderr) == (2, True), done.stderr


def test_taking_apart_again_leaves_no_layers_of_before(poster: Path, tmp_path: Path) -> None:
    folder = tmp_path / "poster_layers"
    for layers, said in ((5, "5 layers"), (1, "1 layer,")):
        done = run("decompose", poster, "--layers", layers, "--seed", 7, cwd=tmp_path)
        assert said in done.stdout, done.stderr
        (folder / "notes.txt").write_text("mine")
    files = {file.name for file in folder.iterdir()}
    assert files == {"composite.png", "01-Background.png", "manifest.json", "notes.txt"}


@pytest.mark.slow
def test_select_makes_a_layer_of_what_is_pointed_at(poster: Path, tmp_path: Path) -> None:
    done = run("select", poster, "--point", "50,50", "--name", "Disc", "-o", "cut", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "cut: 2 layers\n")
    behind, disc = (pixels(next((tmp_path / "cut").glob(name))) for name in ("01-*.png", "02-Disc.png"))
    assert np.abs(behind[50, 50] - [255, 217, 59, 255]).max() <= 3
    assert disc[50, 50].tolist() == [200, 16, 46, 255]
    assert not disc[:, 95:, 3].any()
    assert np.abs(pixels(tmp_path / "cut" / "composite.png") - pixels(poster)).max() <= 1
    again = run("select", "cut", "--box", "95,35,155,115", "-o", "cut", cwd=tmp_path)
    assert again.stdout == "cut: 3 layers\n", again.stderr


def test_composite_takes_single_pictures_and_zips(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), "red").save(tmp_path / "bottom.png")
    Image.new("RGBA", (2, 2), "blue").save(tmp_path / "top.png")
    done = run("composite", "bottom.png", "top.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pixels(tmp_path / "composite.png")[1, 1].tolist() == [0, 0, 255, 255]
    with zipfile.ZipFile(tmp_path / "stack.zip", "w") as archive:
        archive.write(tmp_path / "top.png", "top.png")
        archive.writestr(
            "manifest.json", '{"width": 4, "height": 4, "layers": [{"file": "top.png", "x": 2, "opacity": 0.5}]}'
        )
    done = run("composite", "stack.zip", "-o", "zip.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = pixels(tmp_path / "zip.png")
    assert made.shape == (4, 4, 4) and made[0, 3].tolist() == [0, 0, 255, 128]


def bundle_of_two(path: Path) -> None:
    """Write a ZIP with a red ground of 8 × 8 and, multiplied, a blue square of 2 × 2 at twice its size."""
    manifest = {
        "width": 8,
        "height": 8,
        "layers": [
            {"file": "ground.png", "name": "Ground"},
            {"file": "square.png", "name": "四角", "x": 4, "scale": 2, "blend": "multiply", "group": "Top"},
        ],
    }
    for name, side, color in (("ground", 8, "red"), ("square", 2, "blue")):
        Image.new("RGBA", (side, side), color).save(path.with_name(f"{name}.png"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_name("ground.png"), "ground.png")
        archive.write(path.with_name("square.png"), "square.png")
        archive.writestr("manifest.json", json.dumps(manifest))


def test_composite_and_export_heed_what_a_bundle_says(tmp_path: Path) -> None:
    bundle_of_two(tmp_path / "stack.zip")
    done = run("composite", "stack.zip", "-o", "flat.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    flat = pixels(tmp_path / "flat.png")
    assert flat[1, 5].tolist() == flat[3, 7].tolist() == [0, 0, 0, 255]
    assert flat[5, 5].tolist() == flat[1, 3].tolist() == [255, 0, 0, 255]
    for suffix in ("psd", "PPTX", "zip"):
        done = run("export", "stack.zip", "-o", f"out.{suffix}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"out.{suffix}: 2 layers" in done.stdout
    document = psd_tools.PSDImage.open(tmp_path / "out.psd")
    assert [layer.name for layer in document.descendants()] == ["Ground", "Top", "四角"]
    layers = layers_of(tmp_path / "out.zip")
    assert [(layer.scale, layer.blend, layer.group) for layer in layers] == [(1, "normal", ""), (2, "multiply", "Top")]


def test_a_jpeg_takes_the_background_it_is_given(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8)).save(tmp_path / "clear.png")
    done = run("export", "clear.png", "-o", "out.jpeg", "--background", "#2040c0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.abs(pixels(tmp_path / "out.jpeg")[4, 4] - [0x20, 0x40, 0xC0, 255]).max() <= 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decompose", "gone.png"], "no such file"),
        (["decompose", "text.png"], f"send a {FORMAT_NAMES} file"),
        (["decompose", "poster.png", "--layers", "11"], "--layers must be"),
        (["edit", "poster.png", "add a hat"], "Qwen-Image"),
        (["edit", "long.png", "make it blue"], "--fit"),
        (["edit", "poster.png", "make it blue", "-o", "gone/out.png"], "cannot be written"),
        (["edit", "poster.png", "make it blue", "-o", "out.jpg"], "must end with .png"),
        (["composite", "poster.png", "-o", "out.psd"], "must end with .png"),
        (["composite", "empty"], "not a layer bundle"),
        (["select", "poster.png"], "Nothing is marked"),
        (["select", "poster.png", "--box", "1,2,3"], "--box must be 4 comma-separated numbers"),
        (["select", "poster.png", "--point", "900,2"], "160×120 pixels"),
        (["export", "poster.png", "-o", "poster.gif"], ".psd"),
        (["export", "poster.png", "-o", "poster"], ".psd"),
        (["export", "empty", "-o", "poster.psd"], "not a layer bundle"),
        (["export", "poster.png", "-o", "poster.jpg", "--background", "red"], "--background must be"),
        (["export", "poster.png", "-o", "gone/poster.psd"], "cannot be written"),
        (["decompose", "poster.png", "--config", "gone.toml"], "gone.toml"),
        (["decompose", "poster.png", "--profile", "nobody"], "nobody"),
        (["decompose", "poster.png", "--engine", "magic"], "engine"),
        (["decompose", "poster.png", "--config", "wrong.toml"], "prot"),
        (["serve", "--config", "broken.toml"], "broken.toml"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(arguments: list[str], says: str, poster: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    Image.new("RGB", (9000, 100)).save(tmp_path / "long.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.toml").write_text("[default.server]\nprot = 8000\n")
    (tmp_path / "broken.toml").write_text("[default.server\n")
    assert says.lower() in one_line_error(run(*arguments, cwd=tmp_path), 2).lower()


def test_a_picture_that_is_too_large_is_scaled_when_that_is_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 150), "navy").save(tmp_path / "long.png")
    done = run("edit", "long.png", "make it red", "--fit", "-o", "red.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9000×150 to 8192×136" in done.stderr
    with Image.open(tmp_path / "red.png") as image:
        assert image.size == (8192, 136)


def test_an_engine_that_cannot_run_is_exit_code_3(poster: Path, tmp_path: Path) -> None:
    assert "Qwen" in one_line_error(run("decompose", poster, "--engine", "qwen", cwd=tmp_path), 3)


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in one_line_error(run("serve", "--port", port, cwd=tmp_path), 2)


def test_a_data_folder_in_use_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[default.server]\ndata_dir = "data"\n')
    (tmp_path / "data").mkdir()
    lock = FolderLock(tmp_path / "data")
    try:
        done = run("serve", "--port", "0", cwd=tmp_path)
    finally:
        lock.release()
    assert "another service uses this folder" in one_line_error(done, 2)


@pytest.mark.slow
def test_serve_says_where_the_page_is_and_ends_on_a_signal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen([*COMMAND, "serve", "--port", "0"], cwd=tmp_path, stdout=output, stderr=output)
        try:
            wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), "the address")
            address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
            assert address is not None
            with connect(address[0]) as client:
                assert client.get("/livez").status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait() in {0, -signal.SIGTERM}
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_serve_opens_to_other_machines_with_a_token_only(tmp_path: Path, host: str) -> None:
    done = run("serve", "--host", host, "--port", 0, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "LLM_DIT_SERVER__TOKEN" in done.stderr
    assert "--insecure" in done.stderr
    command = re.search(rf"^  (.*llm-dit serve --host {host} --port 0) --token=(\S{{16}})$", done.stderr, re.MULTILINE)
    assert command is not None, done.stderr
    again = run("serve", "--host", host, "--port", 0, cwd=tmp_path)
    assert command[2] not in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--token", "two words"], "the command line: server.token = … is not valid: it must be of ASCII letters"),
        (["--allow-host", "*"], "server.allowed_hosts = ['*'] is not valid: each must be a name or an address"),
    ],
)
def test_serve_refuses_what_could_not_work(tmp_path: Path, arguments: list[str], says: str) -> None:
    line = one_line_error(run("serve", *arguments, cwd=tmp_path), 2)
    assert says in line
    assert "two words" not in line


def test_serve_takes_its_door_from_the_command_line_and_keeps_the_token_to_itself(tmp_path: Path) -> None:
    token, log = "a-token-of-the-tests", tmp_path / "log"
    options = ["--port", "0", "--token", token, "--allow-host", "studio.lan", "--allow-host", "[::1]"]
    with ended(begin("llm-dit", ["serve", *options], cwd=tmp_path, environment=os.environ, out=log)):
        wait_until(lambda: log.exists() and re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), "the address")
        address = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        assert address is not None
        with connect(address[0]) as client:
            answer = client.get("/docs", headers={"Host": "studio.lan"})
            assert (answer.status_code, "server" in answer.headers) == (401, False)
            assert client.get("/docs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
            assert client.get("/livez", headers={"Host": "other.lan"}).status_code == 400
        port = address[0].rpartition(":")[2]
        assert run("health", "--port", port, cwd=tmp_path).returncode == 0
        # In a container the settings come from the environment, and the service listens on all addresses.
        container = {"LLM_DIT_SERVER__PORT": port, "LLM_DIT_SERVER__HOST": "0.0.0.0"}
        assert run("health", cwd=tmp_path, environment=container).returncode == 0
    assert token not in log.read_text()
    assert f"http://127.0.0.1:{port} does not answer" in one_line_error(run("health", "--port", port, cwd=tmp_path), 3)


@pytest.mark.parametrize("command", ["serve", "decompose", "edit", "composite", "export", "doctor"])
def test_help_teaches_by_example(command: str, tmp_path: Path) -> None:
    done = run(command, "--help", cwd=tmp_path)
    assert "typing." not in done.stdout
    assert done.returncode == 0
    assert f"llm-dit {command}" in done.stdout.replace("Usage: llm-dit", "", 1)


def test_install_brings_the_packages_of_an_extra_and_asks_no_index_for_ours(tmp_path: Path) -> None:
    """With a pip that prints what it is asked for, and fails for the longer of both extras."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text("import sys; print(*sys.argv[1:]); sys.exit(len(sys.argv) > 9)")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra, code in (("quantization", 0), ("qwen", 2)):
        done = run("install", extra, cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path)})
        assert done.returncode == code, done.stderr
        action, base, qwen, *wanted = done.stdout.split()
        assert (action, Path(base).name, Path(qwen).name) == ("install", "base.txt", "qwen.txt")
        assert [name_of(requirement) for requirement in wanted] == [name_of(entry) for entry in extras[extra]]
    assert "could not be installed" in done.stderr


def name_of(requirement: str) -> str:
    return re.split(r"[<>=]", requirement)[0]


def test_config_prints_a_file_to_start_from(poster: Path, tmp_path: Path) -> None:
    done = run("config", cwd=tmp_path)
    (tmp_path / "config.toml").write_text(done.stdout, encoding="utf-8")
    assert tomllib.loads(done.stdout)["default"]["server"] == {}
    assert run("decompose", poster, "--layers", 1, cwd=tmp_path).returncode == 0


def test_layers_of_a_newer_version_are_refused_as_such(poster: Path, tmp_path: Path) -> None:
    assert run("decompose", poster, "-o", "layers", cwd=tmp_path).returncode == 0
    manifest = tmp_path / "layers/manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 2}))
    assert "A newer version of llm-dit" in one_line_error(run("composite", "layers", cwd=tmp_path), 2)

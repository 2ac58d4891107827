"""Select object over HTTP: a mask of what is pointed at, a layer of it, and never a wait for a run."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.jobs import queue, wait_idle
from tests.kit.pictures import SQUARE_URL, as_data_url, difference, disc, from_data_url, png, square
from tests.kit.running import pool_processes_of
from tests.kit.service import Service
from tests.kit.waiting import wait_until
from tests.web.corpus import assert_problem

SELECT = "/api/qwen-image/select"


def poster() -> Image.Image:
    picture = square().convert("RGBA")
    picture.alpha_composite(disc(30), (10, 8))
    return picture


@pytest.fixture
def kept(client: httpx.Client) -> str:
    """The address of a blue picture with a red disc on it."""
    answer = client.post("/api/images", content=png(poster()), headers={"Content-Type": "image/png"})
    return answer.json()["image"]


@pytest.mark.parametrize("hints", [{"box": [8, 6, 42, 40]}, {"points": [[25, 23]]}], ids=["box", "click"])
def test_a_thing_is_selected_and_becomes_a_layer(client: httpx.Client, kept: str, hints: dict[str, object]) -> None:
    stack = [{"image": kept, "name": "Poster", "group": "All"}, {"image": kept, "name": "Hidden", "visible": False}]
    shown = [{"image": kept}]
    found = client.post(SELECT, json={"layers": shown, **hints})
    assert found.status_code == 200, found.text
    body = found.json()
    mask = from_data_url(body["mask"])
    assert (mask.mode, mask.size, body["width"], body["height"]) == ("L", (48, 48), 48, 48)
    assert tuple(body["box"]) == mask.getbbox()
    assert body["coverage"] == pytest.approx(np.asarray(mask).mean() / 255, abs=1e-3)
    assert mask.getpixel((25, 23)) == 255 and mask.getpixel((2, 2)) == 0

    made = client.post(f"{SELECT}/layer", json={"layers": stack, "mask": body["mask"], "name": "Sun"})
    assert made.status_code == 200, made.text
    answer = made.json()
    assert answer["index"] == 1
    assert [changed["index"] for changed in answer["changed"]] == [0]
    layer = answer["layer"]
    assert (layer["name"], layer["group"], layer["x"], layer["width"]) == ("Sun", "All", 0, 48)
    assert layer["coverage"] == pytest.approx(body["coverage"], abs=0.03)

    behind = {"image": answer["changed"][0]["image"]}
    after = client.post("/api/qwen-image/composite", json={"layers": [behind, {"image": layer["image"]}]})
    assert difference(from_data_url(after.json()["image"]), poster()) <= 1
    filled = client.post("/api/qwen-image/composite", json={"layers": [behind]})
    assert difference(from_data_url(filled.json()["image"]), square().convert("RGBA")) <= 3


def test_the_process_that_has_seen_selects_again(stepping_service: Service, client: httpx.Client, kept: str) -> None:
    selections = []
    for _ in range(2):
        selections.append(client.post(SELECT, json={"layers": [{"image": kept}], "points": [[25, 23]]}).json())
        selections[-1]["pids"] = pool_processes_of(stepping_service.process.pid)
    assert selections[0] == selections[1]


@pytest.mark.slow
def test_a_stack_is_not_taken_for_the_last_one_of_the_same_pictures(client: httpx.Client, kept: str) -> None:
    def selected(x: int) -> list[int]:
        layers = [{"image": kept, "x": x}]
        answer = client.post(SELECT, json={"layers": layers, "width": 60, "height": 48, "points": [[25 + x, 23]]})
        return answer.json()["box"]

    first = selected(0)
    assert selected(12) == [first[0] + 12, first[1], first[2] + 12, first[3]]
    assert selected(0) == first


def test_selecting_waits_for_no_run(client: httpx.Client, kept: str, go: Path) -> None:
    wait_idle(client)
    run = {"image": SQUARE_URL, "prompt": "wait"}
    job = client.post("/api/qwen-image/decompose", json=run, headers={"Prefer": "respond-async"}).json()
    wait_until(lambda: queue(client)["running"] == 1, "the run")
    assert client.post(SELECT, json={"layers": [{"image": kept}], "points": [[25, 23]]}).status_code == 200
    assert client.get(f"/api/jobs/{job['id']}").json()["status"] == "processing"
    go.touch()
    wait_idle(client)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (SELECT, {}, "points"),
        (SELECT, {"points": [[500, 3]]}, "points"),
        (SELECT, {"points": [[3]]}, "points.0"),
        (SELECT, {"points": [[1, 1]] * 1001}, "points"),
        (SELECT, {"box": [1, 2, 3]}, "box"),
        (f"{SELECT}/layer", {"mask": as_data_url(png(Image.new("L", (48, 48))))}, "mask"),
        (f"{SELECT}/layer", {"mask": as_data_url(png(Image.new("L", (20, 48), 255)))}, "mask"),
        (f"{SELECT}/layer", {"mask": "nothing"}, "mask"),
        (f"{SELECT}/layer", {}, "mask"),
    ],
)
def test_what_selects_nothing_is_refused(
    client: httpx.Client, kept: str, path: str, fields: dict[str, object], param: str
) -> None:
    answer = client.post(path, json={"layers": [{"image": kept}], **fields})
    assert assert_problem(answer, 422)["param"] == param

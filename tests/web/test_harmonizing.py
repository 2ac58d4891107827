"""Harmonizing over HTTP: a layer's new picture and its shadow, without waiting for a run."""

import io
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.pictures import SQUARE_URL, as_data_url, disc, from_data_url, png
from tests.test_classical_harmonizing import error, scene
from tests.web.corpus import assert_problem

HARMONIZE = "/api/qwen-image/harmonize"


def test_a_layer_gets_the_colors_around_it_and_a_shadow(client: httpx.Client) -> None:
    (ground, part), truth = scene(401, (0.6, 0.65, 0.75))
    layers = [{"image": as_data_url(png(ground.image))}, {"image": as_data_url(png(part.image)), "x": 90, "y": 60}]
    made = client.post(HARMONIZE, json={"layers": layers, "index": 1, "shadow": True, "name": "Shade"})
    assert made.status_code == 200, made.text
    answer = made.json()
    assert 0 < answer["strength"] <= 1
    fitted = replace(part, image=got(client, answer["image"]))
    assert error(fitted, truth) < error(part, truth)
    assert np.array_equal(np.asarray(fitted.image)[..., 3], np.asarray(part.image)[..., 3])
    shadow = answer["shadow"]
    assert (shadow["name"], shadow["blend"]) == ("Shade", "multiply")
    between = {name: shadow[name] for name in ("image", "x", "y", "opacity", "blend")}
    stack = [layers[0], between, {**layers[1], "image": answer["image"]}]
    assert client.post("/api/qwen-image/composite", json={"layers": stack}).status_code == 200
    assert client.post(HARMONIZE, json={"layers": layers, "index": 1}).json()["shadow"] is None


def got(client: httpx.Client, address: str) -> Image.Image:
    return Image.open(io.BytesIO(client.get(address).content)).convert("RGBA")


def test_what_nothing_speaks_for_stays(client: httpx.Client) -> None:
    url = as_data_url(png(disc()))
    answer = client.post(HARMONIZE, json={"layers": [{"image": url}], "index": 0}).json()
    assert answer["strength"] == 0
    kept = got(client, answer["image"])
    assert kept.tobytes() == from_data_url(url).convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"index": 2}, "index"),
        ({"index": -1}, "index"),
        ({}, "index"),
        ({"index": "1"}, "index"),
        ({"index": 0, "layers": []}, "layers"),
        ({"index": 0, "layers": [{"image": "nothing"}]}, "layers.0.image"),
        ({"index": 0, "shadow": "soft"}, "shadow"),
        ({"index": 0, "strength": 1}, "strength"),
    ],
)
def test_bad_requests_are_refused(client: httpx.Client, more: dict[str, object], param: str) -> None:
    answer = client.post(HARMONIZE, json={"layers": [{"image": SQUARE_URL}, {"image": SQUARE_URL}], **more})
    assert_problem(answer, 422)
    assert answer.json()["error"]["param"] == param

"""Decompose, edit, composite and export over HTTP."""

import base64
import io
import json
import zipfile
from urllib.parse import quote

import httpx
import pytest
from PIL import Image, ImageChops

from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, disc, encoded, from_data_url, png, square
from tests.kit.service import connect


def post(client: httpx.Client, path: str, **fields: object) -> httpx.Response:
    return client.post(f"/api/qwen-image/{path}", json=fields)


def test_decompose_answers_with_the_composite_and_the_layers(client: httpx.Client) -> None:
    answer = post(client, "decompose", image=SQUARE_URL, prompt="a square", layer_num=3, seed=7, steps=2)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [layer["index"] for layer in body["layers"]] == [0, 1, 2, 3]
    assert [layer["name"] for layer in body["layers"]] == ["Composite", "Layer 0", "Layer 1", "Layer 2"]
    assert [layer["coverage"] for layer in body["layers"]] == [1.0, 1.0, 0.0, 0.0]
    assert {(layer["width"], layer["height"]) for layer in body["layers"]} == {(48, 48)}
    assert from_data_url(body["layers"][1]["image"]).getpixel((5, 5)) == (20, 120, 220, 255)
    del body["layers"]
    assert body.pop("generation_time") >= 0
    recipe, score = body.pop("recipe"), body.pop("score")
    assert (score["psnr"], score["worst"], score["useful"]) == (None, 0, 1)
    assert [(layer["verdict"], layer["box"]) for layer in score["layers"]] == [
        ("useful", [0, 0, 48, 48]),
        ("empty", None),
        ("empty", None),
    ]
    assert score["sentence"] == "1 of 3 layers is useful; “Layer 1” and “Layer 2” are empty: try 1 layer."
    assert body == {
        "layer_count": 3,
        "seed": 7,
        "warnings": [],
        "scaled_from": None,
        "prompt": "a square",
        "resolution": 640,
        "width": 48,
        "height": 48,
        "engine": "steps",
        "forward": None,
    }
    assert recipe["kind"] == "decompose"
    assert {"prompt": "a square", "layer_num": 3, "seed": 7}.items() <= recipe["options"].items()


def test_the_layers_are_named_in_the_language_asked_for(base_url: str) -> None:
    with connect(base_url) as classical:
        for more, names in [({}, ["Composite", "Background"]), ({"language": "zh-Hans"}, ["Composite", "背景"])]:
            answer = post(classical, "decompose", image=SQUARE_URL, layer_num=1, output_size="original", **more)
            assert [layer["name"] for layer in answer.json()["layers"]] == names


def test_as_many_layers_as_there_is_something_for(base_url: str) -> None:
    with connect(base_url) as classical:
        answer = post(classical, "decompose", image=SQUARE_URL, layer_num="auto", seed=1, output_size="original")
        body = answer.json()
        assert (answer.status_code, body["layer_count"], body["score"]["useful"]) == (200, 1, 1)
        assert body["recipe"]["options"]["layer_num"] == "auto"
        answer = post(classical, "decompose", image=SQUARE_URL, layer_num="some")
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "layer_num")


def test_an_engine_that_does_not_run_here_is_told(client: httpx.Client) -> None:
    assert client.get("/api/qwen-image/config").json()["beside"] is None
    answer = post(client, "decompose", image=SQUARE_URL, engine="qwen")
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "engine")
    assert "runs only the engine classical" in answer.json()["error"]["message"]
    same = post(client, "decompose", image=SQUARE_URL, engine="classical", prompt="", layer_num=1, steps=1)
    assert same.status_code == 200


def bounds_of(alpha: Image.Image) -> tuple[int, int, int, int]:
    box = alpha.point([0] * 128 + [255] * 128).getbbox()
    assert box is not None
    return box


@pytest.mark.slow
def test_a_thing_in_a_box_is_a_layer_of_its_name(base_url: str) -> None:
    picture = Image.new("RGB", (96, 72), (240, 220, 110))
    picture.paste((30, 60, 180), (50, 20, 80, 60))
    # The boxes are those of the picture as it is sent, of whatever size it is decomposed in.
    given = {"image": as_data_url(png(picture)), "layer_num": 2, "regions": [{"box": [46, 16, 84, 64], "name": "Door"}]}
    with connect(base_url) as classical:
        for size in ("original", "model"):
            answer = post(classical, "decompose", output_size=size, **given)
            assert answer.status_code == 200, answer.text
            assert [layer["name"] for layer in answer.json()["layers"]][2:] == ["Door"]
            door = from_data_url(answer.json()["layers"][2]["image"]).resize((96, 72)).getchannel("A")
            assert max(map(abs, map(int.__sub__, bounds_of(door), (50, 20, 80, 60)))) <= 1
        one = post(classical, "decompose", **given | {"layer_num": 1})
        assert (one.status_code, one.json()["error"]["param"]) == (422, "regions")
        flat = post(classical, "decompose", **given | {"regions": [{"box": [9, 9, 9, 20]}]})
        assert flat.status_code == 422
        assert "regions" in classical.get("/api/qwen-image/config").json()["capabilities"]["decompose"]


def test_a_result_of_one_color_is_told(client: httpx.Client) -> None:
    two_colors = square()
    two_colors.paste((250, 240, 20), (10, 10, 20, 20))
    colorful, plain = as_data_url(png(two_colors)), as_data_url(png(square()))
    black = post(client, "decompose", image=colorful, prompt="black", steps=1)
    assert black.status_code == 200
    (warning,) = black.json()["warnings"]
    assert "one color" in warning and "another seed" in warning
    assert post(client, "edit-layer", image=colorful, instruction="red", steps=1).json()["warnings"] == [warning]
    for image, prompt in [(colorful, ""), (plain, ""), (plain, "black")]:
        assert post(client, "decompose", image=image, prompt=prompt, steps=1).json()["warnings"] == []


def test_a_seed_is_chosen_and_told_when_none_is_given(client: httpx.Client) -> None:
    seeds = {post(client, "decompose", image=SQUARE_URL, steps=1).json()["seed"] for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize("field", ["image", "layer_image"])
def test_edit_layer_takes_the_image_under_both_names(client: httpx.Client, field: str) -> None:
    answer = post(client, "edit-layer", **{field: DISC_URL}, instruction="make it red", seed=200, steps=1)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    edited = from_data_url(body.pop("image"))
    assert edited.getchannel("A").tobytes() == disc().getchannel("A").tobytes()
    assert body.pop("generation_time") >= 0
    assert body.pop("recipe")["options"]["instruction"] == "make it red"
    told = {"seed": 200, "warnings": [], "scaled_from": None, "engine": "steps", "forward": None}
    assert body == {"width": 48, "height": 48, **told}


def test_edit_layer_gives_the_png_itself_to_who_accepts_it(client: httpx.Client) -> None:
    fields = {"image": DISC_URL, "instruction": "x", "seed": 5, "steps": 1}
    answer = client.post("/api/qwen-image/edit-layer", json=fields, headers={"Accept": "text/html, image/png;q=0.9"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-seed"] == "5"
    assert float(answer.headers["x-generation-time"]) >= 0
    assert Image.open(io.BytesIO(answer.content)).size == (48, 48)


PLAIN = base64.b64encode(png(square())).decode()


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(PLAIN, id="bare base64"),
        pytest.param("\n".join(base64.encodebytes(png(square())).decode().splitlines()), id="base64 in lines"),
        pytest.param(as_data_url(encoded(square(), "JPEG"), "image/jpeg"), id="jpeg"),
        pytest.param(as_data_url(encoded(square(), "WEBP", lossless=True), "image/webp"), id="webp"),
        pytest.param(as_data_url(png(square())).replace("data:image/png", "DATA:image/PNG"), id="capitals"),
        pytest.param(as_data_url(encoded(square(), "AVIF"), "image/jpg"), id="another label"),
        pytest.param(f"data:;base64,{PLAIN}", id="no label"),
        pytest.param(f"data:application/octet-stream;base64,{PLAIN}", id="bytes"),
        pytest.param(f"data:image/x-png;charset=utf-8;name=a.png;base64,{PLAIN}", id="parameters"),
        pytest.param(f"data:image/png; base64,{quote(PLAIN, safe='')}", id="base64 in percent-encoding"),
        pytest.param(f"data:image/png,{quote(png(square()))}", id="percent-encoding"),
        pytest.param(base64.urlsafe_b64encode(png(square())).decode().rstrip("="), id="base64 of addresses, unpadded"),
    ],
)
def test_images_are_taken_in_every_form(client: httpx.Client, image: str) -> None:
    answer = post(client, "composite", layers=[{"image": image}])
    assert answer.status_code == 200, answer.text
    assert from_data_url(answer.json()["image"]).size == (48, 48)


def test_an_uploaded_image_is_taken_by_its_address(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    turned = encoded(Image.new("RGB", (40, 20), "navy"), "JPEG", exif=exif)
    kept = client.post("/api/images", content=turned, headers={"Content-Type": "image/jpeg"})
    assert kept.status_code == 201
    assert kept.headers["location"] == kept.json()["image"]
    assert (kept.json()["width"], kept.json()["height"]) == (20, 40)

    shown = client.get(kept.json()["image"])
    assert Image.open(io.BytesIO(shown.content)).mode == "RGBA"
    assert "immutable" in shown.headers["cache-control"]
    again = client.get(kept.json()["image"], headers={"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    for path, fields in [("decompose", {"steps": 1}), ("edit-layer", {"instruction": "x", "steps": 1})]:
        answer = post(client, path, image=kept.json()["image"], **fields)
        assert (answer.json()["width"], answer.json()["height"]) == (20, 40)
    flat = post(client, "composite", layers=[{"image": kept.json()["image"]}])
    assert (flat.json()["width"], flat.json()["height"]) == (20, 40)


def test_composite_places_hides_and_fades_layers(client: httpx.Client) -> None:
    layers = [
        {"image": as_data_url(png(square(8, (255, 0, 0))))},
        {"image": as_data_url(png(square(8, (0, 0, 255)))), "x": 4, "opacity": 0.5},
        {"image": as_data_url(png(square(8, (0, 255, 0)))), "visible": False},
    ]
    body = post(client, "composite", layers=layers, width=16, height=9, background="#00ff0080").json()
    image = from_data_url(body["image"])
    assert (body["width"], body["height"]) == image.size == (16, 9)
    assert image.getpixel((1, 1)) == (255, 0, 0, 255)
    assert image.getpixel((5, 1)) == (128, 0, 128, 255)
    assert image.getpixel((15, 8)) == (0, 255, 0, 128)


def test_a_decomposition_goes_back_together(client: httpx.Client) -> None:
    body = post(client, "decompose", image=DISC_URL, layer_num=2, steps=1).json()
    layers = [{"image": layer["image"]} for layer in body["layers"][1:]]
    flat = from_data_url(post(client, "composite", layers=layers).json()["image"])
    assert ImageChops.difference(flat, from_data_url(body["layers"][0]["image"])).getbbox(alpha_only=False) is None


def test_export_gives_a_zip_or_a_picture(client: httpx.Client) -> None:
    layers = [{"image": SQUARE_URL, "name": "Ground"}, {"image": DISC_URL, "name": "Scheibe / 円"}]
    answer = post(client, "export", layers=layers, format="zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="layers.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert [entry["name"] for entry in manifest["layers"]] == ["Ground", "Scheibe / 円"]
        assert set(archive.namelist()) == {
            "composite.png",
            "manifest.json",
            *(entry["file"] for entry in manifest["layers"]),
        }
    answer = post(client, "export", layers=layers, format="png")
    assert answer.headers["content-disposition"] == 'attachment; filename="composite.png"'
    assert Image.open(io.BytesIO(answer.content)).size == (48, 48)


def test_what_runs_here_is_told(client: httpx.Client) -> None:
    status = client.get("/api/qwen-image/status").json()
    assert status["engine"] == "classical"
    assert "Qwen" in status["hint"]
    assert status["queue"] == {"length": 0, "running": 0, "max_length": 32}
    assert status["memory"]["used_bytes"] > 1_000_000
    config = client.get("/api/qwen-image/config").json()
    assert config["defaults"] == {
        "layer_num": 4,
        "resolution": 640,
        "steps": 50,
        "cfg_scale": 4.0,
        "speed": "exact",
        "output_size": "model",
    }
    assert config["capabilities"] == {
        "decompose": ["seed", "regions", "output_size"],
        "edit": [],
        "speeds": [],
        "any_instruction": False,
        "any_size": True,
        "references": 0,
        "photographs": "subject",
        "reports_steps": True,
    }
    assert client.get("/api/qwen-image/edit-status").json()["available"] is True
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json()["engine"] == "classical"


def test_an_edit_within_a_region_leaves_the_rest_as_it_is(base_url: str) -> None:
    mask = Image.new("L", (48, 48))
    mask.paste(255, (10, 8, 30, 40))
    asked = {"image": SQUARE_URL, "instruction": "make it red", "seed": 1}
    with connect(base_url) as classical:
        kept = classical.post("/api/images", content=png(mask), headers={"Content-Type": "image/png"}).json()["image"]
        regions = [{"box": [10, 8.5, 29.5, 40]}, {"mask": as_data_url(png(mask))}, {"mask": kept}]
        answers = [post(classical, "edit-layer", **asked, region=region) for region in regions]
        assert [answer.status_code for answer in answers] == [200] * 3, answers[0].text
        edits = {answer.json()["image"] for answer in answers}
        assert len(edits) == 1
        # The recipe says where, and a mask can be sent again as it says it.
        told = [answer.json()["recipe"]["options"]["region"] for answer in answers]
        assert told == [[10, 8, 30, 40], kept, kept]
        again = post(classical, "edit-layer", **asked, region={"mask": told[1]})
        assert again.json()["image"] in edits
        edited = from_data_url(edits.pop())
        difference = ImageChops.difference(edited.convert("RGB"), square().convert("RGB"))
        assert difference.getbbox() is not None
        assert ImageChops.multiply(difference, ImageChops.invert(mask).convert("RGB")).getbbox() is None
        whole = {post(classical, "edit-layer", **asked, **more).json()["image"] for more in ({}, {"region": None})}
        assert len(whole) == 1


def test_the_built_in_engine_takes_no_references(base_url: str) -> None:
    with connect(base_url) as classical:
        assert classical.get("/api/qwen-image/config").json()["capabilities"]["references"] == 0
        answer = post(classical, "edit-layer", image=SQUARE_URL, instruction="make it red", references=[SQUARE_URL])
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "references")
        assert "no references" in answer.json()["detail"]


def test_the_built_in_engine_looks_at_the_layer_alone(base_url: str) -> None:
    with connect(base_url) as classical:
        around = {"layers": [{"image": SQUARE_URL}, {"image": SQUARE_URL}], "index": 1}
        asked = {"image": SQUARE_URL, "instruction": "make it red", "context": True, "surroundings": around}
        answer = post(classical, "edit-layer", **asked)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "context")
        assert "looks at the layer alone" in answer.json()["detail"]


def test_the_built_in_engine_has_no_loras(base_url: str) -> None:
    with connect(base_url) as classical:
        for call, more in (("edit-layer", {"instruction": "make it red"}), ("decompose", {"layer_num": 1})):
            answer = post(classical, call, image=SQUARE_URL, loras=["style"], **more)
            assert (answer.status_code, answer.json()["error"]["param"]) == (422, "loras")
            assert "has no LoRAs" in answer.json()["detail"]
            assert post(classical, call, image=SQUARE_URL, loras=[], **more).status_code == 200


@pytest.mark.parametrize(
    ("region", "param"),
    [
        ({}, "region"),
        ({"box": [1, 1, 9, 9], "mask": SQUARE_URL}, "region"),
        ({"box": [1, 1, 9]}, "region.box"),
        ({"box": [9, 1, 1, 9]}, "region"),
        ({"box": [90, 1, 99, 9]}, "region"),
        ({"mask": "nothing"}, "region.mask"),
        ({"mask": as_data_url(png(Image.new("L", (20, 48), 255)))}, "region.mask"),
        ({"mask": as_data_url(png(Image.new("L", (48, 48))))}, "region"),
        ({"circle": [1, 1, 9]}, "region.circle"),
    ],
)
def test_what_is_no_region_is_refused(base_url: str, region: object, param: str) -> None:
    with connect(base_url) as classical:
        answer = post(classical, "edit-layer", image=SQUARE_URL, instruction="make it red", region=region)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text

"""Exports over HTTP: every format, its media type, and names of files that every system takes."""

import io
import re
from collections.abc import Callable
from urllib.parse import unquote

import httpx
import psd_tools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation
from pptx.shapes.autoshape import Shape

from llm_dit.color import BLEND_MODES
from llm_dit.names import file_stem
from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, from_data_url, png, square
from tests.kit.service import Service
from tests.kit.stacks import layers_of
from web.images import saved_as

PRESENTATION = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
FORMATS = {
    "zip": ("application/zip", "layers.zip", b"PK"),
    "psd": ("image/vnd.adobe.photoshop", "layers.psd", b"8BPS"),
    "ora": ("image/openraster", "layers.ora", b"PK"),
    "svg": ("image/svg+xml", "layers.svg", b"<?xml"),
    "pptx": (PRESENTATION, "layers.pptx", b"PK"),
    "png": ("image/png", "composite.png", b"\x89PNG"),
    "webp": ("image/webp", "composite.webp", b"RIFF"),
    "avif": ("image/avif", "composite.avif", b"\0\0\0"),
    "jpeg": ("image/jpeg", "composite.jpg", b"\xff\xd8\xff"),
}
LAYERS = [
    {"image": SQUARE_URL, "name": "Ground"},
    {"image": DISC_URL, "name": "Scheibe / 円", "group": "Top", "blend": "multiply", "scale": 0.5, "flip_x": True},
]


def export(client: httpx.Client, **fields: object) -> httpx.Response:
    return client.post("/api/qwen-image/export", json={"layers": LAYERS, **fields})


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_with_its_type_and_name(client: httpx.Client, name: str) -> None:
    media_type, file, signature = FORMATS[name]
    answer = export(client, format=name)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
    assert answer.content.startswith(signature)


@pytest.mark.slow
def test_lines_of_type_come_as_text_where_asked(client: httpx.Client) -> None:
    type_ = Image.new("L", (400, 80))
    ImageDraw.Draw(type_).text((20, 60), "Garden party", 255, ImageFont.load_default(44), "ls")
    picture = Image.new("RGBA", type_.size, "teal")
    picture.putalpha(type_)
    stack = {"layers": [{"image": as_data_url(png(picture))}], "format": "pptx"}
    for text, said in (("picture", []), ("editable", ["Garden party"])):
        answer = client.post("/api/qwen-image/export", json={**stack, "text": text})
        assert answer.status_code == 200, answer.text
        (slide,) = Presentation(io.BytesIO(answer.content)).slides
        assert [shape.text_frame.text for shape in slide.shapes if isinstance(shape, Shape)] == said
    refused = client.post("/api/qwen-image/export", json={**stack, "format": "psd", "text": "editable"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "text")


def test_the_page_is_told_what_there_is(client: httpx.Client) -> None:
    limits = client.get("/api/qwen-image/config").json()["limits"]
    assert limits["export_formats"] == list(FORMATS)
    assert limits["text_forms"] == ["picture", "editable", "both"]
    assert limits["blend_modes"] == list(BLEND_MODES)
    assert limits["scale"] == [0.01, 32.0]


def test_what_is_said_of_a_layer_arrives(client: httpx.Client) -> None:
    ground, disc = layers_of(export(client, format="zip").content)
    assert (ground.blend, ground.scale, ground.flip_x, ground.group) == ("normal", 1.0, False, "")
    assert (disc.blend, disc.scale, disc.flip_x, disc.flip_y, disc.group) == ("multiply", 0.5, True, False, "Top")
    document = psd_tools.PSDImage.open(io.BytesIO(export(client, format="psd").content))
    assert [layer.name for layer in document.descendants()] == ["Ground", "Top", "Scheibe / 円"]


def test_composite_blends_scales_and_mirrors(client: httpx.Client) -> None:
    halves = Image.new("RGBA", (16, 8), (255, 0, 0, 255))
    halves.paste((0, 0, 255, 255), (8, 0, 16, 8))
    layers = [
        {"image": as_data_url(png(square(32, (128, 255, 128))))},
        {"image": as_data_url(png(halves)), "x": 4, "scale": 2, "flip_x": True, "blend": "multiply"},
    ]
    body = client.post("/api/qwen-image/composite", json={"layers": layers}).json()
    assert (body["width"], body["height"]) == (36, 32), "the scaled layer counts at its size"
    image = from_data_url(body["image"])
    assert image.getpixel((6, 2)) == (0, 0, 128, 255)
    assert image.getpixel((30, 2)) == (128, 0, 0, 255)
    assert image.getpixel((34, 2)) == (255, 0, 0, 255)
    assert image.getpixel((6, 20)) == (128, 255, 128, 255)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"blend": "dissolve"}, "layers.0.blend"),
        ({"scale": 0}, "layers.0.scale"),
        ({"scale": 33}, "layers.0.scale"),
        ({"scale": "2"}, "layers.0.scale"),
        ({"flip_x": 1}, "layers.0.flip_x"),
        ({"scale": 32, "x": 30_000}, "width"),
    ],
)
def test_layers_that_are_not_valid_are_named(client: httpx.Client, change: dict[str, object], param: str) -> None:
    answer = export(client, format="ora", layers=[{"image": SQUARE_URL, **change}])
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["param"] == param and len(error["message"]) > 20


@pytest.mark.slow
def test_layers_are_counted_by_what_they_show(start_service: Callable[..., Service]) -> None:
    """Ten layers of the largest picture are what a run returns; more than that counts by the boxes of what is seen."""
    small = {"LLM_DIT_SERVER__MAX_PIXELS": "4096", "LLM_DIT_SERVER__MAX_STACK_PIXELS": "4096"}
    service = start_service(app="tests.kit.app:app", environment=small)
    with service.connect() as client:
        whole = {"image": as_data_url(png(square(64))), "name": "Whole"}
        spot = square(64, (0, 0, 0)).convert("RGBA")
        spot.putalpha(Image.new("L", (64, 64)))
        spot.paste((200, 0, 0, 255), (30, 30, 34, 34))
        nearly_clear = {"image": as_data_url(png(spot)), "name": "Spot"}
        for name in FORMATS:
            taken = export(client, format=name, layers=[whole] * 9 + [nearly_clear] * 40)
            assert taken.status_code == 200, taken.text
        refused = export(client, format="psd", layers=[whole] * 11)
        assert refused.status_code == 422
        assert refused.json()["error"]["param"] == "layers" and "scale them down" in refused.json()["detail"]
        scaled = {"image": as_data_url(png(square(2))), "scale": 32}
        assert export(client, format="png", layers=[scaled] * 11, width=64, height=64).status_code == 422


def test_names_longer_than_any_list_shows_are_shortened(client: httpx.Client) -> None:
    """Generators name files after the prompt, and the page names layers and projects after files."""
    name = "an_astronaut_riding_a_horse_" * 8 + "0123456789ab0000"
    layers = [{"image": SQUARE_URL, "name": name, "group": "文" * 300}]
    answer = export(client, format="ora", name=name, layers=layers)
    assert answer.status_code == 200, answer.text
    assert name[:150] + ".ora" in answer.headers["content-disposition"]
    layer = layers_of(export(client, format="zip", layers=layers).content)[0]
    assert (layer.name, layer.group) == (name[:199] + "…", "文" * 199 + "…")
    project = client.post("/api/projects", json={"name": name, "document": {"layers": []}})
    assert project.status_code == 201 and project.json()["name"] == layer.name


@pytest.mark.parametrize(
    ("name", "fallback", "full"),
    [
        ("Poster", "Poster.psd", None),
        ("My poster, v2", "My poster, v2.psd", None),
        ("海报 1", "1.psd", "海报 1.psd"),
        ("Große Fläche", "Groe Flache.psd", "Große Fläche.psd"),
        ("../../etc/passwd", "etc-passwd.psd", None),
        ('a"; filename=evil.exe', "a-; filename=evil.exe.psd", None),
        ("line\r\nX-Injected: yes", "lineX-Injected- yes.psd", None),
        ("\u202egnp.exe", "gnp.exe.psd", None),
        ("con", "_con.psd", None),
        ("   . ", "layers.psd", None),
        ("", "layers.psd", None),
    ],
)
def test_a_file_is_called_what_the_project_is_called(
    client: httpx.Client, name: str, fallback: str, full: str | None
) -> None:
    answer = export(client, format="psd", name=name)
    assert answer.status_code == 200, answer.text
    plain, _, extended = answer.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert plain == f'attachment; filename="{fallback}"'
    assert (unquote(extended) or None) == full
    assert "x-injected" not in answer.headers


@given(st.text(max_size=300))
def test_every_name_makes_a_file_name(name: str) -> None:
    stem = file_stem(name, "layers")
    assert stem == file_stem(stem, "layers"), "what is clean stays"
    assert stem and stem.isprintable() | any(sign in stem for sign in "\u200c\u200d")
    assert not set(stem) & set('/\\:*?"<>|\0\r\n') and stem.strip(" .") == stem
    assert len(stem.encode()) <= 150
    header = saved_as(stem, ".png")["Content-Disposition"]
    assert re.fullmatch(r"attachment; filename=\"[ !#-~]+\.png\"(; filename\*=UTF-8''[\w.~%-]+)?", header, re.ASCII)

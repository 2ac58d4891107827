"""Whatever a client sends, the answer fits, says what would do, gives nothing away, and the next request works."""

import base64
import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Service
from tests.pictures import DISC_URL, SQUARE_URL, as_data_url, encoded, from_data_url, png, square

LEAK = re.compile(r"0x[0-9a-f]{6}|Traceback|BytesIO|File \"|/home|/usr|/work|/tmp|site-packages|canary", re.IGNORECASE)
DECOMPOSE = "/api/qwen-image/decompose"
EDIT = "/api/qwen-image/edit-layer"
COMPOSITE = "/api/qwen-image/composite"
EXPORT = "/api/qwen-image/export"
JSON = {"Content-Type": "application/json"}


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, object]:
    """Check everything that every refusal has in common and return its `error`."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= 4096
    assert LEAK.search(answer.text) is None, answer.text
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "request_id", "error"}
    assert set(body["error"]) == {"message", "type", "code", "param"}
    assert body["status"] == status
    assert body["detail"] == body["error"]["message"]
    assert body["code"] == body["error"]["code"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert code in {None, body["code"]}
    return body["error"]


@pytest.fixture(autouse=True)
def next_request_works(client: httpx.Client) -> object:
    yield
    fields = {"image": SQUARE_URL, "steps": 1, "layer_num": 1}
    assert client.post(DECOMPOSE, json=fields).status_code == 200


# Bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 422, id="nothing"),
        pytest.param(b"{", 400, id="cut off"),
        pytest.param(b"\xff\xfe", 400, id="no text"),
        pytest.param(b'{"image": "\\ud800"}', 400, id="lone surrogate"),
        pytest.param(b'{"image": "x", "cfg_scale": NaN}', 400, id="NaN"),
        pytest.param(b'{"image": "x", "cfg_scale": Infinity}', 400, id="Infinity"),
        pytest.param(b'{"image": "x", "cfg_scale": 1e999}', 422, id="1e999"),
        pytest.param(b'{"image": "x", "seed": ' + b"9" * 5000 + b"}", 400, id="5000 digits"),
        pytest.param(b"[" * 100_000, 400, id="deep list"),
        pytest.param(b'{"a":' * 100_000, 400, id="deep object"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, 400, id="deep closed list"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b"[]", 422, id="list"),
        pytest.param(b'"image"', 422, id="string"),
        pytest.param(b"3", 422, id="number"),
        pytest.param(b"{}", 422, id="empty object"),
        pytest.param(b"'image'", 400, id="single quotes"),
        pytest.param(b'{"image": "x",}', 400, id="trailing comma"),
        pytest.param(b'{"' + b"k" * 100_000 + b'": 1}', 422, id="long key"),
        pytest.param(json.dumps({f"key{n}": n for n in range(10_000)}).encode(), 422, id="many keys"),
    ],
)
def test_bodies_that_will_not_do(client: httpx.Client, body: bytes, status: int) -> None:
    assert_problem(client.post(DECOMPOSE, content=body, headers=JSON), status)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", None, ""],
)
@pytest.mark.parametrize("path", [DECOMPOSE, EDIT, COMPOSITE, EXPORT])
def test_only_json_is_taken(client: httpx.Client, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    error = assert_problem(client.post(path, content=b'{"image": "x"}', headers=headers), 415)
    assert "application/json" in str(error["message"])


def test_json_may_say_its_charset(client: httpx.Client) -> None:
    body = json.dumps({"layers": [{"image": SQUARE_URL}]}).encode()
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post(COMPOSITE, content=body, headers=headers).status_code == 200


def test_a_body_above_the_limit_is_refused(client: httpx.Client) -> None:
    large = b'{"image": "' + b"A" * (40 * 1024 * 1024) + b'"}'
    error = assert_problem(client.post(DECOMPOSE, content=large, headers=JSON), 413, "too_large")
    assert "32 MB" in str(error["message"])
    pieces = (large[start : start + 65_536] for start in range(0, len(large), 65_536))
    assert_problem(client.post(DECOMPOSE, content=pieces, headers=JSON), 413, "too_large")
    assert_problem(client.post("/api/images", content=large, headers={"Content-Type": "image/png"}), 413, "too_large")


# Fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"image": None}, "image"),
        ({"image": 3}, "image"),
        ({"image": ["x"]}, "image"),
        ({"image": {"url": "x"}}, "image"),
        ({"image": ""}, "image"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 3}, "prompt"),
        ({"prompt": "canary " * 1000}, "prompt"),
        ({"layer_num": 0}, "layer_num"),
        ({"layer_num": 11}, "layer_num"),
        ({"layer_num": "4"}, "layer_num"),
        ({"layer_num": 4.5}, "layer_num"),
        ({"layer_num": True}, "layer_num"),
        ({"layer_num": None}, "layer_num"),
        ({"resolution": 512}, "resolution"),
        ({"resolution": "640"}, "resolution"),
        ({"steps": 0}, "steps"),
        ({"steps": 101}, "steps"),
        ({"steps": -(2**63)}, "steps"),
        ({"steps": 10**30}, "steps"),
        ({"cfg_scale": 0.5}, "cfg_scale"),
        ({"cfg_scale": 21}, "cfg_scale"),
        ({"cfg_scale": "4"}, "cfg_scale"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"seed": "random"}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"cfg_normalize": 1}, "cfg_normalize"),
        ({"use_en_prompt": "yes"}, "use_en_prompt"),
        ({"output_size": "huge"}, "output_size"),
        ({"negative_prompt": None}, "negative_prompt"),
        ({"num_inference_steps": 50}, "num_inference_steps"),
        ({"Image": SQUARE_URL}, "Image"),
        ({"__proto__": {}}, "__proto__"),
    ],
)
def test_fields_that_will_not_do_are_named(client: httpx.Client, fields: dict[str, object], param: str) -> None:
    error = assert_problem(client.post(DECOMPOSE, json={"image": SQUARE_URL, **fields}), 422, "invalid_input")
    assert error["param"] == param
    assert str(error["message"]).startswith(param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instruction": ""}, "instruction"),
        ({"instruction": " \n"}, "instruction"),
        ({"instruction": "x" * 5000}, "instruction"),
        ({"instruction": None}, "instruction"),
        ({"shape": "round"}, "shape"),
        ({"output_size": "original"}, "output_size"),
        ({"layer_image": SQUARE_URL}, "layer_image"),
        ({"layer_num": 4}, "layer_num"),
    ],
)
def test_fields_of_an_edit_that_will_not_do_are_named(
    client: httpx.Client, fields: dict[str, object], param: str
) -> None:
    body = {"image": SQUARE_URL, "instruction": "make it blue", **fields}
    assert assert_problem(client.post(EDIT, json=body), 422, "invalid_input")["param"] == param


def test_what_is_missing_is_named(client: httpx.Client) -> None:
    assert assert_problem(client.post(DECOMPOSE, json={}), 422)["param"] == "image"
    assert assert_problem(client.post(EDIT, json={"instruction": "x"}), 422)["param"] == "image"
    assert assert_problem(client.post(EDIT, json={"image": SQUARE_URL}), 422)["param"] == "instruction"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"layers": []}, "layers"),
        ({"layers": {}}, "layers"),
        ({"layers": [{"image": SQUARE_URL}] * 65}, "layers"),
        ({"layers": [{"image": SQUARE_URL}, {}]}, "layers.1.image"),
        ({"layers": [{"image": SQUARE_URL}, {"image": "no"}]}, "layers.1.image"),
        ({"layers": [{"image": SQUARE_URL, "opacity": 1.5}]}, "layers.0.opacity"),
        ({"layers": [{"image": SQUARE_URL, "x": 1.5}]}, "layers.0.x"),
        ({"layers": [{"image": SQUARE_URL, "x": 10**6}]}, "layers.0.x"),
        ({"layers": [{"image": SQUARE_URL, "visible": "no"}]}, "layers.0.visible"),
        ({"layers": [{"image": SQUARE_URL, "name": "only for export"}]}, "layers.0.name"),
        ({"layers": [{"image": SQUARE_URL, "x": -48}]}, "layers"),
        ({"layers": [{"image": SQUARE_URL, "x": 20_000}]}, "width"),
        ({"width": 30_000}, "width"),
        ({"width": 0}, "width"),
        ({"height": -1}, "height"),
        ({"background": "red"}, "background"),
        ({"background": "#12345"}, "background"),
        ({"background": "url(x)"}, "background"),
    ],
)
def test_stacks_that_will_not_do(client: httpx.Client, fields: dict[str, object], param: str) -> None:
    body = {"layers": [{"image": SQUARE_URL}], **fields}
    assert assert_problem(client.post(COMPOSITE, json=body), 422)["param"] == param


@pytest.mark.parametrize("name", ["tiff", "svg", "jpg", "ZIP", "", None, 3])
def test_formats_that_are_not_there_are_answered_with_those_that_are(client: httpx.Client, name: object) -> None:
    error = assert_problem(client.post(EXPORT, json={"layers": [{"image": SQUARE_URL}], "format": name}), 422)
    assert error["param"] == "format"
    assert "zip" in str(error["message"]) and "png" in str(error["message"])


# Images -------------------------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few kilobytes that claims to be `width` × `height` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * min(width * height * 4 + height, 4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(format: str) -> bytes:
    frames = [square(16, (n * 80, 0, 0)) for n in range(3)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50)


WHOLE = png(square())
NOT_IMAGES = {
    "no base64": "///not base64!!!",
    "cut base64": base64.b64encode(WHOLE).decode()[:-3],
    "not ASCII": "ä" * 100,
    "text": base64.b64encode(b"hello world, this is canary text").decode(),
    "empty data URL": "data:image/png;base64,",
    "data URL of text": "data:text/plain;base64,aGVsbG8=",
    "data URL of SVG": as_data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    "data URL without base64": "data:image/png,%89PNG",
    "http URL": "http://127.0.0.1:1/canary.png",
    "https URL": "https://example.com/canary.png",
    "file URL": "file:///etc/passwd",
    "protocol-relative URL": "//example.com/x.png",
    "path": "/etc/passwd",
    "address of nothing": f"/api/images/{'0' * 64}.png",
    "address of too little": "/api/images/00.png",
    "address upwards": "/api/images/../../etc/passwd.png",
    "address in capitals": f"/api/images/{'A' * 64}.png",
    "GIF": as_data_url(encoded(square(), "GIF"), "image/gif"),
    "GIF as PNG": as_data_url(encoded(square(), "GIF")),
    "BMP as PNG": as_data_url(encoded(square(), "BMP")),
    "TIFF as PNG": as_data_url(encoded(square(), "TIFF")),
    "ICO as PNG": as_data_url(encoded(square(), "ICO")),
    "signature alone": as_data_url(WHOLE[:8]),
    "header alone": as_data_url(WHOLE[:33]),
    "half a PNG": as_data_url(WHOLE[: len(WHOLE) // 2]),
    "half a JPEG": as_data_url(encoded(Image.effect_noise((64, 64), 90), "JPEG")[:500], "image/jpeg"),
    "half a WebP": as_data_url(encoded(square(), "WEBP")[:40], "image/webp"),
    "damaged PNG": as_data_url(WHOLE[:45] + b"\0\0\0\0" + WHOLE[49:]),
    "animated PNG": as_data_url(animated("PNG")),
    "animated WebP": as_data_url(animated("WEBP"), "image/webp"),
    "20000 × 10": as_data_url(png(Image.new("L", (20_000, 10)))),
    "10 × 20000": as_data_url(png(Image.new("L", (10, 20_000)))),
    "bomb of 10000²": as_data_url(bomb(10_000, 10_000)),
    "bomb of 65535²": as_data_url(bomb(65_535, 65_535)),
    "bomb of 2³¹": as_data_url(bomb(2**31 - 1, 2**31 - 1)),
    "no width": as_data_url(bomb(0, 5)),
    "PNG followed by nothing but zeros": base64.b64encode(b"\0" * 100_000).decode(),
}


@pytest.mark.parametrize("image", NOT_IMAGES.values(), ids=NOT_IMAGES.keys())
def test_what_is_no_usable_image_is_refused(client: httpx.Client, image: str) -> None:
    for path, extra in [(DECOMPOSE, {}), (EDIT, {"instruction": "make it blue"})]:
        error = assert_problem(client.post(path, json={"image": image, **extra}), 422, "invalid_image")
        assert error["param"] == "image"
        assert ":" in str(error["message"]), "it says what would do"


@pytest.mark.parametrize("name", ["text", "GIF", "half a PNG", "animated PNG", "bomb of 10000²", "20000 × 10"])
def test_uploads_are_checked_alike(client: httpx.Client, name: str) -> None:
    content = base64.b64decode(NOT_IMAGES[name].rpartition(",")[2])
    answer = client.post("/api/images", content=content, headers={"Content-Type": "image/png"})
    assert assert_problem(answer, 422, "invalid_image")["param"] == "image"


@pytest.mark.parametrize("content_type", ["image/gif", "application/json", "text/plain", None])
def test_uploads_of_other_types_are_refused(client: httpx.Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    error = assert_problem(client.post("/api/images", content=WHOLE, headers=headers), 415)
    assert "image/png" in str(error["message"])


def test_an_empty_upload_is_refused(client: httpx.Client) -> None:
    assert_problem(client.post("/api/images", content=b"", headers={"Content-Type": "image/png"}), 422)


def test_layers_that_are_too_large_together_are_refused(start_service: Callable[..., Service]) -> None:
    service = start_service(app="tests.app:app", environment={"LLM_DIT_SERVER__MAX_STACK_PIXELS": "5000"})
    body = {"layers": [{"image": SQUARE_URL}] * 2}
    assert httpx.post(service.url + COMPOSITE, json=body).status_code == 200
    body = {"layers": [{"image": SQUARE_URL}] * 3}
    assert assert_problem(httpx.post(service.url + COMPOSITE, json=body), 422)["param"] == "layers"


# Images that are odd but good ---------------------------------------------------------------------------------------


def transparent_palette() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    return image


def sixteen_bit(value: int) -> Image.Image:
    return Image.fromarray(np.full((4, 4), value, np.uint16))


ODD = {
    "1 × 1": (png(Image.new("RGB", (1, 1), (1, 2, 3))), (1, 2, 3, 255)),
    "1 bit": (png(Image.new("1", (4, 4), 1)), (255, 255, 255, 255)),
    "grey": (png(Image.new("L", (4, 4), 77)), (77, 77, 77, 255)),
    "grey and alpha": (png(Image.new("LA", (4, 4), (77, 5))), (77, 77, 77, 5)),
    "palette": (png(transparent_palette()), (0, 0, 255, 255)),
    "palette with a transparent colour": (png(transparent_palette(), transparency=1), (0, 0, 255, 0)),
    "grey with a transparent value": (png(Image.new("L", (4, 4), 9), transparency=9), (9, 9, 9, 0)),
    "colour with a transparent value": (png(square(4, (9, 8, 7)), transparency=(9, 8, 7)), (9, 8, 7, 0)),
    "16 bit": (png(sixteen_bit(0x8080)), (128, 128, 128, 255)),
    "16 bit, dark": (png(sixteen_bit(257)), (1, 1, 1, 255)),
    "fully transparent": (png(Image.new("RGBA", (4, 4), (9, 8, 7, 0))), (9, 8, 7, 0)),
    "CMYK": (encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100), (254, 0, 0, 255)),
    "grey JPEG": (encoded(Image.new("L", (16, 16), 77), "JPEG", quality=100), (77, 77, 77, 255)),
}


@pytest.mark.parametrize(("content", "colour"), ODD.values(), ids=ODD.keys())
def test_odd_images_come_out_right(client: httpx.Client, content: bytes, colour: tuple[int, ...]) -> None:
    kept = client.post("/api/images", content=content, headers={"Content-Type": "image/png"})
    assert kept.status_code == 201, kept.text
    image = Image.open(io.BytesIO(client.get(kept.json()["image"]).content))
    assert image.mode == "RGBA"
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    assert max(abs(is_ - was) for is_, was in zip(pixel, colour, strict=True)) <= 2, pixel


def test_a_phone_picture_with_a_second_frame_is_taken(client: httpx.Client) -> None:
    frames = [square(32, (200, 0, 0)), square(32, (0, 0, 200))]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    answer = client.post("/api/images", content=content, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text


def test_a_transparent_layer_keeps_its_alpha(client: httpx.Client) -> None:
    body = {"image": as_data_url(png(Image.new("RGBA", (8, 8)))), "instruction": "x", "steps": 1}
    answer = client.post(EDIT, json=body)
    assert from_data_url(answer.json()["image"]).getchannel("A").getextrema() == (0, 0)


# Addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("POST", "/api/nothing", 404),
        ("GET", "/api/jobs/none", 404),
        ("DELETE", "/api/jobs/none", 404),
        ("GET", "/api/jobs/none/events", 404),
        ("GET", "/api/jobs/%00", 404),
        ("GET", "/api/jobs/" + "x" * 5000, 404),
        ("GET", f"/api/images/{'0' * 64}.png", 404),
        ("GET", "/api/images/..%2f..%2fetc%2fpasswd.png", 404),
        ("GET", "/api/images/%2e%2e.png", 404),
        ("GET", "/api/images/x%00.png", 404),
        ("GET", "/static/nothing.js", 404),
        ("GET", "/static/", 404),
        ("GET", "/static/..%2fpyproject.toml", 404),
        ("GET", "/static/%2e%2e/pyproject.toml", 404),
        ("GET", "/static/%00", 404),
        ("GET", "/static/" + "x" * 5000, 404),
        ("POST", "/static/js/main.js", 405),
        ("GET", DECOMPOSE, 405),
        ("PUT", DECOMPOSE, 405),
        ("POST", "/livez", 405),
        ("DELETE", "/", 405),
        ("GET", "/%ff%fe", 404),
        ("GET", DECOMPOSE + "/", 404),
    ],
)
def test_addresses_that_are_not_there(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert_problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("value", ["x", "-1", "1e3", "9" * 500, "٣"])
def test_an_event_id_that_is_none_starts_at_the_beginning(client: httpx.Client, value: str) -> None:
    fields = {"image": SQUARE_URL, "steps": 1}
    job = client.post(DECOMPOSE, json=fields, headers={"Prefer": "respond-async"}).headers["location"]
    answer = client.get(f"{job}/events", headers={"Last-Event-ID": value.encode()})
    assert answer.status_code == 200
    assert "event: succeeded" in answer.text


def test_request_ids_are_taken_over_when_they_are_harmless(client: httpx.Client) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "abc-123"}).headers["x-request-id"] == "abc-123"
    for value in ("a b", "<script>", "x" * 65, ""):
        assert client.get("/livez", headers={"X-Request-ID": value}).headers["x-request-id"] != value


def test_neither_log_nor_store_holds_what_was_asked_for(client: httpx.Client, stepping_service: Service) -> None:
    body = {"image": DISC_URL, "prompt": "the canary prompt", "negative_prompt": "canary", "steps": 1}
    assert client.post(DECOMPOSE, json=body).status_code == 200
    assert "canary" not in stepping_service.log
    for path in Path(stepping_service.folder).rglob("*.png"):
        assert b"canary" not in path.read_bytes()

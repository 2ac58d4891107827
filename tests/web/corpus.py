"""Bad requests, written by hand: what is sent, and how it is refused. For tests and for `tests.stress.bad_input`."""

# pyright: reportArgumentType=false

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
from PIL import Image

from llm_dit.layer import MAX_LAYERS
from tests.kit.pictures import SQUARE_URL, as_data_url, encoded, png, square

LEAK = re.compile(r"0x[0-9a-f]{6}|Traceback|BytesIO|File \"|/home|/usr|/work|/tmp|site-packages|canary", re.IGNORECASE)
LONGEST_REFUSAL = 4096
"""Bytes."""
DECOMPOSE = "/api/qwen-image/decompose"
EDIT = "/api/qwen-image/edit-layer"
COMPOSITE = "/api/qwen-image/composite"
EXPORT = "/api/qwen-image/export"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request, and the answer to it: `param` is the field at fault, `says` what is to stand in the message."""

    name: str
    method: str = "POST"
    path: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    status: int = 422
    code: str | None = None
    param: str | None = None
    says: str = ""

    def send(self, client: httpx.Client) -> httpx.Response:
        return client.request(self.method, self.path, content=self.content, headers=self.headers)


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, object]:
    """Check everything that every refusal has in common and return its `error`."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= LONGEST_REFUSAL
    assert LEAK.search(answer.text) is None, answer.text
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "request_id", "error"}
    assert set(body["error"]) - {"hint"} == {"message", "type", "code", "param"}
    assert ("hint" in body["error"]) <= (body["code"] == "unsupported_instruction")
    assert body["status"] == status
    assert body["detail"] == body["error"]["message"]
    assert body["code"] == body["error"]["code"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert code in {None, body["code"]}
    return body["error"]


# Bodies -------------------------------------------------------------------------------------------------------------

BODIES: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 422),
    ("cut off", b"{", 400),
    ("no text", b"\xff\xfe", 400),
    ("lone surrogate", b'{"image": "\\ud800"}', 400),
    ("NaN", b'{"image": "x", "cfg_scale": NaN}', 400),
    ("Infinity", b'{"image": "x", "cfg_scale": Infinity}', 400),
    ("1e999", b'{"image": "x", "cfg_scale": 1e999}', 422),
    ("5000 digits", b'{"image": "x", "seed": ' + b"9" * 5000 + b"}", 400),
    ("deep list", b"[" * 100_000, 400),
    ("deep object", b'{"a":' * 100_000, 400),
    ("deep closed list", b"[" * 100_000 + b"]" * 100_000, 400),
    ("null", b"null", 422),
    ("list", b"[]", 422),
    ("string", b'"image"', 422),
    ("number", b"3", 422),
    ("empty object", b"{}", 422),
    ("single quotes", b"'image'", 400),
    ("trailing comma", b'{"image": "x",}', 400),
    ("long key", b'{"' + b"k" * 100_000 + b'": 1}', 422),
    ("many keys", json.dumps({f"key{n}": n for n in range(10_000)}).encode(), 422),
]
OTHER_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    None,
    "",
)


def unreadable() -> Iterator[Refusal]:
    for name, content, status in BODIES:
        yield Refusal(name=name, path=DECOMPOSE, content=content, status=status)
    for path in (DECOMPOSE, EDIT, COMPOSITE, EXPORT):
        for media_type in OTHER_TYPES:
            yield Refusal(
                name=f"{media_type} to {path}",
                path=path,
                content=b'{"image": "x"}',
                headers={} if media_type is None else {"Content-Type": media_type},
                status=415,
                says="application/json",
            )


# Fields -------------------------------------------------------------------------------------------------------------

DECOMPOSE_FIELDS: list[tuple[dict[str, object], str]] = [
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
    ({"language": "fr"}, "language"),
    ({"negative_prompt": None}, "negative_prompt"),
    ({"num_inference_steps": 50}, "num_inference_steps"),
    ({"Image": SQUARE_URL}, "Image"),
    ({"__proto__": {}}, "__proto__"),
]
EDIT_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"instruction": ""}, "instruction"),
    ({"instruction": " \n"}, "instruction"),
    ({"instruction": "x" * 5000}, "instruction"),
    ({"instruction": None}, "instruction"),
    ({"shape": "round"}, "shape"),
    ({"output_size": "original"}, "output_size"),
    ({"layer_image": SQUARE_URL}, "layer_image"),
    ({"layer_num": 4}, "layer_num"),
]
STACKS: list[tuple[dict[str, object], str]] = [
    ({"layers": []}, "layers"),
    ({"layers": {}}, "layers"),
    ({"layers": [{"image": SQUARE_URL}] * (MAX_LAYERS + 1)}, "layers"),
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
]
NOT_FORMATS = ("tiff", "bmp", "jpg", "ZIP", "", None, 3)


def wrong_fields() -> Iterator[Refusal]:
    for fields, param in DECOMPOSE_FIELDS:
        body = {"image": SQUARE_URL, **fields}
        yield _refusal(DECOMPOSE, body, fields, code="invalid_input", param=param, says=param)
    for fields, param in EDIT_FIELDS:
        body = {"image": SQUARE_URL, "instruction": "make it blue", **fields}
        yield _refusal(EDIT, body, fields, code="invalid_input", param=param)
    for path, body, param in (
        (DECOMPOSE, {}, "image"),
        (EDIT, {"instruction": "x"}, "image"),
        (EDIT, {"image": SQUARE_URL}, "instruction"),
    ):
        yield _refusal(path, body, f"no {param}", code="invalid_input", param=param)
    for fields, param in STACKS:
        yield _refusal(COMPOSITE, {"layers": [{"image": SQUARE_URL}], **fields}, fields, param=param)
    for version in (0, 2**53, 10**30):
        body = json.dumps({"name": "x", "document": {}, "version": version}).encode()
        yield Refusal(name=f"version {version}", method="PUT", path="/api/projects/x", content=body, param="version")
    for name in NOT_FORMATS:
        body = {"layers": [{"image": SQUARE_URL}], "format": name}
        yield _refusal(EXPORT, body, f"format {name}", code="invalid_input", param="format", says="zip")


# Images -------------------------------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few kilobytes that claims to be `width` × `height` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = zlib.compress(b"\0" * min(width * height * 4 + height, 4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


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
    "ICO as PNG": as_data_url(encoded(square(), "ICO")),
    "signature alone": as_data_url(WHOLE[:8]),
    "header alone": as_data_url(WHOLE[:33]),
    "half a PNG": as_data_url(WHOLE[: len(WHOLE) // 2]),
    "half a JPEG": as_data_url(encoded(Image.effect_noise((64, 64), 90), "JPEG")[:500], "image/jpeg"),
    "half a WebP": as_data_url(encoded(square(), "WEBP")[:40], "image/webp"),
    "damaged PNG": as_data_url(WHOLE[:45] + b"\0\0\0\0" + WHOLE[49:]),
    "20000 × 10": as_data_url(png(Image.new("L", (20_000, 10)))),
    "10 × 20000": as_data_url(png(Image.new("L", (10, 20_000)))),
    "bomb of 10000²": as_data_url(bomb(10_000, 10_000)),
    "bomb of 65535²": as_data_url(bomb(65_535, 65_535)),
    "bomb of 2³¹": as_data_url(bomb(2**31 - 1, 2**31 - 1)),
    "no width": as_data_url(bomb(0, 5)),
    "PNG followed by nothing but zeros": base64.b64encode(b"\0" * 100_000).decode(),
}

NOT_UPLOADS = ("text", "ICO as PNG", "half a PNG", "bomb of 10000²")
"""Of `NOT_IMAGES`, those that are bytes."""
NOT_FOR_JOBS = {
    "1 × 1": (png(Image.new("RGB", (1, 1))), "too small"),
    "1 × 10000": (png(Image.new("RGB", (1, 10_000))), "scale it down"),
    "4 × 100": (png(Image.new("RGB", (4, 100))), "20 times"),
    "10000²": (bomb(10_000, 10_000), "scale it down"),
}


def wrong_images() -> Iterator[Refusal]:
    for name, image in NOT_IMAGES.items():
        for path, extra in ((DECOMPOSE, {}), (EDIT, {"instruction": "make it blue"})):
            # What would do follows a colon.
            yield _refusal(path, {"image": image, **extra}, name, code="invalid_image", param="image", says=":")
    for name, (content, says) in NOT_FOR_JOBS.items():
        yield _refusal(DECOMPOSE, {"image": as_data_url(content)}, name, code="invalid_image", param="image", says=says)
    for name in NOT_UPLOADS:
        content = base64.b64decode(NOT_IMAGES[name].rpartition(",")[2])
        yield _upload(name, content, "image/png", code="invalid_image", param="image")
    yield _upload("nothing", b"", "image/png")
    for media_type in ("application/json", "text/plain", "multipart/form-data", None):
        yield _upload(f"{media_type}", WHOLE, media_type, status=415, says="image/png")


# Addresses ----------------------------------------------------------------------------------------------------------

ADDRESSES = [
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
]


def wrong_addresses() -> Iterator[Refusal]:
    for method, path, status in ADDRESSES:
        yield Refusal(name=f"{method} {path[:60]}", method=method, path=path, headers={}, status=status)


def _refusal(path: str, body: object, what: object, **expected: str) -> Refusal:
    name = f"{str(what)[:60]} to {path.rpartition('/')[2]}"
    return Refusal(name=name, path=path, content=json.dumps(body).encode(), **expected)


def _upload(name: str, content: bytes, media_type: str | None, **expected: object) -> Refusal:
    headers = {} if media_type is None else {"Content-Type": media_type}
    return Refusal(name=f"upload of {name}", path="/api/images", content=content, headers=headers, **expected)  # type: ignore[arg-type]


CORPUS: tuple[Refusal, ...] = (*unreadable(), *wrong_fields(), *wrong_images(), *wrong_addresses())

"""Whatever a client sends, the answer fits, says what would do, gives nothing away, and the next request works."""

# pyright: reportArgumentType=false

import io
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.kit.pictures import DISC_URL, SQUARE_URL, as_data_url, encoded, from_data_url, png, square
from tests.kit.service import Service
from tests.web.corpus import COMPOSITE, CORPUS, DECOMPOSE, EDIT, JSON, Refusal, assert_problem


@pytest.fixture(scope="module", autouse=True)
def next_request_works(stepping_service: Service) -> object:
    """A run after all of them: what a case leaves behind stays."""
    yield
    decompose(stepping_service)


def decompose(service: Service) -> None:
    fields = {"image": SQUARE_URL, "steps": 1, "layer_num": 1}
    assert service.post(DECOMPOSE, json=fields).status_code == 200


GROUPS = [CORPUS[start : start + 20] for start in range(0, len(CORPUS), 20)]


@pytest.mark.parametrize("cases", GROUPS, ids=[f"{group[0].name} …" for group in GROUPS])
def test_what_is_not_valid_is_refused(
    client: httpx.Client, stepping_service: Service, cases: tuple[Refusal, ...], subtests: pytest.Subtests
) -> None:
    for case in cases:
        with subtests.test(case.name):
            answer = case.send(client)
            error = assert_problem(answer, case.status, case.code)
            assert case.param in {None, error["param"]}
            assert case.says in str(error["message"])
            assert ("allow" in answer.headers) == (case.status == 405)
    decompose(stepping_service)


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


def test_a_picture_that_is_held_is_checked_for_a_job_too(client: httpx.Client) -> None:
    kept = client.post("/api/images", content=png(Image.new("RGB", (1, 1))), headers={"Content-Type": "image/png"})
    body = {"image": kept.json()["image"]}
    assert client.post(COMPOSITE, json={"layers": [body]}).status_code == 200
    for path, extra in [(DECOMPOSE, {}), (EDIT, {"instruction": "make it blue"})]:
        assert assert_problem(client.post(path, json={**body, **extra}), 422, "invalid_image")["param"] == "image"


@pytest.mark.slow
def test_layers_that_are_too_large_together_are_refused(start_service: Callable[..., Service]) -> None:
    """What one decomposition can give is always taken: ten layers of the largest picture."""
    limits = {"LLM_DIT_SERVER__MAX_STACK_PIXELS": "5000", "LLM_DIT_SERVER__MAX_PIXELS": "2304"}
    service = start_service(app="tests.kit.app:app", environment=limits)
    body = {"layers": [{"image": SQUARE_URL}] * 10}
    assert service.post(COMPOSITE, json=body).status_code == 200
    body = {"layers": [{"image": SQUARE_URL}] * 11}
    assert assert_problem(service.post(COMPOSITE, json=body), 422)["param"] == "layers"


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
    "palette with a transparent color": (png(transparent_palette(), transparency=1), (0, 0, 255, 0)),
    "grey with a transparent value": (png(Image.new("L", (4, 4), 9), transparency=9), (9, 9, 9, 0)),
    "color with a transparent value": (png(square(4, (9, 8, 7)), transparency=(9, 8, 7)), (9, 8, 7, 0)),
    "16 bit": (png(sixteen_bit(0x8080)), (128, 128, 128, 255)),
    "16 bit, dark": (png(sixteen_bit(257)), (1, 1, 1, 255)),
    "fully transparent": (png(Image.new("RGBA", (4, 4), (9, 8, 7, 0))), (9, 8, 7, 0)),
    "CMYK": (encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100), (254, 0, 0, 255)),
    "grey JPEG": (encoded(Image.new("L", (16, 16), 77), "JPEG", quality=100), (77, 77, 77, 255)),
}


@pytest.mark.parametrize(("content", "color"), ODD.values(), ids=ODD.keys())
def test_odd_images_come_out_right(client: httpx.Client, content: bytes, color: tuple[int, ...]) -> None:
    kept = client.post("/api/images", content=content, headers={"Content-Type": "image/png"})
    assert kept.status_code == 201, kept.text
    image = Image.open(io.BytesIO(client.get(kept.json()["image"]).content))
    assert image.mode == "RGBA"
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    assert max(abs(is_ - was) for is_, was in zip(pixel, color, strict=True)) <= 2, pixel


def test_a_phone_picture_with_a_second_frame_is_taken(client: httpx.Client) -> None:
    frames = [square(32, (200, 0, 0)), square(32, (0, 0, 200))]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    answer = client.post("/api/images", content=content, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text


def test_a_transparent_layer_keeps_its_alpha(client: httpx.Client) -> None:
    body = {"image": as_data_url(png(Image.new("RGBA", (8, 8)))), "instruction": "x", "steps": 1}
    answer = client.post(EDIT, json=body)
    assert from_data_url(answer.json()["image"]).getchannel("A").getextrema() == (0, 0)


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

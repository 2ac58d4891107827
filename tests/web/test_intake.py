"""Pictures on their way in: scaled where that is asked for, sent in parts, and nothing left on the disk."""

import io

import httpx
import pytest
from PIL import Image

from tests.kit.pictures import as_data_url, png
from tests.kit.service import Service

LONG = png(Image.new("RGB", (9000, 10), (90, 140, 200)))
"""Longer than a side may be."""
SCALED = (8192, 9)


def upload(client: httpx.Client, content: bytes, **query: str) -> httpx.Response:
    return client.post("/api/images", content=content, headers={"Content-Type": "image/png"}, params=query)


def test_an_upload_beyond_the_limits_is_scaled_and_says_so(client: httpx.Client) -> None:
    answer = upload(client, LONG)
    assert answer.status_code == 201, answer.text
    kept = answer.json()
    assert (kept["width"], kept["height"], kept["scaled_from"]) == (*SCALED, [9000, 10])
    assert Image.open(io.BytesIO(client.get(kept["image"]).content)).size == SCALED


def test_an_upload_within_the_limits_is_not_scaled(client: httpx.Client) -> None:
    assert upload(client, png(Image.new("RGB", (20, 10)))).json()["scaled_from"] is None


def test_who_wants_the_very_pixels_is_refused_instead(client: httpx.Client) -> None:
    answer = upload(client, LONG, fit="false")
    assert answer.status_code == 422
    assert "8192" in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("decompose", {"layer_num": 1}),
        ("edit-layer", {"instruction": "Make it blue"}),
    ],
)
def test_a_job_scales_its_picture_when_it_is_asked_to(client: httpx.Client, path: str, more: dict[str, object]) -> None:
    body = {"image": as_data_url(png(Image.new("RGB", (9000, 600), "navy"))), **more}
    refusal = client.post(f"/api/qwen-image/{path}", json=body)
    assert (refusal.status_code, refusal.json()["error"]["param"]) == (422, "image")
    answer = client.post(f"/api/qwen-image/{path}", json={**body, "fit": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["scaled_from"] == [9000, 600]


def test_nothing_of_a_request_stays_on_the_disk(client: httpx.Client, stepping_service: Service) -> None:
    image = as_data_url(png(Image.new("RGB", (20, 10))))
    for format in ("png", "zip"):
        body = {"format": format, "layers": [{"image": image}, {"image": image}]}
        assert client.post("/api/qwen-image/export", json=body).status_code == 200
    assert client.post("/api/qwen-image/composite", json={"layers": [{"image": "no picture"}]}).status_code == 422
    assert list((stepping_service.folder / "data" / "transit").iterdir()) == []


def test_a_picture_comes_in_parts(client: httpx.Client) -> None:
    address = upload(client, png(Image.new("RGB", (20, 10)))).json()["image"]
    whole = client.get(address)
    part = client.get(address, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, whole.content[1:4]) == (206, b"PNG")
    assert part.headers["etag"] == whole.headers["etag"]

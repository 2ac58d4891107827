"""Refusals say what would do in the words of HTTP, not in those of the validator."""

import httpx
import pytest

from tests.kit.pictures import SQUARE_URL

EDIT, COMPOSITE, EXPORT = (f"/api/qwen-image/{name}" for name in ("edit-layer", "composite", "export"))


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (EDIT, {"image": SQUARE_URL, "instruction": "  "}, "instruction must not be blank."),
        (EDIT, [], "the body must be a JSON object."),
        (
            EDIT,
            {"image": SQUARE_URL, "layer_image": SQUARE_URL, "instruction": "blur it"},
            "layer_image is another name for image: send one of them.",
        ),
        (COMPOSITE, {"layers": []}, "layers must have at least 1 item."),
        (COMPOSITE, {"layers": [{"image": SQUARE_URL}], "background": "red"}, "#rrggbb or #rrggbbaa."),
        (COMPOSITE, {"layers": ["x"]}, "layers.0 must be a JSON object."),
    ],
)
def test_what_would_do_is_said_plainly(client: httpx.Client, path: str, body: object, says: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert str(answer.json()["detail"]).endswith(says)

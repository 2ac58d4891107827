"""Files of layers over HTTP: by their content, whatever they are called, and back in the shape that exports take."""

import io

import httpx
import pytest
from PIL import Image

from llm_dit.layer import Group
from llm_dit.layers import composite
from tests.kit.pictures import DISC_URL, SQUARE_URL
from tests.kit.stacks import layers_of
from tests.web.corpus import assert_problem

IMPORT = "/api/qwen-image/import"
LAYERS = [
    {"image": SQUARE_URL, "name": "Ground"},
    {"image": DISC_URL, "name": "円", "group": "Top", "blend": "multiply", "opacity": 0.6, "x": 3, "visible": False},
    {"image": DISC_URL, "name": "Sun", "group": "Top / Inner", "x": -2, "scale": 0.5},
]
GROUPS: dict[str, dict[str, object]] = {
    "Top": {"opacity": 0.6, "visible": True, "blend": "multiply"},
    "Top / Inner": {"opacity": 0.4, "visible": True, "blend": "pass-through"},
}
SHOWN = {label: Group.model_validate(group) for label, group in GROUPS.items()}
STREAM = {"Content-Type": "application/octet-stream"}


def export(client: httpx.Client, name: str) -> bytes:
    body = {"layers": LAYERS, "groups": GROUPS, "format": name, "width": 40, "height": 40}
    answer = client.post("/api/qwen-image/export", json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


def groups_in(name: str) -> dict[str, dict[str, object]]:
    """Return what a file says of the groups: formats of others know no group that passes through, but fades."""
    plain = {"Top / Inner": GROUPS["Top / Inner"] | {"blend": "normal"}}
    return GROUPS if name == "zip" else GROUPS | plain


@pytest.mark.parametrize("name", ["zip", "psd", "ora"])
def test_what_was_exported_is_imported_and_exported_again(client: httpx.Client, name: str) -> None:
    content = export(client, name)
    answer = client.post(IMPORT, content=content, headers=STREAM)
    assert answer.status_code == 200, answer.text
    read = answer.json()
    assert (read["kind"], read["width"], read["height"], read["warnings"]) == (name, 40, 40, [])
    assert [(one["name"], one["group"], one["visible"], one["blend"]) for one in read["layers"]] == [
        ("Ground", "", True, "normal"),
        ("円", "Top", False, "multiply"),
        ("Sun", "Top / Inner", True, "normal"),
    ]
    assert read["groups"] == groups_in(name)
    described = ("width", "height", "coverage")
    layers = [{key: value for key, value in one.items() if key not in described} for one in read["layers"]]
    body = {"layers": layers, "groups": read["groups"], "width": 40, "height": 40, "format": "png"}
    image = Image.open(io.BytesIO(client.post("/api/qwen-image/export", json=body).content))
    assert image.tobytes() == composite(layers_of(content), 40, 40, groups=SHOWN).tobytes()


def test_an_import_says_how_large_a_picture_is_and_how_much_of_it_there_is(client: httpx.Client) -> None:
    ground = client.post(IMPORT, content=export(client, "zip"), headers=STREAM).json()["layers"][0]
    assert (ground["width"], ground["height"], ground["coverage"]) == (48, 48, 1.0)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"8BPS\0\1", b"text", b"\x89PNG\r\n\x1a\n"])
def test_what_holds_no_layers_is_refused(client: httpx.Client, content: bytes) -> None:
    assert assert_problem(client.post(IMPORT, content=content, headers=STREAM), 422)["param"] == "file"


def test_a_form_of_another_page_is_not_taken(client: httpx.Client) -> None:
    assert_problem(client.post(IMPORT, content=export(client, "zip"), headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize("name", ["zip", "psd", "ora"])
def test_a_file_of_layers_becomes_a_project_that_goes_out_and_comes_in(client: httpx.Client, name: str) -> None:
    """One address takes every file; its content says which it is."""
    headers = {"Content-Type": "application/zip"}
    answer = client.post("/api/projects/import", params={"name": "海报"}, content=export(client, name), headers=headers)
    assert answer.status_code == 201, answer.text
    project = answer.json()
    assert (project["name"], project["layer_count"], project["warnings"]) == ("海报", 3, [])
    document = project["document"]
    assert [layer["name"] for layer in document["layers"]] == ["Ground", "円", "Sun"]
    assert document["groups"] == groups_in(name)
    merged = Image.open(io.BytesIO(client.get(document["picture"]).content))
    assert merged.tobytes() == composite(layers_of(export(client, name)), 40, 40, groups=SHOWN).tobytes()
    file = client.get(f"/api/projects/{project['id']}/file").content
    again = client.post("/api/projects/import", content=file, headers=headers).json()
    assert (again["name"], again["document"]) == ("海报", document)
    assert [layer.name for layer in layers_of(file)] == ["Ground", "円", "Sun"]

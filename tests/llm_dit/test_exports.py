"""Bundles: what is exported reads back as the same stack, from a folder and from a ZIP."""

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.exports.formats import export_zip as write_zip
from llm_dit.exports.formats import write_bundle
from llm_dit.images import encode_png
from llm_dit.layers import Layer, composite
from tests.kit.stacks import layer_file, layers_of
from tests.llm_dit.images import placed_layers, rgba_images


def export_zip(layers: list[Layer], *, width: int, height: int, about: dict[str, object] | None = None) -> bytes:
    file = io.BytesIO()
    write_zip(layers, file, width=width, height=height, about=about)
    return file.getvalue()


@given(st.lists(placed_layers(), min_size=1, max_size=3))
def test_a_stack_survives_the_zip(layers: list[Layer]) -> None:
    read, file = layer_file(export_zip(layers, width=9, height=7, about={"seed": 5}))
    assert [(one.opacity, one.visible, one.x, one.y) for one in read] == [
        (one.opacity, one.visible, one.x, one.y) for one in layers
    ]
    assert [one.image.tobytes() for one in read] == [one.image.tobytes() for one in layers]
    assert (file.width, file.height, file.about) == (9, 7, {"seed": 5})
    assert composite(read, 9, 7).tobytes() == composite(layers, 9, 7).tobytes()


@given(st.text(max_size=80))
def test_any_name_makes_a_file_name_and_comes_back(name: str) -> None:
    layer = Layer(image=Image.new("RGBA", (2, 2)), name=name.encode("utf-8", "ignore").decode())
    archive = zipfile.ZipFile(io.BytesIO(export_zip([layer], width=2, height=2)))
    member, composite_file, manifest_file = archive.namelist()
    assert (composite_file, manifest_file) == ("composite.png", "manifest.json")
    assert member.startswith("01-") and member.endswith(".png")
    assert not set(member) & set('/\\:*?"<>|\0\n') and len(member.encode()) < 160
    assert layers_of(export_zip([layer], width=2, height=2))[0].name == layer.name


def test_equal_stacks_give_equal_archives_in_stack_order() -> None:
    layers = [Layer(image=Image.new("RGBA", (2, 2), "red"), name=name) for name in ("Background", "Blue, top left")]
    first = export_zip(layers, width=2, height=2)
    assert first == export_zip(layers, width=2, height=2)
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert names == ["01-Background.png", "02-Blue, top left.png", "composite.png", "manifest.json"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"manifest.json": b"not json"},
        {"manifest.json": b'{"width": 2, "height": 2, "layers": [{"file": "../../etc/passwd"}]}'},
        {"manifest.json": b'{"width": 2, "height": 2, "layers": [{"file": "gone.png"}]}'},
        {"manifest.json": b'{"width": 2, "height": 2, "layers": [{"file": "a.png"}]}', "a.png": b"GIF89a"},
        {"manifest.json": b'{"width": 2, "height": 2, "layers": [{"file": "a.png", "scale": 0}]}', "a.png": b""},
        {"manifest.json": b'{"width": 2, "height": 2, "layers": [{"file": "a.png", "blend": "glow"}]}', "a.png": b""},
    ],
)
def test_what_is_no_bundle_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"layer bundle|picture in this file"):
        layers_of(tmp_path)


def test_a_folder_reads_like_an_archive(tmp_path: Path) -> None:
    layer = Layer(image=Image.new("RGBA", (3, 2), (1, 2, 3, 4)), name="Smoke", opacity=0.5)
    write_bundle([layer], lambda name: (tmp_path / name).open("wb"), width=3, height=2)
    (read,), file = layer_file(tmp_path)
    assert (read.name, read.opacity, read.image.tobytes()) == ("Smoke", 0.5, layer.image.tobytes())
    assert (file.kind, file.width) == ("zip", 3)


@given(rgba_images())
def test_png_is_lossless_and_says_nothing_else(image: Image.Image) -> None:
    image.info["Prompt"] = "a secret"
    encoded = encode_png(image)
    assert b"tEXt" not in encoded and b"secret" not in encoded
    assert Image.open(io.BytesIO(encoded)).tobytes() == image.tobytes()

"""Files of layers come back: what this product writes, and what others write, with what cannot come along told."""

# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOptionalIterable=false

import base64
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psd_tools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from psd_tools.constants import BlendMode, Clipping, Tag
from psd_tools.psd.descriptor import Descriptor, DescriptorBlock, Double
from psd_tools.psd.layer_and_mask import MaskParameters
from psd_tools.psd.tagged_blocks import TaggedBlock

from llm_dit.errors import InputError
from llm_dit.exports.formats import ExportName, export
from llm_dit.images import ImageLimits, encode_png
from llm_dit.imports.layer_file import FileLimits
from llm_dit.imports.layers import read_layers
from llm_dit.layer import Group, Layer
from llm_dit.layers import composite
from tests.kit.pictures import difference, disc, square
from tests.kit.stacks import layer_file, layers_of
from tests.llm_dit.images import groups, layers_of_all_kinds

WIDTH, HEIGHT = 13, 11
KEPT = Path(__file__).parents[1] / "kept"
few = settings(max_examples=20)
stacks = st.lists(layers_of_all_kinds(), min_size=1, max_size=5)


@pytest.mark.parametrize("name", ["zip", "psd", "ora", "svg"])
@few
@given(layers=stacks, groups=groups())
def test_what_is_exported_comes_back(name: ExportName, layers: list[Layer], groups: dict[str, Group]) -> None:
    read, file = layer_file(export(layers, name, width=WIDTH, height=HEIGHT, groups=groups))
    assert (file.kind, file.width, file.height, file.warnings) == (name, WIDTH, HEIGHT, [])
    assert [(one.blend, one.visible) for one in read] == [(one.blend, one.visible) for one in layers]
    if name == "psd":  # It has 256 opacities.
        layers = [replace(layer, opacity=round(layer.opacity * 255) / 255) for layer in layers]
        groups = {
            label: group.model_copy(update={"opacity": round(group.opacity * 255) / 255})
            for label, group in groups.items()
        }
    shown = composite(read, WIDTH, HEIGHT, groups=file.groups)
    assert difference(shown, composite(layers, WIDTH, HEIGHT, groups=groups)) <= 1


@pytest.mark.parametrize("folder", [path for path in KEPT.iterdir() if (path / "layers.psd").exists()], ids=str)
def test_files_of_earlier_versions_show_what_they_showed(folder: Path) -> None:
    with Image.open(io.BytesIO(zipfile.ZipFile(folder / "layers.zip").read("composite.png"))) as image:
        expected = image.convert("RGBA")
    for file in ("layers.zip", "layers.psd", "layers.ora", "poster.llm-dit.zip"):
        layers, read = layer_file(folder / file)
        assert len(layers) >= 4 and difference(composite(layers, read.width, read.height), expected) <= 2, file


def test_a_zipped_folder_is_a_bundle(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for name in ("composite.png", "01-background.png", "02-green-right.png", "03-blue-bottom-left.png"):
            written.write(KEPT / "0.1.0" / "bundle" / name, f"poster_layers/{name}")
        written.write(KEPT / "0.1.0" / "bundle" / "manifest.json", "poster_layers/manifest.json")
        written.writestr("__MACOSX/poster_layers/._manifest.json", b"\0\5\26\7")
    assert [one.name for one in layers_of(archive)] == [one.name for one in layers_of(KEPT / "0.1.0" / "bundle")]


# Photoshop ------------------------------------------------------------------------------------------------------------


def saved(document: psd_tools.PSDImage) -> bytes:
    file = io.BytesIO()
    document._record.write(file)
    return file.getvalue()


def red(size: tuple[int, int] = (20, 20)) -> Image.Image:
    return Image.new("RGBA", size, (255, 0, 0, 255))


def test_nested_groups_become_paths_and_keep_what_they_had() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    outer = document.create_group(name="Outer")
    outer.opacity = 128
    outer.create_pixel_layer(red(), name="low")
    inner = outer.create_group(name="A / B")
    inner.visible = False
    inner.create_pixel_layer(red(), name="deep", opacity=128)
    outer.create_pixel_layer(red(), name="high", blend_mode=BlendMode.MULTIPLY)
    twin = document.create_group(name="Outer", blend_mode=BlendMode.MULTIPLY)
    twin.create_pixel_layer(red(), name="other")
    document.create_group(name="Outer", blend_mode=BlendMode.PASS_THROUGH).create_pixel_layer(red(), name="third")
    layers, file = layer_file(saved(document))
    half = 128 / 255
    assert [(one.name, one.group, one.visible, one.opacity, one.blend) for one in layers] == [
        ("low", "Outer", True, 1.0, "normal"),
        ("deep", "Outer / A/B", True, half, "normal"),
        ("high", "Outer", True, 1.0, "multiply"),
        ("other", "Outer 2", True, 1.0, "normal"),
        ("third", "Outer 3", True, 1.0, "normal"),
    ]
    assert file.groups == {
        "Outer": Group(opacity=half, blend="pass-through"),
        "Outer / A/B": Group(visible=False),
        "Outer 2": Group(blend="multiply"),
    }
    assert file.warnings == []


@pytest.mark.parametrize("encoding", ["mac_roman", "utf-8"])
def test_names_that_a_file_has_in_one_byte_signs_only_are_read(encoding: str) -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    names = ["Straße", "Ünder", "Ω"] if encoding == "mac_roman" else ["Straße", "空 69", "Небо"]
    for name in names:
        document.create_pixel_layer(red(), name=name)
    file = io.BytesIO()
    document._record.write(file, encoding=encoding)
    assert [one.name for one in layers_of(file.getvalue())] == names


def test_masks_and_clipping_cut_the_pixels() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    base = document.create_pixel_layer(red((10, 20)), name="base")
    base.create_mask(Image.new("L", (10, 10), 255))
    top = document.create_pixel_layer(Image.new("RGBA", (20, 20), "blue"), name="clipped")
    top._record.clipping = Clipping.NON_BASE
    for layer in layers_of(saved(document)):
        alpha = composite([layer], 20, 20).getchannel("A")
        expected = Image.new("L", (20, 20))
        expected.paste(255, (0, 0, 10, 10))
        assert difference(alpha, expected) == 0, layer.name


def outlines(*shapes: tuple[int, tuple[float, float, float, float]], flags: int = 0) -> bytes:
    """Return a vector mask of rectangles, each an operation and left, top, right, bottom, as shares of the canvas."""
    block = struct.pack(">II", 3, flags)
    for operation, (left, top, right, bottom) in shapes:
        block += struct.pack(">HHh20x", 0, 4, operation)
        for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
            block += struct.pack(">H6i", 1, *(round(place * 2**24) for place in (y, x) * 3))
    return block


def masked(document: psd_tools.PSDImage, block: bytes, image: Image.Image | None = None) -> psd_tools.api.layers.Layer:  # pyright: ignore[reportAttributeAccessIssue]
    layer = document.create_pixel_layer(image or red(), name="masked")
    layer._record.tagged_blocks[Tag.VECTOR_MASK_SETTING1] = TaggedBlock(key=Tag.VECTOR_MASK_SETTING1, data=block)
    return layer


def filled(layer: psd_tools.api.layers.Layer) -> None:  # pyright: ignore[reportAttributeAccessIssue]
    """Make a layer a fill of one color."""
    descriptor = DescriptorBlock(name="", classID=b"null")
    color = Descriptor(name="", classID=b"RGBC")
    color.update({b"Rd  ": Double(10.0), b"Grn ": Double(200.0), b"Bl  ": Double(30.0)})
    descriptor[b"Clr "] = color
    layer._record.tagged_blocks[Tag.SOLID_COLOR_SHEET_SETTING] = TaggedBlock(
        key=Tag.SOLID_COLOR_SHEET_SETTING, data=descriptor
    )


LEFT, MIDDLE = (0.0, 0.0, 0.5, 1.0), (0.25, 0.25, 0.75, 0.75)


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (outlines((1, LEFT)), {(2, 2): 255, (8, 10): 255, (12, 10): 0, (18, 18): 0}),
        (outlines((1, LEFT), flags=1), {(2, 2): 0, (18, 18): 255}),
        (outlines((1, LEFT), flags=4), {(2, 2): 255, (18, 18): 255}),
        (outlines((1, LEFT), (1, MIDDLE)), {(2, 2): 255, (12, 10): 255, (18, 10): 0}),
        (outlines((1, LEFT), (2, MIDDLE)), {(2, 2): 255, (8, 10): 0, (12, 10): 0}),
        (outlines((1, LEFT), (3, MIDDLE)), {(2, 2): 0, (8, 10): 255, (12, 10): 0}),
        (outlines((1, LEFT), (0, MIDDLE)), {(2, 2): 255, (8, 10): 0, (12, 10): 255}),
        (outlines((2, MIDDLE)), {(2, 2): 255, (8, 10): 0}),
        (outlines((1, LEFT), (-1, MIDDLE)), {(2, 2): 255, (8, 10): 0, (12, 10): 255}),
        (outlines((1, LEFT))[:60], {(2, 2): 255}),
        (b"\0\0\0\3", {(2, 2): 255}),
    ],
)
def test_vector_masks_cut_the_pixels(block: bytes, shown: dict[tuple[int, int], int]) -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    masked(document, block)
    (layer,) = layers_of(saved(document))
    alpha = composite([layer], 20, 20).getchannel("A")
    assert {place: alpha.getpixel(place) for place in shown} == shown


def test_a_fill_within_an_outline_is_a_shape() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    filled(layer := masked(document, outlines((1, MIDDLE))))
    layer._record.top = layer._record.left = layer._record.bottom = layer._record.right = 0
    for info, channel in zip(layer._record.channel_info, layer._channels, strict=True):
        info.length, channel.data = 2, b""
    (shape,) = layers_of(saved(document))
    assert (shape.x, shape.y, shape.image.size) == (5, 5, (10, 10))
    assert shape.image.getpixel((5, 5)) == (10, 200, 30, 255)


def test_a_shape_shows_beyond_its_outline_as_far_as_its_mask_lets_it() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    filled(layer := masked(document, outlines((1, MIDDLE)), red((10, 10))))
    layer.create_mask(Image.new("L", (20, 20), 255))
    layer.left, layer.top = 5, 5
    data = layer._record.mask_data
    data.flags.parameters_applied = True
    data.parameters = MaskParameters(vector_mask_density=204)
    (shape,) = layers_of(saved(document))
    shown = composite([shape], 20, 20)
    assert shown.getpixel((10, 10)) == (10, 200, 30, 255)
    assert shown.getpixel((1, 1)) == (10, 200, 30, 51)


def two_on(shown: Image.Image | None) -> bytes:
    """Return a file of a red and a half blue layer, with this merged picture; None leaves it empty."""
    document = psd_tools.PSDImage.new("RGB", (20, 20))
    document.create_pixel_layer(red(), name="below")
    document.create_pixel_layer(Image.new("RGBA", (10, 20), "blue"), name="above")
    if shown is not None:
        planes = [part.tobytes() for part in shown.convert("RGB").split()]
        document._record.image_data.set_data(planes, document._record.header)
    return saved(document)


def test_a_file_that_its_program_shows_differently_says_so() -> None:
    right = red()
    right.paste("blue", (0, 0, 10, 20))
    knocked_out = red()
    knocked_out.paste("white", (0, 0, 10, 20))
    warnings = [layer_file(two_on(shown))[1].warnings for shown in (right, None, knocked_out)]
    assert warnings[:2] == [[], []]
    (said,) = warnings[2]
    assert "look different" in said
    assert layer_file(two_on(right)[:-700])[1].warnings == []


def test_what_a_mask_hides_counts_as_far_as_it_is_dense() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    layer = masked(document, outlines((1, LEFT)))
    layer.create_mask(Image.new("L", (20, 10), 255))
    data = layer._record.mask_data
    data.flags.parameters_applied = True
    data.parameters = MaskParameters(user_mask_density=51, vector_mask_density=102)
    (read,) = layers_of(saved(document))
    alpha = composite([read], 20, 20).getchannel("A")
    # 255 less the density where one of both hides, and the product where both do.
    assert [alpha.getpixel(place) for place in ((2, 2), (2, 18), (18, 2), (18, 18))] == [255, 204, 153, 122]


def test_what_groups_lose_is_told() -> None:
    document = psd_tools.PSDImage.new("RGBA", (20, 20))
    document.create_pixel_layer(red(), name="below")
    group = document.create_group(name="Card")
    group.create_pixel_layer(red(), name="in it")
    group._record.clipping = Clipping.NON_BASE
    for key, data in ((Tag.ARTBOARD_DATA1, b""), (Tag.OBJECT_BASED_EFFECTS_LAYER_INFO, b"enabbool\1")):
        group._record.tagged_blocks[key] = TaggedBlock(key=key, data=data)
    said = " ".join(layer_file(saved(document))[1].warnings)
    assert all(word in said for word in ("effects of “Card”", "“Card” was clipped", "“Card” is an artboard")), said


@pytest.mark.parametrize(
    ("mode", "depth"),
    [("RGB", 8), ("RGB", 16), ("RGB", 32), ("L", 8), ("L", 16), ("L", 32), ("CMYK", 8), ("CMYK", 16)],
)
def test_every_depth_and_color_mode_is_read(mode: str, depth: int) -> None:
    flat = Image.new("RGB", (8, 8), (200, 100, 50)).convert(mode)
    document = psd_tools.PSDImage.new(mode, (8, 8), color=255 if depth == 8 else 65535, depth=depth)
    document.create_pixel_layer(flat, name="patch")
    (layer,) = layers_of(saved(document))
    expected = flat.convert("RGB").getpixel((3, 3))
    if depth == 32:  # is linear light
        expected = tuple(round(255 * (1.055 * (value / 255) ** (1 / 2.4) - 0.055)) for value in expected)
    shown = layer.image.getpixel((3, 3))
    assert isinstance(shown, tuple) and isinstance(expected, tuple)
    assert max(abs(a - b) for a, b in zip(shown[:3], expected, strict=True)) <= 2 and shown[3] == 255


SMALL = FileLimits(image=ImageLimits(max_side=60))


@pytest.mark.parametrize("version", [1, 2])
def test_a_photoshop_file_larger_than_the_limits_comes_in_smaller(version: int) -> None:
    """PSB is version 2."""
    document = psd_tools.PSDImage.new("RGBA", (200, 100))
    document._record.header.version = version
    ground = Image.linear_gradient("L").resize((200, 100)).convert("RGBA")
    document.create_pixel_layer(ground, name="ground")
    group = document.create_group(name="Group")
    group.opacity = 128
    group.create_pixel_layer(disc(70), name="between", top=11, left=31)
    group.create_pixel_layer(red((64, 20)), name="over the edge", top=90, left=-10)
    group.create_pixel_layer(red(), name="off", top=300, left=-500)
    file = read_layers(io.BytesIO(saved(document)), SMALL)
    layers = list(file.layers)
    assert (file.width, file.height) == (60, 30)
    assert file.warnings == [
        "The picture is 200×100 pixels, beyond the limits, and was scaled to 60×30, without the parts off the canvas."
    ]
    assert [(one.name, one.group, one.box) for one in layers] == [
        ("ground", "", (0, 0, 60, 30)),
        ("between", "Group", (9, 3, 31, 25)),
        ("over the edge", "Group", (0, 27, 17, 30)),
        ("off", "Group", (0, 0, 1, 1)),
    ]
    assert layers[0].image.getchannel("A").getextrema() == (255, 255), "what fills the canvas still does"
    for layer, place in zip(layers[:2], [Layer(image=ground), Layer(image=disc(70), x=31, y=11)], strict=True):
        whole = composite([place], 200, 100).resize((60, 30), Image.Resampling.LANCZOS)
        assert difference(composite([layer], 60, 30), whole) <= 2, layer.name


def test_a_flat_photoshop_file_larger_than_the_limits_comes_in_smaller() -> None:
    document = psd_tools.PSDImage.frompil(square(90, (10, 200, 30)).convert("RGB"))
    (layer,) = read_layers(io.BytesIO(saved(document)), SMALL).layers
    assert (layer.image.size, layer.image.getpixel((59, 30))) == ((60, 60), (10, 200, 30, 255))


def test_a_flat_photoshop_file_is_one_layer() -> None:
    document = psd_tools.PSDImage.frompil(square(24, (10, 200, 30)).convert("RGB"))
    (layer,) = layers_of(saved(document))
    assert (layer.name, layer.image.getpixel((5, 5))) == ("Background", (10, 200, 30, 255))


# OpenRaster -----------------------------------------------------------------------------------------------------------


def ora(stack: str, **pictures: Image.Image) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr("stack.xml", stack)
        for name, image in pictures.items():
            archive.writestr(f"data/{name}.png", encode_png(image))
    return file.getvalue()


def test_openraster_of_other_programs_is_read() -> None:
    stack = """<?xml version='1.0' encoding='UTF-8'?><image version="0.0.3" w="20" h="20" xres="72"><stack>
      <stack name="Group" opacity="0.5" visibility="hidden" composite-op="svg:multiply">
        <layer src="data/a.png"/></stack>
      <layer name="glow" composite-op="svg:plus" src="data/a.png" x="3.0" y="-2" opacity="2" selected="true"/>
      <filter type="blur"/><layer name="text" src="data/t.svg"/></stack></image>"""
    layers, file = layer_file(ora(stack, a=disc(8)))
    assert [(one.name, one.group, one.x, one.y, one.opacity, one.visible, one.blend) for one in layers] == [
        ("glow", "", 3, -2, 1.0, True, "normal"),
        ("", "Group", 0, 0, 1.0, True, "normal"),
    ]
    assert file.groups == {"Group": Group(opacity=0.5, visible=False, blend="multiply")}
    assert len(file.warnings) == 2 and any("“glow”" in words for words in file.warnings)


@pytest.mark.parametrize(
    ("operator", "mode"),
    [("svg:exclusion", "exclusion"), ("krita:exclusion", "exclusion"), ("krita:soft_light", "soft-light")],
)
def test_blend_modes_beyond_those_of_openraster_are_read(operator: str, mode: str) -> None:
    stack = f'<image w="9" h="9"><stack><layer src="data/a.png" composite-op="{operator}"/></stack></image>'
    layers, file = layer_file(ora(stack, a=disc(8)))
    assert ([one.blend for one in layers], file.warnings) == ([mode], [])


def test_entities_of_a_stack_are_not_put_in() -> None:
    bomb = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 20}">' for n in range(9))
    layer = '<image w="9" h="9"><stack><layer name="&e9;" src="data/a.png"/></stack></image>'
    stack = f'<!DOCTYPE x [<!ENTITY e0 "{"x" * 99}">{bomb}]>{layer}'
    try:
        assert all(len(one.name) <= 200 for one in layers_of(ora(stack, a=disc(8))))
    except InputError as error:
        assert error.param == "file"


# SVG ------------------------------------------------------------------------------------------------------------------


def svg(content: str, about: str = 'width="40" height="30"') -> bytes:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    inkscape = 'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
    return f"<!-- a program --><svg {spaces} {inkscape} {about}>{content}</svg>".encode()


def test_the_layers_of_a_drawing_are_its_groups_and_its_loose_shapes() -> None:
    drawing = """<defs><linearGradient id="g"><stop stop-color="red"/></linearGradient></defs>
      <rect width="40" height="30" fill="blue"/><circle cx="9" cy="9" r="4" fill="url(#g)"/>
      <g id="sign" transform="translate(20 10)" opacity=".5" style="mix-blend-mode:multiply">
        <rect id="bar" width="10" height="4" fill="lime"/></g>
      <g id="pair" style="display:none"><g id="one"><use xlink:href="#bar" x="5" y="20"/></g>
        <g id="two"><path d="M0 0h8v8z"/></g></g>"""
    layers, file = layer_file(svg(drawing))
    assert (file.kind, file.width, file.height, file.warnings) == ("svg", 40, 30, [])
    assert [(one.name, one.group, one.opacity, one.visible, one.blend) for one in layers] == [
        ("Shapes", "", 1.0, True, "normal"),
        ("sign", "", 0.5, True, "multiply"),
        ("one", "pair", 1.0, True, "normal"),
        ("two", "pair", 1.0, True, "normal"),
    ]
    assert file.groups == {"pair": Group(visible=False)}
    assert layers[0].image.getpixel((9, 9)) == (255, 0, 0, 255)
    assert (layers[1].box, layers[1].image.getpixel((5, 2))) == ((20, 10, 30, 14), (0, 255, 0, 255))
    assert layers[2].box == (5, 20, 15, 24), "drawn though it is defined in another layer"


def test_the_layers_of_inkscape_are_layers() -> None:
    layer = '<g inkscape:groupmode="layer" inkscape:label="{}" {}>{}</g>'
    inner = layer.format("In", 'transform="scale(2)"', '<g><rect width="3" height="3"/></g><g/>')
    drawing = layer.format(
        "Out", 'style="opacity:0.25;isolation:isolate"', inner + '<rect x="9" width="2" height="2"/>'
    )
    layers, file = layer_file(svg(drawing, 'width="10mm" viewBox="0 0 20 10"'))
    assert (file.width, file.height) == (38, 19)
    assert [(one.name, one.group) for one in layers] == [("In", "Out"), ("rect", "Out")]
    assert file.groups == {"Out": Group(opacity=0.25, blend="normal")}
    assert layers[0].box == (0, 0, 12, 12), "6 of 20 units, and an edge between two pixels"


def test_a_drawing_reads_nothing_from_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    square(8, (255, 0, 0)).save(secret)
    inner = base64.b64encode(svg(f'<image href="{secret}" width="8" height="8"/>')).decode()
    for target in (str(secret), secret.as_uri(), "http://127.0.0.1:1/x.png", f"data:image/svg+xml;base64,{inner}"):
        layers, file = layer_file(svg(f'<image href="{target}" width="40" height="30"/><image xlink:href="{target}"/>'))
        assert [one.image.getbbox() for one in layers] == [None], target
        assert file.warnings == ["Pictures outside the file are left out."]
    entity = b'<!DOCTYPE svg [<!ENTITY x SYSTEM "' + secret.as_uri().encode() + b'">]>' + svg("<text>&x;</text>")
    assert [one.image.getbbox() for one in layers_of(entity)] == [None]


def test_a_drawing_larger_than_the_limits_is_drawn_smaller() -> None:
    limits = FileLimits(image=ImageLimits(max_pixels=10_000, max_side=200))
    read = read_layers(io.BytesIO(svg('<rect width="4000" height="1000"/>', 'width="4000" height="1000"')), limits)
    assert (read.width, read.height) == (200, 50)
    assert [layer.box for layer in read.layers] == [(0, 0, 200, 50)]
    assert read.warnings == ["The drawing is 4000×1000 pixels large, beyond the limits, and was drawn at 200×50."]


@pytest.mark.parametrize("content", [b"<svg", b"<svg/>", svg("<g")[:-20], svg("<rect/>") + b"x"])
def test_what_is_no_drawing_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"SVG file is damaged|not a file of layers"):
        layers_of(content)


# What is refused ------------------------------------------------------------------------------------------------------


def archive(edit: Callable[[zipfile.ZipFile], None], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    file = io.BytesIO()
    manifest = {"width": 8, "height": 8, "layers": [{"file": "a.png"}]}
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as written:
        written.writestr("manifest.json", json.dumps(manifest))
        edit(written)
    return bytearray(file.getvalue())


def lying_about_size() -> bytearray:
    content = archive(lambda written: written.writestr("a.png", b"\0" * 50_000_000))
    at = content.rindex(b"PK\1\2")
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    return content


def two(written: zipfile.ZipFile) -> None:
    for name in ("a.png", "b.png"):
        written.writestr(name, encode_png(disc(8)))


def sharing_bytes() -> bytearray:
    content = archive(two)
    first, second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1), content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    return content


def linked(written: zipfile.ZipFile) -> None:
    member = zipfile.ZipInfo("a.png")
    member.external_attr = 0o120777 << 16
    written.writestr(member, "/etc/passwd")


def twice(written: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            written.writestr("a.png", encode_png(disc(8)))


def with_long_directory() -> bytearray:
    content = archive(lambda written: written.writestr("a.png", encode_png(disc(8))))
    content[-10:-6] = (2**31).to_bytes(4, "little")
    return content


@pytest.mark.parametrize(
    "content",
    [
        lying_about_size(),
        sharing_bytes(),
        archive(linked),
        archive(twice),
        with_long_directory(),
        archive(lambda written: written.writestr("a.png", encode_png(disc(8))), zipfile.ZIP_BZIP2),
        archive(lambda written: written.writestr("a.png", encode_png(disc(8))), zipfile.ZIP_LZMA),
        archive(lambda written: written.writestr("../a.png", encode_png(disc(8)))),
        archive(lambda written: written.writestr("/a.png", encode_png(disc(8)))),
        archive(lambda written: written.writestr("a.png", b"\0" * 90_000_000)),
        archive(lambda written: written.writestr("b.png", encode_png(disc(8)))),
        b"PK\3\4 and no more",
        b"8BPS\0\1" + b"\0" * 6 + b"\0\4" + b"\0\0\x75\x30" * 2 + b"\0\x08\0\3" + b"\0" * 12,
        b"8BPS\0\1" + b"\xff" * 500,
        b"\x89PNG\r\n\x1a\n",
        b"",
    ],
    ids=[
        *("size", "overlap", "link", "twice", "directory", "bzip2", "lzma", "up", "root", "endless", "lacking", "cut"),
        *("giant PSD", "damaged PSD", "PNG", "empty"),
    ],
)
def test_what_lies_about_itself_is_refused(content: bytes) -> None:
    with pytest.raises(InputError) as raised:
        layers_of(bytes(content))
    assert raised.value.param == "file" and len(raised.value.message) > 20


def test_more_layers_or_pixels_than_are_taken_are_refused_before_any_is_decoded() -> None:
    layers = [Layer(image=Image.new("RGBA", (30, 30)), name=str(number)) for number in range(5)]
    for name in ("zip", "psd", "ora"):
        content = export(layers, name, width=30, height=30)  # type: ignore[arg-type]
        # A Photoshop file is scaled down.
        small = FileLimits(image=ImageLimits(max_side=29)) if name != "psd" else FileLimits(layers=4)
        limits = [FileLimits(layers=4), small, FileLimits(pixels=4 * 900)]
        for each in limits if name == "zip" else limits[:2]:
            with pytest.raises(InputError, match=r"merge|scale"):
                read_layers(io.BytesIO(content), each)


@pytest.mark.parametrize("name", ["zip", "ora"])
def test_pictures_that_are_cut_off_are_found_before_any_is_decoded(name: ExportName) -> None:
    good, bad = io.BytesIO(export([Layer(image=disc(90))], name, width=90, height=90)), io.BytesIO()
    with zipfile.ZipFile(good) as members, zipfile.ZipFile(bad, "w") as cut:
        for each in members.namelist():
            content = members.read(each)
            cut.writestr(each, content[: len(content) // 2] if each.endswith(".png") else content)
    with pytest.raises(InputError, match="truncated"):
        read_layers(bad)


@pytest.mark.parametrize("name", ["zip", "psd", "ora"])
def test_a_damaged_file_is_read_or_refused(name: ExportName) -> None:
    layers = [Layer(image=disc(24), name="Sun", group="Sky"), Layer(image=disc(9), name="Moon", blend="screen")]
    whole = export(layers, name, width=30, height=30)
    chance = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.integers(1, 4)):
            damaged[chance.integers(len(damaged))] = chance.integers(256)
        if chance.random() < 0.1:
            del damaged[chance.integers(len(damaged)) :]
        try:
            layers_of(bytes(damaged))
        except InputError as error:
            assert error.param == "file", error.message

"""Export formats, read back by the programs' libraries and by bare archive and XML readers."""

# pyright: reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

import io
import json
import weakref
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import psd_tools
import pytest
import resvg_py
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pptx import Presentation
from pptx.enum.text import PP_ALIGN
from pptx.oxml.ns import qn
from pptx.shapes.group import GroupShape
from pptx.shapes.picture import Picture

from llm_dit.classical.seeing import networks
from llm_dit.color import BLEND_MODES
from llm_dit.errors import InputError
from llm_dit.exports.formats import ExportName, export, text_forms, write_export
from llm_dit.layer import SEPARATOR, Group, Layer
from llm_dit.layers import composite
from tests.kit.pictures import difference, disc, square
from tests.kit.stacks import layer_file, layers_of
from tests.llm_dit.images import groups, layers_of_all_kinds

WIDTH, HEIGHT = 13, 11
LAYERED: list[ExportName] = ["zip", "psd", "ora", "pptx"]
HOSTILE = [
    "../../etc/passwd",
    "C:\\x\0y",
    '"><!--&]]>',
    "文字 😀 e\u0301",
    "\u202egnp.exe",
    "",
    "a" * 500,
    "\x1b[31m\r\n\t",
    "\ufffe",
]

stacks = st.lists(layers_of_all_kinds(), min_size=1, max_size=5)
few = settings(max_examples=30)


def exported(layers: list[Layer], name: ExportName, **options: object) -> io.BytesIO:
    return io.BytesIO(export(layers, name, width=WIDTH, height=HEIGHT, **options))  # type: ignore[arg-type]


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def every_mode() -> list[Layer]:
    ground = Image.linear_gradient("L").resize((40, 40)).convert("RGBA")
    return [Layer(image=ground, name="Ground")] + [
        Layer(image=disc(24), name=mode, blend=mode, x=index, y=2 * index - 9, opacity=0.8)
        for index, mode in enumerate(BLEND_MODES)
    ]


# ZIP ------------------------------------------------------------------------------------------------------------------


@few
@given(stacks)
def test_a_zip_keeps_everything(layers: list[Layer]) -> None:
    read, manifest = layer_file(exported(layers, "zip"))
    for back, layer in zip(read, layers, strict=True):
        assert back.image.tobytes() == layer.image.tobytes()
        assert [getattr(back, key) for key in vars(layer) if key != "image"] == [
            getattr(layer, key) for key in vars(layer) if key != "image"
        ]
    assert (manifest.width, manifest.height) == (WIDTH, HEIGHT)


# PSD ------------------------------------------------------------------------------------------------------------------


def psd_tree(parent: Any, around: tuple[str, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield what a PSD says of each layer: its groups, its name, how it blends, whether it is visible."""
    for child in parent:
        if child.is_group():
            yield from psd_tree(child, (*around, child.name))
        else:
            yield SEPARATOR.join(around), child.name, mode_of(child), child.visible


def mode_of(layer: Any) -> str:
    return layer.blend_mode.name.lower().replace("_", "-")


@few
@given(stacks)
def test_a_psd_opens_with_the_same_layers(layers: list[Layer]) -> None:
    document = psd_tools.PSDImage.open(exported(layers, "psd"))
    assert document.size == (WIDTH, HEIGHT)
    assert list(psd_tree(document)) == [
        (layer.group, clean(layer.name), layer.blend, layer.visible) for layer in layers
    ]
    read = [layer for layer in document.descendants() if not layer.is_group()]
    for back, layer in zip(read, layers, strict=True):
        assert abs(back.opacity / 255 - layer.opacity) <= 0.5 / 255 + 1e-9
        alone = Layer(image=back.topil().convert("RGBA"), x=back.left, y=back.top)
        placed = replace(layer, opacity=1.0, visible=True, blend="normal", group="")
        assert difference(composite([alone], WIDTH, HEIGHT), composite([placed], WIDTH, HEIGHT)) == 0


@few
@given(stacks)
def test_a_psd_carries_its_merged_picture(layers: list[Layer]) -> None:
    file = exported(layers, "psd")
    expected = composite(layers, WIDTH, HEIGHT)
    merged = psd_tools.PSDImage.open(file).topil()
    assert merged is not None and difference(merged, expected) <= 1
    raw = pixels(Image.open(file))
    assert np.array_equal(raw[..., 3], pixels(expected)[..., 3])
    over_white = composite([Layer(image=expected)], background=(255, 255, 255, 255))
    assert np.abs(raw - pixels(over_white))[..., :3].max() <= 1, "Photoshop's way: colors over white"


def test_a_psd_keeps_what_lies_off_the_canvas() -> None:
    layers = [Layer(image=disc(24), x=-20, y=5, flip_x=True)]
    (layer,) = psd_tools.PSDImage.open(exported(layers, "psd"))
    bounds = disc(24).transpose(Image.Transpose.FLIP_LEFT_RIGHT).getbbox()
    assert bounds is not None
    assert (layer.left, layer.top, *layer.size) == (
        bounds[0] - 20,
        bounds[1] + 5,
        bounds[2] - bounds[0],
        bounds[3] - bounds[1],
    )


# OpenRaster -----------------------------------------------------------------------------------------------------------


OPERATORS = {f"svg:{mode}": mode for mode in BLEND_MODES} | {"svg:src-over": "normal", "krita:exclusion": "exclusion"}


def ora_layers(file: io.BytesIO) -> list[Layer]:
    """Read an OpenRaster file by its specification, bottom first."""
    with zipfile.ZipFile(file) as archive:
        root = ElementTree.fromstring(archive.read("stack.xml")).find("stack")
        assert root is not None
        entries = ora_entries(root)
        return [
            Layer(
                image=Image.open(io.BytesIO(archive.read(said["src"]))).convert("RGBA"),
                name=said["name"],
                x=int(said["x"]),
                y=int(said["y"]),
                opacity=float(said["opacity"]),
                visible=said["visibility"] == "visible",
                blend=OPERATORS[said["composite-op"]],  # pyright: ignore[reportArgumentType]
                group=group,
            )
            for said, group in reversed([*entries])
        ]


def ora_entries(stack: ElementTree.Element, *around: str) -> Iterator[tuple[dict[str, str], str]]:
    for node in stack:
        if node.tag == "stack":
            yield from ora_entries(node, *around, node.attrib["name"])
        else:
            yield node.attrib, SEPARATOR.join(around)


@few
@given(stacks)
def test_an_openraster_file_reads_back_as_the_same_picture(layers: list[Layer]) -> None:
    file = exported(layers, "ora")
    read = ora_layers(file)
    assert [(one.name, one.group, one.blend, one.visible) for one in read] == [
        (clean(one.name), one.group, one.blend, one.visible) for one in layers
    ]
    expected = composite(layers, WIDTH, HEIGHT)
    assert difference(composite(read, WIDTH, HEIGHT), expected) <= 1
    with zipfile.ZipFile(file) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type, archive.read(first)) == (
            "mimetype",
            zipfile.ZIP_STORED,
            b"image/openraster",
        )
        assert file.getvalue()[30:38] == b"mimetype", "where programs look for it"
        merged = Image.open(io.BytesIO(archive.read("mergedimage.png")))
        assert merged.tobytes() == expected.tobytes()
        image = ElementTree.fromstring(archive.read("stack.xml"))
        assert (image.attrib["w"], image.attrib["h"]) == (str(WIDTH), str(HEIGHT))


def test_the_whole_part_of_an_opacity_in_openraster_is_its_step() -> None:
    layers = [Layer(image=disc(4), name=str(step), opacity=step / 255) for step in range(256)]
    with zipfile.ZipFile(exported(layers, "ora")) as archive:
        said = ElementTree.fromstring(archive.read("stack.xml")).findall(".//layer")
    assert [int(float(one.attrib["opacity"]) * 255) for one in reversed(said)] == [*range(256)]


def test_the_thumbnail_of_an_openraster_file_is_small() -> None:
    layers = [Layer(image=Image.new("RGBA", (700, 300), "teal"))]
    with zipfile.ZipFile(io.BytesIO(export(layers, "ora", width=700, height=300))) as archive:
        thumbnail = Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png")))
    assert thumbnail.size == (256, 110) and thumbnail.mode == "RGBA"


# PPTX -----------------------------------------------------------------------------------------------------------------


def slide_layers(file: io.BytesIO, unit: float = 9525.0) -> list[Layer]:
    """Read the pictures of the first slide as they are shown, bottom first."""
    (slide,) = Presentation(file).slides
    return [
        Layer(
            image=Image.open(io.BytesIO(picture.image.blob)).convert("RGBA"),
            name=picture.name,
            x=round(picture.left / unit),
            y=round(picture.top / unit),
            opacity=1.0
            if (fade := picture._element.find(f".//{qn('a:alphaModFix')}")) is None
            else int(fade.attrib["amt"]) / 100_000,
            visible=picture._element._nvXxPr.cNvPr.get("hidden") != "1",
            group=group,
        )
        for picture, group in shapes_of(slide.shapes)
    ]


def shapes_of(shapes: Any, *around: str) -> Iterator[tuple[Picture, str]]:
    for shape in shapes:
        if isinstance(shape, GroupShape):
            yield from shapes_of(shape.shapes, *around, shape.name)
        else:
            assert isinstance(shape, Picture)
            yield shape, SEPARATOR.join(around)


@pytest.mark.slow
@few
@given(stacks)
def test_a_slide_looks_like_the_stack(layers: list[Layer]) -> None:
    file = io.BytesIO(export(layers, "pptx", width=100, height=120, title="Poster"))
    presentation = Presentation(file)
    assert (presentation.slide_width, presentation.slide_height) == (952_500, 1_143_000)
    assert (presentation.core_properties.title, presentation.core_properties.author) == ("Poster", "")
    read = slide_layers(file)
    assert [(one.name, one.group, one.visible) for one in read] == [
        (clean(one.name), one.group, one.visible) for one in layers
    ]
    # Colors of a blended layer, and of what it is blended with, are rounded to 8 bits.
    assert difference(composite(read, 100, 120), composite(layers, 100, 120)) <= 2


@pytest.mark.parametrize(("size", "aspect"), [((48, 27), 48 / 27), ((8192, 4096), 2.0), ((30, 3), 10.0)])
def test_a_slide_has_the_aspect_of_the_canvas_within_what_powerpoint_takes(
    size: tuple[int, int], aspect: float
) -> None:
    content = export([Layer(image=Image.new("RGBA", (1, 1), "red"))], "pptx", width=size[0], height=size[1])
    presentation = Presentation(io.BytesIO(content))
    assert presentation.slide_width is not None and presentation.slide_height is not None
    sides = (presentation.slide_width, presentation.slide_height)
    assert min(sides) >= 914_400 and max(sides) <= 51_206_400
    assert sides[0] / sides[1] == pytest.approx(aspect, rel=1e-4)


def test_a_blended_layer_on_a_slide_says_what_was_done() -> None:
    layers = [Layer(image=disc(13), name="Sun"), Layer(image=disc(13), name="Shade", blend="multiply")]
    (slide,) = Presentation(exported(layers, "pptx")).slides
    described = [shape._element._nvXxPr.cNvPr.get("descr") for shape in slide.shapes]
    assert described == ["Sun", "Shade (blend mode multiply, merged with the layers below)"]


# Flat pictures --------------------------------------------------------------------------------------------------------


@few
@given(stacks)
def test_flat_pictures_are_the_composite(layers: list[Layer]) -> None:
    expected = composite(layers, WIDTH, HEIGHT, (20, 40, 60, 128))
    for name in ("png", "webp"):
        made = Image.open(exported(layers, name, background=(20, 40, 60, 128)))
        assert made.format == name.upper() and difference(made.convert("RGBA"), expected) == 0


def test_a_jpeg_lies_on_white_or_on_the_color_that_was_asked_for() -> None:
    layers = [Layer(image=Image.new("RGBA", (13, 11)))]
    for background, shown in [(None, (255, 255, 255)), ((10, 20, 200, 255), (10, 20, 200)), ((0, 0, 0, 0), (255,) * 3)]:
        made = Image.open(exported(layers, "jpeg", background=background))
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (13, 11))
        assert np.abs(np.asarray(made).astype(int) - shown).max() <= 2


# All of them ----------------------------------------------------------------------------------------------------------


def clean(name: str) -> str:
    """Return a name as formats on the base of XML can hold it."""
    return "".join(
        "\ufffd" if (sign < " " and sign not in "\t\r\n") or sign in "\ufffe\uffff" else sign for sign in name
    )


def test_every_blend_mode_survives_where_there_are_any() -> None:
    layers = every_mode()
    modes = ["normal", *BLEND_MODES]
    assert [one.blend for one in layers_of(exported(layers, "zip"))] == modes
    assert [one.blend for one in ora_layers(exported(layers, "ora"))] == modes
    assert [mode for *_, mode, _ in psd_tree(psd_tools.PSDImage.open(exported(layers, "psd")))] == modes


@pytest.mark.parametrize("name", LAYERED)
def test_hostile_names_stay_names(name: ExportName) -> None:
    layers = [Layer(image=disc(8), name=text, group=text) for text in HOSTILE]
    file = exported(layers, name, title=HOSTILE[2])
    shown = [clean(text) for text in HOSTILE]
    if name == "psd":
        tree = psd_tree(psd_tools.PSDImage.open(file))
        assert [(group, name) for group, name, *_ in tree] == [(text[:255], text[:255]) for text in shown]
        return
    for member in zipfile.ZipFile(file).namelist():
        assert not member.startswith("/") and ".." not in member.split("/") and "\\" not in member
        assert len(member.encode()) < 255 and member.isprintable()
    if name == "zip":
        assert [one.name for one in layers_of(file)] == HOSTILE
    elif name == "ora":
        assert [(one.name, one.group) for one in ora_layers(file)] == list(zip(shown, shown, strict=True))
    else:
        assert [(one.name, one.group) for one in slide_layers(file)] == list(zip(shown, shown, strict=True))


def test_layers_with_nothing_to_see_stay_in_the_stack() -> None:
    layers = [Layer(image=Image.new("RGBA", (4, 4)), name="Empty"), Layer(image=disc(8), name="Off", x=500, scale=2.0)]
    for read in (ora_layers(exported(layers, "ora")), slide_layers(exported(layers, "pptx"))):
        assert [(one.name, one.image.size, one.image.getbbox()) for one in read] == [
            ("Empty", (1, 1), None),
            ("Off", (1, 1), None),
        ]
    document = psd_tools.PSDImage.open(exported(layers, "psd"))
    assert [(one.name, one.size) for one in document] == [("Empty", (1, 1)), ("Off", (1, 1))]


@pytest.mark.parametrize("name", ["png", "webp", "jpeg"])
def test_a_stack_with_nothing_to_see_is_a_picture_all_the_same(name: ExportName) -> None:
    picture = Image.open(exported([Layer(image=disc(8), visible=False)], name))
    assert picture.size == (WIDTH, HEIGHT)
    assert picture.convert("RGBA").getpixel((4, 4)) == ((255, 255, 255, 255) if name == "jpeg" else (0, 0, 0, 0))


@pytest.mark.parametrize(("name", "side"), [("psd", 30_001), ("webp", 16_384), ("jpeg", 65_501)])
def test_a_canvas_beyond_the_format_is_refused_with_what_would_do(name: ExportName, side: int) -> None:
    with pytest.raises(InputError, match="scale the layers down") as raised:
        export([Layer(image=disc(8))], name, width=side, height=1)
    assert raised.value.param == "format"
    assert export([Layer(image=disc(8))], name, width=side - 1, height=1)


@pytest.mark.parametrize("name", ["zip", "ora"])
def test_equal_stacks_give_equal_files(name: ExportName) -> None:
    assert exported(every_mode(), name).getvalue() == exported(every_mode(), name).getvalue()


NAMES: list[ExportName] = [*LAYERED, "png", "jpeg", "webp"]


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_taken_one_at_a_time(name: ExportName) -> None:
    """A stack may be larger than memory: while one layer is drawn, those before it are let go."""
    drawn: list[weakref.ref[Image.Image]] = []
    most = 0

    def stack() -> Iterator[Layer]:
        nonlocal most
        for number in range(6):
            layer = Layer(image=disc(40), name=str(number), x=number, blend="multiply" if number % 2 else "normal")
            drawn.append(weakref.ref(layer.image))
            most = max(most, sum(each() is not None for each in drawn))
            yield layer
            del layer

    file = io.BytesIO()
    write_export(stack(), name, file, width=50, height=40)
    assert most <= 2, "the one that is drawn, and the one before it in the loop's own name"
    kept = [Layer(image=disc(40), name=str(n), x=n, blend="multiply" if n % 2 else "normal") for n in range(6)]
    if name not in ("pptx", "psd"):
        assert file.getvalue() == export(kept, name, width=50, height=40)


def test_nested_groups_are_nested_in_files() -> None:
    groups = ["", "A", "A / B", "A / B / C", "A", "D / B"]
    layers = [Layer(image=disc(8), name=str(number), group=group) for number, group in enumerate(groups)]
    for name in ("psd", "ora"):
        assert [one.group for one in layers_of(exported(layers, name))] == groups
    first = list(psd_tools.PSDImage.open(exported(layers, "psd")))[1]
    assert isinstance(first, psd_tools.api.layers.Group)  # pyright: ignore[reportAttributeAccessIssue]
    assert [child.name for child in first] == ["1", "B", "4"]
    (slide,) = Presentation(exported(layers, "pptx")).slides
    outer = slide.shapes[1]
    assert isinstance(outer, GroupShape)
    assert [shape.name for shape in outer.shapes] == ["1", "B", "4"]


@few
@given(stacks, groups())
def test_a_drawing_shows_the_stack(layers: list[Layer], groups: dict[str, Group]) -> None:
    ground = Layer(image=square(20, (90, 120, 200)))
    file = export([ground, *layers], "svg", width=20, height=20, groups=groups, title=HOSTILE[2]).decode()
    drawn = Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=file))).convert("RGBA")
    expected = composite([ground, *layers], 20, 20, groups=groups)
    # It computes with 8 bits a channel from layer to layer, which modes that divide make much of.
    assert np.median(np.abs(pixels(drawn) - pixels(expected))) <= 1


GROUPS = {"Faded": Group(opacity=0.5), "Faded / Lit": Group(blend="screen"), "Gone": Group(visible=False)}
IN_GROUPS = [
    Layer(image=square(30, (200, 60, 20)), name="ground"),
    Layer(image=disc(20), name="low", group="Faded", x=2),
    Layer(image=disc(16), name="high", group="Faded / Lit", x=9, blend="multiply"),
    Layer(image=disc(8), name="away", group="Gone"),
    Layer(image=disc(8), name="top"),
]


def test_other_programs_are_told_how_groups_show() -> None:
    files = {name: io.BytesIO(export(IN_GROUPS, name, width=100, height=100, groups=GROUPS)) for name in LAYERED}
    document = psd_tools.PSDImage.open(files["psd"])
    said = {one.name: (one.opacity, mode_of(one), one.visible) for one in document.descendants() if one.is_group()}
    assert said == {
        "Faded": (128, "normal", True),
        "Lit": (255, "screen", True),
        "Gone": (255, "pass-through", False),
    }
    with zipfile.ZipFile(files["ora"]) as archive:
        stacks = ElementTree.fromstring(archive.read("stack.xml")).findall(".//stack[@name]")
    keys = ("name", "opacity", "composite-op", "visibility", "isolation")
    assert sorted(tuple(one.attrib[key] for key in keys) for one in stacks) == [
        ("Faded", "0.5", "svg:src-over", "visible", "isolate"),
        ("Gone", "1", "svg:src-over", "hidden", "auto"),
        ("Lit", "1", "svg:screen", "visible", "isolate"),
    ]
    assert json.loads(zipfile.ZipFile(files["zip"]).read("manifest.json"))["groups"]["Faded"]["opacity"] == 0.5
    # A slide has no such groups: one is a picture, which looks the same.
    read = slide_layers(files["pptx"])
    assert [(one.name, one.group, one.visible) for one in read] == [
        ("ground", "", True),
        ("Faded", "", True),
        ("away", "Gone", False),
        ("top", "", True),
    ]
    assert difference(composite(read, 100, 100), composite(IN_GROUPS, 100, 100, groups=GROUPS)) <= 2


# Lines of type as text ------------------------------------------------------------------------------------------------

SIGN = (640, 240)
INK = (170, 30, 60)
LINES = ["Open from 9 to 17", "Entry is free", "Bring your friends!"]


def lettering(lines: list[str], size: float = 34, anchor: str = "ls", x: int = 40) -> Image.Image:
    """Lines of type in Pillow's own font, 60 pixels apart."""
    mask = Image.new("L", SIGN)
    for number, line in enumerate(lines):
        ImageDraw.Draw(mask).text((x, 70 + 60 * number), line, 255, ImageFont.load_default(size), anchor)
    picture = Image.new("RGBA", SIGN, INK)
    picture.putalpha(mask)
    return picture


def slide_of(*layers: Layer, text: str = "editable") -> list[Any]:
    file = export([*layers], "pptx", width=SIGN[0], height=SIGN[1], text=text)  # type: ignore[arg-type]
    (slide,) = Presentation(io.BytesIO(file)).slides
    return list(slide.shapes)


def center(shape: Any) -> float:
    return (shape.left + shape.width / 2) / 9525


@pytest.mark.slow
def test_lines_of_type_become_text_where_they_were() -> None:
    (group,) = slide_of(Layer(image=lettering(LINES), name="Opening", opacity=0.5))
    assert isinstance(group, GroupShape) and group.name == "Opening"
    lines: list[Any] = list(group.shapes)
    assert [shape.text_frame.text for shape in lines] == LINES
    for number, shape in enumerate(lines):
        (run,) = shape.text_frame.paragraphs[0].runs
        assert run.font.size.pt / 0.75 == pytest.approx(34, rel=0.06)
        assert run.font.color.rgb == INK and run.font.name == "Arial"
        assert (run.font.bold, run.font.italic) == (False, False)
        assert run._r.find(f".//{qn('a:alpha')}").attrib["val"] == "50000"
        assert shape.text_frame.paragraphs[0].alignment == PP_ALIGN.LEFT
        left, right = (shape.left + shape.text_frame.margin_left) / 9525, (shape.left + shape.width) / 9525
        assert left == pytest.approx(40, abs=3) and right < SIGN[0]
        # A line of a slide has its size above the baseline.
        assert shape.top / 9525 + run.font.size.pt / 0.75 == pytest.approx(70 + 60 * number, abs=2)
        assert shape._element._nvXxPr.cNvPr.get("descr") == LINES[number]


@pytest.mark.slow
def test_text_is_aligned_as_its_lines_are() -> None:
    (ragged,) = slide_of(Layer(image=lettering(LINES, anchor="rs", x=600)))
    (centered,) = slide_of(Layer(image=lettering(LINES, anchor="ms", x=250)))
    for group, alignment in ((ragged, PP_ALIGN.RIGHT), (centered, PP_ALIGN.CENTER)):
        assert {shape.text_frame.paragraphs[0].alignment for shape in group.shapes} == {alignment}
    (alone,) = slide_of(Layer(image=lettering(LINES[:1], anchor="ms", x=SIGN[0] // 2)))
    assert alone.text_frame.paragraphs[0].alignment == PP_ALIGN.CENTER
    assert center(alone) == pytest.approx(SIGN[0] / 2, abs=3)


@pytest.mark.slow
def test_a_turned_line_is_turned_text() -> None:
    (shape,) = slide_of(Layer(image=lettering(["Half price today"], 44, "mm", 320), rotation=-12))
    assert shape.text_frame.text == "Half price today"
    assert shape.rotation - 360 == pytest.approx(-12, abs=1)
    assert center(shape) == pytest.approx(320, abs=12)


@pytest.mark.slow
def test_what_is_no_type_stays_a_picture_beside_it() -> None:
    picture = lettering(LINES[1:2])
    ImageDraw.Draw(picture).ellipse((400, 100, 500, 200), fill=INK)
    (group,) = slide_of(Layer(image=picture, name="Entry"))
    rest, text = group.shapes
    assert isinstance(rest, Picture) and text.text_frame.text == LINES[1]
    shown = Image.open(io.BytesIO(rest.image.blob))
    assert shown.crop((0, 0, 300, 90)).getbbox() is None or rest.top / 9525 > 90


@pytest.mark.slow
def test_the_pictures_of_lines_can_stay_hidden() -> None:
    (group,) = slide_of(Layer(image=lettering(LINES[:1]), name="Opening"), text="both")
    picture, text = group.shapes
    assert isinstance(picture, Picture) and picture._element._nvXxPr.cNvPr.get("hidden") == "1"
    assert text.text_frame.text == LINES[0] and text._element._nvXxPr.cNvPr.get("hidden") is None


def on_a_plate() -> Image.Image:
    plate = Image.new("RGBA", SIGN, "navy")
    plate.alpha_composite(lettering(LINES[:1]))
    return plate


def with_a_shadow() -> Image.Image:
    type_ = lettering(LINES[:1], 60)
    shadow = Image.new("RGBA", SIGN)
    shadow.putalpha(type_.getchannel("A").filter(ImageFilter.GaussianBlur(5)))
    shadow.alpha_composite(type_)
    return shadow


def of_many_colors() -> Image.Image:
    rainbow = Image.linear_gradient("L").rotate(90).resize(SIGN).convert("RGBA")
    rainbow.putalpha(lettering(LINES[:1], 60).getchannel("A"))
    return rainbow


@pytest.mark.slow
@pytest.mark.parametrize("draw", [on_a_plate, with_a_shadow, of_many_colors, lambda: disc(200)])
def test_text_that_would_look_different_stays_a_picture(draw: Callable[[], Image.Image]) -> None:
    (shape,) = slide_of(Layer(image=draw()))
    assert isinstance(shape, Picture)


@pytest.mark.slow
def test_a_name_that_says_the_same_has_the_spelling() -> None:
    (shape,) = slide_of(Layer(image=lettering(["Cafe Zoe"], 60), name="Café Zoë"))
    assert shape.text_frame.text == "Café Zoë"


def test_text_is_for_presentations_alone() -> None:
    with pytest.raises(InputError, match="Only presentations") as caught:
        export([Layer(image=disc(4))], "psd", width=4, height=4, text="editable")
    assert caught.value.param == "text"


def test_without_its_networks_nothing_reads_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(networks, "folder", lambda: tmp_path)
    assert text_forms() == ("picture",)
    with pytest.raises(InputError, match="llm-dit models fetch"):
        slide_of(Layer(image=disc(4)))

"""Layers asked for by a box and a name: they lie on top under their names, and the composite stays what it was."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llm_dit import ClassicalPipeline, Decomposition, InputError, Layer, NamedBox, composite
from tests.kit.pictures import difference

pytestmark = pytest.mark.slow

SIZE = (320, 240)
HEAD, HAT, CARD = (60, 60, 160, 200), (70, 50, 150, 95), (200, 70, 290, 190)


def drawn(*shapes: str) -> Image.Image:
    """Return the named shapes on clear, all of them for none: a head, its hat and a card."""
    picture = Image.new("RGBA", SIZE)
    draw = ImageDraw.Draw(picture)
    if "head" in shapes:
        draw.ellipse(HEAD, fill="#e8b48c")
    if "hat" in shapes:
        draw.rounded_rectangle(HAT, 12, fill="#1f7a3c")
    if "card" in shapes:
        draw.rectangle(CARD, fill="#d2261e")
    return picture


def scene(ground: str = "#f3d96b") -> Image.Image:
    picture = Image.new("RGBA", SIZE, ground)
    picture.alpha_composite(drawn("head", "hat", "card"))
    return picture


def named(*boxes: tuple[str, tuple[int, int, int, int]]) -> list[NamedBox]:
    return [NamedBox(box=(left - 4, top - 4, right + 5, low + 5), name=name) for name, (left, top, right, low) in boxes]


def taken_apart(picture: Image.Image, layer_num: int, regions: list[NamedBox], **options: object) -> Decomposition:
    options = {"output_size": "original", "seed": 3} | options
    return ClassicalPipeline().decompose(picture, layer_num=layer_num, regions=regions, **options)  # pyright: ignore[reportArgumentType]


def overlap(layer: Image.Image, *shapes: str) -> float:
    """Return the intersection over the union of what a layer and the named shapes show."""
    one, other = (np.asarray(image.getchannel("A")) > 127 for image in (layer, drawn(*shapes)))
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("ground", ["#f3d96b", "#00000000"])
def test_what_is_boxed_is_a_layer_of_its_name_and_what_it_stands_on_goes_on_behind_it(ground: str) -> None:
    picture = scene(ground)
    made = taken_apart(picture, 4, named(("Head", HEAD), ("Red card", CARD), ("Hat", HAT)))
    assert (len(made), made.names[2:]) == (5, ["Head", "Red card", "Hat"])
    assert overlap(made[-1], "hat") > 0.9
    assert overlap(made[3], "card") > 0.9
    assert overlap(made[2], "head", "hat") > 0.75
    stack = [Layer(image=layer) for layer in made[1:]]
    assert difference(composite(stack, *SIZE), picture) <= 1


def test_the_rest_is_taken_apart_as_ever() -> None:
    made = taken_apart(scene(), 4, named(("Hat", HAT)))
    assert (made.names[0], made.names[1], made.names[-1]) == ("Composite", "Background", "Hat")
    for shape in ("head", "card"):
        assert max(overlap(layer, shape) for layer in made[2:4]) > 0.6


def test_boxes_are_in_pixels_of_the_picture_whatever_size_the_layers_have() -> None:
    made = taken_apart(scene(), 2, named(("Red card", CARD)), output_size="model")
    card = made[2].getchannel("A").resize(SIZE)
    assert made[2].size != SIZE
    assert overlap(Image.merge("RGBA", [card] * 4), "card") > 0.9


def test_two_boxes_of_one_name_make_two_names_and_one_without_a_name_is_described() -> None:
    made = taken_apart(scene(), 4, named(("It", CARD), ("It", HAT), ("", HEAD)))
    assert {*made.names[2:]} >= {"It", "It 2"}
    assert len(set(made.names)) == 5
    assert all(made.names)


def test_lines_of_text_that_fill_a_box_are_one_layer() -> None:
    picture = Image.new("RGB", (640, 480), "#f3d96b")
    ImageDraw.Draw(picture).text((60, 60), "SPRING\nFAIR", fill="#20242c", font_size=96)
    ImageDraw.Draw(picture).ellipse((380, 280, 560, 440), fill="#2a6fd0")
    made = taken_apart(picture, 3, [NamedBox(box=(50, 60, 460, 290), name="Title")])
    (title,) = [layer for layer, name in zip(made, made.names, strict=True) if name == "Title"]
    dark = np.asarray(picture.convert("L")) < 60
    shown = np.asarray(title.getchannel("A")) > 127
    assert (dark & shown).sum() > 0.95 * dark.sum()
    assert shown.sum() < 1.3 * dark.sum()


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        ([NamedBox(box=(0, 0, 50, 50))] * 2, "2 regions for 2 layers"),
        ([NamedBox(box=(400, 0, 500, 50))], "outside the picture, which has 320×240 pixels"),
        ([NamedBox(box=(1, 1, 30, 30), name="Moon")], "“Moon” contains no thing"),
        ([NamedBox(box=(1, 1, 30, 30))], "Box 1 contains no thing"),
    ],
)
def test_boxes_that_nothing_can_be_made_of_are_refused(regions: list[NamedBox], words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        taken_apart(scene("#00000000"), 2, regions)
    assert refused.value.param == "regions"


@pytest.mark.parametrize("box", [(10, 10, 10, 20), (10, 20, 30, 5), (0, 0, math.inf, 10), (math.nan, 0, 10, 10)])
def test_a_box_has_an_inside(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="left, top, right and bottom"):
        NamedBox(box=box)

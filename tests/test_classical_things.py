"""Pictures of many parts come apart into whole things, not into colors."""

from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llm_dit.classical.layering.regions import MOST, draw_sketch
from llm_dit.classical.layering.surfaces import Ground, fit_ground, pieces_of, with_strays
from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline

SIDE = 500
GROUND = "#1478e6"
SHIRTS = ("#f5c518", "#e94f1d", "#1f9d55", "#7a3fb0", "#ffffff")
PARTS = ("writing", "tower", "people")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def draw_writing(draw: ImageDraw.ImageDraw) -> None:
    """Draw ten letters of one stroke width in the color of one of the shirts."""
    for index in range(10):
        x, y = 2 * (80 + 85 * index), 120
        draw.rectangle((x, y, x + 32, y + 170), fill="white")
        if index % 2:
            draw.rectangle((x, y + 69, x + 110, y + 101), fill="white")
        else:
            draw.rectangle((x, y + 138, x + 110, y + 170), fill="white")


def draw_person(draw: ImageDraw.ImageDraw, x: int, y: int, number: int) -> None:
    """Draw a person of some twenty parts of many colors, at four times the size."""
    draw.rounded_rectangle((x - 80, y, x + 80, y + 420), 60, fill=SHIRTS[number % 5])
    draw.line((x - 40, y + 90, x + 20, y + 240), fill="#202020", width=10)
    draw.ellipse((x - 62, y - 120, x + 62, y + 20), fill=("#f0b79a", "#8d5a3b")[number % 2])
    draw.chord((x - 66, y - 132, x + 66, y + 4), 180, 360, fill=("#202020", "#b9b9b9", "#70401f")[number % 3])
    for side in (-1, 1):
        draw.ellipse((x + side * 26 - 10, y - 52, x + side * 26 + 10, y - 32), fill="#202020")
        draw.ellipse((x + side * 60 - 22, y + 130, x + side * 60 + 22, y + 180), fill="#f0b79a")
    draw.ellipse((x - 22, y - 22, x + 22, y + 4), fill="#b02020")
    for button in range(4):
        draw.rectangle((x + 30, y + 60 + 80 * button, x + 48, y + 78 + 80 * button), fill="#303a60")


def draw_people(draw: ImageDraw.ImageDraw) -> None:
    """Draw two crowds, left and right."""
    for number, x in enumerate((110, 250, 390, 530, 1470, 1610, 1750, 1890)):
        draw_person(draw, x, 1320 + 120 * (number % 2), number)


def draw_tower(draw: ImageDraw.ImageDraw) -> None:
    """Draw a striped tower with a flame on it between the crowds."""
    draw.rectangle((900, 900, 1100, 1999), fill="#f7f7f7")
    for row in range(960, 1960, 100):
        draw.rectangle((900, row, 1100, row + 40), fill="#f08010")
    draw.ellipse((930, 700, 1070, 930), fill="#e01010")
    draw.ellipse((965, 790, 1035, 920), fill="#ffd000")


@cache
def poster() -> tuple[Image.Image, dict[str, np.ndarray]]:
    """Return a poster and the mask of each of its parts."""
    picture = Image.new("RGB", (4 * SIDE, 4 * SIDE), GROUND)
    masks = {}
    for name, paint in zip(PARTS, (draw_writing, draw_tower, draw_people), strict=True):
        before = pixels(picture.reduce(4))
        paint(ImageDraw.Draw(picture))
        masks[name] = np.abs(pixels(picture.reduce(4)) - before).max(axis=-1) > 127
    return picture.reduce(4), masks


@cache
def layers_of_poster() -> Decomposition:
    return ClassicalPipeline().decompose(poster()[0], layer_num=4, seed=0, output_size="original")


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_things_of_many_colors_are_whole_and_alone(name: str) -> None:
    mask = poster()[1][name]
    found = [pixels(layer)[..., 3] > 127 for layer in layers_of_poster()[2:]]
    overlaps = [float((one & mask).sum() / (one | mask).sum()) for one in found]
    assert max(overlaps) > 0.87


@pytest.mark.slow
def test_nothing_of_them_stays_in_the_ground() -> None:
    ground = pixels(layers_of_poster()[1])
    off = np.abs(ground - pixels(Image.new("RGB", (SIDE, SIDE), GROUND))).max(axis=-1)
    assert (off > 8).mean() < 0.0001


def test_what_is_hidden_of_a_gradient_is_continued_tamely() -> None:
    rows, columns = np.mgrid[0:200, 0:200] / 200
    shine = 40 * np.exp(-(((columns - 0.3) / 0.4) ** 2) - ((rows - 0.2) / 0.25) ** 2)
    rgb = np.dstack([200 + shine, 40 + 90 * rows, 30 + 60 * rows]).astype(np.float32)
    field = fit_ground(rgb, rows < 0.4 + 0.2 * columns).field
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) <= 2


def test_sharp_things_are_taken_off_the_ground_and_shadows_are_not() -> None:
    ground = np.full((120, 160, 4), 255, np.uint8)
    ground[..., :3] = (200, 180, 150)
    rows, columns = np.mgrid[0:120, 0:160]
    shadow = 0.7 * np.exp(-((rows - 60) ** 2 + (columns - 110) ** 2) / 300)
    ground[..., :3] = np.rint(ground[..., :3] * (1 - shadow[..., None]))
    ground[20:100, 30:34, :3] = (40, 60, 70)
    sketch = draw_sketch(ground)
    fit = Ground(field=np.full((120, 160, 3), (200, 180, 150), np.float32), off=sketch.rgb * 0, noise=1.0, covers=True)
    labels = with_strays(np.zeros((120, 160), np.int32), 0, fit, sketch)
    assert labels[60, 32] == 1
    assert labels[60, 110] == labels[0, 0] == 0
    assert labels.max() == 1


def test_the_pieces_of_noise_are_bounded() -> None:
    labels = np.random.default_rng(2).integers(0, 5, (150, 150)).astype(np.int32)
    labels[:20, :20] = 3
    pieces = pieces_of(labels, 0)
    assert pieces.max() < MOST
    assert ((pieces == 0) == (labels == 0)).all()
    # A piece is of one region, and what is large is one of its own.
    assert all(len(np.unique(labels[pieces == one])) == 1 for one in range(0, MOST, 50))
    assert len(np.unique(pieces[2:18, 2:18])) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("count", "side", "color"), [(60, 5, "white"), (160, 3, "#ffdc78"), (24, 8, "#1ec8dc")])
def test_specks_get_no_layer_while_there_are_things(count: int, side: int, color: str) -> None:
    """Stars over half of a picture take half a percent of it, as do raindrops and confetti."""
    chance = np.random.default_rng(count)
    image = Image.new("RGB", (400, 300), "#28204a")
    draw = ImageDraw.Draw(image)
    draw.ellipse((280, 30, 345, 95), fill="#faf0c8")
    draw.polygon([(50, 280), (210, 280), (130, 150)], fill="#1e5a3c")
    draw.rectangle((250, 200, 370, 280), fill="#aa3c32")
    for x, y in zip(chance.integers(0, 390, count).tolist(), chance.integers(0, 140, count).tolist(), strict=True):
        draw.ellipse((x, y, x + side, y + side), fill=color)
    ground, *things = ClassicalPipeline().decompose(image, layer_num=4, seed=1, output_size="original")[1:]
    assert pixels(ground)[..., 3].min() == 255
    for x, y in ((312, 62), (130, 240), (310, 240)):
        assert [pixels(thing)[y, x, 3] for thing in things].count(255) == 1

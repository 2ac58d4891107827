"""Lettering taken off a compressed picture leaves nothing to be read behind, and brings nothing of its ground along."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline

Rgb = tuple[int, int, int]
SIZE = (480, 220)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def mask_of(text: str, height: int) -> Image.Image:
    """Return the coverage of a text in the picture's middle."""
    mask = Image.new("L", (2 * SIZE[0], 2 * SIZE[1]))
    font = ImageFont.load_default(2 * height)
    ImageDraw.Draw(mask).text((SIZE[0], SIZE[1]), text, 255, font, "mm")
    return mask.reduce(2)


def printed(ground: Image.Image, ink: Rgb, mask: Image.Image) -> Image.Image:
    picture = ground.copy()
    picture.paste(ink, mask=mask)
    return picture


def saved(picture: Image.Image, format: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return Image.open(file)


def layers_of(picture: Image.Image, layer_num: int = 2) -> Decomposition:
    return ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=0, output_size="original")


CODECS = {
    "dark on light": ((250, 240, 200), (20, 20, 20), "JPEG", {"quality": 60, "subsampling": 2}),
    "light on dark": ((30, 40, 70), (250, 240, 120), "JPEG", {"quality": 50, "subsampling": 0}),
    "red on green": ((60, 190, 90), (190, 20, 40), "JPEG", {"quality": 75, "subsampling": 2}),
    "webp": ((200, 220, 245), (90, 20, 60), "WEBP", {"quality": 60}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_compressed_letters_leave_nothing_to_be_read_in_their_ground(name: str) -> None:
    ground, ink, format, options = CODECS[name]
    picture = saved(printed(Image.new("RGB", SIZE, ground), ink, mask_of("SALE 50% OFF", 56)), format, **options)
    found = pixels(layers_of(picture)[1])[..., :3]
    off = np.abs(found - np.median(found.reshape(-1, 3), axis=0)).max(axis=-1)
    assert np.percentile(off, 99.9) <= 8
    assert (off > 5).mean() <= 0.01


def test_traces_are_told_from_the_grain_of_the_ground() -> None:
    grain = np.random.default_rng(4).normal(0, 3, (*SIZE[::-1], 1))
    ground = Image.fromarray(np.rint(np.array((180, 150, 120)) + grain).astype(np.uint8), "RGB")
    picture = saved(printed(ground, (20, 40, 90), mask_of("Grain 86", 80)), "JPEG", quality=60, subsampling=2)
    background, letters = layers_of(picture)[1:]
    near = np.asarray(mask_of("Grain 86", 80))
    assert np.abs(pixels(background)[..., :3] - pixels(ground)[..., :3])[near > 0].max(axis=-1).mean() <= 5
    away = np.ones(SIZE[::-1], bool)
    away[40:180, 20:460] = False
    assert pixels(letters)[..., 3][away].max() == 0


def cloudy(seed: int) -> Image.Image:
    """Return a ground of soft dark billows with grain."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 150, (6, 9), dtype=np.uint8), "L").resize(SIZE, Image.Resampling.BICUBIC)
    shade = np.asarray(small, float)[..., None] + rng.normal(0, 4, (*SIZE[::-1], 1))
    return Image.fromarray((shade * (1, 0.8, 0.6)).clip(0, 255).astype(np.uint8), "RGB")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "text", "height"), [("flat", "good bread", 50), ("cloudy", "PAO 8", 80)])
def test_the_holes_of_letters_belong_to_their_ground(kind: str, text: str, height: int) -> None:
    ground = Image.new("RGB", SIZE, (70, 90, 120)) if kind == "flat" else cloudy(2)
    mask = mask_of(text, height)
    letters = layers_of(saved(printed(ground, (255, 235, 60), mask), "JPEG", quality=85, subsampling=2))[2]
    around = np.pad(np.where(np.asarray(mask) > 5, 255, 0).astype(np.uint8), 1)
    cv2.floodFill(around, None, (0, 0), (255,))
    # Clear of the soft edge and of what the codec makes of it.
    holes = cv2.dilate(around[1:-1, 1:-1], np.ones((5, 5), np.uint8)) == 0
    assert holes.sum() > 100
    assert (pixels(letters)[..., 3][holes] > 100).mean() <= 0.03


SMALL = {
    "exact": ("Quadrat 8", 12, (150, 180, 110), (200, 30, 110), "PNG", {}),
    "gray": ("BOARD", 12, (230, 230, 230), (20, 20, 20), "PNG", {}),
    "webp": ("SALE 50% OFF", 12, (157, 201, 104), (52, 10, 43), "WEBP", {"quality": 83}),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_letters_cover_what_they_were_drawn_with(name: str) -> None:
    text, height, ground, ink, format, options = SMALL[name]
    mask = mask_of(text, height)
    picture = saved(printed(Image.new("RGB", SIZE, ground), ink, mask), format, **options)
    alpha = pixels(layers_of(picture)[2])[..., 3]
    drawn = np.asarray(mask).astype(int)
    assert np.abs(alpha - drawn)[drawn > 5].mean() <= 25


def test_a_disc_keeps_a_center_of_another_color_and_a_ring_its_hole() -> None:
    picture = cloudy(3)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((40, 30, 200, 190), fill=(220, 40, 40))
    draw.ellipse((90, 80, 150, 140), fill=(40, 200, 240))
    draw.ellipse((280, 30, 440, 190), outline=(220, 40, 40), width=36)
    background = pixels(layers_of(picture, 2)[1])[..., :3]
    given = pixels(picture)[..., :3]
    assert np.abs(background[100:120, 110:130] - given[100:120, 110:130]).max(axis=-1).min() > 30
    assert (background[100:120, 350:370] == given[100:120, 350:370]).all()


def test_a_small_letter_is_not_left_in_a_ground_that_is_known() -> None:
    picture = printed(Image.new("RGB", SIZE, (165, 210, 75)), (30, 10, 90), mask_of("Open Air", 16))
    found = pixels(layers_of(picture)[1])[..., :3]
    assert np.abs(found - (165, 210, 75)).max() <= 8


def test_specks_far_from_a_thing_do_not_widen_its_layer() -> None:
    picture = cloudy(5)
    ImageDraw.Draw(picture).rectangle((60, 60, 180, 160), fill=(240, 200, 40))
    ImageDraw.Draw(picture).rectangle((440, 20, 445, 24), fill=(240, 200, 40))
    box = layers_of(picture)[2].getchannel("A").getbbox()
    assert box is not None
    assert np.abs(np.subtract(box, (60, 60, 181, 161))).max() <= 20


@pytest.mark.slow
def test_what_is_hidden_of_a_texture_gets_no_straight_edges() -> None:
    grain = np.random.default_rng(1).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    picture = Image.new("RGB", SIZE, (235, 235, 230))
    thing = Image.new("L", SIZE)
    ImageDraw.Draw(thing).ellipse((40, 20, 300, 200), fill=255)
    picture.paste(Image.fromarray((grain // 4 + (80, 60, 40)).astype(np.uint8), "RGB"), mask=thing)
    ImageDraw.Draw(picture).ellipse((200, 60, 420, 210), fill=(30, 60, 200))
    whole = layers_of(picture, 3)
    textured = next(layer for layer in whole[2:] if pixels(layer)[110, 100, 3] == 255)
    assert pixels(textured)[140, 360, 3] == 0
    assert pixels(textured)[206:, :, 3].max() == 0

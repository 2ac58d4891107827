"""Lettering taken off a compressed picture leaves nothing to be read behind, and brings nothing of its ground along."""

import io

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

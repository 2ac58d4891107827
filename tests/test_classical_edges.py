"""What is taken off a large picture leaves no ghost in what was behind it and takes no rim of it along."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw

from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline

pytestmark = pytest.mark.slow

SIDE = 700
"""More pixels than regions are looked for in, which is done on a smaller copy."""
GROUNDS = {"yellow": ((254, 222, 42), (250, 214, 30)), "blue": ((20, 130, 240), (10, 90, 200))}
INKS = {"yellow": "#040404", "blue": "#ffffff"}


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


@cache
def ground_of(name: str) -> Image.Image:
    top, bottom = (np.array(color, np.float64) for color in GROUNDS[name])
    rows = np.rint(top + (bottom - top) * np.linspace(0, 1, SIDE)[:, None])
    return Image.fromarray(np.repeat(rows[:, None].astype(np.uint8), SIDE, axis=1), "RGB")


def ink_of() -> Image.Image:
    """Return strokes, rings and a blot, anti-aliased, as a mask."""
    mask = Image.new("L", (2000, 2000))
    draw = ImageDraw.Draw(mask)
    for left in range(170, 1600, 300):
        draw.rectangle((left, 190, left + 64, 500), fill=255)
        draw.ellipse((left + 43, 270, left + 243, 500), outline=255, width=60)
    draw.ellipse((500, 780, 1500, 1780), fill=255)
    return mask.resize((SIDE, SIDE), Image.Resampling.BOX)


@cache
def layers_of(name: str) -> Decomposition:
    """Return the layers of a poster that was compressed once, as nearly every picture was."""
    picture = ground_of(name).copy()
    picture.paste(INKS[name], mask=ink_of())
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, subsampling=2)
    return ClassicalPipeline().decompose(Image.open(file), layer_num=2, seed=0, output_size="original")


@pytest.mark.parametrize("name", GROUNDS)
def test_taking_letters_off_leaves_no_ghost(name: str) -> None:
    off = np.abs(pixels(layers_of(name)[1]) - pixels(ground_of(name))).max(axis=-1)
    assert off.max() <= 40
    assert (off > 8).mean() <= 0.002


@pytest.mark.parametrize("name", GROUNDS)
def test_letters_taken_off_bring_no_rim_of_their_ground(name: str) -> None:
    # On a copy of its own color a thing without a rim is hardly seen at all.
    ink = layers_of(name)[2]
    on_ink = Image.new("RGBA", ink.size, INKS[name])
    on_ink.alpha_composite(ink)
    rim = np.abs(pixels(on_ink) - pixels(Image.new("RGBA", ink.size, INKS[name]))).max(axis=-1)
    assert (rim > 100).mean() <= 0.0012

"""Light around a thing goes with the thing, also where it is of another color, and bends no ground."""

from functools import cache

import numpy as np
import pytest
from PIL import Image

from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 900, 600
SUN, LIGHT = np.array([255, 211, 78]), np.array([255, 236, 170])
MIDDLE, RADIUS, REACH = (700, 130), 60, 75


def sky() -> np.ndarray:
    """Return a gradient of three stops."""
    stops = np.array([[110, 195, 245], [190, 228, 250], [225, 244, 253]], np.float64)
    rows = np.linspace(0, 1, HEIGHT)
    column = np.stack([np.interp(rows, (0, 0.6, 1), stops[:, channel]) for channel in range(3)], -1)
    return np.repeat(column[:, None], WIDTH, axis=1)


@cache
def layers() -> Decomposition:
    """Return the layers of a sun in a corner of the sky, with a wide light that is paler than it is."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    away = np.hypot(x - MIDDLE[0], y - MIDDLE[1])
    light = 0.75 * np.exp(-((np.maximum(away - RADIUS, 0) / REACH) ** 2))[..., None]
    disc = np.clip(RADIUS + 0.5 - away, 0, 1)[..., None]
    picture = sky() * (1 - light) + LIGHT * light
    picture = picture * (1 - disc) + SUN * disc
    image = Image.fromarray(np.rint(picture).astype(np.uint8), "RGB")
    return ClassicalPipeline().decompose(image, layer_num=2, seed=0, output_size="original")


def test_a_light_of_another_color_leaves_the_sky() -> None:
    off = np.abs(np.asarray(layers()[1].convert("RGB"), np.float64) - sky()).max(axis=-1)
    assert np.percentile(off, 99) <= 12
    assert off[:140, 780:].max() <= 16, "the corner behind the light is no thing"


def test_the_light_fades_in_the_layer_of_its_thing() -> None:
    alpha = np.asarray(layers()[2].getchannel("A"), int)
    x, y = MIDDLE
    along = [alpha[y, x - RADIUS - step] for step in (10, 50, 90, 140)]
    assert alpha[y, x] == 255
    assert along == sorted(along, reverse=True)
    assert along[0] > 100 and along[-1] < 40

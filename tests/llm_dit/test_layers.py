"""Compositing: against Pillow, against the arithmetic written out, and the rules a stack follows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.layers import Decomposition, Layer, composite, coverage
from tests.llm_dit.images import placed_layers, rgba_images


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def over_by_hand(layers: list[Layer], width: int, height: int) -> np.ndarray:
    """Return straight RGBA in 0–255 floats, one pixel at a time, in double precision."""
    result = np.zeros((height, width, 4))
    for y in range(height):
        for x in range(width):
            colour, alpha = np.zeros(3), 0.0
            for layer in layers:
                inside = 0 <= x - layer.x < layer.image.width and 0 <= y - layer.y < layer.image.height
                if layer.visible and inside:
                    r, g, b, a = layer.image.getpixel((x - layer.x, y - layer.y))
                    own = a / 255 * layer.opacity
                    colour = np.array([r, g, b]) * own + colour * (1 - own)
                    alpha = own + alpha * (1 - own)
            if alpha > 0:
                result[y, x] = [*(colour / alpha), alpha * 255]
    return result


@given(st.lists(placed_layers(), max_size=4))
def test_composite_is_the_over_operator(layers: list[Layer]) -> None:
    made = pixels(composite(layers, 9, 7))
    expected = over_by_hand(layers, 9, 7)
    visible = expected[..., 3] >= 0.5
    assert np.abs(made[..., 3] - expected[..., 3]).max() <= 0.51
    assert np.abs(made - expected)[visible].max(initial=0) <= 0.6


@given(rgba_images())
def test_one_layer_composites_to_itself_where_it_shows(image: Image.Image) -> None:
    made, given_ = pixels(composite([Layer(image=image)])), pixels(image)
    shown = given_[..., 3] > 0
    assert np.array_equal(made[shown], given_[shown])
    assert not made[~shown].any()


@given(rgba_images())
def test_an_opaque_layer_hides_everything_below(image: Image.Image) -> None:
    lid = Image.new("RGBA", image.size, (10, 20, 30, 255))
    assert composite([Layer(image=image), Layer(image=lid)]).tobytes() == lid.tobytes()


@given(st.lists(placed_layers(), min_size=1, max_size=3))
def test_hidden_and_clear_layers_change_nothing(layers: list[Layer]) -> None:
    ghost = Image.new("RGBA", (5, 5), "red")
    extra = [Layer(image=ghost, visible=False), Layer(image=ghost, opacity=0.0)]
    assert composite([*layers, *extra], 8, 8).tobytes() == composite(layers, 8, 8).tobytes()


def test_the_canvas_holds_every_layer_and_stays_when_one_is_hidden() -> None:
    small, wide = Image.new("RGBA", (4, 3), "red"), Image.new("RGBA", (10, 2), "blue")
    assert composite([Layer(image=small), Layer(image=wide, x=5, y=6)]).size == (15, 8)
    assert composite([Layer(image=small), Layer(image=wide, x=5, y=6, visible=False)]).size == (15, 8)


def test_background_goes_below_everything() -> None:
    half = Image.new("RGBA", (2, 2), (255, 0, 0, 128))
    made = composite([Layer(image=half)], background=(255, 255, 255, 255))
    assert made.getpixel((0, 0)) == (255, 127, 127, 255)


def test_a_canvas_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="give a width and a height"):
        composite([])
    with pytest.raises(InputError, match="at least 1 pixel"):
        composite([Layer(image=Image.new("RGBA", (2, 2)))], width=0)


def test_coverage_is_the_mean_alpha() -> None:
    image = Image.new("RGBA", (4, 4))
    image.paste((1, 2, 3, 255), (0, 0, 2, 2))
    assert coverage(image) == 0.25
    assert coverage(Image.new("RGB", (3, 3))) == 1.0


def test_a_decomposition_begins_with_its_composite() -> None:
    bottom, top = Image.new("RGBA", (2, 2), "red"), Image.new("RGBA", (2, 2), (0, 0, 255, 255))
    layers = Decomposition([bottom, top], seed=7, prompt="", names=["Background", "Blue"])
    assert [*layers][1:] == [bottom, top]
    assert layers[0].getpixel((1, 1)) == (0, 0, 255, 255)
    assert (layers.seed, layers.names) == (7, ["Composite", "Background", "Blue"])
    with pytest.raises(ValueError, match="2 layers need as many names"):
        Decomposition([bottom, top], seed=7, prompt="", names=["Background"])

"""Compositing: against the arithmetic written out, and the rules a stack follows."""

import dataclasses
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.errors import InputError
from llm_dit.evaluation import coverage
from llm_dit.layer import Group, Layer
from llm_dit.layers import Decomposition, Painting, canvas_size, composite
from tests.llm_dit.images import groups, layers_of_all_kinds, placed_layers, rgba_images


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def over_by_hand(layers: list[Layer], width: int, height: int) -> np.ndarray:
    """Return straight RGBA in 0–255 floats, one pixel at a time, in double precision."""
    result = np.zeros((height, width, 4))
    for y in range(height):
        for x in range(width):
            color, alpha = np.zeros(3), 0.0
            for layer in layers:
                inside = 0 <= x - layer.x < layer.image.width and 0 <= y - layer.y < layer.image.height
                if layer.visible and inside:
                    r, g, b, a = cast(tuple[int, ...], layer.image.getpixel((x - layer.x, y - layer.y)))
                    own = a / 255 * layer.opacity
                    color = np.array([r, g, b]) * own + color * (1 - own)
                    alpha = own + alpha * (1 - own)
            if alpha > 0:
                result[y, x] = [*(color / alpha), alpha * 255]
    return result


@given(st.lists(placed_layers(), max_size=4))
def test_composite_is_the_over_operator(layers: list[Layer]) -> None:
    made = pixels(composite(layers, 9, 7))
    expected = over_by_hand(layers, 9, 7)
    visible = expected[..., 3] >= 0.5
    assert np.abs(made[..., 3] - expected[..., 3]).max() <= 0.51
    assert np.abs(made - expected)[visible].max(initial=0) <= 0.6


def over_on_interleaved_pixels(layers: list[Layer], width: int, height: int) -> bytes:
    """Return what plain layers give, the operations in their order, without bands and planes."""
    canvas = np.zeros((height, width, 4), np.float32)
    for layer in layers:
        image = Image.new("RGBA", (width, height))
        image.paste(layer.image, (layer.x, layer.y))
        source = np.asarray(image).astype(np.float32) / np.float32(255.0)
        source[..., :3] *= source[..., 3:]
        source *= np.float32(layer.opacity if layer.visible else 0.0)
        canvas *= 1.0 - source[..., 3:]
        canvas += source
    alpha = canvas[..., 3:]
    canvas[..., :3] = np.divide(canvas[..., :3], alpha, out=np.zeros_like(canvas[..., :3]), where=alpha >= 0.5 / 255.0)
    return np.rint(canvas.clip(0.0, 1.0) * 255.0).astype(np.uint8).tobytes()


@given(st.lists(placed_layers(), max_size=5), st.integers(1, 40))
def test_normal_layers_are_composited_to_the_byte(layers: list[Layer], width: int) -> None:
    assert composite(layers, width, 11).tobytes() == over_on_interleaved_pixels(layers, width, 11)


def test_bands_do_not_show() -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (300, 700, 4), dtype=np.uint8), "RGBA") for _ in range(3)]
    layers = [Layer(image=image, opacity=0.7, y=17 * index) for index, image in enumerate(noise)]
    assert composite(layers, 700, 340).tobytes() == over_on_interleaved_pixels(layers, 700, 340)


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


@given(st.lists(layers_of_all_kinds(), max_size=3), layers_of_all_kinds(), st.integers(0, 3))
def test_hidden_and_clear_layers_change_nothing(layers: list[Layer], ghost: Layer, place: int) -> None:
    without = composite(layers, 8, 8).tobytes()
    for extra in (dataclasses.replace(ghost, visible=False), dataclasses.replace(ghost, opacity=0.0)):
        assert composite([*layers[:place], extra, *layers[place:]], 8, 8).tobytes() == without


@given(st.lists(layers_of_all_kinds(), min_size=1, max_size=4))
def test_names_and_groups_of_which_nothing_is_said_are_labels(layers: list[Layer]) -> None:
    bare = [dataclasses.replace(layer, name="", group="") for layer in layers]
    assert composite(layers, 9, 7).tobytes() == composite(bare, 9, 7).tobytes()


@given(st.lists(layers_of_all_kinds(), max_size=5), groups())
def test_painting_layer_by_layer_is_the_composite(layers: list[Layer], groups: dict[str, Group]) -> None:
    with Painting(9, 7, groups=groups) as painting:
        for layer in layers:
            painting.add(layer)
        assert painting.picture().tobytes() == composite(layers, 9, 7, groups=groups).tobytes()


@given(st.lists(layers_of_all_kinds(), max_size=2), st.lists(layers_of_all_kinds(), min_size=1, max_size=3), groups())
def test_a_group_is_one_picture_over_what_is_below(
    below: list[Layer], inner: list[Layer], groups: dict[str, Group]
) -> None:
    below = [dataclasses.replace(layer, group="") for layer in below]
    inner = [dataclasses.replace(layer, group="Group") for layer in inner]
    group = groups.get("Group", Group(opacity=0.5))
    alone = [dataclasses.replace(layer, group="") for layer in inner]
    if group.passes_through:
        expected = composite([*below, *(alone if group.visible else [])], 9, 7)
    else:
        whole = Layer(image=composite(alone, 9, 7), opacity=group.opacity, blend=group.mode, visible=group.visible)
        expected = composite([*below, whole], 9, 7)
    made = composite([*below, *inner], 9, 7, groups={"Group": group})
    # The picture of the group alone has 8 bits a channel, of which a faint one keeps little of its colors.
    faint = pixels(composite(alone, 9, 7))[..., 3] < 32
    assert np.abs(pixels(made) - pixels(expected))[~faint & (pixels(expected)[..., 3] > 64)].max(initial=0) <= 8


def test_a_layer_between_two_parts_of_a_group_parts_it_hidden_or_not() -> None:
    red, blue = (Image.new("RGBA", (1, 1), color) for color in ("red", "blue"))
    groups = {"G": Group(opacity=0.5)}
    stack = [Layer(image=red, group="G"), Layer(image=blue, visible=False), Layer(image=blue, group="G")]
    # Half of red, and over it half of blue: as one group, blue would hide red.
    assert composite(stack, groups=groups).getpixel((0, 0)) == (85, 0, 170, 191)
    assert composite([stack[0], stack[2]], groups=groups).getpixel((0, 0)) == (0, 0, 255, 128)


def test_order_counts_for_every_layer() -> None:
    colors = ["red", "lime", "blue"]
    for below, above in pairwise([*colors, "red"]):
        stack = [Layer(image=Image.new("RGBA", (1, 1), color)) for color in (below, above)]
        assert composite(stack).tobytes() == stack[1].image.tobytes()


@given(layers_of_all_kinds())
def test_a_baked_layer_is_the_same_layer_in_pixels(layer: Layer) -> None:
    canvas = (0, 0, 14, 12)
    baked = layer.baked(canvas)
    assert (baked.scale, baked.stretch, baked.rotation, baked.flip_x, baked.flip_y) == (1.0, 1.0, 0.0, False, False)
    assert (baked.name, baked.blend, baked.group, baked.opacity) == (
        layer.name,
        layer.blend,
        layer.group,
        layer.opacity,
    )
    left, top, right, bottom = baked.box
    assert 0 <= left < right <= 14 and 0 <= top < bottom <= 12
    assert composite([baked], 14, 12).tobytes() == composite([layer], 14, 12).tobytes()
    # Cropped to what shows: nothing left to crop, unless it is the one clear pixel of a layer without anything.
    assert baked.image.getbbox() in {(0, 0, *baked.image.size), None}


@given(rgba_images(), st.booleans(), st.booleans())
def test_mirroring_twice_is_the_layer_again(image: Image.Image, flip_x: bool, flip_y: bool) -> None:
    flipped = np.asarray(image)[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    made = composite([Layer(image=image, x=3, y=2, flip_x=flip_x, flip_y=flip_y)])
    assert made.tobytes() == composite([Layer(image=Image.fromarray(flipped.copy(), "RGBA"), x=3, y=2)]).tobytes()


@given(rgba_images(), st.floats(0.01, 4))
def test_scaling_is_the_resampling_that_heeds_alpha(image: Image.Image, scale: float) -> None:
    layer = Layer(image=image, scale=scale)
    made = composite([layer])
    assert made.size == (layer.width, layer.height)
    assert max(abs(layer.width - image.width * scale), abs(layer.height - image.height * scale)) <= 1
    expected = composite([Layer(image=resize_layer(image, made.size))])
    assert np.abs(pixels(made)[..., 3] - pixels(expected)[..., 3]).max() <= 1
    shown = pixels(expected)[..., 3] >= 64
    assert np.abs(pixels(made) - pixels(expected))[shown].max(initial=0) <= 4


@given(rgba_images(), st.integers(-3, 3))
def test_quarter_turns_lose_nothing(image: Image.Image, quarters: int) -> None:
    layer = Layer(image=image, x=20, y=20, rotation=90.0 * quarters)
    turned = np.rot90(np.asarray(image), -quarters)
    left, top, right, bottom = layer.box
    assert (right - left, bottom - top) == turned.shape[1::-1]
    assert abs(left + right - 40 - image.width) <= 1 and abs(top + bottom - 40 - image.height) <= 1
    made = pixels(composite([layer], 60, 60))[top:bottom, left:right]
    assert (made == turned)[turned[..., 3] > 0].all()


@pytest.mark.parametrize(("flip_x", "stretch"), [(False, 1.0), (True, 1.0), (False, 0.5)])
def test_a_turned_layer_is_where_the_arithmetic_has_it(flip_x: bool, stretch: float) -> None:
    image = Image.new("RGBA", (60, 40), (200, 40, 40, 255))
    image.paste((20, 60, 220, 255), (0, 0, 20, 20))
    for degrees in (10.0, 45.0, -120.0, 200.0):
        layer = Layer(image=image, x=40, y=50, rotation=degrees, flip_x=flip_x, stretch=stretch)
        made, (a, b, c, d, e, f) = pixels(composite([layer], 150, 150)), layer.to_canvas
        for place, color in (((10, 10), (20, 60, 220, 255)), ((45, 30), (200, 40, 40, 255))):
            x, y = a * place[0] + b * place[1] + c, d * place[0] + e * place[1] + f
            assert tuple(made[int(y), int(x)]) == color
        covered = made[..., 3].sum() / 255
        assert covered == pytest.approx(layer.width * layer.height, rel=0.02)
        assert {0, 255} < set(np.unique(made[..., 3])), "its edges are soft"


def test_a_window_on_a_turned_layer_is_that_of_the_whole() -> None:
    rng = np.random.default_rng(2)
    image = Image.fromarray(rng.integers(0, 256, (50, 70, 4), dtype=np.uint8), "RGBA")
    layer = Layer(image=image, x=10, y=20, rotation=33.0, scale=1.5)
    whole = pixels(composite([layer], 160, 160))
    part = pixels(composite([dataclasses.replace(layer, x=-50, y=-30)], 60, 50))
    assert np.abs(part - whole[50:100, 60:120])[part[..., 3] > 8].max() <= 8


def test_the_seam_of_a_scaled_layer_stays_free_of_hidden_colors() -> None:
    image = Image.new("RGBA", (8, 8), (0, 255, 0, 0))
    image.paste((200, 10, 30, 255), (0, 0, 4, 8))
    made = pixels(composite([Layer(image=image, scale=3.0)]))
    shown = made[..., 3] >= 16
    assert made[shown][:, 1].max() <= 24


def test_a_corner_of_a_huge_layer_is_the_corner_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (40, 30, 4), dtype=np.uint8), "RGBA")
    whole = pixels(composite([Layer(image=image, scale=5.0)]))
    part = pixels(composite([Layer(image=image, scale=5.0, x=-60, y=-70)], 50, 60))
    assert np.abs(part - whole[70:130, 60:110])[part[..., 3] > 8].max() <= 8
    assert composite([Layer(image=image, scale=32.0, x=-700, y=-900)], 10, 10).size == (10, 10)


def test_the_canvas_holds_every_layer_and_stays_when_one_is_hidden() -> None:
    small, wide = Image.new("RGBA", (4, 3), "red"), Image.new("RGBA", (10, 2), "blue")
    assert composite([Layer(image=small), Layer(image=wide, x=5, y=6)]).size == (15, 8)
    assert composite([Layer(image=small), Layer(image=wide, x=5, y=6, visible=False)]).size == (15, 8)
    assert canvas_size([Layer(image=small, scale=2.5), Layer(image=wide, scale=0.01, x=9)]) == (10, 8)
    assert canvas_size([Layer(image=small, scale=2.5)], width=3) == (3, 8)


def test_background_goes_below_everything() -> None:
    half = Image.new("RGBA", (2, 2), (255, 0, 0, 128))
    made = composite([Layer(image=half)], background=(255, 255, 255, 255))
    assert made.getpixel((0, 0)) == (255, 127, 127, 255)


def test_a_canvas_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="set a width and a height"):
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

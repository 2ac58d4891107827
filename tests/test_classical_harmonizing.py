"""A layer gets the color and light of what is around it, and a shadow; where nothing says what fits it stays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from llm_dit import InputError, Layer, composite, harmonize
from llm_dit.alpha import Plane
from llm_dit.layer import Group


def scenery(seed: int, width: int = 320, height: int = 240) -> Plane:
    """A picture of many things of a few materials, in light and shade, 0–1."""
    rng = np.random.default_rng(seed)
    materials = rng.uniform(0.15, 0.85, (9, 3))
    tiles = materials[rng.integers(0, 9, (height // 12 + 1, width // 12 + 1))]
    whole = np.kron(tiles, np.ones((12, 12, 1)))[:height, :width]
    light = np.kron(rng.uniform(0.75, 1.15, (height // 12 + 1, width // 12 + 1, 1)), np.ones((12, 12, 1)))
    return (whole * light[:height, :width] + rng.normal(0, 0.01, (height, width, 3))).clip(0, 1)


def as_layer(colors: Plane, alpha: Any = 255, **placing: Any) -> Layer:
    image = Image.fromarray(np.rint(colors.clip(0, 1) * 255).astype(np.uint8)).convert("RGBA")
    image.putalpha(alpha if isinstance(alpha, Image.Image) else Image.new("L", image.size, alpha))
    return Layer(image=image, **placing)


def oval(width: int, height: int) -> Image.Image:
    alpha = Image.new("L", (width, height))
    ImageDraw.Draw(alpha).ellipse((4, 4, width - 4, height - 4), fill=255)
    return alpha


def scene(seed: int, gains: tuple[float, float, float], gamma: float = 1.0) -> tuple[list[Layer], Plane]:
    """A part of a picture over it, with other colors, and the part as it was."""
    ground = scenery(seed)
    part = ground[60:180, 90:230]
    changed = as_layer(part**gamma * np.array(gains), oval(140, 120), name="Part", x=90, y=60)
    return [as_layer(ground, name="Ground"), changed], part


def error(layer: Layer, truth: Plane) -> float:
    pixels = np.asarray(layer.image, float)
    return float(np.abs(pixels[..., :3] - truth * 255)[pixels[..., 3] > 127].mean())


@pytest.mark.parametrize(
    ("gains", "left"), [((1.25, 0.95, 0.7), 0.9), ((0.6, 0.65, 0.75), 0.5), ((0.75, 0.9, 1.2), 0.9)]
)
def test_a_part_of_the_picture_gets_its_colors_back(gains: tuple[float, float, float], left: float) -> None:
    before, after = 0.0, 0.0
    for seed in range(400, 406):
        stack, truth = scene(seed, gains)
        made = harmonize(stack, 1)
        assert made[1].image.getchannel("A").tobytes() == stack[1].image.getchannel("A").tobytes()
        assert made[0] is stack[0]
        before, after = before + error(stack[1], truth), after + error(made[1], truth)
    assert after < left * before


@pytest.mark.parametrize("at", [(90, 60), (12, 95), (170, 4)])
@pytest.mark.parametrize("gains", [(1.25, 0.95, 0.7), (0.6, 0.65, 0.75), (1.9, 1.6, 1.3)])
def test_a_thing_that_the_picture_shows_too_gets_exactly_those_colors(
    at: tuple[int, int], gains: tuple[float, float, float]
) -> None:
    stack, truth = scene(420, gains, 1.2)
    stack[1] = replace(stack[1], x=at[0], y=at[1])
    made = harmonize(stack, 1)
    assert error(stack[1], truth) > 20
    assert error(made[1], truth) < 1.5, "with the colors that the change clipped"
    assert harmonize(made, 1).strength == 0


def test_a_thing_in_its_place_that_has_its_colors_stays_byte_for_byte() -> None:
    stack, _ = scene(421, (1, 1, 1))
    made = harmonize(stack, 1)
    assert made.strength == 0
    assert made[1].image.tobytes() == stack[1].image.tobytes()


def test_a_flat_layer_does_not_vanish_in_the_color_around_it() -> None:
    for seed in range(423, 427):
        ground = np.full((200, 300, 3), 0.55) * (0.9, 1, 1.05) + np.random.default_rng(seed).normal(
            0, 0.01, (200, 300, 3)
        )
        stack = [as_layer(ground), as_layer(np.full((80, 90, 3), 0.7), oval(90, 80), x=100, y=50)]
        assert harmonize(stack, 1)[1].image.tobytes() == stack[1].image.tobytes()


def test_one_mark_like_one_in_the_picture_is_not_the_same_thing() -> None:
    mark = np.asarray(oval(24, 16), float)[..., None] / 255
    ground, part = np.full((240, 320, 3), 0.15), np.full((90, 110, 3), 0.93)
    ground[100:116, 60:84] += 0.65 * mark
    part[40:56, 50:74] += 0.04 * mark
    stack = [as_layer(ground), as_layer(part, oval(110, 90), x=180, y=20)]
    assert harmonize(stack, 1)[1].image.tobytes() == stack[1].image.tobytes()


def test_an_edge_like_another_edge_is_not_the_same_thing() -> None:
    ground, part = np.full((240, 320, 3), 0.55), np.full((60, 80, 3), 0.15)
    ground[100:], part[30:] = (0.4, 0.5, 0.6), (0.85, 0.2, 0.1)
    stack = [as_layer(ground), as_layer(part, x=200, y=10)]
    assert harmonize(stack, 1)[1].image.tobytes() == stack[1].image.tobytes()


def test_what_fits_stays_nearly_as_it_is() -> None:
    for seed in range(410, 418):
        stack, truth = scene(seed, (1, 1, 1))
        assert error(harmonize(stack, 1)[1], truth) < 3, seed


def test_what_is_like_nothing_around_it_stays_byte_for_byte() -> None:
    for color in ((0.9, 0.1, 0.8), (0.05, 0.9, 0.2)):
        stack = [
            as_layer(np.full((200, 300, 3), 0.5) * (1, 0.98, 0.95)),
            as_layer(np.full((80, 90, 3), color), x=100, y=50),
        ]
        made = harmonize(stack, 1)
        assert made.strength == 0
        assert made[1].image.tobytes() == stack[1].image.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(1, 70)] * 2),
    st.tuples(*[st.integers(-40, 90)] * 2),
    st.sampled_from(["noise", "clear", "opaque", "speck"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_any_layer_keeps_its_alpha_and_gets_the_same_colors_again(
    size: tuple[int, int], at: tuple[int, int], kind: str, shadow: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if kind != "noise":
        pixels[..., 3] = {"clear": 0, "opaque": 255, "speck": 0}[kind]
    if kind == "speck":
        pixels[0, 0, 3] = 200
    layer = Layer(image=Image.fromarray(pixels, "RGBA"), x=at[0], y=at[1], rotation=float(rng.integers(-90, 90)))
    stack = [as_layer(scenery(5, 100, 80)), layer, as_layer(scenery(6, 30, 30), 90, group="Light")]
    made = harmonize(stack, 1, 100, 80, {"Light": Group(opacity=0.5)}, shadow=shadow, name="Shade")
    changed = made[made.place]
    assert changed.image.getchannel("A").tobytes() == layer.image.getchannel("A").tobytes()
    hidden = pixels[..., 3] == 0
    assert np.array_equal(np.asarray(changed.image)[hidden], pixels[hidden])
    assert (changed.x, changed.y, changed.rotation) == (layer.x, layer.y, layer.rotation)
    assert [each.name for each in made].count("Shade") == len(made) - 3
    assert 0 <= made.strength <= 1
    again = harmonize(stack, 1, 100, 80, {"Light": Group(opacity=0.5)})
    assert again[1].image.tobytes() == changed.image.tobytes()


def test_a_shadow_lies_at_the_foot_of_what_is_seen() -> None:
    ground = as_layer(np.full((240, 320, 3), 0.8))
    thing = as_layer(np.full((100, 80, 3), 0.4), oval(80, 100), name="Ball", x=120, y=60, group="Things")
    made = harmonize([ground, thing], 1, shadow=True)
    assert [layer.name for layer in made] == ["", "Shadow of Ball", "Ball"]
    assert (made.place, made[1].group, made[1].blend) == (2, "Things", "multiply")
    shown = np.asarray(composite(made, 320, 240).convert("L"), float)
    plain = np.asarray(composite([ground, made[2]], 320, 240).convert("L"), float)
    darker = plain - shown
    assert darker[157:162, 155:165].mean() > 25, "where it touches the ground"
    assert darker[:120].max() < 2 and darker[200:].max() < 6, "and nowhere else"
    assert darker.min() >= -1


def test_an_index_that_is_none_is_refused() -> None:
    for index in (-1, 2):
        with pytest.raises(InputError, match="place of a layer") as refused:
            harmonize(scene(400, (1, 1, 1))[0], index)
        assert refused.value.param == "index"

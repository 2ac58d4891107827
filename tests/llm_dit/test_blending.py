"""Blend modes: values worked out by hand, and the text of the W3C's recommendation, a pixel at a time."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.layers import Layer, blended, composite

Rgb = tuple[float, float, float]


# The recommendation's formulas, sections 10.1 and 10.2, in double precision -------------------------------------------


def multiply(b: float, s: float) -> float:
    return b * s


def screen(b: float, s: float) -> float:
    return 1 - (1 - b) * (1 - s)


def hard_light(b: float, s: float) -> float:
    return multiply(b, 2 * s) if s <= 0.5 else screen(b, 2 * s - 1)


def color_dodge(b: float, s: float) -> float:
    if b == 0:
        return 0
    return 1 if s == 1 else min(1, b / (1 - s))


def color_burn(b: float, s: float) -> float:
    if b == 1:
        return 1
    return 0 if s == 0 else 1 - min(1, (1 - b) / s)


def soft_light(b: float, s: float) -> float:
    if s <= 0.5:
        return b - (1 - 2 * s) * b * (1 - b)
    curve = ((16 * b - 12) * b + 4) * b if b <= 0.25 else b**0.5
    return b + (2 * s - 1) * (curve - b)


SEPARABLE: dict[BlendMode, Callable[[float, float], float]] = {
    "normal": lambda b, s: s,
    "multiply": multiply,
    "screen": screen,
    "overlay": lambda b, s: hard_light(s, b),
    "darken": min,
    "lighten": max,
    "color-dodge": color_dodge,
    "color-burn": color_burn,
    "hard-light": hard_light,
    "soft-light": soft_light,
    "difference": lambda b, s: abs(b - s),
    "exclusion": lambda b, s: b + s - 2 * b * s,
}


def lum(c: Rgb) -> float:
    return 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2]


def set_lum(c: Rgb, target: float) -> Rgb:
    d = target - lum(c)
    moved = [value + d for value in c]
    luminosity, low, high = lum((moved[0], moved[1], moved[2])), min(moved), max(moved)
    if low < 0:
        moved = [luminosity + (value - luminosity) * luminosity / (luminosity - low) for value in moved]
    if high > 1:
        moved = [luminosity + (value - luminosity) * (1 - luminosity) / (high - luminosity) for value in moved]
    return moved[0], moved[1], moved[2]


def sat(c: Rgb) -> float:
    return max(c) - min(c)


def set_sat(c: Rgb, target: float) -> Rgb:
    low, middle, high = sorted(range(3), key=lambda index: c[index])
    result = [0.0, 0.0, 0.0]
    if c[high] > c[low]:
        result[middle] = (c[middle] - c[low]) * target / (c[high] - c[low])
        result[high] = target
    return result[0], result[1], result[2]


WHOLE: dict[BlendMode, Callable[[Rgb, Rgb], Rgb]] = {
    "hue": lambda b, s: set_lum(set_sat(s, sat(b)), lum(b)),
    "saturation": lambda b, s: set_lum(set_sat(b, sat(s)), lum(b)),
    "color": lambda b, s: set_lum(s, lum(b)),
    "luminosity": lambda b, s: set_lum(b, lum(s)),
}


def by_the_book(mode: BlendMode, below: tuple[int, ...], above: tuple[int, ...], opacity: float) -> list[float]:
    """Return premultiplied RGBA, 0–255: co = cs·(1 − αb) + cb·(1 − αs) + αs·αb·B(Cb, Cs)."""
    b, s = [value / 255 for value in below], [value / 255 for value in above]
    source_alpha, backdrop_alpha = s[3] * opacity, b[3]
    if mode in SEPARABLE:
        mixed = [SEPARABLE[mode](b[channel], s[channel]) for channel in range(3)]
    else:
        mixed = [*WHOLE[mode]((b[0], b[1], b[2]), (s[0], s[1], s[2]))]
    colors = [
        s[channel] * source_alpha * (1 - backdrop_alpha)
        + b[channel] * backdrop_alpha * (1 - source_alpha)
        + source_alpha * backdrop_alpha * mixed[channel]
        for channel in range(3)
    ]
    return [255 * value for value in (*colors, source_alpha + backdrop_alpha * (1 - source_alpha))]


# ----------------------------------------------------------------------------------------------------------------------

levels = st.integers(0, 255) | st.sampled_from([0, 1, 127, 128, 254, 255])
pixels = st.tuples(levels, levels, levels, levels)


def one(pixel: tuple[int, ...]) -> Image.Image:
    return Image.new("RGBA", (1, 1), pixel)


def composed(mode: BlendMode, below: tuple[int, ...], above: tuple[int, ...], opacity: float = 1.0) -> tuple[int, ...]:
    made = composite([Layer(image=one(below)), Layer(image=one(above), blend=mode, opacity=opacity)])
    value = made.getpixel((0, 0))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("mode", BLEND_MODES)
@given(below=pixels, above=pixels, opacity=st.floats(0.01, 1))
def test_every_mode_is_as_the_recommendation_has_it(
    mode: BlendMode, below: tuple[int, ...], above: tuple[int, ...], opacity: float
) -> None:
    made = composed(mode, below, above, opacity)
    expected = by_the_book(mode, below, above, opacity)
    assert abs(made[3] - expected[3]) <= 0.51
    if made[3] > 0:
        straight = np.array(expected[:3]) * 255 / expected[3]
        assert np.abs(np.array(made[:3]) - straight).max() <= 0.55


# Worked out by hand for an opaque backdrop (64, 128, 192) and source (192, 64, 128).
BY_HAND: dict[BlendMode, tuple[int, int, int]] = {
    "normal": (192, 64, 128),
    "multiply": (48, 32, 96),  # 64 · 192 / 255 = 48.2, 128 · 64 / 255 = 32.1, 192 · 128 / 255 = 96.4
    "screen": (208, 160, 224),  # 64 + 192 − 48.2, 128 + 64 − 32.1, 192 + 128 − 96.4
    "overlay": (96, 65, 192),  # 2 · 48.2, 255 − 2 · 127 · 191 / 255 = 64.8, 255 − 2 · 63 · 127 / 255 = 192.3
    "darken": (64, 64, 128),
    "lighten": (192, 128, 192),
    "color-dodge": (255, 171, 255),  # 64 · 255 / 63 > 255, 128 · 255 / 191 = 170.9, 192 · 255 / 127 > 255
    "color-burn": (1, 0, 129),  # 255 − 191 · 255 / 192 = 1.3, 255 − 127 · 255 / 64 < 0, 255 − 63 · 255 / 128 = 129.5
    "hard-light": (161, 64, 192),  # 255 − 2 · 191 · 63 / 255 = 160.6, 2 · 32.1, 255 − 2 · 63 · 127 / 255 = 192.2
    "difference": (128, 64, 64),
    "exclusion": (160, 128, 127),  # 64 + 192 − 2 · 48.2, 128 + 64 − 2 · 32.1, 192 + 128 − 2 · 96.4
    "soft-light": (
        96,
        96,
        192,
    ),  # 64 + 0.506 · (127.8 − 64), 128 − 0.498 · 128 · 127 / 255, 192 + 0.004 · (221.3 − 192)
    # The luminosities are 115.84 and 109.44, both saturations 128.
    "hue": (198, 70, 134),
    "saturation": (64, 128, 192),
    "color": (198, 70, 134),  # the source moved by 6.4
    "luminosity": (58, 122, 186),  # the backdrop moved by −6.4
}


@pytest.mark.parametrize("mode", BY_HAND)
def test_values_worked_out_by_hand(mode: BlendMode) -> None:
    assert composed(mode, (64, 128, 192, 255), (192, 64, 128, 255)) == (*BY_HAND[mode], 255)


def test_half_of_a_multiplied_layer_is_half_way_there() -> None:
    # αs = 0.5: half of the backdrop's 200, half of 200 · 100 / 255 = 78.4.
    assert composed("multiply", (200, 200, 200, 255), (100, 100, 100, 255), 0.5) == (139, 139, 139, 255)
    # Over nothing there is nothing to multiply with.
    assert composed("multiply", (0, 0, 0, 0), (100, 90, 80, 255)) == (100, 90, 80, 255)


@given(below=pixels, above=pixels, opacity=st.floats(0, 1))
def test_alpha_does_not_depend_on_the_mode(below: tuple[int, ...], above: tuple[int, ...], opacity: float) -> None:
    assert len({composed(mode, below, above, opacity)[3] for mode in BLEND_MODES}) == 1


@given(grey=levels, tint=pixels)
def test_grey_below_has_no_hue_to_keep(grey: int, tint: tuple[int, ...]) -> None:
    ground = (grey, grey, grey, 255)
    for mode in ("hue", "saturation"):
        assert composed(mode, ground, (*tint[:3], 255)) == ground


@given(alphas=st.lists(st.integers(1, 255), max_size=6), white=st.booleans())
def test_black_and_white_made_of_many_layers_do_not_burn_or_dodge(alphas: list[int], white: bool) -> None:
    level = 255 if white else 0
    stack = [Layer(image=one((level, level, level, alpha)), opacity=0.7) for alpha in (*alphas, 200)]
    stack.append(Layer(image=one((level, level, level, 255)), blend="luminosity", opacity=0.9))
    burn = Layer(image=one((255 - level,) * 3 + (255,)), blend="color-burn" if white else "color-dodge", opacity=0.99)
    made = composite([*stack, burn]).getpixel((0, 0))
    below = composite(stack).getpixel((0, 0))
    assert isinstance(made, tuple) and isinstance(below, tuple)
    # Over a backdrop that is not quite opaque the source's own color shows in the rest.
    assert abs(made[0] - level) <= 255 - below[3] + 1


@pytest.mark.parametrize("mode", BLEND_MODES)
@given(below=pixels, above=pixels)
def test_what_is_blended_beforehand_looks_the_same_under_over(
    mode: BlendMode, below: tuple[int, ...], above: tuple[int, ...]
) -> None:
    made = blended(one(above), one(below), mode)
    assert made.getchannel("A").tobytes() == one(above).getchannel("A").tobytes()
    flat = composite([Layer(image=one(below)), Layer(image=made)]).getpixel((0, 0))
    assert isinstance(flat, tuple)
    assert np.abs(np.array(flat) - composed(mode, below, above)).max() <= 1

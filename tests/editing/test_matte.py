"""The ground that a layer is shown on stands apart from it, and comes out of the picture again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from llm_dit.alpha import NEUTRALS, choose_matte, measure_plate, measure_plate_error, spread, take_out

SIZE = (48, 64)


def slope(low: float, high: float) -> np.ndarray:
    return np.broadcast_to(np.linspace(low, high, SIZE[1], dtype=np.float32)[None, :, None], (*SIZE, 3)).copy()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_ground_stands_apart_from_a_plain_layer(color: tuple[int, int, int]) -> None:
    matte = choose_matte(Image.new("RGBA", (8, 8), (*color, 255)), 70)
    assert matte in NEUTRALS
    assert np.linalg.norm(np.subtract(matte, color)) >= 70


def test_hidden_colors_do_not_decide_the_ground() -> None:
    layer = Image.new("RGBA", (40, 40), (128, 128, 128, 0))
    layer.paste((250, 250, 250, 255), (0, 0, 20, 40))
    assert choose_matte(layer, 70) == (128, 128, 128)


@pytest.mark.parametrize("at_least", [0.1, 0.2, 0.6])
def test_taking_out_the_ground_gives_the_colors_back(at_least: float) -> None:
    colors, plate, cover = slope(0.2, 0.8), slope(0.6, 0.3), slope(at_least, 1)[..., 0]
    edited = cover[..., None] * colors + (1 - cover[..., None]) * plate
    assert np.abs(take_out(edited, cover, plate) - colors)[:, 8:].max() < 0.03


def test_an_opaque_layer_comes_back_as_the_model_left_it() -> None:
    edited = np.random.default_rng(2).random((*SIZE, 3), np.float32)
    assert np.abs(take_out(edited, np.ones(SIZE, np.float32), slope(0, 1)) - edited).max() < 1e-5


def test_beside_what_is_sure_a_wrong_plate_hardly_tints() -> None:
    colors, cover = slope(0.5, 0.5), np.ones(SIZE, np.float32)
    cover[:, 40:42], cover[:, 42:] = 0.5, 0
    edited = cover[..., None] * colors
    trusting, wary = (np.abs(take_out(edited, cover, slope(0.2, 0.2), error) - colors) for error in (0.0, 0.2))
    assert trusting[:, 40:42].mean() > 0.15
    assert wary[:, 40:42].mean() < 0.03


def test_a_painted_scene_is_an_uncertain_plate() -> None:
    clear = np.ones(SIZE, bool)
    noise = np.random.default_rng(4).random((*SIZE, 3), np.float32)
    assert measure_plate_error(slope(0.5, 0.5), clear) < 0.01
    assert measure_plate_error(noise, clear) > 0.2
    assert measure_plate(noise, ~clear, (255, 0, 0)).reshape(-1, 3).max(0).tolist() == [1, 0, 0]


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**16))
def test_spreading_keeps_what_is_known_and_invents_no_color(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    colors = rng.uniform(0.3, 0.7, (height, width, 3)).astype(np.float32)
    known = (rng.random((height, width)) < 0.4).astype(np.float32)
    known[0, 0] = 1
    filled = spread(colors, known)
    assert filled[known > 0] == pytest.approx(colors[known > 0], abs=1e-5)
    assert filled.min() > 0.29 and filled.max() < 0.71

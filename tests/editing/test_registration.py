"""Shift and zoom are found whatever happens to the colors, and nothing is found where there is nothing."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_dit.editing.registration import measure_motion, undo_motion

SIDE = 384


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(7)
    drawing = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    for _ in range(25):
        middle = rng.integers(80, SIDE - 80, 2).tolist()
        cv2.ellipse(drawing, (middle, rng.integers(15, 65, 2).tolist(), 0.0), rng.uniform(0, 1, 3).tolist(), -1, 16)
    return cv2.GaussianBlur(drawing, (0, 0), 0.7)


def move(picture: np.ndarray, shift: tuple[float, float], zoom: float) -> np.ndarray:
    middle = (SIDE - 1) / 2
    matrix = np.array([[zoom, 0, middle * (1 - zoom) + shift[0]], [0, zoom, middle * (1 - zoom) + shift[1]]])
    return cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


CHANGES = {
    "none": lambda colors: colors,
    "negative": lambda colors: 1 - colors,
    "channels": lambda colors: colors[..., [2, 0, 1]],
    "grey": lambda colors: np.repeat(colors.mean(-1, keepdims=True), 3, -1),
    "faint": lambda colors: 0.4 + 0.3 * colors**2,
    "dark": lambda colors: colors * np.linspace(0.4, 1, SIDE, dtype=np.float32)[:, None, None],
}


@pytest.mark.slow
@settings(max_examples=10)
@given(
    st.floats(-12, 12),
    st.floats(-12, 12),
    st.floats(0.97, 1.03),
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 2**16),
)
def test_shift_and_zoom_are_found(
    picture: np.ndarray, right: float, down: float, zoom: float, change: str, seed: int
) -> None:
    noise = np.random.default_rng(seed).normal(0, 3 / 255, picture.shape)
    edited = cv2.GaussianBlur(move(CHANGES[change](picture), (right, down), zoom), (0, 0), 0.8) + noise
    motion = measure_motion(picture, edited.astype(np.float32), np.ones((SIDE, SIDE), np.float32))
    assert motion.is_certain
    assert motion.shift == pytest.approx((right, down), abs=0.3)
    assert motion.zoom == pytest.approx(zoom, abs=0.001)


@pytest.mark.parametrize("seed", range(1000, 1006))
def test_a_strong_blur_is_not_taken_for_a_motion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    (right, down), zoom, blur = rng.uniform(-12, 12, 2), rng.uniform(0.97, 1.03), rng.uniform(5, 12)
    # Blur moves the edges of curved things inwards, as a smaller zoom would.
    drawing = np.full((SIDE, SIDE, 3), 0.2, np.float32)
    for column in (130, 250):
        cv2.ellipse(drawing, ((column, 190), rng.integers(70, 110, 2).tolist(), 20.0), (0.9, 0.8, 0.7), -1, 16)
    edited = move(cv2.GaussianBlur(drawing, (0, 0), blur), (right, down), zoom) + rng.normal(0, 1 / 255, drawing.shape)
    motion = measure_motion(drawing, edited.astype(np.float32), np.ones((SIDE, SIDE), np.float32))
    assert motion.is_certain
    assert motion.shift == pytest.approx((right, down), abs=0.5)
    assert motion.zoom == pytest.approx(zoom, abs=0.002)


def test_undoing_the_motion_gives_the_picture_back(picture: np.ndarray) -> None:
    edited = move(picture, (7.3, -4.6), 1.02)
    motion = measure_motion(picture, edited, np.ones((SIDE, SIDE), np.float32))
    inside = (slice(30, -30), slice(30, -30))
    assert np.abs(undo_motion(edited, motion) - picture)[inside].mean() < 0.01


@pytest.mark.slow
def test_another_picture_is_not_certain(picture: np.ndarray) -> None:
    rng = np.random.default_rng(9)
    weight = np.ones((SIDE, SIDE), np.float32)
    noise = rng.uniform(0, 1, picture.shape).astype(np.float32)
    clouds = cv2.resize(rng.uniform(0, 1, (9, 9, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    turned = np.ascontiguousarray(np.rot90(picture))
    for other in (noise, clouds, turned, np.full_like(picture, 0.3)):
        assert not measure_motion(picture, other, weight).is_certain


def test_a_flat_picture_tells_nothing() -> None:
    flat = np.full((64, 96, 3), 0.5, np.float32)
    assert not measure_motion(flat, flat, np.ones((64, 96), np.float32)).is_certain
    assert not measure_motion(flat, flat, np.zeros((64, 96), np.float32)).is_certain


def test_a_motion_beyond_the_bound_is_not_certain(picture: np.ndarray) -> None:
    edited = move(picture, (40, 0), 1.0)
    assert not measure_motion(picture, edited, np.ones((SIDE, SIDE), np.float32)).is_certain

"""Taking pictures apart: what always holds, whatever the picture, and what a designer would expect of simple ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from llm_dit.errors import ImageError, InputError
from llm_dit.layers import Layer, composite
from llm_dit.options import Resolution
from llm_dit.pipelines.classical import ClassicalPipeline
from llm_dit.runs import Canceled, Progress, model_size


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def alpha(image: Image.Image) -> np.ndarray:
    return pixels(image)[..., 3]


def assert_layers_rebuild(picture: Image.Image, layers: list[Image.Image], layer_num: int) -> None:
    """Hold what is promised of every decomposition at the original size."""
    given_, rebuilt = pixels(picture), pixels(layers[0])
    assert len(layers) == layer_num + 1
    assert {layer.size for layer in layers} == {picture.size}
    assert np.abs(rebuilt[..., 3] - given_[..., 3]).max() <= 1
    shown = given_[..., 3] > 0
    assert np.abs(rebuilt - given_)[shown].max() <= 1
    assert all(alpha(layer).max() > 0 for layer in layers), "a layer is empty"
    assert not any(alpha(layer)[~shown].any() for layer in layers), "something where nothing was"
    assert len({layer.tobytes() for layer in layers[1:]}) == layer_num, "two layers are the same"
    if shown.all() and given_[..., 3].min() == 255:
        assert alpha(layers[1]).min() == 255, "the bottom layer has holes"


@st.composite
def pictures(draw: st.DrawFn) -> Image.Image:
    """Anything from noise to a few flat shapes, opaque or not."""
    width, height = draw(st.integers(1, 72)), draw(st.integers(1, 72))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "flat", "gradient", "shapes"]))
    values = np.full((height, width, 4), rng.integers(0, 256, 4), np.uint8)
    if kind == "noise":
        values = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    elif kind == "gradient":
        values[..., rng.integers(0, 4)] = np.linspace(0, 255, width).astype(np.uint8)
    image = Image.fromarray(values, "RGBA")
    if kind == "shapes":
        for _ in range(5):
            x, y, size = (int(rng.integers(low, high)) for low, high in ((0, width), (0, height), (1, 50)))
            ImageDraw.Draw(image).ellipse((x, y, x + size, y + size), fill=tuple(rng.integers(0, 256, 4).tolist()))
    if draw(st.booleans()):
        image.putalpha(255)
    return image


@pytest.mark.slow
@settings(max_examples=30)
@given(picture=pictures(), layer_num=st.integers(1, 10), seed=st.integers(0, 2**53 - 1))
def test_any_picture_is_rebuilt_by_exactly_as_many_layers(picture: Image.Image, layer_num: int, seed: int) -> None:
    shown = (alpha(picture) > 0).sum()
    if shown < layer_num:
        with pytest.raises(ImageError, match=r"fully transparent|ask for at most"):
            ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=seed, output_size="original")
        return
    layers = ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=seed, output_size="original")
    assert_layers_rebuild(picture, layers, layer_num)
    assert (layers.seed, len(set(layers.names))) == (seed, layer_num + 1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(2000, 100), (3, 1500), (4096, 1), (1, 900), (32, 32), (2, 2)])
def test_long_thin_and_tiny_pictures(size: tuple[int, int]) -> None:
    picture = Image.radial_gradient("L").resize(size).convert("RGB")
    layers = ClassicalPipeline().decompose(picture, layer_num=4, seed=1, output_size="original")
    assert_layers_rebuild(picture, layers, 4)


@pytest.fixture(scope="module")
def button() -> Image.Image:
    """A soft-edged button with a label on a gradient."""
    ground = np.zeros((720, 960, 4), np.uint8)
    ground[..., 2] = np.linspace(120, 220, 720, dtype=np.uint8)[:, None]
    ground[..., 1], ground[..., 3] = 90, 255
    image = Image.fromarray(ground, "RGBA")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((180, 240, 780, 480), 60, fill="#f2b705")
    for left in (300, 420, 540):
        draw.rectangle((left, 300, left + 60, 420), fill="#101010")
    return image.reduce(2)


@pytest.mark.slow
def test_a_button_is_whole_under_its_label_and_the_ground_under_the_button(button: Image.Image) -> None:
    layers = ClassicalPipeline().decompose(button, layer_num=3, seed=1, output_size="original")
    assert_layers_rebuild(button, layers, 3)
    ground, plate, label = layers[1], layers[2], layers[3]
    assert alpha(label)[180, 165] == 255 and alpha(label)[180, 120] == 0
    assert np.abs(pixels(plate)[150:210, 110:370] - (0xF2, 0xB7, 0x05, 255)).max() <= 24, "a hole under the label"
    assert np.abs(np.diff(pixels(ground)[:, 240, :3], axis=0)).max() <= 4, "a ghost of the button in the ground"


@pytest.mark.slow
def test_a_layer_can_be_moved_without_a_halo(button: Image.Image) -> None:
    layers = ClassicalPipeline().decompose(button, layer_num=2, seed=1, output_size="original")
    moved = composite([Layer(image=Image.new("RGBA", button.size, "white")), Layer(image=layers[2], x=4, y=4)])
    colors = pixels(moved)[..., :3]
    # Yellow, black and what white makes of them have less blue than green; a rim of the old ground would have more.
    assert (colors[..., 2] - colors[..., 1]).max() <= 12


@pytest.mark.slow
def test_a_layer_with_transparency_is_taken_apart_again(button: Image.Image) -> None:
    pipe = ClassicalPipeline()
    thing = pipe.decompose(button, layer_num=2, seed=1, output_size="original")[2]
    again = pipe.decompose(thing, layer_num=2, seed=1, output_size="original")
    assert_layers_rebuild(thing, again, 2)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(button: Image.Image) -> None:
    picture = button.reduce(2)
    runs = [ClassicalPipeline().decompose(picture, layer_num=4, seed=5, output_size="original") for _ in range(2)]
    assert [layer.tobytes() for layer in runs[0]] == [layer.tobytes() for layer in runs[1]]
    assert runs[0].names == runs[1].names


def test_the_model_size_is_the_one_that_the_page_tells() -> None:
    for width, height, resolution, *size in json.loads((Path(__file__).parent / "model_sizes.json").read_text()):
        assert model_size((width, height), resolution) == tuple(size)


def test_the_model_size_is_an_area_bucket(button: Image.Image) -> None:
    sizes: dict[Resolution, tuple[int, int]] = {640: (736, 544), 1024: (1184, 896)}
    for resolution, size in sizes.items():
        layers = ClassicalPipeline().decompose(button, layer_num=1, resolution=resolution)
        assert layers[0].size == size
    with pytest.raises(ImageError, match="crop it"):
        ClassicalPipeline().decompose(Image.new("RGB", (2100, 100)), output_size="model")


@pytest.mark.slow
def test_progress_runs_from_none_to_all_and_cancels_at_any_step(button: Image.Image) -> None:
    pipe, seen, picture = ClassicalPipeline(), list[Progress](), button.reduce(2)
    pipe.decompose(picture, layer_num=3, seed=1, output_size="original", progress=seen.append)
    assert [one.step for one in seen] == sorted(one.step for one in seen)
    assert (seen[0].step, seen[-1].step) == (0, seen[-1].total)
    assert len({one.phase for one in seen}) >= 4

    for stop in range(0, len(seen), 5):

        def cancel(progress: Progress, stop: int = stop) -> None:
            if progress.step >= seen[stop].step:
                raise Canceled

        with pytest.raises(Canceled):
            pipe.decompose(picture, layer_num=3, seed=1, output_size="original", progress=cancel)


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"layer_num": 0}, "layer_num"),
        ({"layer_num": 11}, "layer_num"),
        ({"resolution": 512}, "resolution"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"cfg_scale": float("nan")}, "cfg_scale"),
        ({"seed": -1}, "seed"),
        ({"output_size": "huge"}, "output_size"),
    ],
)
def test_arguments_out_of_range_are_named(button: Image.Image, arguments: dict[str, object], param: str) -> None:
    with pytest.raises(InputError) as raised:
        ClassicalPipeline().decompose(button, **arguments)  # type: ignore[arg-type]
    assert raised.value.param == param


def test_a_picture_with_nothing_to_see_is_refused() -> None:
    with pytest.raises(ImageError, match="fully transparent"):
        ClassicalPipeline().decompose(Image.new("RGBA", (50, 50)))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"image": "poster.png"}, r"image must be a PIL image, as from Image.open\(path\)"),
        ({"image": None}, "image must be a PIL image"),
        ({"layer_num": "4"}, "layer_num must be a whole number from 1 to 10"),
        ({"layer_num": 2.5}, "layer_num must be a whole number from 1 to 10"),
        ({"layer_num": 11}, "layer_num must be from 1 to 10"),
        ({"cfg_scale": "high"}, "cfg_scale must be a number from 1 to 20"),
        ({"cfg_scale": float("nan")}, "cfg_scale must be a number from 1 to 20"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"output_size": ["original"]}, "output_size must be model or original"),
    ],
)
def test_arguments_of_another_kind_are_refused_with_what_would_do(wrong: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"image": Image.new("RGB", (32, 32), "red"), **wrong}
    with pytest.raises(InputError, match=says) as refused:
        ClassicalPipeline().decompose(**given)
    assert refused.value.param == next(iter(wrong))


def test_a_numpy_number_is_a_number() -> None:
    numbers = {"layer_num": np.int64(2), "seed": np.int64(3)}
    layers = ClassicalPipeline().decompose(Image.new("RGB", (32, 32), "red"), output_size="original", **numbers)  # pyright: ignore[reportArgumentType]
    assert len(layers) == 3

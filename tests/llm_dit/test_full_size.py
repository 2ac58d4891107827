"""Layers that were drawn small, brought to the picture's own size: against what is known of the scene."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.full_size import restore
from llm_dit.layers import Layer, composite
from llm_dit.runs import Canceled
from tests.kit.scenes.outlines import blob, box, fill, soften, stroke
from tests.kit.scenes.textures import paper

SIZE, SMALL = (480, 360), (120, 90)


def scene(*, ground: bool = True) -> list[Image.Image]:
    """Return paper, a thing with hairs and a drawing in it, and a pane over both."""
    rng = np.random.default_rng(5)
    plain = np.ones((SIZE[1], SIZE[0], 1), np.float32)
    outline = blob((200.0, 180.0), 90, rng)
    hairs = [np.array([(200 + 80 * x, 180 + 80 * y), (200 + 130 * x, 180 + 125 * y)]) for x, y in ((1, -1), (-1, 1))]
    thing = np.maximum(fill(SIZE, outline), stroke(SIZE, 3, *hairs))
    drawing = fill(SIZE, box((200.0, 170.0), 60, 40))[..., None]
    pane = fill(SIZE, box((290.0, 180.0), 150, 120, 20)) * 0.5
    layers = [
        (paper(SIZE, rng, np.array([150.0, 120, 90]), np.array([90.0, 90, 90])), plain[..., 0] * ground),
        (plain * np.array([30, 60, 170.0]) + drawing * np.array([170, 120, -120.0]), thing),
        (plain * np.array([230, 230, 200.0]), pane),
    ]
    return [image(np.dstack([colors, alpha * 255])) for colors, alpha in layers]


def image(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def drawn(layer: Image.Image, size: tuple[int, int] = SMALL) -> Image.Image:
    """Return a layer as a model gives it: small, soft, a little off in color and alpha."""
    rng = np.random.default_rng(6)
    values = np.asarray(resize_layer(layer, size)).astype(np.float32)
    values[..., 3] = soften(values[..., 3], 0.7)
    noise = cv2.GaussianBlur(rng.normal(0, 8, values.shape).astype(np.float32), (0, 0), 1)
    if values[..., 3].min() == 255:
        noise[..., 3] = 0
    return image(values + noise + np.array([3, -2, 2, 0]))


def shown(layers: Sequence[Image.Image]) -> NDArray[np.float32]:
    return np.asarray(composite(Layer(image=layer) for layer in layers), np.float32)


def enlarged(picture: Image.Image, layers: list[Image.Image]) -> list[Image.Image]:
    return [layer.resize(picture.size, Image.Resampling.BICUBIC) for layer in layers]


def remainder_at_the_bottom(picture: Image.Image, layers: list[Image.Image]) -> list[Image.Image]:
    """Return enlarged layers that give the picture back: not what is wanted."""
    made = enlarged(picture, layers)
    colors = np.asarray(made[0], np.float32)
    through = np.prod([1 - np.asarray(layer.getchannel("A"), np.float32) / 255 for layer in made[1:]], axis=0)
    missing = np.asarray(picture, np.float32) - shown(made)
    return [image(colors + missing / np.maximum(through, 0.05)[..., None]), *made[1:]]


def errors_apart(truth: list[Image.Image], made: Sequence[Image.Image]) -> NDArray[np.floating]:
    """Return how much is off where an upper layer is, for each when it is hidden and when it is moved."""
    found: list[float] = []
    for number in (1, 2):
        place = np.asarray(truth[number].getchannel("A").resize(SIZE)) > 2
        for change in (None, 20):
            one, other = (changed(layers, number, change) for layers in (truth, made))
            found.append(float(np.abs(shown(one) - shown(other))[place].mean()))
    return np.array(found)


def changed(layers: Sequence[Image.Image], number: int, move: int | None) -> list[Image.Image]:
    stack = list(layers)
    layer = stack.pop(number)
    if move:
        stack.insert(number, layer.transform(SIZE, Image.Transform.AFFINE, (1, 0, -move, 0, 1, -move)))
    return stack


@pytest.fixture(scope="module")
def truth() -> list[Image.Image]:
    return scene()


@pytest.fixture(scope="module")
def picture(truth: list[Image.Image]) -> Image.Image:
    return Image.fromarray(shown(truth).astype(np.uint8))


@pytest.fixture(scope="module")
def made(truth: list[Image.Image], picture: Image.Image) -> list[Image.Image]:
    return restore(picture, list(map(drawn, truth)))


def test_the_stack_gives_the_picture(made: list[Image.Image], picture: Image.Image) -> None:
    assert {layer.size for layer in made} == {SIZE}
    assert {layer.mode for layer in made} == {"RGBA"}
    assert np.abs(shown(made) - np.asarray(picture, np.float32)).max() <= 1
    assert made[0].getchannel("A").getextrema() == (255, 255)


def test_alpha_follows_the_picture(made: list[Image.Image], truth: list[Image.Image], picture: Image.Image) -> None:
    naive = enlarged(picture, list(map(drawn, truth)))
    for number in (1, 2):
        wanted = np.asarray(truth[number].getchannel("A"), np.float32)
        ours, theirs = (np.abs(np.asarray(one[number].getchannel("A")) - wanted).mean() for one in (made, naive))
        assert ours < 0.4 * theirs


def test_colors_are_the_pictures_where_a_layer_is_seen(made: list[Image.Image], truth: list[Image.Image]) -> None:
    above = np.asarray(truth[2].getchannel("A")) == 0
    for number in (0, 1):
        own, other = np.asarray(truth[number], np.float32), np.asarray(made[number], np.float32)
        seen = above & (own[..., 3] > 250)
        if number == 0:
            seen &= np.asarray(truth[1].getchannel("A")) == 0
        assert np.abs(own - other)[seen].mean() < 1


def test_no_layer_holds_what_is_another_ones(
    made: list[Image.Image], truth: list[Image.Image], picture: Image.Image
) -> None:
    small = list(map(drawn, truth))
    ours = errors_apart(truth, made)
    assert (ours < 0.75 * errors_apart(truth, enlarged(picture, small))).all()
    assert (ours < 0.5 * errors_apart(truth, remainder_at_the_bottom(picture, small))).all()


def test_transparency_is_given_back_too() -> None:
    clear = scene(ground=False)
    picture = Image.fromarray(shown(clear).astype(np.uint8))
    made = restore(picture, list(map(drawn, clear)))
    off = np.abs(shown(made) - np.asarray(picture, np.float32))
    alpha = np.asarray(picture, np.float32)[..., 3]
    assert off[..., 3].max() <= 1
    assert (off[..., :3].max(axis=-1) * alpha / 255).max() <= 2
    thing, pane = (np.asarray(layer, np.float32) for layer in made[1:])
    pane_alone = (np.asarray(clear[2].getchannel("A")) > 100) & (np.asarray(clear[1].getchannel("A")) == 0)
    assert np.abs(pane[pane_alone] - (230, 230, 200, 128)).mean(axis=0).max() < 1.2
    assert (thing[pane_alone][:, 3] > 8).mean() < 0.02


@pytest.mark.parametrize("size", [(60, 45), (7, 5), (1, 1), (333, 251)])
@pytest.mark.parametrize("count", [1, 3])
def test_any_size_gives_the_picture(
    truth: list[Image.Image], picture: Image.Image, size: tuple[int, int], count: int
) -> None:
    wanted = picture.convert("RGB").resize(size)
    made = restore(wanted, [drawn(layer) for layer in truth[:count]])
    assert np.abs(shown(made)[..., :3] - np.asarray(wanted, np.float32)).max() <= 1


def test_what_the_layers_lack_is_in_the_layer_that_is_seen(truth: list[Image.Image], picture: Image.Image) -> None:
    pixels = np.array(picture)
    pixels[20:40, 400:440] = (255, 0, 0, 255)
    pixels[150:160, 180:190] = (0, 255, 0, 255)
    made = restore(Image.fromarray(pixels), list(map(drawn, truth)))
    assert (np.asarray(made[0])[25:35, 405:435] == (255, 0, 0, 255)).all()
    assert (np.asarray(made[1])[152:158, 182:188] == (0, 255, 0, 255)).all()


def test_progress_is_told_and_may_stop_it(truth: list[Image.Image], picture: Image.Image) -> None:
    small = list(map(drawn, truth))
    heard: list[tuple[int, int]] = []
    restore(picture, small, lambda done, total: heard.append((done, total)))
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1]
    assert heard == sorted(heard)

    def stop(done: int, total: int) -> None:
        raise Canceled

    with pytest.raises(Canceled):
        restore(picture, small, stop)

"""Alpha handling: alpha comes back byte for byte, and edges keep their colors."""

import numpy as np
import pytest
from hypothesis import assume, given
from PIL import Image

from llm_dit.alpha import bleed, restore_alpha
from tests.llm_dit.images import rgba_images


@given(rgba_images())
def test_restore_gives_a_layer_back(layer: Image.Image) -> None:
    assert restore_alpha(layer.convert("RGB"), layer.getchannel("A")).tobytes() == layer.tobytes()


def test_restore_refuses_an_alpha_of_another_size() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        restore_alpha(Image.new("RGB", (3, 3)), Image.new("L", (3, 4)))


@given(rgba_images(max_side=40))
def test_bleed_changes_nothing_that_shows(layer: Image.Image) -> None:
    before, after = np.asarray(layer), np.asarray(bleed(layer))
    shown = before[..., 3] > 0
    assert np.array_equal(before[shown], after[shown])
    assert np.array_equal(before[..., 3], after[..., 3])


@given(rgba_images(max_side=40))
def test_bleed_invents_no_color(layer: Image.Image) -> None:
    pixels = np.asarray(layer)
    shown = pixels[..., 3] > 0
    assume(shown.any() and not shown.all())
    filled = np.asarray(bleed(layer))[~shown][:, :3].astype(int)
    assert (filled >= pixels[shown][:, :3].min(axis=0).astype(int) - 1).all()
    assert (filled <= pixels[shown][:, :3].max(axis=0).astype(int) + 1).all()


def test_bleed_continues_the_color_beside_an_edge() -> None:
    layer = Image.new("RGBA", (64, 64), (9, 9, 9, 0))
    layer.paste((200, 10, 30, 255), (0, 0, 20, 64))
    layer.paste((10, 30, 200, 255), (44, 0, 64, 64))
    filled = np.asarray(bleed(layer))
    red, blue = filled[32, 22], filled[32, 41]
    assert red[0] > 180 and red[2] < 60 and red[3] == 0
    assert blue[2] > 180 and blue[0] < 60


def test_bleed_leaves_a_layer_with_nothing_to_show() -> None:
    empty = Image.new("RGBA", (5, 5), (1, 2, 3, 0))
    assert bleed(empty).tobytes() == empty.tobytes()

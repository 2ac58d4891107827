"""A layer through a model that knows transparency: there and back, its shift undone, its alpha taken or not."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from llm_dit.alpha import restore_alpha
from llm_dit.editing import prepare_transparent
from llm_dit.options import Shape

HIDDEN = (255, 0, 255)
AREA = 512 * 512
"""Pixels of the model's picture."""


def make_layer(size: tuple[int, int] = (300, 200)) -> Image.Image:
    """A soft disc with a ring and a bar in it; what is under alpha 0 is a color that the disc has not."""
    colors = Image.new("RGB", size, HIDDEN)
    pen = ImageDraw.Draw(colors)
    pen.ellipse((50, 30, 210, 170), fill=(40, 90, 200))
    pen.ellipse((90, 60, 170, 140), outline=(240, 200, 40), width=9)
    pen.rectangle((120, 95, 190, 108), fill=(220, 40, 40))
    alpha = Image.new("L", size, 0)
    ImageDraw.Draw(alpha).ellipse((59, 39, 201, 161), fill=255)
    return restore_alpha(colors, alpha.filter(ImageFilter.GaussianBlur(2)))


def difference(first: Image.Image, second: Image.Image) -> float:
    """Return by how many levels two layers differ where they are seen, over gray."""
    over = [
        np.asarray(Image.alpha_composite(Image.new("RGBA", each.size, "gray"), each), float) for each in (first, second)
    ]
    return float(np.abs(over[0] - over[1]).mean())


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_a_model_that_changes_nothing_gives_the_layer_back(shape: Shape) -> None:
    layer = make_layer()
    canvas = prepare_transparent(layer, shape=shape, target_area=AREA)
    assert canvas.image.mode == "RGBA" and all(side % 32 == 0 for side in canvas.image.size)
    result = canvas.finish(canvas.image)
    assert result.registered and abs(result.shift_px[0]) < 0.1
    assert difference(result.image, layer) < 0.3
    if shape == "keep":
        assert ImageChops.difference(result.image.getchannel("A"), layer.getchannel("A")).getbbox() is None


def test_what_a_layer_hides_is_not_shown() -> None:
    shown = np.asarray(prepare_transparent(make_layer(), shape="keep", target_area=AREA).image)
    assert not (shown[..., :3] == HIDDEN).all(-1).any()


def test_a_shift_is_undone() -> None:
    canvas = prepare_transparent(make_layer(), shape="new", target_area=AREA)
    result = canvas.finish(ImageChops.offset(canvas.image, 6, -4))
    assert result.shift_px == pytest.approx((6, -4), abs=0.3)
    assert difference(result.image, make_layer()) < 0.6


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_a_new_outline_is_the_models_own_or_cut_off(shape: Shape) -> None:
    layer = make_layer()
    canvas = prepare_transparent(layer, shape=shape, target_area=AREA)
    answer = canvas.image.copy()
    answer.putalpha(Image.new("L", answer.size, 253))  # as near to opaque as a VAE comes
    alpha = np.asarray(canvas.finish(answer).image.getchannel("A"))
    left, top, right, bottom = canvas.crop.box
    if shape == "keep":
        assert np.array_equal(alpha, np.asarray(layer.getchannel("A")))
    else:
        assert (alpha[max(top, 0) : bottom, max(left, 0) : right] == 255).all()


def test_colors_come_from_what_the_model_shows_where_it_took_some_away() -> None:
    """Under `keep` half of the layer is still there when the model cleared it: in the colors beside it."""
    layer = make_layer()
    canvas = prepare_transparent(layer, shape="keep", target_area=AREA)
    cleared = np.asarray(canvas.image).copy()
    cleared[:, : cleared.shape[1] // 2] = (0, 255, 0, 0)
    result = np.asarray(canvas.finish(Image.fromarray(cleared)).image)
    assert not ((result[..., 1] > 220) & (result[..., 0] < 40)).any()


@pytest.mark.slow
def test_a_large_layer_keeps_its_detail_and_the_models_size_can_be_had() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (750, 750), dtype=np.uint8)
    large = Image.merge("RGBA", [Image.fromarray(noise)] * 3 + [Image.new("L", (750, 750), 255)])
    canvas = prepare_transparent(large, shape="keep", target_area=AREA)
    assert difference(canvas.finish(canvas.image).image, large) < 6
    whole = prepare_transparent(make_layer(), shape="new", output_size="model", target_area=AREA)
    assert whole.finish(whole.image).image.size == whole.image.size


def test_an_empty_layer_stays_as_it_is() -> None:
    empty = Image.new("RGBA", (80, 60), (10, 20, 30, 0))
    canvas = prepare_transparent(empty, shape="keep", target_area=AREA)
    assert canvas.finish(Image.new("RGBA", canvas.image.size, "red")).image.tobytes() == empty.tobytes()

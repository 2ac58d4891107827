"""Pictures on nothing: things come out whole, nothing appears where nothing was, and no layer is empty."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from llm_dit.layers import Decomposition
from llm_dit.pipelines.classical import ClassicalPipeline

SIZE = (260, 170)
COLORS = {"red": (220, 40, 40), "blue": (40, 80, 200), "green": (60, 180, 60)}


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGBA")).astype(int)


def alpha(image: Image.Image) -> np.ndarray:
    return pixels(image)[..., 3]


def decompose(picture: Image.Image, layer_num: int) -> Decomposition:
    layers = ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=3, output_size="original")
    assert len(layers) == layer_num + 1
    assert all(alpha(layer).any() for layer in layers), "a layer is empty"
    assert len({layer.tobytes() for layer in layers[1:]}) == layer_num
    shown = alpha(picture) > 0
    assert (alpha(layers[0]) == alpha(picture)).all()
    assert np.abs(pixels(layers[0]) - pixels(picture))[shown].max() <= 1
    assert not any(alpha(layer)[~shown].any() for layer in layers), "something where nothing was"
    return layers


def soft_iou(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def best(thing: Image.Image, layers: Decomposition) -> float:
    """Return how much of a thing is whole and alone in one layer."""
    return max(soft_iou(alpha(thing), alpha(layer)) for layer in layers[1:])


def stacked(*things: Image.Image) -> Image.Image:
    picture = Image.new("RGBA", SIZE)
    for thing in things:
        picture.alpha_composite(thing)
    return picture


def things(blur: float = 0.0) -> list[Image.Image]:
    """Return a disc, a rectangle and a triangle that do not touch."""
    found = []
    for number, color in enumerate(COLORS.values()):
        mask = Image.new("L", SIZE)
        draw = ImageDraw.Draw(mask)
        if number == 0:
            draw.ellipse((20, 40, 80, 100), fill=255)
        elif number == 1:
            draw.rectangle((110, 60, 150, 140), fill=255)
        else:
            draw.polygon([(190, 140), (215, 50), (240, 140)], fill=255)
        thing = Image.new("RGBA", SIZE, color)
        thing.putalpha(mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask)
        found.append(thing)
    return found


@pytest.mark.parametrize("blur", [0.0, 0.8, 5.0])
@pytest.mark.parametrize("layer_num", [3, 5])
def test_separate_things_are_whole_with_their_soft_rims(blur: float, layer_num: int) -> None:
    layers = decompose(stacked(*things(blur)), layer_num)
    assert min(best(thing, layers) for thing in things(blur)) > 0.97


def test_nothing_of_a_thing_lies_under_another() -> None:
    parts = things()
    for layer in decompose(stacked(*parts), 4)[1:]:
        touched = [one for one in parts if (alpha(layer)[alpha(one) > 0] > 0).any()]
        assert len(touched) == 1


def test_whole_things_go_together_when_layers_are_short() -> None:
    parts = things(0.8)
    for layer in decompose(stacked(*parts), 2)[1:]:
        shares = [float(alpha(layer)[alpha(one) > 0].sum() / alpha(one).sum()) for one in parts]
        assert all(share < 0.01 or share > 0.99 for share in shares)


def test_rings_keep_what_they_enclose_apart() -> None:
    ring, dot = Image.new("RGBA", SIZE), Image.new("RGBA", SIZE)
    ImageDraw.Draw(ring).ellipse((40, 10, 190, 160), outline="#3050c0", width=18)
    ImageDraw.Draw(dot).ellipse((90, 60, 140, 110), fill="#e0a020")
    layers = decompose(stacked(ring, dot), 2)
    assert min(best(ring, layers), best(dot, layers)) > 0.99


def test_soft_rims_that_touch_are_divided() -> None:
    left, right = Image.new("RGBA", SIZE, "#c02040"), Image.new("RGBA", SIZE, "#2060c0")
    for thing, x in ((left, 30), (right, 140)):
        mask = Image.new("L", SIZE)
        ImageDraw.Draw(mask).ellipse((x, 40, x + 90, 130), fill=255)
        thing.putalpha(mask.filter(ImageFilter.GaussianBlur(9)))
    picture = stacked(left, right)
    assert (alpha(picture)[85] > 8)[60:200].all()
    layers = decompose(picture, 2)
    assert min(best(left, layers), best(right, layers)) > 0.95


def test_a_thing_of_many_colors_is_split_before_one_of_a_single_color() -> None:
    badge, bar = Image.new("RGBA", SIZE), Image.new("RGBA", SIZE)
    ImageDraw.Draw(badge).ellipse((20, 30, 120, 130), fill="#f0c020")
    ImageDraw.Draw(badge).rectangle((50, 60, 90, 100), fill="#202060")
    ImageDraw.Draw(bar).rectangle((150, 20, 250, 160), fill="#208040")
    layers = decompose(stacked(badge, bar), 3)
    assert min(best(badge, layers), best(bar, layers)) > 0.97
    label = [layer for layer in layers[1:] if alpha(layer)[80, 70] and not alpha(layer)[80, 30]]
    assert [pixels(layer)[80, 70, :3].tolist() for layer in label] == [[0x20, 0x20, 0x60]]


def test_layers_that_are_left_go_to_things_that_stay_whole_below_them() -> None:
    large = Image.new("L", SIZE)
    ImageDraw.Draw(large).ellipse((20, 20, 160, 150), fill=230)
    blurred = Image.new("RGBA", SIZE, (*COLORS["red"], 0))
    blurred.putalpha(large.filter(ImageFilter.GaussianBlur(5)))
    small = Image.new("RGBA", SIZE)
    ImageDraw.Draw(small).rectangle((210, 60, 240, 100), fill=COLORS["blue"])
    layers = decompose(stacked(blurred, small), 4)
    assert min(best(thing, layers) for thing in (blurred, small)) > 0.99


def test_what_lies_above_another_thing_hides_no_more_than_that_thing() -> None:
    picture = Image.new("RGBA", SIZE)
    ImageDraw.Draw(picture).ellipse((20, 20, 130, 130), fill="#2040c0")
    ImageDraw.Draw(picture).ellipse((90, 40, 220, 165), fill="#e03020")
    below, above = decompose(picture, 2)[1:]
    assert alpha(below)[75, 110] == 255, "the lower disc goes on below the upper one"
    assert not alpha(below)[:, 140:].any(), "and ends where it would end"
    assert alpha(above)[75, 110] == 255


def test_a_picture_cut_out_with_round_corners_keeps_its_ground() -> None:
    rows = np.linspace(90, 200, SIZE[1])[:, None, None]
    picture = Image.fromarray(np.broadcast_to(rows, (SIZE[1], SIZE[0], 3)).astype(np.uint8)).convert("RGBA")
    ImageDraw.Draw(picture).rectangle((0, 110, 260, 170), fill="#603010")
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rounded_rectangle((4, 4, 255, 165), 20, fill=255)
    picture.putalpha(mask)
    layers = decompose(picture, 2)
    assert (alpha(layers[1]) == alpha(picture)).all()
    assert layers.names[1] == "Background"


def test_faint_things_and_haze_are_taken_apart_too() -> None:
    picture = pixels(stacked(*things(0.8)))
    picture[..., 3] = np.maximum(picture[..., 3] * 90 // 255, 2)
    layers = decompose(Image.fromarray(picture.astype(np.uint8), "RGBA"), 3)
    faint = [Image.fromarray((pixels(thing) * (1, 1, 1, 90 / 255)).astype(np.uint8), "RGBA") for thing in things(0.8)]
    assert min(best(thing, layers) for thing in faint) > 0.8


def test_specks_on_nothing_are_grouped_and_all_there() -> None:
    rng = np.random.default_rng(5)
    values = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    places = rng.random((SIZE[1], SIZE[0])) < 0.03
    values[places] = np.append(rng.integers(0, 256, (places.sum(), 3)), np.full((places.sum(), 1), 255), axis=1)
    decompose(Image.fromarray(values, "RGBA"), 4)

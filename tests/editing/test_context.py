"""An edit of a layer over its surroundings: what the model sees, and that nothing of them stays in the layer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from llm_dit import InputError, Layer, composite, surroundings_of
from llm_dit.editing import prepare_context
from llm_dit.editing.backgrounds import MARGIN
from llm_dit.layer import Group
from llm_dit.pipelines.classical import ClassicalPipeline
from llm_dit.surroundings import Surroundings, read_surroundings
from tests.kit.edits.alpha_pairs import Scale, composite_error, measure_context_pair, where_it_shows
from tests.kit.edits.simulated_layers import draw_scenery, draw_subject
from tests.kit.edits.simulated_shapes import KINDS

AREA = 256 * 256


def ramp(width: int, height: int) -> Image.Image:
    """Red says how far right, green how far down; there are no edges."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    values = np.stack([columns * 255 / width, rows * 255 / height, 0 * rows + 90], -1)
    return Image.fromarray(values.astype(np.uint8)).convert("RGBA")


def scenery(seed: int, width: int, height: int) -> Image.Image:
    pixels = draw_scenery(np.random.default_rng(seed), width, height).clip(0, 1) * 255
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGBA")


def disc(side: int = 60, color: Any = (200, 30, 40)) -> Image.Image:
    alpha = Image.new("L", (side * 4, side * 4))
    ImageDraw.Draw(alpha).ellipse((20, 20, side * 4 - 20, side * 4 - 20), fill=255)
    layer = Image.new("RGBA", (side, side), color)
    layer.putalpha(alpha.resize((side, side), Image.Resampling.BOX))
    return layer


placings = st.fixed_dictionaries(
    {
        "x": st.integers(40, 120),
        "y": st.integers(40, 90),
        "scale": st.floats(0.4, 2.5),
        "stretch": st.floats(0.7, 1.4),
        "rotation": st.sampled_from([0.0, 90.0, 180.0, -30.0, 77.0]),
        "flip_x": st.booleans(),
        "flip_y": st.booleans(),
    }
)


@settings(max_examples=40, deadline=None)
@given(placings)
def test_surroundings_lie_to_the_layer_as_the_canvas_does(placing: dict[str, Any]) -> None:
    canvas = ramp(240, 180)
    layer = Layer(image=disc(), **placing)
    around = surroundings_of([Layer(image=canvas), layer], 1)
    a, b, c, d, e, f = layer.to_canvas
    box = around.box
    size = box[2] - box[0], box[3] - box[1]
    seen = np.asarray(around.within(box, size), int)
    for u, v in ((5, 5), (30, 30), (55, 10), (-3, 20), (62, 40)):
        x, y = a * (u + 0.5) + b * (v + 0.5) + c, d * (u + 0.5) + e * (v + 0.5) + f
        if 6 < x < 234 and 6 < y < 174:
            assert np.abs(seen[v - box[1], u - box[0]] - (x * 255 / 240, y * 255 / 180, 90, 255)).max() <= 6


def test_all_other_layers_count_and_their_groups() -> None:
    stack = [
        Layer(image=ramp(100, 80)),
        Layer(image=disc(), x=20, y=10, visible=False),
        Layer(image=Image.new("RGBA", (100, 80), "white"), group="Light", opacity=0.5),
    ]
    groups = {"Light": Group(opacity=0.5, blend="multiply")}
    around = surroundings_of(stack, 1, groups=groups)
    wanted = composite([stack[0], stack[2]], groups=groups).crop((20, 10, 80, 70))
    assert np.abs(np.asarray(around.within((0, 0, 60, 60), (60, 60)), int) - np.asarray(wanted, int)).max() <= 1
    with pytest.raises(InputError, match="index must be the place"):
        surroundings_of(stack, 3)


def test_a_layer_beside_the_canvas_has_clear_surroundings() -> None:
    around = surroundings_of([Layer(image=ramp(100, 80)), Layer(image=disc(), x=900)], 1, 100, 80)
    assert around.within((0, 0, 60, 60), (60, 60)).getbbox() is None
    canvas = prepare_context(disc(), around, shape="keep", target_area=AREA)
    assert canvas.finish(canvas.image).image.getchannel("A").tobytes() == disc().getchannel("A").tobytes()


def test_the_model_sees_the_layer_as_it_lies_and_more_around_it() -> None:
    layer = disc()
    stack = [Layer(image=scenery(3, 300, 240)), Layer(image=layer, x=100, y=80)]
    canvas = prepare_context(layer, surroundings_of(stack, 1), shape="keep", target_area=AREA)
    left, top, right, bottom = canvas.crop.box
    assert min(-left, -top, right - 60, bottom - 60) >= 50 * MARGIN - 8
    seen = composite(stack).crop((left + 100, top + 80, right + 100, bottom + 80)).resize(canvas.crop.size)
    assert np.abs(np.asarray(canvas.image, float) - np.asarray(seen.convert("RGB"), float)).mean() < 2


def error_over(canvas: Any, subject: Any, edited: Image.Image, truth: Any) -> float:
    near = where_it_shows(subject.alpha)
    return float(composite_error(edited, truth, subject.alpha)[near].mean())


@pytest.mark.slow
def test_no_color_of_the_surroundings_stays_in_the_layer() -> None:
    """Edits of known truth, on scenery that the stand-in for the model keeps, shifts, softens and makes noisy."""
    scale = Scale(area=160 * 160, max_shift_px=2.5, longest_px=(100, 190))
    pairs = [measure_context_pair(2000 + index, scale, ("kept",)) for index in range(len(KINDS))]
    assert {pair.kind for pair in pairs} == set(KINDS)
    assert sum(pair.ours for pair in pairs) < 0.35 * sum(pair.pasted for pair in pairs)
    assert max(pair.ours for pair in pairs) < 3.5


@pytest.mark.slow
def test_what_the_model_leaves_alone_stays() -> None:
    for index, kind in enumerate(KINDS):
        subject = draw_subject(kind, 2100 + index, (100, 160))
        around = Surroundings(image=scenery(index, *subject.layer.size), box=(0, 0, *subject.layer.size))
        for shape in ("keep", "new"):
            canvas = prepare_context(subject.layer, around, shape=shape, target_area=160 * 160)
            made = canvas.finish(canvas.image).image
            assert error_over(canvas, subject, made, subject.colors) < 1.5, (kind, shape)


def test_a_new_shape_is_what_differs_from_the_surroundings() -> None:
    layer = disc(120)
    around = Surroundings(image=scenery(5, 240, 240), box=(-60, -60, 180, 180))
    canvas = prepare_context(layer, around, shape="new", target_area=AREA)
    left, top, right, _ = canvas.crop.box
    scale = canvas.image.width / (right - left)
    answer = canvas.image.copy()
    # It paints a hat upon the disc, and leaves the ground alone.
    hat = [((x - left) * scale, (y - top) * scale) for x, y in ((8, 2), (40, 26))]
    ImageDraw.Draw(answer).rectangle((*hat[0], *hat[1]), fill=(20, 220, 240))
    result = canvas.finish(answer)
    made = np.asarray(result.image, int)
    assert result.alpha_derived
    assert made[6:22, 12:30, 3].min() > 240
    assert np.abs(made[6:22, 12:30, :3] - (20, 220, 240)).max() <= 12
    clear = np.asarray(layer)[..., 3] == 0
    clear[:32, :46] = False
    assert made[clear, 3].max() <= 12, "the ground is no part of the layer"


def test_a_scene_of_its_own_gives_no_shape() -> None:
    layer = disc(120)
    around = Surroundings(image=scenery(5, 240, 240), box=(-60, -60, 180, 180))
    canvas = prepare_context(layer, around, shape="new", target_area=AREA)
    result = canvas.finish(scenery(99, *canvas.image.size).convert("RGB"))
    assert not result.alpha_derived
    assert result.image.getchannel("A").tobytes() == layer.getchannel("A").tobytes()


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.integers(1, 40)] * 2),
    st.tuples(*[st.integers(-30, 30)] * 2),
    st.tuples(*[st.integers(1, 60)] * 2),
    st.sampled_from(["keep", "new"]),
    st.sampled_from(["layer", "model"]),
    st.integers(0, 2**32 - 1),
)
def test_any_layer_and_any_surroundings_go_through(
    size: tuple[int, int], at: tuple[int, int], reach: tuple[int, int], shape: Any, output_size: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layer = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8), "RGBA")
    image = Image.fromarray(rng.integers(0, 256, (9, 7, 4), dtype=np.uint8), "RGBA")
    around = Surroundings(image=image, box=(*at, at[0] + reach[0], at[1] + reach[1]))
    canvas = prepare_context(layer, around, shape=shape, output_size=output_size, target_area=96 * 96)
    answer = Image.fromarray(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    made = canvas.finish(answer).image
    assert made.size == (layer.size if output_size == "layer" else answer.size)
    if (shape, output_size) == ("keep", "layer"):
        assert made.getchannel("A").tobytes() == layer.getchannel("A").tobytes()
    assert canvas.preview(answer).size == answer.size


def test_surroundings_and_context_need_each_other() -> None:
    layer, engine = disc(), ClassicalPipeline()
    assert read_surroundings(None, layer, context=False) is None
    whole = read_surroundings(ramp(60, 60), layer, context=True)
    assert whole is not None and whole.box == (0, 0, 60, 60)
    for around, context, says in (
        (None, True, "surroundings are needed"),
        (ramp(60, 60), False, "for context alone"),
        (ramp(50, 60), True, "layer's size, 60×60 pixels, and have 50×60"),
        (Surroundings(image=ramp(9, 9), box=(5, 5, 5, 9)), True, "has no inside"),
        ("here", True, "must be a picture"),
    ):
        with pytest.raises(InputError, match=says) as refused:
            read_surroundings(around, layer, context=context)  # pyright: ignore[reportArgumentType]
        assert refused.value.param == "surroundings"
    with pytest.raises(InputError, match="looks at the layer alone") as refused:
        engine.edit_layer(layer, "make it blue", context=True, surroundings=ramp(60, 60))
    assert refused.value.param == "context"
    with pytest.raises(InputError, match="true or false"):
        engine.edit_layer(layer, "make it blue", context="yes")  # pyright: ignore[reportArgumentType]

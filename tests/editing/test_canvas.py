"""A layer goes out as an opaque picture and comes back as a layer, whatever it holds and whatever the model does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from llm_dit.editing import EditCanvas, prepare
from llm_dit.editing.canvas import fit_size
from llm_dit.options import EditOutputSize, Shape
from tests.kit.pictures import flatten

AREA, MIDDLE = 96 * 96, 512 * 512
"""Pixels of the model's picture."""
GROUNDS = ((0, 0, 0), (255, 255, 255), (0, 255, 0))


def disc(
    size: tuple[int, int] = (300, 240), radius: int = 80, hidden: tuple[int, int, int] = (0, 255, 0)
) -> Image.Image:
    """A smooth-edged disc with a gradient; what lies under its transparency is of a color that must never show."""
    fine = Image.new("L", (size[0] * 4, size[1] * 4))
    middle = (size[0] * 2, size[1] * 2)
    ImageDraw.Draw(fine).circle(middle, radius * 4, fill=255)
    alpha = fine.resize(size, Image.Resampling.BOX)
    across = np.linspace(60, 220, size[0])[None, :, None] * np.array([1.0, 0.6, 0.3])
    pixels = np.broadcast_to(across, (size[1], size[0], 3)).astype(np.uint8).copy()
    pixels[np.asarray(alpha) == 0] = hidden
    layer = Image.fromarray(pixels).convert("RGBA")
    layer.putalpha(alpha)
    return layer


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    """The largest difference of any channel over black, white and green, for each pixel."""
    pairs = [(np.asarray(flatten(one, g), int), np.asarray(flatten(other, g), int)) for g in GROUNDS]
    return np.max([np.abs(a - b).max(-1) for a, b in pairs], axis=0)


ALPHAS = ("noise", "clear", "faint", "opaque", "speck", "corner", "bar")


@st.composite
def layers(draw: st.DrawFn) -> Image.Image:
    """Layers from 1×1 to thin strips, with every sort of alpha and noise for colors, hidden ones too."""
    width, height = draw(st.sampled_from([(1, 1), (1, 70), (90, 1), (3, 200)]) | st.tuples(*[st.integers(1, 60)] * 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    kind = draw(st.sampled_from(ALPHAS))
    if kind in {"noise", "faint"}:
        alpha = rng.integers(0, 256 if kind == "noise" else 5, alpha.shape, dtype=np.uint8)
    elif kind == "opaque":
        alpha[:] = 255
    elif kind == "speck":
        alpha[height // 2, width // 2] = draw(st.integers(1, 255))
    elif kind == "corner":
        alpha[: height // 2 + 1, : width // 2 + 1] = 255
    elif kind == "bar":
        alpha[height // 2, :] = 200
    pixels[..., 3] = alpha
    return Image.fromarray(pixels, "RGBA")


def answers(canvas: EditCanvas, seed: int) -> list[Image.Image]:
    """What a model might say: the same again, noise at another size and ratio, one color."""
    noise = np.random.default_rng(seed).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    return [canvas.image, Image.fromarray(noise), Image.new("RGB", (64, 32), "red")]


@pytest.mark.slow
@settings(max_examples=15)
@given(layers(), st.integers(0, 2**16))
def test_keep_keeps_alpha_byte_for_byte(layer: Image.Image, seed: int) -> None:
    canvas = prepare(layer, shape="keep", target_area=AREA)
    outside = np.ones((layer.height, layer.width), bool)
    left, top, right, bottom = canvas.crop.box
    outside[max(top, 0) : bottom, max(left, 0) : right] = False
    for edited in answers(canvas, seed):
        result = canvas.finish(edited)
        assert result.image.mode == "RGBA" and result.image.size == layer.size
        assert result.image.getchannel("A").tobytes() == layer.getchannel("A").tobytes()
        assert np.array_equal(np.asarray(result.image)[outside], np.asarray(layer)[outside])
        assert not result.alpha_derived


@pytest.mark.slow
@settings(max_examples=12)
@given(layers(), st.sampled_from(["keep", "new"]), st.sampled_from(["layer", "model"]), st.integers(0, 2**16))
def test_any_layer_gets_an_answer_of_the_right_size(
    layer: Image.Image, shape: Shape, output_size: EditOutputSize, seed: int
) -> None:
    canvas = prepare(layer, shape=shape, output_size=output_size, target_area=AREA)
    for edited in answers(canvas, seed):
        result = canvas.finish(edited)
        assert result.image.mode == "RGBA"
        assert result.image.size == (layer.size if output_size == "layer" else edited.size)
        assert np.isfinite([*result.shift_px, result.zoom]).all()


@pytest.mark.slow
@settings(max_examples=25)
@given(layers(), st.sampled_from(["keep", "new"]))
def test_nothing_is_moved_when_the_model_changes_nothing(layer: Image.Image, shape: Shape) -> None:
    canvas = prepare(layer, shape=shape, target_area=AREA)
    result = canvas.finish(canvas.image)
    assert result.shift_px == (0, 0) and result.zoom == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "size", "area"),
    [
        ("keep", (150, 120), MIDDLE),
        ("new", (150, 120), MIDDLE),
        ("keep", (600, 440), 384 * 384),
        ("new", (1500, 1100), 1024 * 1024),
    ],
)
def test_a_model_that_changes_nothing_gives_the_layer_back(shape: Shape, size: tuple[int, int], area: int) -> None:
    layer = disc(size, radius=min(size) // 3)
    canvas = prepare(layer, shape=shape, target_area=area)
    result = canvas.finish(canvas.image)
    error = difference(result.image, layer)
    assert error.mean() < 0.5
    assert np.quantile(error, 0.999) <= 2
    assert result.registered and max(map(abs, result.shift_px)) < 0.1


@pytest.mark.slow
def test_what_is_finer_than_the_model_survives_it() -> None:
    rng = np.random.default_rng(1)
    pixels = np.clip(rng.normal(128, 25, (700, 700, 3)), 0, 255).astype(np.uint8)
    pixels[..., 1:] = pixels[..., :1]
    layer = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.5)).convert("RGBA")
    canvas = prepare(layer, shape="keep", target_area=384 * 384)
    plain = canvas.image.resize(layer.size, Image.Resampling.LANCZOS).convert("RGBA")
    result = canvas.finish(canvas.image).image
    assert difference(result, layer).mean() < 0.35 * difference(plain, layer).mean()


def test_colors_under_transparency_never_reach_the_model() -> None:
    for shape in ("keep", "new"):
        one, other = (prepare(disc(hidden=hidden), shape=shape).image for hidden in ((0, 255, 0), (255, 0, 255)))
        assert one.tobytes() == other.tobytes()


@pytest.mark.slow
def test_a_small_object_fills_the_picture() -> None:
    layer = Image.new("RGBA", (1200, 900))
    layer.paste(disc((80, 80), 35), (1000, 40))
    canvas = prepare(layer, shape="keep", target_area=MIDDLE)
    assert canvas.image.width * canvas.image.height == pytest.approx(MIDDLE, rel=0.05)
    assert canvas.crop.box_size[0] < 110
    result = canvas.finish(Image.new("RGB", canvas.image.size, "red")).image
    outside = Image.new("L", layer.size, 255)
    outside.paste(0, canvas.crop.box)
    mask = np.asarray(outside) > 0
    assert np.array_equal(np.asarray(result)[mask], np.asarray(layer)[mask])


def test_an_opaque_picture_gets_no_frame() -> None:
    layer = Image.new("RGBA", (400, 300), (10, 120, 200, 255))
    canvas = prepare(layer, shape="keep")
    assert canvas.crop.box == (0, 0, 400, 300)
    assert np.ptp(np.asarray(canvas.image).reshape(-1, 3), axis=0).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3000, 12), (2, 3)])
@pytest.mark.parametrize("alpha", [0, 3, 130, 255])
@pytest.mark.parametrize("shape", ["keep", "new"])
def test_odd_sizes_and_alphas_work(size: tuple[int, int], alpha: int, shape: Shape) -> None:
    layer = Image.new("RGBA", size, (200, 40, 90, alpha))
    canvas = prepare(layer, shape=shape, target_area=256 * 256)
    width, height = canvas.image.size
    assert width % 32 == height % 32 == 0
    assert max(width, height) <= 4.5 * min(width, height)
    result = canvas.finish(canvas.image).image
    assert result.size == size
    assert difference(result, layer).max() <= 3


def test_a_transparent_layer_comes_back_as_it_was() -> None:
    layer = Image.new("RGBA", (64, 48), (1, 2, 3, 0))
    canvas = prepare(layer, shape="keep", target_area=AREA)
    assert canvas.finish(Image.new("RGB", (96, 96), "red")).image.tobytes() == layer.tobytes()


@pytest.mark.slow
def test_no_rim_shows_after_a_recolor_by_a_softening_model() -> None:
    layer = disc()
    canvas = prepare(layer, shape="keep", target_area=MIDDLE)
    edited = Image.fromarray(255 - np.asarray(canvas.image)).filter(ImageFilter.GaussianBlur(1.2))
    truth = np.asarray(layer).copy()
    truth[..., :3] = 255 - truth[..., :3]
    assert difference(canvas.finish(edited).image, Image.fromarray(truth)).max() <= 6


@pytest.mark.slow
def test_no_rim_shows_when_the_model_repaints_the_ground() -> None:
    layer = disc()
    canvas = prepare(layer, shape="keep", target_area=MIDDLE)
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        canvas.image.size, Image.Resampling.BICUBIC
    )
    cover = Image.fromarray(np.rint(canvas.coverage * 255).astype(np.uint8))
    result = canvas.finish(Image.composite(canvas.image, scene, cover)).image
    assert np.quantile(difference(result, layer), 0.999) <= 6


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_model_size_keeps_the_models_resolution(shape: Shape) -> None:
    layer = disc()
    canvas = prepare(layer, shape=shape, output_size="model", target_area=MIDDLE)
    edited = canvas.image.resize((640, 512))
    result = canvas.finish(edited).image
    assert result.size == (640, 512)
    alpha = layer.getchannel("A").resize(result.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(result.getchannel("A"), int) - np.asarray(alpha)).mean() < 1


@pytest.mark.slow
def test_new_shape_follows_what_the_model_added_and_cut_out() -> None:
    layer = disc()
    canvas = prepare(layer, shape="new", target_area=MIDDLE)
    cover = Image.new("L", canvas.image.size)
    draw = ImageDraw.Draw(cover)
    width, height = canvas.image.size
    drawing = canvas.image.copy()
    hole = (width // 2 - 30, height // 2 - 30, width // 2 + 30, height // 2 + 30)
    ImageDraw.Draw(drawing).ellipse(hole, fill=canvas.matte)
    draw.rectangle((width // 2 - 20, 10, width // 2 + 20, height // 3), fill=255)
    drawing.paste((220, 40, 40), mask=cover)
    result = canvas.finish(drawing)
    assert result.alpha_derived
    alpha = np.asarray(result.image.getchannel("A"))
    middle = (layer.width // 2, layer.height // 2)
    assert alpha[middle[1], middle[0]] == 0
    scale = canvas.crop.box_size[1] / height
    top = canvas.crop.box[1] + round(20 * scale)
    assert alpha[top, middle[0]] == 255
    assert np.abs(np.asarray(result.image)[top, middle[0], :3].astype(int) - (220, 40, 40)).max() <= 3
    unchanged = alpha[:, : layer.width // 2 - 60]
    assert np.array_equal(unchanged, np.asarray(layer.getchannel("A"))[:, : layer.width // 2 - 60])


def test_new_shape_keeps_the_old_one_when_the_ground_is_lost() -> None:
    layer = disc()
    canvas = prepare(layer, shape="new", target_area=MIDDLE)
    noise = np.random.default_rng(5).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    scene = Image.fromarray(noise).resize(canvas.image.size, Image.Resampling.NEAREST)
    cover = Image.fromarray(np.rint(canvas.coverage * 255).astype(np.uint8))
    result = canvas.finish(Image.composite(canvas.image, scene, cover))
    assert not result.alpha_derived
    assert result.image.getchannel("A").tobytes() == layer.getchannel("A").tobytes()


@given(st.floats(0.2, 5), st.sampled_from([(1024 * 1024, 32), (640 * 640, 32), (256 * 256, 16)]))
def test_sizes_are_fixed_points_of_the_models_rounding(ratio: float, bucket: tuple[int, int]) -> None:
    width, height = fit_size(ratio, *bucket)
    assert width % bucket[1] == height % bucket[1] == 0
    assert fit_size(width / height, *bucket) == (width, height)
    assert width * height == pytest.approx(bucket[0], rel=0.15)

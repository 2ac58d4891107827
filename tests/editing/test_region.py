"""An edit within a region: outside stays byte for byte, the seam is not to be seen, what is no region is refused."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from llm_dit.alpha import resize_layer
from llm_dit.editing import prepare
from llm_dit.editing.region import Region
from llm_dit.errors import InputError, InstructionError
from llm_dit.pipelines.classical import ClassicalPipeline
from llm_dit.runs import EDIT_RESOLUTION, RegionLike, model_size
from tests.kit.edits.region_pairs import REGIONS, draw_picture, draw_region, measure_region_pair, summarize_regions

SIZE = (96, 72)
BOX = (30, 20, 70, 50)
CLASSICAL = ClassicalPipeline()


def noise(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A layer of random bytes, alpha and what lies under none of it included."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    pixels[..., 3][pixels[..., 3] < 60] = 0
    return Image.fromarray(pixels, "RGBA")


def ramp(size: tuple[int, int] = SIZE) -> Image.Image:
    """An opaque layer without an edge."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    values = np.stack([100 + columns / 4, 80 + rows / 4, 120 + 0 * rows], -1)
    return Image.fromarray(values.astype(np.uint8)).convert("RGBA")


def box_mask(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    """Where any byte differs."""
    return (np.asarray(before) != np.asarray(after)).any(-1)


@pytest.mark.slow
def test_outside_of_50_random_masks_every_byte_stays() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        before, after = noise(seed), noise(seed + 1000)
        mask = draw_region(rng, REGIONS[seed % len(REGIONS)], np.asarray(before.getchannel("A")) / 255)
        mask[seed % 72, seed % 96] = 0
        region = Region(mask)
        merged = region.put_in(before, region.settle(before, after, (-5, 3, 80, 90)))
        assert not changed(before, merged)[mask == 0].any(), seed
        assert changed(before, merged).any() or mask.max() < 128, seed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instruction", "shape", "output_size"),
    [
        ("make it red", "keep", "layer"),
        ("make it red", "keep", "model"),
        ("add a warm glow", "new", "layer"),
        ("add a warm glow", "new", "model"),
        ("add a drop shadow", "new", "layer"),
        ("make it 50% transparent", "new", "layer"),
        ("blur it and make it brighter", "new", "layer"),
    ],
)
def test_the_built_in_engine_changes_the_region_alone(instruction: str, shape: Any, output_size: Any) -> None:
    layer = draw_picture(np.random.default_rng(3), 3, (120, 160)).layer
    disc = np.asarray(Image.radial_gradient("L").resize(layer.size)) < 128
    layer.putalpha(Image.fromarray(disc))
    before, box = layer.size, (20, 20, layer.width // 2, layer.height - 20)
    options: dict[str, Any] = {"shape": shape, "output_size": output_size, "seed": 1}
    edited = CLASSICAL.edit_layer(layer, instruction, region=box, **options)
    if output_size == "model":
        layer = resize_layer(layer, model_size(layer.size, EDIT_RESOLUTION))
    scale = layer.width / before[0]
    left, top, right, bottom = (side * scale for side in box)
    outside = np.ones((layer.height, layer.width), bool)
    # A pixel of the smaller layer reaches so far in the larger one.
    outside[int(top - scale) : int(bottom + scale), int(left - scale) : int(right + scale)] = False
    assert not changed(layer, edited)[outside].any()
    assert changed(layer, edited).any()
    if shape == "keep":
        assert edited.getchannel("A").tobytes() == layer.getchannel("A").tobytes()


def test_red_within_a_box_is_red_in_its_middle_and_rises_softly() -> None:
    layer = ramp((200, 160))
    edited = np.asarray(CLASSICAL.edit_layer(layer, "make it red", region=(50, 40, 150, 120)), int)
    whole = np.asarray(CLASSICAL.edit_layer(layer.crop((50, 40, 150, 120)), "make it red"), int)
    assert np.abs(edited[80, 100] - whole[40, 50]).max() <= 2
    steps = np.abs(np.diff(edited[80, :, :3], axis=0)).max(-1)
    assert steps.max() <= 12, "no step where the box begins"


def test_a_thing_that_is_not_clear_is_what_the_region_shows() -> None:
    layer = draw_picture(np.random.default_rng(5), 5, (160, 200)).layer
    with pytest.raises(InstructionError):
        CLASSICAL.edit_layer(layer, "make the shirt blue")
    box = (10, 10, 90, 70)
    assert changed(layer, CLASSICAL.edit_layer(layer, "make the shirt blue", region=box))[20:60, 20:80].any()


@pytest.mark.parametrize("instruction", ["rotate it by 20 degrees", "flip it horizontally", "turn it upside down"])
def test_turns_are_refused_within_a_region(instruction: str) -> None:
    with pytest.raises(InstructionError, match="leave the region out") as refused:
        CLASSICAL.edit_layer(ramp(), instruction, region=BOX, shape="new")
    assert refused.value.hint["way"] == "select"


@pytest.mark.parametrize(
    ("region", "says"),
    [
        ((5, 5, 5, 9), "left to right"),
        ((9, 5, 5, 9), "left to right"),
        ((float("nan"), 0, 9, 9), "left to right"),
        ((500, 0, 900, 40), "outside the layer, which is 96×72"),
        ((1, 2, 3), "four numbers"),
        ("here", "four numbers"),
        (Image.new("L", SIZE), "is empty"),
        (Image.new("RGBA", SIZE), "is empty"),
        (Image.new("L", (20, 20), 255), "96×72 pixels, and has 20×20"),
    ],
)
def test_what_is_no_region_is_refused_with_the_reason(region: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        CLASSICAL.edit_layer(ramp(), "make it red", region=region)
    assert refused.value.param == "region"


def test_a_region_of_nothing_visible_is_refused_where_the_shape_is_kept() -> None:
    layer = ramp()
    layer.putalpha(box_mask((0, 0, 20, 72)))
    with pytest.raises(InputError, match="transparent everywhere in the region") as refused:
        CLASSICAL.edit_layer(layer, "make it red", region=BOX)
    assert refused.value.param == "region"
    # A shadow may fall there.
    shadow = CLASSICAL.edit_layer(layer, "add a drop shadow", region=(18, 0, 40, 72), shape="new")
    assert np.asarray(shadow)[30, 21, 3] > 0
    assert not changed(layer, shadow)[:, 40:].any()


@pytest.mark.parametrize(
    "region", [(0, 0, 96, 72), (-20, -1.5, 1e9, 99), Image.new("1", SIZE, 1), Image.new("RGB", SIZE, "white")]
)
def test_a_region_of_everything_is_an_edit_without_one(region: RegionLike) -> None:
    layer = noise(4)
    assert CLASSICAL.edit_layer(layer, "make it red", region=region) == CLASSICAL.edit_layer(layer, "make it red")


def test_masks_say_where_by_their_lightness_or_by_their_alpha() -> None:
    by_lightness = box_mask(BOX)
    by_alpha = Image.new("RGBA", SIZE)
    by_alpha.paste((200, 0, 0, 255), BOX)
    masks: list[RegionLike] = [BOX, by_lightness, by_lightness.convert("1"), by_lightness.convert("RGBA"), by_alpha]
    edits = [CLASSICAL.edit_layer(ramp(), "make it red", region=mask).tobytes() for mask in masks]
    assert len(set(edits)) == 1


def test_a_soft_mask_is_nowhere_exceeded() -> None:
    before, after = Image.new("RGBA", SIZE, "black"), Image.new("RGBA", SIZE, "white")
    soft = np.asarray(Image.linear_gradient("L").resize(SIZE)).copy()
    soft[:4] = 0
    merged = np.asarray(Region(soft).put_in(before, after))[..., 0]
    assert (merged <= soft).all()
    assert merged.max() > 100


def test_a_preview_shows_the_layer_itself_outside() -> None:
    layer = noise(7, (400, 300))
    region = Region(np.asarray(box_mask((100, 50, 300, 250), layer.size)))
    shown = region.preview(layer, Image.new("RGBA", (60, 45), "blue"), (-100, 0, 500, 450))
    around = layer.crop((-100, 0, 500, 450)).resize((60, 45), Image.Resampling.BOX)
    pixels, plain = np.asarray(shown), np.asarray(around)
    blue = (pixels == (0, 0, 255, 255)).all(-1)
    assert blue[5:25, 20:40].all() and blue.sum() == 400
    assert np.array_equal(pixels[~blue], plain[~blue])


def test_the_model_sees_a_region_with_its_surroundings() -> None:
    layer = noise(7, (900, 700))
    canvas = prepare(layer, shape="keep", region=(600, 300, 640, 330))
    left, top, right, bottom = canvas.crop.box
    assert left <= 540 and right >= 700 and top <= 240 and bottom >= 390
    assert right - left <= 300, "and not all of the layer"
    assert min(left, top) >= 0 and right <= 900 and bottom <= 700
    corner = prepare(layer, shape="new", region=(880, 680, 900, 700)).crop.box
    assert corner[2:] == (900, 700)
    thin = prepare(layer, shape="keep", region=(0, 300, 900, 304)).crop
    assert thin.box_size[0] <= 4 * thin.box_size[1]


def tinted(layer: Image.Image, gain: float, offset: float) -> Image.Image:
    return layer.convert("RGB").point(lambda level: level * gain + offset).convert("RGBA")


def test_a_tint_of_all_that_the_model_saw_is_taken_out_and_an_edit_stays() -> None:
    layer = draw_picture(np.random.default_rng(1), 1, (200, 220)).layer
    region, seen = Region(np.asarray(box_mask(BOX, layer.size))), (0, 0, *layer.size)
    edited = tinted(layer, 1.04, -6)
    edited.paste("blue", (35, 25, 65, 45))
    settled = np.asarray(region.settle(layer, edited, seen).convert("RGB"), int)
    plain = np.asarray(layer.convert("RGB"), int)
    untouched = ~changed(edited, tinted(layer, 1.04, -6))
    assert np.abs(settled - plain)[untouched & (plain.min(-1) > 10) & (plain.max(-1) < 245)].max() <= 2
    assert (settled[30, 50] - (0, 0, 255)).max() <= 8
    # What was asked for may be a tint, and a strong one is none by the way.
    for gain, change in ((0.95, None), (0.6, "blue")):
        asked = tinted(layer, gain, 0)
        if change:
            asked.paste(change, (35, 25, 65, 45))
        assert region.settle(layer, asked, seen) is asked


@pytest.mark.slow
def test_no_seam_is_steeper_than_the_pictures_around_it() -> None:
    pairs = [index for index in range(2000, 2015) if index % len(REGIONS) < 4]
    outcomes = [measure_region_pair(index, area=256 * 256, longest_px=(200, 260)) for index in pairs]
    figures = summarize_regions(outcomes)
    thing, everything = figures["thing"], figures["all"]
    assert figures["outside_same"] == len(outcomes)
    assert thing["ours"]["steeper"] <= 0.05 < thing["pasted"]["steeper"]
    assert everything["ours"]["steeper"] <= 0.15 < everything["pasted"]["steeper"]
    assert thing["ours"]["kept"] >= 0.7 and everything["ours"]["kept"] >= 0.6, "the change is not faded away"
    # Poisson blending leaves no seam either, and little of a change of color.
    assert thing["ours"]["error"] <= 0.8 * min(thing[way]["error"] for way in ("pasted", "poisson"))
    assert everything["ours"]["error"] <= 0.6 * everything["poisson"]["error"]

"""Select object: what is pointed at becomes a mask, and the mask a layer; the composite stays what it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from llm_dit import Group, InputError, Layer, composite, cut_out, select
from llm_dit.classical.seeing import networks, subject
from tests.kit.pictures import difference

pytestmark = pytest.mark.slow

SIZE = (320, 240)


def disc_at(x: int, y: int, radius: int, soft: float = 0.7) -> Image.Image:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(soft))


def hard(mask: Image.Image) -> Image.Image:
    """Return a mask of all that another one has anything of."""
    return Image.fromarray(np.where(np.asarray(mask) > 0, 255, 0).astype(np.uint8), "L")


def scene() -> tuple[Image.Image, Image.Image]:
    """Return a textured ground with a two-colored thing on it and another thing, and the first thing's mask."""
    rng = np.random.default_rng(4)
    grain = rng.normal(0, 8, (SIZE[1], SIZE[0], 1)) + np.linspace(-30, 30, SIZE[0])[None, :, None]
    ground = np.array([90, 130, 90]) + grain
    picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8), "RGB")
    picture.paste((40, 60, 190), (230, 150, 290, 210))
    thing = disc_at(110, 110, 55)
    picture.paste((220, 60, 40), (0, 0), thing)
    picture.paste((250, 220, 60), (0, 0), disc_at(110, 110, 25))
    return picture, thing


def iou(one: Image.Image, other: Image.Image) -> float:
    first, second = np.asarray(one, float), np.asarray(other, float)
    return float(np.minimum(first, second).sum() / np.maximum(first, second).sum())


AROUND = [(110 + 65 * np.cos(t), 110 + 65 * np.sin(t)) for t in np.linspace(0, 6.1, 20)]
ALONG = [(70.0, 110.0), (110.0, 130.0), (150.0, 110.0)]


@pytest.mark.parametrize(
    "hints",
    [
        {"box": (50, 50, 170, 172)},
        {"points": [(110, 110), (75, 110)]},
        {"line": AROUND},
        {"line": ALONG},
        {"box": (170, 172, 50, 50), "points": [(110, 110)], "without": [(20, 20)]},
    ],
    ids=["box", "clicks", "around", "along", "all"],
)
def test_the_thing_that_is_pointed_at_is_found(hints: dict[str, Any]) -> None:
    picture, thing = scene()
    mask = select(picture, **hints)
    assert (mask.mode, mask.size) == ("L", picture.size)
    assert iou(mask, thing) > 0.9


def toy() -> tuple[Image.Image, Image.Image]:
    """Return a toy of many paints where three grounds meet, and its mask."""
    size = (480, 360)
    picture, thing = Image.new("RGB", size, "#608cc4"), Image.new("L", size)
    pen, own = ImageDraw.Draw(picture), ImageDraw.Draw(thing)
    pen.polygon([(0, 250), (480, 190), (480, 360), (0, 360)], "#c4aa78")
    pen.polygon([(0, 0), (150, 0), (60, 250), (0, 250)], "#4668a0")
    grain = np.random.default_rng(8).normal(0, 6, (*size[::-1], 1))
    picture = Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8), "RGB")
    pen = ImageDraw.Draw(picture)
    for left, top, right, low, color in (
        (190, 150, 290, 260, "#be3c32"),
        (215, 180, 265, 215, "#f0c83c"),
        (195, 260, 230, 310, "#282832"),
        (250, 260, 285, 310, "#282832"),
    ):
        pen.rectangle((left, top, right, low), color)
        own.rectangle((left, top, right, low), 255)
    for place, color in (
        ((200, 60, 280, 150), "#f0ebdc"),
        ((218, 90, 234, 108), "#1e3c78"),
        ((246, 90, 262, 108), "#1e3c78"),
    ):
        pen.ellipse(place, color)
        own.ellipse(place, 255)
    pen.polygon([(205, 75), (240, 20), (275, 75)], "#3c8246")
    own.polygon([(205, 75), (240, 20), (275, 75)], 255)
    return picture, thing


@pytest.mark.parametrize(
    "hints",
    [{"box": (180, 12, 300, 318)}, {"points": [(240, 230)]}, {"points": [(240, 130)]}, {"points": [(240, 50)]}],
    ids=["box", "body", "head", "hat"],
)
def test_a_thing_of_many_paints_is_found_whole(hints: dict[str, Any]) -> None:
    picture, thing = toy()
    assert iou(select(picture, **hints), thing) > 0.96


def test_a_head_whose_neck_has_the_colors_of_the_ground_stays_on() -> None:
    size = (480, 360)
    shade = np.linspace(0, 1, size[1])[:, None, None] * np.array([-40, -30, 10])
    grain = np.random.default_rng(3).normal(0, 5, (*size[::-1], 1))
    ground = (np.array([205, 195, 180]) + shade + grain).clip(0, 255).astype(np.uint8)
    picture, thing = Image.fromarray(ground), Image.new("L", size)
    for image, colors in ((picture, ["#a03c46", "#d6beac", "#1e191e"]), (thing, [255, 255, 255])):
        pen = ImageDraw.Draw(image)
        pen.polygon([(225, 130), (255, 130), (300, 320), (180, 320)], colors[0])
        pen.rectangle((232, 112, 248, 130), colors[1])
        pen.ellipse((215, 60, 265, 114), colors[1])
        pen.chord((213, 50, 267, 110), 150, 390, colors[2])
    assert iou(select(picture, points=[(240, 250)]), thing) > 0.95


def test_a_box_does_without_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(networks, "folder", lambda: tmp_path)
    picture, thing = toy()
    assert iou(select(picture, box=(180, 12, 300, 318)), thing) > 0.9
    assert iou(select(picture, points=[(240, 200)]), thing) > 0.4


def test_a_further_click_on_a_picture_looks_at_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, thing = toy()
    first = select(picture, points=[(241, 231)])
    monkeypatch.setattr(subject, "run", lambda *_: pytest.fail("the network has seen this"))
    again = select(picture, points=[(241, 231), (230, 240)])
    assert iou(first, again) > 0.98 and iou(again, thing) > 0.96


def test_a_click_beside_the_last_one_shares_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, thing = toy()
    select(picture, points=[(242, 232)])
    looked: list[object] = []
    run = subject.run
    monkeypatch.setattr(subject, "run", lambda *given: looked.append(None) or run(*given))
    assert iou(select(picture, points=[(244, 233)]), thing) > 0.96
    assert len(looked) <= 1


def test_a_large_picture_has_no_seams() -> None:
    picture, thing = (image.resize((1920, 1440), Image.Resampling.BICUBIC) for image in scene())
    mask = select(picture, box=(300, 300, 1020, 1032))
    assert iou(mask, thing) > 0.95
    hard_edge = np.asarray(mask, int)
    for seam in (767, 768):
        inside = np.asarray(thing)[:, seam] == 255
        assert (hard_edge[:, seam][inside] > 250).mean() > 0.98


def test_more_clicks_add_what_is_elsewhere() -> None:
    picture, thing = scene()
    both = thing.copy()
    both.paste(255, (230, 150, 290, 210))
    assert iou(select(picture, box=(50, 50, 170, 172), points=[(260, 180)]), both) > 0.9
    assert iou(select(picture, points=[(110, 110), (75, 110), (260, 180)]), both) > 0.9


def test_a_part_can_be_left_out() -> None:
    picture, thing = scene()
    mask = select(picture, points=[(75, 110)], without=[(110, 110)])
    ring = Image.fromarray(np.asarray(thing) - np.minimum(np.asarray(thing), np.asarray(disc_at(110, 110, 25))), "L")
    assert iou(mask, ring) > 0.8


def test_what_is_clear_is_not_selected() -> None:
    picture, thing = scene()
    picture.putalpha(disc_at(110, 110, 80))
    for mask in (select(picture, points=[(75, 110)]), select(picture, box=(0, 0, 320, 240))):
        assert np.asarray(mask)[110, 75] == 255
        assert not np.asarray(mask)[np.asarray(picture)[..., 3] == 0].any()
    alone = Image.new("RGBA", SIZE)
    alone.paste((200, 30, 40), (0, 0), thing)
    assert iou(select(alone, points=[(110, 110)]), thing) > 0.95


@pytest.mark.parametrize("hints", [{"box": (5, 5, 40, 40)}, {"points": [(10, 10)]}, {"line": [(5, 5), (40, 40)]}])
@pytest.mark.parametrize("alpha", [0, 1])
def test_where_all_is_clear_there_is_nothing_to_select(hints: dict[str, Any], alpha: int) -> None:
    picture = Image.new("RGBA", SIZE, (200, 30, 40, alpha))
    nothing_to_select = select(picture, **hints).getbbox() is None
    assert nothing_to_select == (alpha == 0)


@pytest.mark.parametrize(
    ("hints", "param"),
    [
        ({}, "points"),
        ({"without": [(10, 10)]}, "points"),
        ({"points": [(400, 10)]}, "points"),
        ({"points": [(float("nan"), 10)]}, "points"),
        ({"points": [(1, 1)] * 1001}, "points"),
        ({"box": (330, 0, 400, 50)}, "box"),
        ({"box": (0, 0, float("inf"), 50)}, "box"),
        ({"line": [(-50, -50), (-20, -10)]}, "points"),
    ],
)
def test_what_points_at_nothing_is_refused(hints: dict[str, Any], param: str) -> None:
    with pytest.raises(InputError) as refused:
        select(scene()[0], **hints)
    assert refused.value.param == param


# The layer.


def placed(seed: int, *, opaque: bool) -> list[Layer]:
    """Return a stack of layers that lie anyhow, drawn from a seed."""
    rng, turns = np.random.default_rng(seed), np.random.default_rng(seed + 100)
    picture, _ = scene()
    half = picture.convert("RGBA")
    fade = np.asarray(disc_at(150, 120, 90, 12)) * (0.5 if seed % 2 else 1)
    half.putalpha(Image.fromarray(fade.astype(np.uint8), "L"))
    above = [
        Layer(
            image=half.rotate(int(rng.integers(0, 360))),
            x=int(rng.integers(-60, 60)),
            y=int(rng.integers(-60, 60)),
            scale=float(rng.choice([1.0, 0.6, 1.7])),
            flip_x=bool(rng.integers(2)),
            flip_y=bool(rng.integers(2)),
            rotation=float(turns.choice([0, 90, 25])),
            stretch=float(turns.choice([1, 0.7])),
            opacity=float(rng.choice([1.0, 0.7])),
            blend=str(rng.choice(["normal", "normal", "multiply", "overlay"])),  # type: ignore[arg-type]
            visible=bool(rng.integers(4)),
        )
        for _ in range(2)
    ]
    return [Layer(image=picture if opaque else half), *above]


def masks(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        return Image.fromarray(rng.integers(0, 256, SIZE[::-1]).astype(np.uint8), "L")
    return disc_at(int(rng.integers(80, 240)), int(rng.integers(60, 180)), 40, float(rng.choice([0.0, 1.0, 6.0])))


@pytest.mark.parametrize(("seed", "opaque"), [(0, True), (1, True), (2, True), (3, False), (4, False), (5, False)])
def test_the_composite_stays_what_it_was(seed: int, opaque: bool) -> None:
    stack = placed(seed, opaque=opaque)
    cut = cut_out(stack, *SIZE, masks(seed), "Thing")
    assert len(cut) == len(stack) + 1
    assert cut[cut.place].name == "Thing"
    most = 1 if all(layer.is_placed_plainly for layer in stack) else 2
    assert difference(composite(stack, *SIZE), composite(cut, *SIZE)) <= most
    old = [*cut[: cut.place], *cut[cut.place + 1 :]]
    assert [(layer.box, layer.blend, layer.opacity) for layer in old] == [
        (layer.box, layer.blend, layer.opacity) for layer in stack
    ]


def without(cut: Sequence[Layer], name: str) -> np.ndarray:
    return np.asarray(composite([layer for layer in cut if layer.name != name], *SIZE)).astype(int)


def test_a_cut_thing_leaves_its_ground_and_takes_its_own_colors() -> None:
    picture = Image.new("RGB", SIZE, (40, 90, 160))
    thing = disc_at(110, 110, 55)
    picture.paste((220, 60, 40), (0, 0), thing)
    cut = cut_out([Layer(image=picture)], *SIZE, thing, "Disc")
    behind, disc = without(cut, "Disc"), np.asarray(cut[cut.place].image).astype(int)
    assert np.abs(behind - [40, 90, 160, 255]).max() <= 2
    seen = disc[..., 3] > 60
    assert np.abs(disc[..., :3] - [220, 60, 40])[seen].max() <= 30, "the ground's color is in the edge"
    assert np.abs(disc[..., 3] - np.asarray(thing)).mean() < 0.5


def test_a_transparent_ground_stays_transparent() -> None:
    thing = disc_at(110, 110, 55)
    stack = Image.new("RGBA", SIZE)
    stack.paste((220, 60, 40), (0, 0), thing)
    stack.paste((40, 60, 190), (230, 150, 290, 210))
    cut = cut_out([Layer(image=stack)], *SIZE, hard(thing), "Disc")
    behind = without(cut, "Disc")
    assert not behind[:, :200, 3].any()
    assert (behind[150:210, 230:290] == [40, 60, 190, 255]).all()


def test_a_thing_that_is_a_layer_already_is_taken_from_that_layer_alone() -> None:
    ground, thing = Image.new("RGB", SIZE, (90, 130, 90)), Image.new("RGBA", SIZE)
    thing.paste((220, 60, 40), (0, 0), disc_at(110, 110, 55))
    top = Layer(image=Image.new("RGBA", SIZE), name="Empty", group="Group")
    stack = [Layer(image=ground, name="Ground"), Layer(image=thing, name="Two", group="Group"), top]
    cut = cut_out(stack, *SIZE, hard(disc_at(110, 110, 55)), "One")
    assert [layer.name for layer in cut] == ["Ground", "Two", "One", "Empty"]
    assert cut[0].image is ground and cut[3].image is top.image
    assert cut[2].group == "Group"
    assert not np.asarray(cut[1].image)[..., 3].any()


def test_what_is_in_a_group_that_blends_as_a_whole_is_not_cut() -> None:
    stack = [Layer(image=scene()[0]), Layer(image=scene()[0], group="Faded / Inner", x=40)]
    groups = {"Faded": Group(opacity=0.5)}
    with pytest.raises(InputError, match="merge the group"):
        cut_out(stack, *SIZE, masks(1), "Thing", groups)
    assert len(cut_out(stack, *SIZE, masks(1), "Thing", {"Faded": Group(visible=False)})) == 3


def test_nothing_makes_no_layer() -> None:
    picture = Layer(image=scene()[0])
    for stack, mask in (
        ([picture], Image.new("L", SIZE)),
        ([picture], Image.new("L", (10, 10), 255)),
        ([Layer(image=scene()[0], visible=False)], Image.new("L", SIZE, 255)),
    ):
        with pytest.raises(InputError) as refused:
            cut_out(stack, *SIZE, mask)
        assert refused.value.param == "mask"

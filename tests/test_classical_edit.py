"""Editing one layer by instruction with the classical engine."""

import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from llm_dit.classical.instructions.chinese_words import CHINESE_COLORS, LEXICON
from llm_dit.classical.instructions.english import (
    COLOR_NAMES,
    COLOR_WORDS,
    OTHER_WORDS,
    ROWS,
    SHORTEST,
    THINGS,
    TOOLS,
    TOPICS,
    correct,
    is_thing,
    parse_color,
)
from llm_dit.classical.instructions.parsing import MAX_LENGTH, MAX_OPERATIONS, language_of, parse_instruction
from llm_dit.classical.operations import Operation
from llm_dit.errors import InstructionError
from llm_dit.pipelines.classical import EFFECTS, edit_image
from llm_dit.runs import Canceled, Progress
from tests.kit.edits.judged import LONGEST_REFUSAL
from tests.kit.edits.layers import drawn_layers
from tests.kit.edits.measures import goal, look_at, oklab
from tests.kit.edits.pictured import pictured
from tests.kit.edits.trials import GOOD, try_instruction
from tests.kit.forks import ROOT
from tests.llm_dit.images import rgba_images

PICTURED = pictured()
LAYERS = drawn_layers() | {name: drawn.layer for name, drawn in PICTURED.items()}
# The benchmark measures on all of them, and on pictures.
MEASURED = ("photo, soft edge", "object on a ground", "flat blue", "black", "white", "thin lines", "smoke", "one pixel")
# Where there are parts to be named.
WITH_PARTS = ("person", "sign", "landscape", "balloons", "scene")
EXAMPLES = [example for topic in TOPICS for example in topic.examples]
CHINESE = {example: chinese for topic in TOPICS for example, chinese in zip(topic.examples, topic.chinese, strict=True)}
SPEC_EXAMPLES = [
    "Change the color to blue",
    "Change the house color to blue",
    "Make it more vibrant",
    "Make it brighter",
    "Add a warm glow",
    "Add a sunset glow effect",
    "Remove the background",
    "Make it look vintage",
    "Add shadows",
    "Simplify the details",
]
BEYOND = {
    "Make it photorealistic": "new_thing",
    "卡通风格": "new_thing",
    "add a hat": "new_thing",
    "给他加一顶帽子": "new_thing",
    "draw a cat on the roof": "new_thing",
    "remove the tree": "remove_part",
    "去掉那棵树": "remove_part",
    "remove the red parts": "remove_part",
    "make it a cat": "not_understood",
    "make it bigger": "size",
    "缩小一点": "size",
    "move it to the left": "place",
    "left": "place",
    "居中": "place",
    "移到右上角": "place",
    "delete it": "delete",
    "删掉这个图层": "delete",
    "hide this layer": "hide",
    "duplicate it": "copy",
    "undo": "undo",
    "撤销": "undo",
    "add a red hat": "new_thing",
    "turn it into a blue whale": "new_thing",
    "asdf qwer": "not_understood",
    "乱七八糟": "not_understood",
    "make it": "not_understood",
    "make it very": "not_understood",
    "opacity 300%": "not_understood",
    "make it rgb(300, 0, 0)": "not_understood",
    "rends-le bleu": "not_understood",
    "flip it slightly": "not_understood",
    "make it less vintage": "not_understood",
    "make the left half blue": "unclear_part",
    "darken the top": "unclear_part",
    "paint the roof red and the walls white": "several_things",
    "don't make it blue": "negation",
    "do not brighten it": "negation",
    "never blur it": "negation",
    "no shadows": "negation",
    "不要变蓝": "negation",
    "别模糊背景": "negation",
    "青くして": "other_language",
    "сделай синим": "other_language",
    "": "empty",
    "   ": "empty",
    "please": "empty",
    " , . ": "empty",
    "😀": "empty",
    "❤️": "empty",
    "请": "empty",
}
HALF_UNDERSTOOD = {
    "make it blue and add a hat": "add a hat",
    "Add a hat, then make it blue": "Add a hat",
    "make it brighter but keep the colors": "keep the colors",
    "add a tree with a warm glow": "add a tree",
    "make it blue, not red": "not red",
    "make the house darker bluer": "make the house darker bluer",
    "make it blue except the roof": "make it blue except the roof",
}


@pytest.fixture(scope="module", autouse=True)
def without_networks() -> Iterator[None]:
    """Find subjects by what stands out, so that a machine with the networks set up measures the same, and as fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_dit.classical.effects.parts.is_set_up", lambda *networks: False)
        yield


def effects(instruction: str) -> list[str]:
    return [operation.effect for operation in parse_instruction(instruction)]


def amount(instruction: str) -> float:
    (operation,) = parse_instruction(instruction)
    return operation.amount


def alpha_of(layer: Image.Image) -> bytes:
    return layer.getchannel("A").tobytes()


# What it does


def test_black_letters_become_a_color_without_blotches() -> None:
    """What a compressed picture has for black is a few levels of any color."""
    noise = np.random.default_rng(5).integers(0, 13, (60, 90, 3), np.uint8)
    blocks = np.kron(noise[::6, ::6], np.ones((6, 6, 1), np.uint8))
    layer = Image.fromarray(np.dstack([blocks, np.full((60, 90), 255, np.uint8)]), "RGBA")
    red = np.asarray(edit_image(layer, "make it red", 0), float)[..., :3]
    assert red.std(axis=(0, 1)).max() < 8
    assert red[..., 0].mean() > 190 and red[..., 1:].mean() < 60


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_documented_instruction_does_what_it_says_and_keeps_the_alpha(example: str) -> None:
    (operation,) = parse_instruction(example)
    layers = MEASURED if operation.part is None else ("object on a ground", *WITH_PARTS)
    # Half the size does, but for what would be thinner than a pixel.
    halves = {name: LAYERS[name].reduce(1 if name == "thin lines" else 2) for name in layers}
    trials = [try_instruction(example, name, layer) for name, layer in halves.items()]
    assert [trial for trial in trials if trial.outcome not in GOOD] == []
    assert any(trial.outcome == "moved" for trial in trials)


@pytest.mark.parametrize("example", SPEC_EXAMPLES)
def test_the_examples_of_the_specification_change_a_picture(example: str) -> None:
    layer = LAYERS["object on a ground"]
    edited = edit_image(layer, example, 0, "keep")
    assert alpha_of(edited) == alpha_of(layer)
    assert np.abs(np.asarray(edited, int) - np.asarray(layer, int)).mean() > 0.5


@pytest.mark.parametrize("name", sorted(ImageColor.colormap))
def test_every_css_color_is_known_and_a_flat_shape_gets_exactly_it(name: str) -> None:
    for shape in ("flat red", "black", "white"):
        edited = edit_image(LAYERS[shape].crop((80, 65, 100, 85)), f"Change the color to {name}", 0, "keep")
        middle = edited.getpixel((10, 10))
        assert isinstance(middle, tuple)
        assert np.abs(np.subtract(middle[:3], ImageColor.getrgb(name)[:3])).max() <= 2


@pytest.mark.parametrize("name", ["blue", "dark red", "light green", "gold", "#ff8800", "white", "black", "grey"])
def test_a_textured_layer_takes_the_color_and_keeps_its_texture(name: str) -> None:
    layer = LAYERS["photo, opaque"]
    before, after = look_at(layer), look_at(edit_image(layer, f"Change the color to {name}", 0, "keep"))
    (operation,) = parse_instruction(f"make it {name}")
    assert goal(operation).reached(before, after)
    light, relit = (look.lab[..., 0].ravel() for look in (before, after))
    assert np.corrcoef(light, relit)[0, 1] > 0.8
    target = oklab(np.array(operation.color) / 255.0)[1:]
    if np.linalg.norm(target) > 0.03:
        turned = np.angle((after.lab[..., 1] + 1j * after.lab[..., 2]) / complex(*target))
        assert np.average(np.abs(turned), weights=after.chroma) < np.deg2rad(12)


def test_white_lettering_stays_white_when_its_sign_changes_color() -> None:
    sign = Image.new("RGBA", (80, 60), (200, 30, 30, 255))
    sign.paste((255, 255, 255, 255), (20, 20, 60, 30))
    sign.paste((0, 0, 0, 255), (20, 40, 60, 46))
    edited = edit_image(sign, "make it blue", 0, "keep")
    assert edited.getpixel((40, 25)) == (255, 255, 255, 255)
    assert edited.getpixel((40, 43)) == (0, 0, 0, 255)
    assert edited.getpixel((5, 5)) == (0, 0, 255, 255)


def test_replacing_a_color_leaves_the_others() -> None:
    two = Image.new("RGBA", (60, 40), (210, 40, 40, 255))
    two.paste((240, 210, 40, 255), (30, 0, 60, 40))
    edited = edit_image(two, "change the red parts to blue", 0, "keep")
    assert edited.getpixel((10, 10)) == (0, 0, 255, 255)
    assert edited.getpixel((50, 10)) == (240, 210, 40, 255)
    with pytest.raises(InstructionError, match="Nothing in this layer has that color"):
        edit_image(two, "change green to blue", 0, "keep")


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ("make it {} brighter", ("very slightly", "slightly", "", "much", "extremely")),
        ("make it {} darker", ("very slightly", "slightly", "", "much", "extremely")),
        ("blur it {}", ("a little", "", "a lot")),
        ("make it {} more vibrant", ("slightly", "", "much")),
        ("make it {} warmer", ("a bit", "quite", "a lot")),
        ("add a {} warm glow", ("subtle", "", "strong")),
        ("add {} shadows", ("subtle", "", "strong")),
        ("sharpen it {}", ("a bit", "", "a lot")),
        ("simplify the details {}", ("a bit", "", "a lot")),
    ],
)
def test_stronger_words_have_more_effect(plain: str, words: tuple[str, ...]) -> None:
    layer = LAYERS["photo, opaque"]
    before, moves = look_at(layer), []
    for word in words:
        instruction = " ".join(plain.format(word).split())
        (operation,) = parse_instruction(instruction)
        after = look_at(edit_image(layer, instruction, 0, "keep"))
        moves.append(abs(goal(operation).measure(before, after) - goal(operation).measure(before, before)))
    assert all(weaker < stronger for weaker, stronger in pairwise(moves)), moves


def test_opposite_directions_are_understood() -> None:
    for more, less in [
        ("make it brighter", "not so bright"),
        ("more contrast", "reduce the contrast"),
        ("make it more saturated", "make it less saturated"),
        ("it is too dark", "it's too bright"),
        ("turn up the warmth", "turn the warmth down"),
    ]:
        assert amount(more) > 1.0 > amount(less)
        assert effects(more) == effects(less)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("brighten it by 20%", 1.2),
        ("20% brighter", 1.2),
        ("make it 20 percent darker", 0.8),
        ("twice as bright", 2.0),
        ("half as bright", 0.5),
        ("twice as dark", 0.5),
        ("double the contrast", 2.0),
        ("set the contrast to 80%", 0.8),
        ("brightness +20", 1.2),
        ("completely desaturate it", 0.0),
        ("make it 30% transparent", 0.7),
        ("make it 30% opaque", 0.3),
        ("reduce the opacity to 40%", 0.4),
        ("reduce the opacity by 40%", 0.6),
    ],
)
def test_numbers_are_exact(instruction: str, expected: float) -> None:
    assert amount(instruction) == pytest.approx(expected)


def test_a_color_that_pillow_was_asked_for_before_is_still_known() -> None:
    """Pillow puts what a name means in the place of its text."""
    program = """
from PIL import Image
layer = Image.new("RGBA", (4, 4), "white")
from llm_dit import ClassicalPipeline
assert ClassicalPipeline().edit_layer(layer.copy(), "Make it red").getpixel((1, 1)) == (255, 0, 0, 255)
assert ClassicalPipeline().edit_layer(layer, "Make it white").getpixel((1, 1)) == (255, 255, 255, 255)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("make it blue and slightly darker, then blur it a little", ["recolor", "brightness", "blur"]),
        ("Flip it horizontally and make it look vintage", ["mirror", "vintage"]),
        ("flip it horizontally and vertically", ["mirror", "flip"]),
        ("make it black and white with more contrast", ["greyscale", "contrast"]),
        ("change red to blue and green to yellow", ["replace", "replace"]),
        ("Could you please make the old house light sea green? Thanks!", ["recolor"]),
        ("make the sky blue", ["recolor"]),
        ("make the red roof blue", ["replace"]),
        ("Change the color of the house to rgb(1, 2, 3), then add a vignette.", ["recolor", "vignette"]),
    ],
)
def test_sentences(instruction: str, expected: list[str]) -> None:
    assert effects(instruction) == expected


def test_a_direction_and_a_number_hold_for_all_that_they_govern() -> None:
    assert [op.amount < 1.0 for op in parse_instruction("make it less bright and saturated")] == [True, True]
    together = parse_instruction("increase the brightness, contrast and saturation by 20%")
    assert [operation.amount for operation in together] == pytest.approx([1.2, 1.2, 1.2])


# What it refuses


@pytest.mark.parametrize(("instruction", "reason"), BEYOND.items())
def test_what_it_cannot_do_is_refused_shortly_with_the_reason(instruction: str, reason: str) -> None:
    with pytest.raises(InstructionError) as caught:
        parse_instruction(instruction)
    assert (caught.value.param, caught.value.hint["reason"]) == ("instruction", reason)
    assert len(caught.value.message) <= LONGEST_REFUSAL
    assert caught.value.message.count("。" if language_of(instruction) == "zh" else ". ") <= 2


@pytest.mark.parametrize(("instruction", "part"), HALF_UNDERSTOOD.items())
def test_nothing_is_dropped_from_a_half_understood_sentence(instruction: str, part: str) -> None:
    with pytest.raises(InstructionError, match=f"“{part}”"):
        parse_instruction(instruction)


@pytest.mark.parametrize(
    ("slipped", "meant"),
    [
        ("make it bleu", "make it blue"),
        ("chnage the colour to gren", "change the colour to green"),
        ("Mkae it brihgter", "make it brighter"),
        ("blur it slighty plz", "blur it slightly"),
        ("pls make it more vibrent thx", "make it more vibrant"),
        ("remove the backgroud", "remove the background"),
        ("tint it purpel and incrase the contrast", "tint it purple and increase the contrast"),
        ("flip it horizontaly", "flip it horizontally"),
        ("ｍａｋｅ　ｉｔ　ｂｌｕｅ。", "make it blue"),
        ("make teh sky purpel", "make the sky purple"),
        ("make it blue 😀", "make it blue"),
        ("✨ add a warm glow ❤️, and blur it 🙏🏽", "add a warm glow and blur it"),
        ("rotate the hue by -45°", "rotate the hue by -45 degrees"),
        ("make it rgb(20 160 90)", "make it rgb(20, 160, 90)"),
        ("bg remove", "remove the background"),
        ("her jaket green plz", "make her jacket green"),
        ("text yelow", "make the text yellow"),
        ("red -> blue", "change red to blue"),
        ("needs a dropshadow", "add a drop shadow"),
        ("can u make it a lil brighter", "make it a little brighter"),
    ],
)
def test_slips_of_the_keyboard_are_read_as_what_was_meant(slipped: str, meant: str) -> None:
    assert parse_instruction(slipped) == parse_instruction(meant)


@pytest.mark.parametrize(
    "instruction", ["make it bold", "shape it", "make it read", "add a hat", "turn it wide", "make it great"]
)
def test_a_word_of_its_own_is_no_slip(instruction: str) -> None:
    with pytest.raises(InstructionError):
        parse_instruction(instruction)


@pytest.mark.parametrize("words", [COLOR_WORDS, THINGS, OTHER_WORDS], ids=["colors", "things", "others"])
def test_a_known_word_is_never_read_as_another(words: frozenset[str]) -> None:
    assert [word for word in words if correct(word) != word] == []


@settings(max_examples=100)
@given(st.text("abdeghilnorstuy", min_size=SHORTEST, max_size=9))
def test_a_slip_is_of_one_letter(word: str) -> None:
    read = correct(word)
    assert correct(read) == read
    assert (read[0], abs(len(read) - len(word)) <= 1) == (word[0], True)
    assert len(set(enumerate(read)) ^ set(enumerate(word))) <= 4 or len(read) != len(word)


@pytest.mark.parametrize(
    ("instruction", "quoted"),
    [
        ("Make it rgb(300,0,0)", "“Make it rgb(300,0,0)”"),
        ("wiggle it by 50%", "“wiggle it by 50%”"),
        ("#ff88", "“#ff88”"),
        ("make it blue 😀 and Add a Hat 🎩!", "“Add a Hat”"),
    ],
)
def test_what_is_not_understood_is_quoted_whole(instruction: str, quoted: str) -> None:
    with pytest.raises(InstructionError, match=re.escape(quoted)):
        parse_instruction(instruction)


def test_too_long_and_too_many_are_refused() -> None:
    with pytest.raises(InstructionError, match="at most"):
        parse_instruction("blur it " * MAX_LENGTH)
    with pytest.raises(InstructionError, match="at most"):
        parse_instruction(", ".join(["blur it"] * (MAX_OPERATIONS + 1)))


@pytest.mark.parametrize(
    ("instruction", "says"),
    [
        ("make it 50% transparent", "shape “new”"),
        ("blur it and fade it by 20%", "shape “new”"),
        ("rotate it by 90 degrees", "shape “new”"),
        ("add a drop shadow", "shape “new”"),
        ("加投影", "形状“new”"),
    ],
)
def test_what_passes_the_outline_needs_a_new_shape(instruction: str, says: str) -> None:
    with pytest.raises(InstructionError, match=says) as caught:
        edit_image(LAYERS["flat red"], instruction, 0, "keep")
    assert caught.value.hint["way"] == "new_shape"


# Chinese


def parts_unnamed(operations: list[Operation]) -> list[Operation]:
    """Return the operations without how their parts were called."""
    return [replace(one, part=one.part and replace(one.part, name="")) for one in operations]


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_everything_documented_means_the_same_in_chinese(english: str, chinese: str) -> None:
    assert parts_unnamed(parse_instruction(chinese)) == parts_unnamed(parse_instruction(english))


@pytest.mark.parametrize("name", sorted(COLOR_NAMES - {"snow"}))
def test_every_color_has_a_chinese_name(name: str) -> None:
    chinese = [word for word, english in CHINESE_COLORS.items() if parse_color(english) == parse_color(name)]
    assert chinese
    for word in chinese:
        assert parse_instruction(f"改成{word}色") == parse_instruction(f"change the color to {name}")


def test_every_effect_and_direction_of_the_vocabulary_has_a_chinese_word() -> None:
    found = set[tuple[str, bool]]()
    for word in LEXICON:
        for phrase in (word, f"加{word}", f"提高{word}"):
            try:
                found |= {(one.effect, one.amount < 1.0) for one in parse_instruction(phrase)}
            except InstructionError as error:
                found.add((error.hint["reason"], False))
    reasons = {"resize": "size", "move": "place", "duplicate": "copy"}
    wanted = {(reasons.get(row.effect, row.effect), bool(row.step) and row.down) for row in ROWS}
    assert wanted <= found


def test_every_chinese_name_is_one_that_english_has() -> None:
    names = {english for kind, english in LEXICON.values() if kind == "name"}
    assert [name for name in names if name != "it" and not is_thing(name.split()[-1])] == []


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("向右旋转90度", "rotate it by 90 degrees"),
        ("只保留红色，其他变黑白", "keep only the red"),
        ("颜色太淡了", "it is too muted"),
        ("提高亮度、对比度和饱和度20%", "increase the brightness, contrast and saturation by 20%"),
        ("改成蓝色，再暗一点，然后模糊背景", "make it blue, a little darker, blur the background"),
        ("把background模糊一点", "blur the background a little"),
        ("给雪人加暖色光晕", "add a warm glow to the snowman"),
    ],
)
def test_chinese_sentences(chinese: str, english: str) -> None:
    assert parts_unnamed(parse_instruction(chinese)) == parts_unnamed(parse_instruction(english))


@pytest.mark.parametrize("instruction", ["其他变黑白", "除了天空都变黑白", "部分变蓝", "把天空以外的都变暗"])
def test_what_limits_a_chinese_sentence_is_never_dropped(instruction: str) -> None:
    with pytest.raises(InstructionError):
        parse_instruction(instruction)


@pytest.mark.parametrize(
    ("instruction", "says"),
    [
        ("把屋顶涂成红色", "“屋顶”"),
        ("加一顶帽子", "“加一顶帽子”"),
        ("把绿色改成蓝色", "没有这种颜色"),
        ("模糊背景", "已经抠好"),
    ],
)
def test_chinese_is_refused_in_chinese(instruction: str, says: str) -> None:
    with pytest.raises(InstructionError, match=says):
        edit_image(LAYERS["house"], instruction, 0, "keep")


# Parts


def moved(before: Image.Image, after: Image.Image, where: np.ndarray) -> float:
    return float(np.abs(look_at(after).lab[where] - look_at(before).lab[where]).mean())


@pytest.mark.parametrize(
    ("instruction", "layer", "part", "others"),
    [
        ("make her jacket green", "person", "jacket", ["face", "hair", "trousers"]),
        ("darken the letters", "sign", "letters", []),
        ("make the sky pink and darken it", "landscape", "sky", ["grass", "path"]),
        ("blur the grass", "landscape", "grass", ["path", "sky"]),
        ("make the red balloon black and white", "balloons", "red", ["yellow", "blue"]),
        ("make the cup blue", "scene", "cup", ["ground"]),
        ("brighten the background", "scene", "ground", ["cup"]),
    ],
)
def test_a_part_that_is_clear_is_edited_alone(instruction: str, layer: str, part: str, others: list[str]) -> None:
    drawn = PICTURED[layer]
    edited = edit_image(drawn.layer, instruction, 0, "keep")
    # Fine stripes are all that a blur can take from drawn grass.
    assert moved(drawn.layer, edited, drawn.parts[part]) > (0.002 if "blur" in instruction else 0.01)
    for other in others:
        assert moved(drawn.layer, edited, drawn.parts[other]) < 0.006, other


@pytest.mark.parametrize(
    ("instruction", "layer", "reason"),
    [
        ("make the roof red", "house", "unclear_part"),
        ("make the tree red", "landscape", "unclear_part"),
        ("make the clouds pink", "house", "unclear_part"),
        ("change her jacket to green", "balloons", "unclear_part"),
        ("make the letters yellow", "house", "unclear_part"),
        ("make the sky pink", "person", "unclear_part"),
        ("make his hat green", "person", "unclear_part"),
        ("flip the red parts", "balloons", "unclear_part"),
        ("make the purple parts darker", "balloons", "no_such_color"),
        ("blur the background", "person", "no_background"),
        ("blur the background", "photo, opaque", "no_subject"),
        ("make the dog blue", "photo, opaque", "unclear_part"),
    ],
)
def test_a_part_that_is_not_clear_is_refused(instruction: str, layer: str, reason: str) -> None:
    with pytest.raises(InstructionError) as caught:
        edit_image(LAYERS[layer], instruction, 0, "keep", subject=lambda picture: None)
    assert caught.value.hint["reason"] == reason


def test_the_subject_is_found_by_what_is_given_to_find_it() -> None:
    layer = LAYERS["photo, opaque"]
    half = np.zeros((layer.height, layer.width), np.float32)
    half[:, : layer.width // 2] = 1.0
    edited = edit_image(layer, "make the background black", 0, "keep", subject=lambda picture: half)
    kept = np.asarray(edited)[:, : layer.width // 2] == np.asarray(layer)[:, : layer.width // 2]
    assert kept.all() and np.asarray(edited)[:, layer.width // 2 :, :3].mean() < 40


@pytest.mark.parametrize("name", ["the house", "my old car", "this balloon"])
def test_a_thing_that_is_cut_out_is_the_whole_layer(name: str) -> None:
    layer = LAYERS["apple"]
    named, plain = (edit_image(layer, f"make {what} brighter", 0, "keep").tobytes() for what in (name, "it"))
    assert named == plain


# What passes the outline


def test_an_outline_lies_around_and_a_shadow_falls_below() -> None:
    layer = LAYERS["apple"]
    before = np.asarray(layer)
    lined = np.asarray(edit_image(layer, "add a 4 px red outline", 0, "new"))
    ring = (lined[..., 3] > 250) & (before[..., 3] == 0)
    assert ring.any() and (lined[ring][:, 0] > 250).all() and (lined[ring][:, 1:3] < 5).all()
    shaded = np.asarray(edit_image(layer, "add a drop shadow", 0, "new")).astype(int)
    inside = before[..., 3] == 255
    assert (shaded[inside] == before[inside]).all()
    rows = np.arange(layer.height)[:, None]
    added = shaded[..., 3] - before[..., 3]
    assert (rows * added).sum() / added.sum() > (rows * before[..., 3]).sum() / before[..., 3].sum()


@pytest.mark.parametrize("angle", [90, -90, 17, 359])
def test_a_turned_layer_stays_on_its_canvas(angle: int) -> None:
    for name in ("person", "balloons", "landscape"):
        layer = LAYERS[name]
        turned = edit_image(layer, f"rotate it by {angle} degrees", 0, "new")
        assert turned.size == layer.size
        seen, before = (np.asarray(image.getchannel("A"), float).sum() for image in (turned, layer))
        # What is made to fit gets smaller, and nothing is cut off.
        assert 0.3 * before < seen < 1.02 * before
        if name == "balloons" and abs(angle) == 17:
            assert seen == pytest.approx(before, rel=0.01)


def test_a_quarter_turn_is_exact() -> None:
    layer = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (20, 10, 40, 50))
    layer.paste((0, 0, 255, 255), (20, 10, 40, 20))
    turned = edit_image(layer, "rotate it to the right", 0, "new")
    assert turned.tobytes() == layer.transpose(Image.Transpose.ROTATE_270).tobytes()


SENTENCE = """make it the house her jacket letters background red outline gradient bigger rotate blue red dark light
brighter much slightly not so less more and then with , . by 20%
200% to a an glow shadows vintage remove background flip horizontally opacity 180° turn into rgb( ) #fff parts too x"""
WORDS = st.sampled_from(SENTENCE.split())
CHINESE_WORDS = st.sampled_from([*LEXICON, "20%", "90度", "，", "雪人", "blue"])


@pytest.mark.slow
@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(WORDS, max_size=14).map(" ".join),
        st.lists(CHINESE_WORDS, max_size=8).map("".join),
    )
)
def test_any_text_gives_operations_or_an_instruction_error(text: str) -> None:
    try:
        operations = parse_instruction(text)
    except InstructionError as error:
        assert error.message.isprintable()
    else:
        assert 0 < len(operations) <= MAX_OPERATIONS
        assert all(operation.effect in EFFECTS and np.isfinite(operation.amount) for operation in operations)


# Alpha, edges, sizes


@settings(max_examples=60)
@given(rgba_images(), st.sampled_from(EXAMPLES), st.integers(0, 2**53 - 1))
def test_any_layer_keeps_its_alpha_and_repeats(layer: Image.Image, example: str, seed: int) -> None:
    try:
        first = edit_image(layer, example, seed, "keep")
    except InstructionError:
        return
    assert alpha_of(first) == alpha_of(layer)
    assert first.tobytes() == edit_image(layer, example, seed, "keep").tobytes()


@settings(max_examples=100)
@given(rgba_images(), st.sampled_from(EXAMPLES))
def test_any_layer_can_get_a_new_shape(layer: Image.Image, example: str) -> None:
    try:
        edited = edit_image(layer, example, 5, "new")
    except InstructionError:
        return
    assert edited.size == layer.size


def test_the_seed_draws_the_grain() -> None:
    layer = LAYERS["photo, opaque"]
    one, two = (edit_image(layer, "make it look vintage", seed, "keep").tobytes() for seed in (1, 2))
    assert one != two


@pytest.mark.parametrize("example", [*SPEC_EXAMPLES, "blur it", "flip it horizontally"])
@pytest.mark.parametrize("shape", ["keep", "new"])
def test_an_invisible_layer_comes_back_as_it_is(example: str, shape: str) -> None:
    layer = Image.new("RGBA", (5, 4), (10, 20, 30, 0))
    assert edit_image(layer, example, 0, "keep" if shape == "keep" else "new").tobytes() == layer.tobytes()


@pytest.mark.parametrize("shape", ["keep", "new"])
def test_a_blur_leaves_no_dark_rim(shape: str) -> None:
    layer = LAYERS["flat red"]
    edited = np.asarray(edit_image(layer, "blur it a lot", 0, "keep" if shape == "keep" else "new"))
    seen = edited[edited[..., 3] > 8]
    assert np.abs(seen[:, :3].astype(int) - (214, 40, 40)).max() <= 2


def test_a_new_shape_casts_glows_softens_flips_and_fades() -> None:
    layer = LAYERS["flat red"]
    alpha = np.asarray(layer.getchannel("A"), float)

    def changed(instruction: str) -> np.ndarray:
        return np.asarray(edit_image(layer, instruction, 0, "new").getchannel("A"), float)

    for instruction in ("add a drop shadow", "add a warm glow", "add a sunset glow"):
        assert changed(instruction).sum() > alpha.sum()
        assert (changed(instruction) >= alpha - 1).all()
    assert ((changed("blur it") > 0) & (changed("blur it") < 255)).sum() > 2 * ((alpha > 0) & (alpha < 255)).sum()
    assert np.allclose(changed("make it 50% transparent"), alpha / 2, atol=1)


def test_flips_turn_a_thing_where_it_stands() -> None:
    layer = Image.new("RGBA", (12, 6), (0, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (1, 1, 3, 3))
    layer.paste((0, 0, 255, 120), (3, 1, 6, 4))
    mirrored = edit_image(layer, "flip it horizontally", 0, "new")
    assert mirrored.getbbox() == (1, 1, 6, 4)
    box = (1, 1, 6, 4)
    flipped = layer.crop(box).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert mirrored.crop(box).tobytes() == flipped.tobytes()


def test_removing_the_background_finds_the_object() -> None:
    layer = LAYERS["object on a ground"]
    cut = np.asarray(edit_image(layer, "remove the background", 0, "new").getchannel("A"))
    white = np.asarray(edit_image(layer, "remove the background", 0, "keep"))
    assert cut[60, 90] == 255 and cut[120, 90] == 255
    assert cut[10, 10] == 0 and cut[100, 20] == 0 and cut[130, 170] == 0
    assert (white[10, 10] == 255).all() and (white[60, 90, :3] < 250).any()


def test_what_was_removed_is_not_passed_on() -> None:
    cut = np.asarray(edit_image(LAYERS["object on a ground"], "remove the background", 0, "new"))
    assert (cut[cut[..., 3] == 0] == 0).all()


def test_progress_is_told_and_can_cancel() -> None:
    told: list[Progress] = []
    edit_image(LAYERS["tiny"], "make it blue and blur it", 0, "keep", told.append)
    assert [(p.phase, p.step, p.total) for p in told] == [("recolor", 0, 2), ("blur", 1, 2), ("blur", 2, 2)]

    def cancel(progress: Progress) -> None:
        if progress.step == 1:
            raise Canceled

    with pytest.raises(Canceled):
        edit_image(LAYERS["tiny"], "make it blue and blur it", 0, "keep", cancel)


@pytest.mark.slow
def test_a_large_layer_stays_within_bounds() -> None:
    layer = LAYERS["photo, soft edge"].resize((1536, 1536))
    tracemalloc.start()
    edit_image(layer, "change the color to teal and make it more vibrant", 0, "keep")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120 * 1536 * 1536


# The reference


def listed(examples: tuple[str, ...]) -> str:
    return "<br>".join(f"“{example}”" for example in examples)


def test_the_reference_page_says_what_the_code_does() -> None:
    page = (ROOT / "docs/instructions.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "“" in line]
    expected = [
        f"| {topic.label} | {topic.meaning} | {listed(topic.examples)} | {listed(topic.chinese)} |" for topic in TOPICS
    ]
    assert rows == expected, "\n".join(expected)


def test_every_effect_has_words_and_an_example() -> None:
    shown = {effect for example in EXAMPLES for effect in effects(example)}
    assert shown == set(EFFECTS)
    assert {row.effect for row in ROWS} <= {*EFFECTS, *TOOLS}


@pytest.mark.parametrize(
    "instruction", ["\u0000", "make it blue\u202e", "“make it blue”", "MAKE IT BLUE!!!", "it’s too dark"]
)
def test_odd_signs_do_no_harm(instruction: str) -> None:
    try:
        assert parse_instruction(instruction)
    except InstructionError as error:
        assert error.message.isprintable()

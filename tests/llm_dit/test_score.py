"""What a decomposition is worth: as `Decomposition.score` has it."""

from typing import Any

import pytest
from PIL import Image, ImageDraw

from llm_dit.errors import InputError
from llm_dit.evaluation import Score, thinned
from llm_dit.layers import Decomposition
from llm_dit.options import NamedBox
from llm_dit.pipelines.classical import ClassicalPipeline
from llm_dit.runs import Progress

SIZE = (200, 100)
DISC = (20, 20, 80, 80)


def ground() -> Image.Image:
    return Image.linear_gradient("L").resize(SIZE).convert("RGBA")


def disc(color: str = "red", box: tuple[int, int, int, int] = DISC) -> Image.Image:
    image = Image.new("RGBA", SIZE)
    ImageDraw.Draw(image).ellipse(box, fill=color)
    return image


def scored(*layers: Image.Image, picture: Image.Image | None = None) -> Score:
    names = [f"Layer {number}" for number in range(1, len(layers) + 1)]
    made = Decomposition(layers, seed=0, prompt="", names=names)
    score = Decomposition(layers, seed=0, prompt="", names=names, picture=picture or made[0]).score
    assert score is not None
    return score


def test_layers_that_say_something() -> None:
    score = scored(ground(), disc())
    assert (score.mean, score.worst, score.psnr, score.useful) == (0, 0, None, 2)
    assert score.sentence == "All 2 layers are useful."
    below, above = score.layers
    assert (below.box, below.coverage, above.box) == ((0, 0, 200, 100), 1, (20, 20, 81, 81))
    assert above.coverage == pytest.approx(0.145, abs=0.005)
    # 14.5 % of the picture, red in the place of grays: more than half of the levels, in each channel.
    assert 12 < above.adds < 30 < below.adds


def test_empty_layers_those_that_repeat_others_and_those_that_nobody_sees() -> None:
    faint = Image.new("RGBA", SIZE, (90, 90, 90, 4))
    again, under = disc("#f80404"), disc("lime", (110, 20, 170, 80))
    over = disc("blue", (105, 15, 175, 85))
    score = scored(ground(), disc(), faint, again, under, over)
    assert [(layer.verdict, layer.like) for layer in score.layers] == [
        ("useful", None),
        ("useful", None),
        ("empty", None),
        ("duplicate", 2),
        ("unseen", None),
        ("useful", None),
    ]
    assert score.layers[2].box is None
    assert score.sentence == (
        "3 of 6 layers are useful; “Layer 3” is empty, “Layer 4” repeats “Layer 2”, "
        "“Layer 5” adds nothing visible: try 3 layers."
    )


def test_one_layer_and_none_that_says_anything() -> None:
    assert scored(ground()).sentence == "The layer is useful."
    empty = Image.new("RGBA", SIZE)
    assert scored(empty, empty, picture=ground()).sentence == (
        "0 of 2 layers are useful; “Layer 1” and “Layer 2” are empty; together they rebuild the picture poorly: "
        "try another seed or more steps."
    )


def test_a_layer_without_which_the_picture_were_better() -> None:
    score = scored(ground(), disc(), picture=ground())
    assert score.layers[1].adds < -10
    assert score.layers[1].verdict == "unseen"


def test_a_difference_in_transparency_counts_whatever_the_color() -> None:
    half = disc("black")
    half.putalpha(half.getchannel("A").point([level // 2 for level in range(256)]))
    score = scored(half, picture=disc("black"))
    assert score.worst == 128
    assert score.psnr is not None and score.psnr < 20


def test_a_picture_of_another_size_is_compared_at_that_of_the_layers() -> None:
    score = scored(ground(), disc(), picture=scored_picture().resize((400, 200)))
    assert score.mean < 1


def scored_picture() -> Image.Image:
    return Decomposition([ground(), disc()], seed=0, prompt="", names=["", ""])[0]


def test_layers_that_say_nothing_go_and_the_stack_looks_the_same() -> None:
    again, under, over = disc("#f80404"), disc("lime", (110, 20, 170, 80)), disc("blue", (105, 15, 175, 85))
    stack = [ground(), disc(), again, Image.new("RGBA", SIZE), under, over]
    before = Decomposition(stack, seed=0, prompt="", names=[""] * 6)[0]
    kept = thinned(before, stack)
    assert [layer.getbbox() for layer in kept] == [(0, 0, 200, 100), (20, 20, 81, 81), (105, 15, 176, 86)]
    # Two that are nearly the same are one, as they look together.
    assert kept[1].getpixel((50, 50)) == (248, 4, 4, 255)
    assert Decomposition(kept, seed=0, prompt="", names=[""] * 3)[0].tobytes() == before.tobytes()
    assert len(thinned(ground(), [Image.new("RGBA", SIZE)] * 3)) == 1


@pytest.mark.slow
def test_the_built_in_engine_makes_as_many_layers_as_it_finds() -> None:
    picture = Image.new("RGB", (80, 60), "#ffd93b")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((5, 5, 30, 30), fill="#c8102e")
    draw.rectangle((50, 20, 75, 55), fill="#123c8c")
    steps: list[Progress] = []

    def take_apart(picture: Image.Image, layer_num: Any, **more: Any) -> Decomposition:
        return ClassicalPipeline().decompose(picture, layer_num=layer_num, seed=0, output_size="original", **more)

    made, asked = take_apart(picture, "auto", progress=steps.append), take_apart(picture, 3)
    assert [layer.tobytes() for layer in made] == [layer.tobytes() for layer in asked]
    assert made.names == asked.names
    shares = [step.step / step.total for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    # At least one more than there are boxes, however little is in them.
    boxes = [NamedBox(box=(8, 40, 20 + at, 50)) for at in range(4)]
    assert len(take_apart(picture, "auto", regions=boxes)) >= 6
    assert len(take_apart(Image.new("RGB", (3, 1), "red"), "auto")) == 2
    with pytest.raises(InputError, match="layer_num must be a whole number from 1 to 10"):
        take_apart(picture, "many")


def test_the_built_in_engine_says_which_of_too_many_layers_are_fillers() -> None:
    picture = Image.new("RGB", (320, 240), "#ffd93b")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((20, 20, 120, 120), fill="#c8102e")
    draw.rectangle((200, 80, 300, 220), fill="#123c8c")
    score = ClassicalPipeline().decompose(picture, layer_num=5, seed=0, output_size="original").score
    assert score is not None
    assert (score.useful, len(score.layers)) == (3, 5)
    assert score.worst <= 1
    assert Decomposition([picture.convert("RGBA")], seed=0, prompt="", names=["A"]).score is None

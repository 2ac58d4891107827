"""What layers are called, in each language."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from llm_dit.classical.decompose import color_name, place_name
from llm_dit.errors import InputError
from llm_dit.names import VOCABULARIES
from llm_dit.pipelines.classical import ClassicalPipeline

CHINESE = re.compile(r"[\u4e00-\u9fff]+")


@given(color=st.tuples(*[st.integers(0, 255)] * 3), boxes=st.lists(st.tuples(*[st.integers(0, 15)] * 2), min_size=1))
def test_every_color_and_place_has_a_chinese_word(color: tuple[int, int, int], boxes: list[tuple[int, int]]) -> None:
    alpha = np.zeros((16, 16), np.float32)
    alpha[tuple(zip(*boxes, strict=True))] = 1
    for english in (color_name(np.array([color], np.float32)), place_name(alpha)):
        assert VOCABULARIES["en"].word(english) == english
        assert CHINESE.fullmatch(VOCABULARIES["zh-Hans"].word(english)), english


def test_a_decomposition_is_the_same_in_each_language_but_for_the_names() -> None:
    picture = Image.new("RGB", (160, 120), "white")
    ImageDraw.Draw(picture).ellipse((10, 10, 60, 60), fill=(30, 60, 200))
    english = ClassicalPipeline().decompose(picture, layer_num=2, seed=1, output_size="original")
    chinese = ClassicalPipeline().decompose(picture, layer_num=2, seed=1, output_size="original", language="zh-Hans")
    assert english.names == ["Composite", "Background", "Blue, top left"]
    assert chinese.names == ["Composite", "背景", "蓝色，左上"]
    assert list(english) == list(chinese)


def test_a_language_without_words_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        ClassicalPipeline().decompose(Image.new("RGB", (32, 32)), language="fr")  # type: ignore[arg-type]
    assert caught.value.param == "language"

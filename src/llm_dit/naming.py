"""What layers are called, in every language that they are named in: what color, and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh-Hans"]
"""A BCP 47 tag."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words of a language; `words` has them by the English ones, and English has none that differ."""

    words: Mapping[str, str]
    joint: str

    def word(self, english: str) -> str:
        return self.words.get(english, english)

    def number(self, number: int) -> str:
        """Return what a layer is called that nothing is known of but its number."""
        return f"{self.word('Layer')} {number}"

    def describe(self, color: str, place: str) -> str:
        """Return such a name as "Dark blue, top left"."""
        return f"{self.word(color)}{self.joint}{self.word(place)}"


_COLORS = {
    "Red": "红色", "Orange": "橙色", "Yellow": "黄色", "Green": "绿色", "Turquoise": "青色", "Blue": "蓝色",
    "Purple": "紫色", "Pink": "粉色", "Brown": "棕色", "White": "白色", "Gray": "灰色", "Black": "黑色",
}  # fmt: skip
_SHADES = {"Light": "浅", "Dark": "深"}
_PLACES = {
    "top left": "左上", "top": "上方", "top right": "右上",
    "left": "左侧", "center": "中间", "right": "右侧",
    "bottom left": "左下", "bottom": "下方", "bottom right": "右下",
    "throughout": "全图",
}  # fmt: skip

VOCABULARIES: Mapping[Language, Vocabulary] = {
    "en": Vocabulary(words={}, joint=", "),
    "zh-Hans": Vocabulary(
        words={
            "Background": "背景",
            "Layer": "图层",
            **_COLORS,
            **{f"{shade} {name.lower()}": f"{_SHADES[shade]}{_COLORS[name]}" for shade in _SHADES for name in _COLORS},
            **_PLACES,
        },
        joint="，",
    ),
}

"""Names: their length, file names, and default names of layers.

`file_stem` is the only rule for file names. `static/js/images/files.js` implements it for files that the page saves;
`tests/file_names.json` has examples for both.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_NAME = 200
"""Most characters of the name of a project, a layer or a group."""
GLANCE = 40
"""Most characters of a text in its layer's name."""
MAX_STEM_BYTES = 150
"""File systems allow 255 bytes; some of them are for the suffix, a number before it and "(1)"."""

# Joiners are invisible, too, but scripts and emoji need them.
_JOINERS = "\u200c\u200d"
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_SEPARATORS = re.compile(r'[/\\:*?"<>|]+')
_EDGES = " .-" + _JOINERS
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = re.compile(r"(CON|CONIN\$|CONOUT\$|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]) *(\.|$)", re.IGNORECASE)

_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def shortened(name: str) -> str:
    """Return a name cut to MAX_NAME characters, because some generators put whole prompts there."""
    return name if len(name) <= MAX_NAME else _whole(name[: MAX_NAME - 1], name).rstrip(" " + _JOINERS) + "…"


def file_stem(name: str, default: str) -> str:
    """Return a name as a file name without suffix, or `default` if nothing remains.

    Letters of any script stay. Path separators, characters and device names that Windows refuses, and invisible
    characters, such as marks that change the direction of text, are removed.
    """
    name = unicodedata.normalize("NFC", name)
    seen = "".join(sign for sign in name if sign in _JOINERS or unicodedata.category(sign) not in _INVISIBLE)
    stem = " ".join(_SEPARATORS.sub("-", seen).split()).strip(_EDGES)
    stem = f"_{stem}" if _DEVICES.match(stem) else stem
    return _whole(stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore"), stem).rstrip(_EDGES) or default


def holdable(name: str) -> str:
    """Return a name with characters that XML forbids, such as control characters, replaced by U+FFFD."""
    return _UNHOLDABLE.sub("\ufffd", name)


def _whole(part: str, text: str) -> str:
    """Return the beginning of a text, without a final character that was cut off from its accents or joined parts."""
    end = len(part)
    while 0 < end < len(text) and (_continues(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return part[:end] or part


def _continues(sign: str) -> bool:
    """Return whether a character belongs to the previous one: an accent, a joiner, a variation, a skin color."""
    return sign in _JOINERS or unicodedata.category(sign) in {"Mn", "Mc", "Me"} or "\U0001f3fb" <= sign <= "\U0001f3ff"


# Default names of layers in each language: color and position.

Language = Literal["en", "zh-Hans"]
"""A BCP 47 tag."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words of a language; `words` maps English words to it, and is empty for English."""

    words: Mapping[str, str]
    joint: str
    quotes: str

    def word(self, english: str) -> str:
        return self.words.get(english, english)

    def number(self, number: int) -> str:
        """Return the name of a layer with a number only."""
        return f"{self.word('Layer')} {number}"

    def numbered(self, count: int) -> list[str]:
        """Return the names of so many layers of which nothing else is known, bottom first."""
        return [self.word("Background"), *map(self.number, range(2, count + 1))]

    def text(self, words: str) -> str:
        """Return the name of a text layer, with the beginning of its words."""
        short = words if len(words) <= GLANCE else words[: GLANCE - 1].rstrip() + "…"
        return f"{self.word('Text')} {self.quotes[0]}{short}{self.quotes[1]}"

    def describe(self, color: str, place: str) -> str:
        """Return a name such as "Dark blue, top left"."""
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
    "en": Vocabulary(words={}, joint=", ", quotes="“”"),
    "zh-Hans": Vocabulary(
        words={
            "Background": "背景",
            "Layer": "图层",
            "Subject": "主体",
            "Text": "文字",
            **_COLORS,
            **{f"{shade} {name.lower()}": f"{_SHADES[shade]}{_COLORS[name]}" for shade in _SHADES for name in _COLORS},
            **_PLACES,
        },
        joint="，",
        quotes="“”",
    ),
}

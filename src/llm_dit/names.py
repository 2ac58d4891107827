"""Names: how long one may be, what a file is called after it, and what layers are called that nobody has named.

`file_stem` is the one rule for names of files. `static/js/images/files.js` is the same for what the page saves itself;
`tests/file_names.json` has the examples that both are held to.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_NAME = 200
"""Characters of a project's, a layer's or a group's name."""
GLANCE = 40
"""Characters of a text that its layer is called after, at most."""
MAX_STEM_BYTES = 150
"""File systems end at 255 bytes a name; some of it is for the suffix, a number before it and "(1)"."""

# Joiners are invisible as well, but scripts and emoji are spelled with them.
_JOINERS = "\u200c\u200d"
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_SEPARATORS = re.compile(r'[/\\:*?"<>|]+')
_EDGES = " .-" + _JOINERS
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = re.compile(r"(CON|CONIN\$|CONOUT\$|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]) *(\.|$)", re.IGNORECASE)

_UNHOLDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def shortened(name: str) -> str:
    """Return a name cut to MAX_NAME characters: names come from files, and generators put whole prompts there."""
    return name if len(name) <= MAX_NAME else _whole(name[: MAX_NAME - 1], name).rstrip(" " + _JOINERS) + "…"


def file_stem(name: str, default: str) -> str:
    """Return what people call a thing as a file's name without suffix; `default` when nothing of it can stay.

    Letters of any script stay. Separators of paths, signs that Windows refuses and its devices' names, and what
    cannot be seen, such as marks that turn the direction of text, do not.
    """
    name = unicodedata.normalize("NFC", name)
    seen = "".join(sign for sign in name if sign in _JOINERS or unicodedata.category(sign) not in _INVISIBLE)
    stem = " ".join(_SEPARATORS.sub("-", seen).split()).strip(_EDGES)
    stem = f"_{stem}" if _DEVICES.match(stem) else stem
    return _whole(stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore"), stem).rstrip(_EDGES) or default


def holdable(name: str) -> str:
    """Return a name with what no XML file may hold, such as control characters, replaced by the sign U+FFFD."""
    return _UNHOLDABLE.sub("\ufffd", name)


def _whole(part: str, text: str) -> str:
    """Return the beginning of a text without a last sign whose accents, joined signs or color were cut off."""
    end = len(part)
    while 0 < end < len(text) and (_continues(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return part[:end] or part


def _continues(sign: str) -> bool:
    """Return whether a sign belongs to the one before it: an accent, a joiner, a variation, a skin color."""
    return sign in _JOINERS or unicodedata.category(sign) in {"Mn", "Mc", "Me"} or "\U0001f3fb" <= sign <= "\U0001f3ff"


# What layers are called, in every language that they are named in: what color, and where.

Language = Literal["en", "zh-Hans"]
"""A BCP 47 tag."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words of a language; `words` has them by the English ones, and English has none that differ."""

    words: Mapping[str, str]
    joint: str
    quotes: str

    def word(self, english: str) -> str:
        return self.words.get(english, english)

    def number(self, number: int) -> str:
        """Return what a layer is called that nothing is known of but its number."""
        return f"{self.word('Layer')} {number}"

    def text(self, words: str) -> str:
        """Return what a layer of text is called, as much of its words as people read at a glance."""
        short = words if len(words) <= GLANCE else words[: GLANCE - 1].rstrip() + "…"
        return f"{self.word('Text')} {self.quotes[0]}{short}{self.quotes[1]}"

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

"""Tokenizing a Chinese clause by the lexicon: each word's role, its English, and which words belong together."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llm_dit.classical.instructions.english import COLOR_PATTERN, is_thing

Kind = Literal[
    "drop", "to", "make", "up", "down", "add", "remove", "verb", "adjective", "noun", "color", "shade", "name",
    "strength", "more", "less", "too", "enough", "not", "of", "part", "but", "keep", "others", "from", "till", "turn",
    "tool", "way", "width", "metal", "and", "shift", "every", "lean", "number", "unknown",
]  # fmt: skip
"""The role of a word in a clause."""

_LEXICON = tomllib.loads(Path(__file__).with_name("chinese_lexicon.toml").read_text(encoding="utf-8"))
CHINESE_COLORS: dict[str, str] = {
    word: name for name, words in _LEXICON["colors"].items() for word in reversed(words.split())
}
"""The English name of each Chinese color; if English has two for one color, either."""


def _all() -> dict[str, tuple[Kind, str]]:
    words: dict[str, tuple[Kind, str]] = {
        shade: ("shade", english) for english, shades in _LEXICON["shades"].items() for shade in shades.split()
    }
    for name, english in CHINESE_COLORS.items():
        words[f"{name}色"] = words[name] = ("color", english)
    for kind, meanings in _LEXICON["words"].items():
        for english, chinese in meanings.items():
            for word in chinese.split():
                words.setdefault(word, (kind, english))
    return words


LEXICON = _all()
"""The role and the English of each Chinese word."""
LONGEST = max(map(len, LEXICON))

STRONG_JOINT = re.compile(
    r"[\s,.;!?:]*(?:[,;!?\n](?![^(]*\))|\.(?!\d)|然后|接着|随后|并且|而且|同时|之后|最后|还有|以及|另外|再加上|并)[\s,.;!?:]*"
)
_WEAK_JOINTS = frozenset("和与跟及再也")
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_NUMBER = r"(?P<number>[+-]?\d{1,4}(?:\.\d+)?|[零一二两三四五六七八九十百]{1,5})"
_MEASURES = (
    (re.compile(rf"(?:百分之){_NUMBER}"), "{}%"),
    (re.compile(rf"{_NUMBER}\s*%"), "{}%"),
    (re.compile(rf"{_NUMBER}成(?!色|功|为)"), "{}0%"),
    (re.compile(rf"{_NUMBER}\s*(?:度|°)"), "{} degrees"),
    (re.compile(rf"{_NUMBER}\s*(?:个?像素|px)"), "{} pixels"),
    (re.compile(rf"{_NUMBER}\s*档"), "{} stops"),
    (re.compile(rf"{_NUMBER}\s*(?:级|个?色阶)"), "{} levels"),
    (re.compile(rf"{_NUMBER}\s*倍"), "{} times"),
    (re.compile(r"(?P<number>[+-]?\d{1,4}(?:\.\d+)?)"), "{}"),
)
_COLOR_CODE = re.compile(r"#(?:[0-9a-f]{6}|[0-9a-f]{3})(?![0-9a-z])|(?:rgb|hsl)\([^()a-z]{5,40}\)")
_LATIN = re.compile(r"[a-z][a-z'-]*")
_FULL_COLOR = re.compile(COLOR_PATTERN)
# 绿色调 is a green tint; 绿色调暗 darkens a green.
_TINT_AHEAD = re.compile(r"调(?![成为暗亮高低整到得深浅])")
_ALONE = {
    "bright": "brighter",
    "dark": "darker",
    "deep": "darker",
    "light": "lighter",
    "pale": "muted",
    "muted": "soft",
}


@dataclass(frozen=True)
class Word:
    """A word of a clause: its role, its English, and its original spelling."""

    kind: Kind
    plain: str
    written: str


def split_chinese(text: str) -> list[str]:
    """Return the clauses between strong separators."""
    return [clause for clause in STRONG_JOINT.split(text) if clause and words_of(clause)]


def split_weakly(clause: str) -> list[str]:
    """Return the parts between words such as 和, which join clauses as well as names."""
    parts, start, at = list[str](), 0, 0
    while at < len(clause):
        word, end = _word_at(clause, at)
        if word.written in _WEAK_JOINTS:
            parts.append(clause[start:at])
            start = end
        at = end
    return [part for part in (*parts, clause[start:]) if part.strip()]


def words_of(clause: str) -> list[Word]:
    """Return the meaningful words of a clause, matching the longest known word first."""
    words: list[Word] = []
    at = 0
    while at < len(clause):
        word, at = _word_at(clause, at)
        if word.kind == "unknown" and words and words[-1].kind == "unknown":
            last = words.pop()
            word = Word("unknown", "", last.written + word.written)
        if word.kind != "drop":
            words.append(word)
    return words


def _word_at(clause: str, at: int) -> tuple[Word, int]:
    for pattern, plain in _MEASURES:
        if (found := pattern.match(clause, at)) and (found[0] not in LEXICON):
            return Word("number", plain.format(_number(found["number"])), found[0]), found.end()
    if found := _COLOR_CODE.match(clause, at):
        return Word("color", found[0], found[0]), found.end()
    for length in range(min(LONGEST, len(clause) - at), 0, -1):
        written = clause[at : at + length]
        if written not in LEXICON or (written.endswith("色") and length > 1 and _TINT_AHEAD.match(clause, at + length)):
            continue
        kind, plain = LEXICON[written]
        return Word(kind, plain, written), at + length
    if found := _LATIN.match(clause, at):
        return _latin(found[0]), found.end()
    kind: Kind = "drop" if clause[at].isspace() or clause[at] in "、:~·" else "unknown"
    return Word(kind, "", clause[at]), at + 1


def _latin(word: str) -> Word:
    if word in {"the", "a", "an", "it", "please", "pls"}:
        return Word("name", "it", word) if word == "it" else Word("drop", "", word)
    if _FULL_COLOR.fullmatch(word):
        return Word("color", word, word)
    return Word("name", f"the {word}", word) if is_thing(word) else Word("unknown", "", word)


def _number(written: str) -> str:
    if re.match(r"[+-]?\d", written):
        return written
    total, digit = 0, 0
    for sign in written:
        if sign in {"十", "百"}:
            total += (digit or 1) * (10 if sign == "十" else 100)
            digit = 0
        else:
            digit = _DIGITS[sign]
    return str(total + digit)


def joined(words: list[Word]) -> list[Word]:
    """Join words that belong together: shades to colors, colors to things, owners to what they own."""
    joined: list[Word] = []
    for index, word in enumerate(words):
        following = words[index + 1].kind if index + 1 < len(words) else None
        last = joined[-1] if joined else None
        owned = len(joined) > 1 and last is not None and last.kind == "of"
        if word.kind == "shade" and following != "color":
            word = Word("adjective", _ALONE.get(word.plain, word.plain), word.written)
        if word.kind == "color" and last is not None and last.kind == "shade":
            joined[-1] = Word("color", f"{last.plain} {word.plain}", last.written + word.written)
        elif word.kind in {"name", "part", "unknown"} and owned and joined[-2].kind == "color":
            color = joined[-2]
            joined[-2:] = [Word("name", f"the {color.plain} parts", color.written)]
        elif word.kind == "part" and last is not None and last.kind in {"color", "name"}:
            named = f"the {last.plain} parts" if last.kind == "color" else last.plain
            joined[-1] = Word("name", named, last.written)
        elif word.kind in {"name", "unknown"} and owned and joined[-2].kind in {"name", "unknown"}:
            joined[-2:] = [_named(word)]
        elif (word.kind == "unknown" and last is not None and last.kind == "name") or (
            word.kind == "name" and last is not None and last.kind == "unknown"
        ):
            joined[-1] = Word("unknown", "", last.written + word.written)
        elif word.kind == "name" and last is not None and last.kind == "name":
            joined[-1] = word
        else:
            joined.append(word)
    # An unknown word is a name if it stands where only a name can.
    return [_named(word) if index == 0 else word for index, word in enumerate(joined)]


def _named(word: Word) -> Word:
    """Return an unknown word as the name of a thing, represented by Latin letters that the rules can read."""
    if word.kind != "unknown":
        return word
    letters = "".join(chr(ord("a") + int(sign)) for sign in str(sum(map(ord, word.written))))
    return Word("name", f"the unknown-{letters}", word.written)


_WHERE_ONLY = frozenset({"to", "make", "add", "of", "every", "and", "enough"})


class Order:
    """The words of a clause, removed one by one; the clause is understood when none is left."""

    def __init__(self, words: Iterable[Word]) -> None:
        self.words = list(words)

    def has(self, *kinds: Kind, plain: str | None = None) -> bool:
        return any(word.kind in kinds and plain in {None, word.plain} for word in self.words)

    def take(self, *kinds: Kind, plain: str | None = None) -> str | None:
        """Remove the first word with one of these roles, and return its English."""
        for index, word in enumerate(self.words):
            if word.kind in kinds and plain in {None, word.plain}:
                return self.words.pop(index).plain
        return None

    def all(self, kind: Kind) -> list[str]:
        taken = [word.plain for word in self.words if word.kind == kind]
        self.words = [word for word in self.words if word.kind != kind]
        return taken

    def drop(self, *kinds: Kind) -> None:
        """Remove all words with one of these roles."""
        self.words = [word for word in self.words if word.kind not in kinds]

    def target(self) -> str:
        """Remove and return the thing that is edited, or the layer."""
        return self.take("name") or "it"

    def part(self) -> str:
        """Remove and return what is edited, or a color that identifies it: "the yellow parts"."""
        return self.take("name") or (f"the {color} parts" if (color := self.take("color")) else "it")

    def strength(self) -> str:
        return " ".join(self.all("strength"))

    def by(self) -> str:
        """Remove and return the amount: "80%" after "to", "by 20%" otherwise."""
        to = self.take("till", "to") is not None
        number = self.take("number")
        return "" if number is None else f"{'to' if to else 'by'} {number}"

    def rest(self, plain: str, *also: Kind) -> str | None:
        """Return the plain words, or None if a meaningful word is left."""
        left = [word for word in self.words if word.kind not in _WHERE_ONLY and word.kind not in also]
        return None if left else plain

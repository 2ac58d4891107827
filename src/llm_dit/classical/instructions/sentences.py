"""A Chinese clause in the plain words that the rules read: its words by the lexicon, in the rules' order.

Nothing is dropped but what has no meaning of its own. A clause with a word that nobody knows is none, unless the word
names what is edited.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from llm_dit.classical.instructions.chinese import LEXICON, LONGEST, Kind
from llm_dit.classical.instructions.colors import COLOR_PATTERN
from llm_dit.classical.instructions.things import is_thing

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
# 绿色调 is a green tint, 绿色调暗 a green that is darkened.
_TINT_AHEAD = re.compile(r"调(?![成为暗亮高低整到得深浅])")
_ALONE = {
    "bright": "brighter",
    "dark": "darker",
    "deep": "darker",
    "light": "lighter",
    "pale": "muted",
    "muted": "soft",
}
_WHERE_ONLY = frozenset({"to", "make", "add", "of", "every", "and", "enough"})


@dataclass(frozen=True)
class Word:
    """A word of a clause: what it does, its English, and how it was written."""

    kind: Kind
    plain: str
    written: str


@dataclass(frozen=True)
class Clause:
    """A clause in plain words, and how its names were written."""

    plain: str
    names: dict[str, str] = field(default_factory=dict[str, str])


def split_chinese(text: str) -> list[str]:
    """Return the clauses between strong joints."""
    return [clause for clause in STRONG_JOINT.split(text) if clause and words_of(clause)]


def split_weakly(clause: str) -> list[str]:
    """Return what stands between words such as 和, which join clauses as well as names."""
    parts, start, at = list[str](), 0, 0
    while at < len(clause):
        word, end = _word_at(clause, at)
        if word.written in _WEAK_JOINTS:
            parts.append(clause[start:at])
            start = end
        at = end
    return [part for part in (*parts, clause[start:]) if part.strip()]


def words_of(clause: str) -> list[Word]:
    """Return the words of a clause that mean something, the longest that is known first."""
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


def plain_clause(clause: str) -> Clause | None:
    """Return a clause in plain words, or None when its words fit no order that the rules read."""
    words = _joined(words_of(clause))
    if any(word.kind == "not" for word in words):
        return None
    names = {word.plain: word.written for word in words if word.kind == "name" and word.plain != "it"}
    for order in _ORDERS:
        if (plain := order(_Order(words))) is not None:
            return Clause(" ".join(plain.split()), names)
    return None


def _joined(words: list[Word]) -> list[Word]:
    """Join what belongs together: shades to colors, colors to things, owners to what they own."""
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
    # A word that nobody knows is a name where only a name can be.
    return [_named(word) if index == 0 else word for index, word in enumerate(joined)]


def _named(word: Word) -> Word:
    """Return an unknown word as the name of a thing; letters stand for it, as rules read them."""
    if word.kind != "unknown":
        return word
    letters = "".join(chr(ord("a") + int(sign)) for sign in str(sum(map(ord, word.written))))
    return Word("name", f"the unknown-{letters}", word.written)


class _Order:
    """The words of a clause, taken out one by one; a clause is understood when none is left."""

    def __init__(self, words: Iterable[Word]) -> None:
        self.words = list(words)

    def has(self, *kinds: Kind, plain: str | None = None) -> bool:
        return any(word.kind in kinds and plain in {None, word.plain} for word in self.words)

    def take(self, *kinds: Kind, plain: str | None = None) -> str | None:
        """Take out the first word that does one of these, and return its English."""
        for index, word in enumerate(self.words):
            if word.kind in kinds and plain in {None, word.plain}:
                return self.words.pop(index).plain
        return None

    def all(self, kind: Kind) -> list[str]:
        taken = [word.plain for word in self.words if word.kind == kind]
        self.words = [word for word in self.words if word.kind != kind]
        return taken

    def drop(self, *kinds: Kind) -> None:
        """Take out all words that do one of these."""
        self.words = [word for word in self.words if word.kind not in kinds]

    def target(self) -> str:
        """Take out what is edited: a thing, a color that stands as one ("the yellow ones"), or the layer."""
        name = self.take("name")
        return name or "it"

    def strength(self) -> str:
        return " ".join(self.all("strength"))

    def by(self) -> str:
        """Take out how much: "80%" after "to", "by 20%" otherwise."""
        to = self.take("till", "to") is not None
        number = self.take("number")
        return "" if number is None else f"{'to' if to else 'by'} {number}"

    def rest(self, plain: str, *also: Kind) -> str | None:
        """Return the plain words, or None when a word of weight is left."""
        left = [word for word in self.words if word.kind not in _WHERE_ONLY and word.kind not in also]
        return None if left else plain


Arrange = Callable[[_Order], str | None]


def _but(order: _Order) -> str | None:
    """除了红色都变成黑白, 只保留红色."""
    if not order.has("but", "keep"):
        return None
    color = order.take("color") or _color_of(order.take("name"))
    if color is None:
        return None
    order.drop("but", "keep", "others")
    order.take("adjective", plain="black-and-white")
    order.take("verb", plain="remove the colors of")
    order.take("noun", plain="color")
    return order.rest(f"make everything black-and-white except the {color}", "name")


def _color_of(name: str | None) -> str | None:
    found = re.fullmatch(r"the (.+) parts", name or "")
    return found[1] if found else None


def _gradient(order: _Order) -> str | None:
    if order.take("noun", plain="gradient") is None:
        return None
    way = {"horizontal": "horizontal ", "vertical": "vertical ", "diagonal": "diagonal "}.get(
        order.take("way") or "", ""
    )
    colors = order.all("color")
    order.drop("from", "till")
    order.take("noun", plain="color")
    target = order.target()
    on = "" if target == "it" else f" on {target}"
    if len(colors) == 2:
        return order.rest(f"add a {way}gradient{on} from {colors[0]} to {colors[1]}")
    return order.rest(f"add a {way}{colors[0]} gradient{on}") if len(colors) == 1 else None


def _outline(order: _Order) -> str | None:
    if order.take("noun", plain="outline") is None:
        return None
    width, color = order.take("width") or "", order.take("color") or ""
    number, strength, target = order.take("number"), order.strength(), order.target()
    size = f" of {number}" if number else ""
    return order.rest(f"add {strength} a {width} {color} outline{size} around {target}")


def _glow(order: _Order) -> str | None:
    if order.take("noun", plain="glow") is None:
        return None
    color = order.take("color") or {"warmer": "warm", "cooler": "cool", None: ""}.get(order.take("adjective"), "?")
    strength, target = order.strength(), order.target()
    return order.rest(f"add a {strength} {color} glow to {target}", "verb") if color != "?" else None


def _light(order: _Order) -> str | None:
    light = order.take("adjective", plain="warm light") or order.take("adjective", plain="cool light")
    strength, target = order.strength(), order.target()
    return order.rest(f"add a {strength} {light} to {target}") if light else None


def _metal(order: _Order) -> str | None:
    metals = [metal for metal in order.all("metal") if metal]
    color = (
        order.take("color", plain="gold") or order.take("color", plain="silver") or order.take("color", plain="copper")
    )
    metal = metals[0] if metals else color
    return order.rest(f"make {order.target()} look like {metal}") if metal else None


def _is_metal(order: _Order) -> str | None:
    return _metal(order) if order.has("metal") else None


def _tint(order: _Order) -> str | None:
    if not order.has("color") or not (order.has("lean") or order.has("noun", plain="tint")):
        return None
    less = order.take("less") or order.take("down")
    order.drop("lean", "more", "up")
    order.take("noun", plain="tint")
    color, strength, target = order.take("color"), order.strength(), order.target()
    words = f"make {target} {strength} less {color}" if less else f"tint {target} {strength} {color}"
    return order.rest(words)


def _hue(order: _Order) -> str | None:
    if order.take("noun", plain="hue") is None:
        return None
    order.drop("shift", "turn", "till")
    number = order.take("number")
    return order.rest(f"shift the hue of {order.target()}{f' by {number}' if number else ''}")


def _tool(order: _Order) -> str | None:
    tool = order.take("tool")
    if tool is None:
        return None
    order.drop("strength", "number", "more", "turn")
    order.drop("tool")
    return order.rest(tool.format(it=order.target()), "make")


def _turn(order: _Order) -> str | None:
    """旋转90度, 向右旋转, 逆时针转45度."""
    if order.take("turn") is None and not order.has("way"):
        return None
    side = order.take("tool", plain="move {it} left") or order.take("tool", plain="move {it} right")
    way = order.take("way") or {"move {it} left": "counterclockwise", "move {it} right": "clockwise"}.get(
        side or "", ""
    )
    number = order.take("number")
    if way not in {"", "clockwise", "counterclockwise"}:
        return None
    target = order.target()
    if number and number.split()[0] == "180":
        return order.rest(f"rotate {target} by 180 degrees")
    return order.rest(f"rotate {target} {f'by {number}' if number else ''} {way}")


def _remove(order: _Order) -> str | None:
    if order.take("remove") is None:
        return None
    if order.take("noun", plain="color"):
        return order.rest(f"remove the colors from {order.target()}")
    named = order.take("name") or (f"the {color} parts" if (color := order.take("color")) else "it")
    return order.rest("delete it" if named == "it" else f"remove {named}")


def _to(order: _Order) -> str | None:
    """What is changed stands before 改成, what it becomes after it."""
    at = next((index for index, word in enumerate(order.words) if word.kind == "to"), None)
    if at is None:
        return None
    before, after = _Order(order.words[:at]), _Order(order.words[at + 1 :])
    noun = before.take("noun", plain="color")
    if not noun and before.has("noun") and (share := after.take("number")):
        return _both(f"set the {before.take('noun')} to {share}", before, after)
    color, source = after.take("color"), before.take("color")
    strength = f"{before.strength()} {after.strength()}"
    target = before.target()
    if color:
        after.take("noun", plain="color")
        after.take("noun", plain="tint")
        source = source or (_color_of(target) if target != "it" else None)
        if source:
            return _both(f"change {source} to {color} {strength}", before, after)
        return _both(f"make {target} {color} {strength}", before, after)
    target = f"the {source} parts" if source and target == "it" else target
    described = " ".join(filter(None, (after.take("more"), after.take("less"), after.take("adjective"))))
    if described:
        after.take("noun", plain="color")
        return _both(f"make {target} {described} {strength}", before, after)
    if verb := after.take("verb"):
        return _both(f"{verb} {target} {strength}", before, after)
    if noun := after.take("noun", plain="sunset glow"):
        return _both(f"add a {noun} to {target}", before, after)
    return None


def _both(plain: str, *orders: _Order) -> str | None:
    return plain if all(order.rest(plain, "more") is not None for order in orders) else None


def _scale(order: _Order) -> str | None:
    """提高对比度20%, 亮度降低一点."""
    way = order.take("up", "down") or ("less" if order.take("less") else order.take("more"))
    noun = order.take("noun")
    if noun is None:
        return None
    if noun == "color":
        return _colors(order, way)
    strength, by, target = order.strength(), order.by(), order.target()
    of = "" if target == "it" else f" of {target}"
    added = noun in {"drop shadow", "shadows", "vignette", "film grain", "sunset glow", "blur"}
    if added and way in {None, "more", "increase"}:
        to = "" if target == "it" else f" to {target}"
        return (
            order.rest(f"add a {strength} {noun}{to} {by}")
            if noun != "shadows"
            else order.rest(f"add {strength} {noun}{to} {by}")
        )
    if noun == "details":
        simpler = way in {"decrease", "less"}
        return order.rest(f"{'simplify' if simpler else 'sharpen'} {target} {strength}")
    if way is None:
        value = by.removeprefix("by ")
        return order.rest(f"{noun}{of} {value}")
    if way in {"more", "less"}:
        return order.rest(f"{strength} {way} {noun}{of} {by}")
    return order.rest(f"{way} the {noun}{of} {strength} {by}")


def _colors(order: _Order, way: str | None) -> str | None:
    """让颜色更鲜艳: the colors of a layer are the layer."""
    described = order.take("adjective")
    if described is None:
        return None
    degree = {"more": "more", "less": "less", "increase": "more", "decrease": "less"}.get(way or "", "")
    strength, by, target = order.strength(), order.by(), order.target()
    return order.rest(f"make {target} {strength} {degree} {described} {by}")


def _simple(order: _Order) -> str | None:
    """简化细节, 抹平细节."""
    if not order.has("verb") or order.take("noun", plain="details") is None:
        return None
    verb, strength = order.take("verb"), order.strength()
    return order.rest(f"{verb} {order.target()} {strength}")


def _verb(order: _Order) -> str | None:
    verb = order.take("verb")
    if verb is None:
        return None
    order.drop("remove", "shift")
    name = order.take("name") or (f"the {color} parts" if (color := order.take("color")) else None)
    target, strength, by = name or "it", order.strength(), order.by()
    if order.has("number"):
        return None
    more = order.take("more")
    match verb:
        case "horizontal flip":
            return order.rest(f"flip {target} horizontally")
        case "vertical flip":
            return order.rest(f"flip {target} vertically")
        case "half a turn":
            return order.rest(f"turn {target} upside down")
        case "cut out" | "remove the background of":
            subject = target in {"it", "the subject", "the background"}
            return order.rest("remove the background") if subject else None
        case "posterize" | "pixelate":
            by = by.replace("by ", "to " if verb == "posterize" else "by ", 1)
            return order.rest(f"{verb} {target} {strength} {by}")
        case _:
            return order.rest(
                f"{verb} {target} {strength} {more and 'more'} {by}".replace("None", "").replace(" more", "")
            )


def _adjective(order: _Order) -> str | None:
    degree = order.take("too") or order.take("less") or order.take("more") or ""
    not_enough = order.take("enough") is not None
    down = order.take("down")
    order.take("noun", plain="tint")
    order.take("noun", plain="color")
    described = order.take("adjective")
    if described is None:
        return None
    name = order.take("name") or (f"the {color} parts" if (color := order.take("color")) else None)
    target, strength, by = name or "it", order.strength(), order.by()
    if degree == "too":
        return order.rest(f"{target} is too {described.removesuffix('er')}")
    if not_enough:
        return order.rest(f"{target} is not {described.removesuffix('er')} enough")
    degree = "less" if down else degree
    if described.startswith("half "):
        return order.rest(f"make {target} {described}")
    return order.rest(f"make {target} {strength} {degree} {described} {by}")


def _color(order: _Order) -> str | None:
    color, target, strength = order.take("color"), order.target(), order.strength()
    order.take("noun", plain="color")
    return order.rest(f"make {target} {color} {strength}") if color else None


def _add(order: _Order) -> str | None:
    """What is added and is no effect would be something new."""
    if order.take("add") is None:
        return None
    new = [name for name in (*order.all("name"), *order.all("unknown")) if name != "it"]
    return order.rest("add something new", "color", "number", "strength") if new else None


_ORDERS: tuple[Arrange, ...] = (
    _but,
    _gradient,
    _outline,
    _is_metal,
    _tint,
    _glow,
    _light,
    _hue,
    _to,
    _turn,
    _tool,
    _simple,
    _scale,
    _remove,
    _verb,
    _adjective,
    _color,
    _add,
)

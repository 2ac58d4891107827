"""The English words of instructions, by `english_lexicon.toml`, and how everyday English becomes plain: separators,
courtesy, abbreviations, unusual word order, typos. `rules.py` holds the sentences around the words."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ImageColor

from llm_dit.classical.operations import PartKind, from_oklch, to_oklch
from llm_dit.color import Rgb


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


_LEXICON = _read("english_lexicon.toml")
_LISTS: dict[str, str] = _LEXICON["lists"]
STRENGTHS: dict[str, float] = _LEXICON["strengths"]
"""The weight of each pattern, 1 is plain, in search order."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The words for one effect in one direction: patterns, "" for none; `english_lexicon.toml` explains the fields."""

    effect: str
    verbs: str = ""
    adjectives: str = ""
    nouns: str = ""
    phrases: str = ""
    step: float = 0.0
    down: bool = False
    reverse: str = ""


def _whole(value: Any) -> Any:
    """Return a field of a row, with the pieces of a pattern joined."""
    return "".join(value) if isinstance(value, list) else value


ROWS = tuple(Row(**{name: _whole(value) for name, value in row.items()}) for row in _LEXICON["row"])

TOOLS = frozenset({"resize", "move", "hide", "duplicate", "undo", "delete"})
"""What a tool of the page does with a layer, and no effect does."""

SCALES = frozenset(row.effect for row in ROWS if row.step)


# Colors: CSS names as one word or several, a few more, #hex, rgb(), "light", "dark", …

_MORE_NAMES: dict[str, str] = _LEXICON["colors"]
# Names only: Pillow replaces the text of each requested color with its value.
_NAMES = {name: ImageColor.getrgb(_MORE_NAMES.get(name, name)) for name in (*ImageColor.colormap, *_MORE_NAMES)}

_MODIFIERS: dict[str, tuple[float, float]] = _LEXICON["modifiers"]
_PREFIXES: list[str] = _LISTS["prefixes"].split()


def _spaced(name: str) -> str:
    """Return the pattern that matches a one-word name also with spaces or hyphens."""
    apart = name.replace(" ", "[ -]?")
    parts: list[str] = []
    prefixes = sorted(_PREFIXES, key=len, reverse=True)
    while prefix := next((p for p in prefixes if apart.startswith(p) and len(apart) > len(p) + 2), None):
        parts.append(prefix)
        apart = apart[len(prefix) :]
    return "[ -]?".join([*parts, apart])


_ANY_NAME = "|".join(sorted(map(_spaced, _NAMES), key=len, reverse=True))
_FUNCTION = r"(?:rgb|hsl)\([^()a-z]{5,40}\)"

COLOR_PATTERN = (
    rf"(?:#(?:[0-9a-f]{{6}}|[0-9a-f]{{3}})(?![0-9a-z])|{_FUNCTION}"
    rf"|(?:(?:{'|'.join(_MODIFIERS)})[ -]){{0,2}}(?:{_ANY_NAME})(?![a-z]))"
)
PLAIN_COLORS = "red|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ae]y|cyan|magenta|teal|turquoise|beige"


COLOR_NAMES = frozenset(_NAMES)
_JOINED_NAMES = {name.replace(" ", ""): value[:3] for name, value in _NAMES.items()}
COLOR_WORDS = frozenset([*_NAMES, *_PREFIXES, *_MODIFIERS])


def parse_color(text: str) -> Rgb | None:
    """Return the sRGB color (0–255 each) that a lower-case text names, or None."""
    joined = re.sub(r"[ -]", "", text)
    if text.startswith(("#", "rgb", "hsl")):
        return _css_value(text)
    if joined in _JOINED_NAMES:
        return _JOINED_NAMES[joined]
    modifier, _, rest = text.replace("-", " ").partition(" ")
    color = parse_color(rest) if modifier in _MODIFIERS else None
    return color and _modified(color, *_MODIFIERS[modifier])


def _css_value(text: str) -> Rgb | None:
    try:
        # CSS also accepts spaces instead of commas.
        red, green, blue = ImageColor.getrgb(re.sub(r"(?<=[\d%]) +(?=[\d.])", ",", text))[:3]
    except ValueError:
        return None
    return (red, green, blue) if max(red, green, blue) <= 255 else None


def _modified(color: Rgb, lighter: float, stronger: float) -> Rgb:
    lightness, chroma, hue = to_oklch(color)
    return from_oklch(min(max(lightness + lighter, 0.0), 1.0), chroma * stronger, hue)


# Things: how to find what a name means in a layer. A name that is not listed is a thing of its own.


KINDS: dict[str, tuple[PartKind, str]] = {
    word: (part["kind"], part["key"]) for part in _LEXICON["part"] for word in part["words"].split()
}
"""The kind of part and its key for each word."""
THINGS = frozenset([*KINDS, *_LISTS["things"].split()])


def is_thing(word: str) -> bool:
    """Whether a word, or its singular, names a thing."""
    return any(form in THINGS for form in singulars(word))


def singulars(word: str) -> tuple[str, ...]:
    """Return a word and its possible singular."""
    return (word, word.removesuffix("s"), word.removesuffix("es"))


# Everyday English in plain words.


class Topic(NamedTuple):
    """A line of `docs/instructions.md`: what the engine does, and examples; `chinese` has the same ones in Chinese."""

    label: str
    meaning: str
    examples: tuple[str, ...]
    chinese: tuple[str, ...]


TOPICS = tuple(
    Topic(topic["label"], topic["meaning"], tuple(topic["examples"]), tuple(topic["chinese"]))
    for topic in _read("reference.toml")["topic"]
)

_SHORTER = tuple((re.compile(rf"(?<![\w'])(?:{short})(?![\w'])"), long) for short, long in _LEXICON["short"].items())
_FILLER = re.compile(
    r"(?<![\w'])(?:please|pls|plz|plzz|pleas|pliz|kindly|just|kinda|kind of|sorta|sort of|thanks?|thank you|thx|ty|tnx"
    r"|um|uh|hmm|lol|hey|hi|bro|dude|guys?|ok(?:ay)?|asap|real quick|if (?:possible|you can|you could)|i guess|i think"
    r"|for me|maybe|actually|basically|would be (?:nice|great|cool)|want to|wanna|gonna|let'?s)(?![\w'])"
)
_ARROW = re.compile(r" *(?:->|=>|→|⇒) *|(?<=[a-z]) 2 (?=[a-z])")
_ONLY = re.compile(r"\b(?:only|just) (?=(?:the|her|his|its|their|my) )")
_NEEDS = re.compile(
    r"^(?:(?:it|this) )?(?:needs?|wants?|could use|i want|i need|i'd like|gimme|give me|i wanna have)(?: to have)? "
)
_IT_IS = re.compile(r"^(?:can|could|would|will) (?:you|we|i) ")
_VERBS = "|".join(row.verbs for row in ROWS if row.verbs)
_PAINT = "make|paint|recolou?r|colou?r|dye|turn|change|fill|set|give|to|of|on|around|behind|under|except"
_BARE = re.compile(rf"(?:\b(?P<verb>{_PAINT}|{_VERBS}) |^)(?P<name>(?:(?:{COLOR_PATTERN}) )?[a-z]+)(?= |$)")
_COLORED_ONE = re.compile(rf"^(?P<color>{COLOR_PATTERN}) (?:one|ones|part|parts|bit|bits|area)$")
_ADJECTIVES = "|".join(row.adjectives for row in ROWS if row.adjectives)
_DESCRIBED_THING = re.compile(rf"^(?P<how>{COLOR_PATTERN}|{_ADJECTIVES}) (?P<thing>[a-z]+)$")
_BACKWARDS = re.compile(
    rf"^(?P<name>(?:the|its|her|his|their|my) [a-z][a-z' -]*?) (?P<verb>{_VERBS}|flip|rotate)(?P<rest> .*)?$"
)


_BEFORE = re.compile(
    r"^(?:(?:please|pls|plz|kindly|just|now|then|also|and|so|ok|okay|hey|hi|hello|maybe|simply|finally|first|next|plus|to"
    r"|(?:can|could|would|will) you|i (?:want|need) you to|i(?:'d| would) like you to|let's|let us|try to|go ahead and"
    r"|after that|afterwards|only then)(?: |$))+"
)
_AFTER = re.compile(r"(?:(?:^| )(?:please|pls|plz|thanks|thank you|thx|now|too|as well|for me|overall|everywhere))+$")
_JOINT = re.compile(
    r"(?:\s*[,;.!?]+(?=\s|$)(?![^(]*\))\s*"
    r"|\s+(?:and then|and also|as well as|and|then|also|plus|but|with|while|&|\+)\s+)+"
)
_EMOJI = re.compile(r"[\u200d\u20e3\u2300-\u27bf\u2b00-\u2bff\ufe0e\ufe0f\U0001f000-\U0001faff]+")


def normalise(text: str) -> str:
    """Return the text in lower case with plain quotes, signs and single spaces, and without emoji."""
    # Chinese and Japanese keyboards produce full-width letters and signs.
    text = unicodedata.normalize("NFKC", text)
    text = _EMOJI.sub(" ", text.lower()).translate(
        str.maketrans({"。": ".", "、": ",", "’": "'", "‘": "'", "−": "-", "–": "-", "“": " ", "”": " ", '"': " "})
    )
    text = re.sub(r"\b(?:black ?(?:and|&|n|-and-) ?white|b ?[&/] ?w)(?!\w)", "black-and-white", text)
    return " ".join(text.split()).strip(" .,;!?")


def split(text: str) -> list[tuple[int, int]]:
    """Return the spans between commas, full stops, "and", "with", …: the smallest parts that can stand alone."""
    spans: list[tuple[int, int]] = []
    start = 0
    for joint in _JOINT.finditer(text):
        spans.append((start, joint.start()))
        start = joint.end()
    return [(a, b) for a, b in [*spans, (start, len(text))] if text[a:b].strip()]


def strip_courtesy(clause: str) -> str:
    """Return the clause without "please", "could you", "then", …"""
    return _AFTER.sub("", _BEFORE.sub("", f"{clause} ", count=1).strip()).strip()


def readings(text: str) -> Iterator[str]:
    """Yield the text in ever plainer words, with typos corrected first, because a typo may look like a name."""
    corrected = correct(text)
    yield corrected
    yield text
    for version in (corrected, text, correct(_shortened(text))):
        plain = _shortened(version)
        yield plain
        yield from (_with_articles(plain), _turned(_with_articles(plain)))


def _shortened(text: str) -> str:
    text = _ONLY.sub("", _ARROW.sub(" to ", text))
    for short, long in _SHORTER:
        text = short.sub(long, text)
    text = re.sub(r"\ba a\b", "a", " ".join(_FILLER.sub(" ", text).split()).strip(" ,.;"))
    text = _IT_IS.sub("", text)
    text = _NEEDS.sub("add ", text)
    named = _DESCRIBED_THING.match(text)
    return f"make the {named['thing']} {named['how']}" if named and is_thing(named["thing"]) else text


def _with_articles(text: str) -> str:
    return ", ".join(_clause_with_articles(part) for part in re.split(r", *", text))


def _clause_with_articles(text: str) -> str:
    def name(found: re.Match[str]) -> str:
        verb = f"{found['verb']} " if found["verb"] else ""
        words = found["name"]
        known = is_thing(words.split()[-1]) or _COLORED_ONE.match(words)
        return f"{verb}the {words}" if known else found[0]

    return _BARE.sub(name, text)


def _turned(text: str) -> str:
    """Return "the background remove" as "remove the background"."""
    found = _BACKWARDS.match(text)
    return f"{found['verb']} {found['name']}{found['rest'] or ''}" if found else text


# Typos: an unknown word, one typo away from a word that the engine knows.

SHORTEST = 4
"""Letters; a typo in a shorter word is too ambiguous."""
SHORTEST_SWAPPED_LETTER = 5
"""Letters from which a typo may replace one."""
_SHORT_SLIPS = {"teh": "the", "hte": "the"}
"""The corrected shorter typos; they are not words themselves."""
OTHER_WORDS = frozenset(_LISTS["other"].split())
_WORD = re.compile(r"[a-z]+")
_OPTIONAL_END = re.compile(r"([a-z]+)\(\?:([a-z]+)\)\?")
_OPTIONAL_LETTER = re.compile(r"([a-z]*)([a-z])\?([a-z]*)")


def correct(text: str) -> str:
    """Return lower-case text with each unknown word replaced by the known word that is one typo away.

    A typo is one letter too many or too few, two in the wrong order, or, in longer words, a wrong one (Damerau, "A
    technique for computer detection and correction of spelling errors", 1964); the first letter is right. A word that
    could be two known ones stays, unless one begins with the other: "horizontaly" is "horizontally". Of words below
    `SHORTEST` letters only "teh" and "hte" are corrected.
    """
    return _WORD.sub(lambda found: _corrected(found[0]), text)


@lru_cache(4096)
def _corrected(word: str) -> str:
    if len(word) < SHORTEST or word in _known() or is_thing(word) or word in OTHER_WORDS:
        return _SHORT_SLIPS.get(word, word)
    meant = [known for known in _known() if len(known) >= SHORTEST and _one_slip(word, known)]
    longest = max(meant, key=len, default=word)
    return longest if all(longest.startswith(known) for known in meant) else word


def _one_slip(word: str, known: str) -> bool:
    if word[0] != known[0] or abs(len(word) - len(known)) > 1:
        return False
    at = next((place for place, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), len(word))
    if len(word) > len(known):
        return word[at + 1 :] == known[at:]
    if len(word) < len(known):
        return word[at:] == known[at + 1 :]
    swapped = word[at : at + 2] == known[at : at + 2][::-1] and word[at + 2 :] == known[at + 2 :]
    return swapped or (len(known) >= SHORTEST_SWAPPED_LETTER and word[at + 1 :] == known[at + 1 :])


@cache
def _known() -> frozenset[str]:
    """Return the words of the reference's examples, of the colors, and of the patterns of effects and strengths."""
    examples = (example.lower() for topic in TOPICS for example in topic.examples)
    patterns = [
        *(str(getattr(row, field.name)) for row in ROWS for field in fields(Row)),
        *STRENGTHS,
        *_LEXICON["short"].values(),
    ]
    words = {word for text in (*examples, *COLOR_WORDS) for word in _WORD.findall(text)}
    return frozenset(words.union(THINGS, _LISTS["of_rules"].split(), *map(_spelled_out, patterns)))


def _spelled_out(pattern: str) -> set[str]:
    """Return the words that a pattern matches, as far as its text shows them: "colou?r" is two."""
    ends = {stem + end for stem, end in _OPTIONAL_END.findall(pattern)}
    letters = {before + letter + after for before, letter, after in _OPTIONAL_LETTER.findall(pattern)}
    without = _OPTIONAL_LETTER.sub(r"\1\3", _OPTIONAL_END.sub(r"\1", pattern))
    return ends | letters | set(_WORD.findall(without))

"""The English around the words of `vocabulary.py`: what is meant, how strongly, which way, how parts are joined.

Everything is matched on lower-case text with single spaces.
"""

import re
import unicodedata
from dataclasses import dataclass

from llm_dit.classical.instructions.lexicon import PLAIN_COLORS

DEGREE = r"(?P<degree>(?:even |a )?more|less|not so|not as|not that|not quite so|too)"
NEGATIVE_DEGREES = frozenset({"less", "not so", "not as", "not that", "not quite so", "too", "fewer"})

# In the order in which they are looked for: a phrase comes before the words it holds.
_STRENGTHS = {
    r"very slightly|ever so slightly|barely|a tiny bit(?: of)?|a hint(?: of)?": 0.3,
    r"slightly|slight|a (?:little bit|bit|little|touch|tad)(?: of)?|subtly|subtle|gently|gentle|softly|soft|somewhat"
    r"|not too much": 0.55,
    r"very much|very strong|very strongly|extremely|super|dramatically|dramatic|drastically|massively|hugely": 2.4,
    r"much|(?:a lot|lots)(?: of)?|very|really|strongly|strong|heavily|heavy|significantly|considerably|greatly|far|way"
    r"|intensely": 1.8,
    r"quite|rather|fairly|noticeably|clearly|moderately": 1.3,
}
STRENGTH_PATTERNS = tuple(_STRENGTHS)
_FACTORS = {
    r"twice as|twice|two times as|two times": 2.0,
    r"half as": 0.5,
    r"three times as|three times": 3.0,
    r"four times as|four times": 4.0,
}
_PERCENT = re.compile(r"(?<![\w.+-])(?:by )?(\d{1,4}(?:\.\d+)?) ?(?:%|percent)(?!\w)")
_TIMES = re.compile(r"(?<![\w.])(?:by )?(?:a factor of )?(\d{1,2}(?:\.\d+)?) ?(?:x|times)(?: as)?(?!\w)")
_PLAINLY = re.compile(r"\b(?:completely|fully|totally|entirely|absolutely|100%)(?!\w)")

# Places, of which nothing says where they end; they are never swallowed as a name.
PARTS = (
    r"left|right|top|bottom|upper|lower|half|side|corners?|edges?|borders?|middle|cent(?:er|re)"
    r"|inside|outside|only|except|everything|shadows?|highlights?|midtones?"
)
NAMED_PART = re.compile(rf"\b(?:the|its) (?:[a-z]+ )?(?:{PARTS})\b")
_NOT_IN_A_NAME = re.compile(
    rf"\b(?:{PARTS}|{PLAIN_COLORS}|and|or|but|not|no|never|of|in|on|at|to|by|with|without|into|from|than|as|so|too"
    rf"|more|less|(?:photo|hyper)?-?realistic|bigger|smaller|larger|nicer|better|look|appear|be|seem|is|are"
    rf"|{'|'.join(_STRENGTHS)})(?![a-z-])"
)
_WHOLE = r"it|this|that|them|everything|the whole (?:thing|image|picture|photo|layer)"
_ARTICLE = r"(?:all )?(?:the|this|that|my|its|these|those|all|his|her|their|your|our)"
# Names for the layer itself, beside which another name may stand: "brighten the picture and paint the car red".
_GENERAL = re.compile(
    rf"(?:{_WHOLE}|{_ARTICLE}"
    r" (?:image|picture|photo(?:graph)?|layer|colou?rs?|details?|tones?|hues?|texture|whole (?:image|picture|layer)))"
)
# What is edited: "it", "the house", "the old wooden house". A name is a group without a name of its own; whether its
# words are one is asked afterwards (`is_name`), for looking ahead at every word makes patterns slow.
IT = rf"({_WHOLE}|{_ARTICLE}(?: [a-z][a-z'-]*){{1,3}}?)"


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How much is asked for: a word's weight (1 is plain), a share 0–… ("by 20%"), or a factor ("twice")."""

    weight: float = 1.0
    share: float | None = None
    factor: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the plain effect is asked for."""
        return self.weight == 1.0 and self.share in (None, 1.0) and self.factor is None

    @property
    def amount(self) -> float:
        """The strength of an effect that is no scale; 1 is plain."""
        return self.weight * (1.0 if self.share is None else self.share) * (1.0 if self.factor is None else self.factor)


# "The red", "the red ones", "the red car": what has that color.
_COLORED_NAME = re.compile(rf"{_ARTICLE} (?:{PLAIN_COLORS})(?: (?P<noun>[a-z-]+))?")


def is_name(text: str, adjectives: re.Pattern[str]) -> bool:
    """Whether a match of `IT` names a thing: nothing in it says how much or which place, and no adjective ends it."""
    if re.fullmatch(_WHOLE, text):
        return True
    if colored := _COLORED_NAME.fullmatch(text):
        return not colored["noun"] or (is_noun(colored["noun"]) and not adjectives.search(f" {colored['noun']}"))
    return is_noun(text) and not adjectives.search(text)


def is_noun(word: str) -> bool:
    """Whether a word can be part of a name."""
    return not _NOT_IN_A_NAME.search(word)


def is_general(name: str) -> bool:
    """Whether a name means the layer itself."""
    return bool(_GENERAL.fullmatch(name))


def is_pronoun(name: str) -> bool:
    """Whether a name stands for what was named before."""
    return name in {"it", "this", "that", "them"}


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
    text = unicodedata.normalize(
        "NFKC", text
    )  # letters and signs of the width that Chinese and Japanese keyboards give
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


def take_strength(clause: str) -> tuple[str, Strength]:
    """Return the clause without its words of strength, and the strength they ask for."""
    weight, share, factor = 1.0, None, None
    if found := _PERCENT.search(clause):
        share, clause = float(found[1]) / 100.0, _without(clause, found)
    elif found := re.search(r"\bby half\b", clause):
        share, clause = 0.5, _without(clause, found)
    elif found := _PLAINLY.search(clause):
        share, clause = 1.0, _without(clause, found)
    if found := _TIMES.search(clause):
        factor, clause = float(found[1]), _without(clause, found)
    for words, value in _FACTORS.items():
        if found := re.search(rf"\b(?:{words})\b", clause):
            factor, clause = value, _without(clause, found)
    for words, value in _STRENGTHS.items():
        if found := re.search(rf"\b(?:{words})\b", clause):
            weight, clause = weight * value, _without(clause, found)
    return clause, Strength(weight=weight, share=share, factor=factor)


def _without(clause: str, found: re.Match[str]) -> str:
    return " ".join(f"{clause[: found.start()]} {clause[found.end() :]}".split())

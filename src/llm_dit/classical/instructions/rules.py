"""The grammar of English clauses: part, strength and direction, and a rule for each phrasing.

Everything is matched on lower-case text with single spaces.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm_dit.classical.instructions.english import KINDS, PLAIN_COLORS, ROWS, STRENGTHS, Row, parse_color, singulars
from llm_dit.classical.operations import Operation, Part, PartKind

DEGREE = r"(?P<degree>(?:even |a )?more|less|not so|not as|not that|not quite so|too)"
NEGATIVE_DEGREES = frozenset({"less", "not so", "not as", "not that", "not quite so", "too", "fewer"})

_FACTORS = {
    r"twice as|twice|two times as|two times": 2.0,
    r"half as": 0.5,
    r"three times as|three times": 3.0,
    r"four times as|four times": 4.0,
}
_PERCENT = re.compile(r"(?<![\w.+-])(?:by )?(\d{1,4}(?:\.\d+)?) ?(?:%|percent)(?!\w)")
_TIMES = re.compile(r"(?<![\w.])(?:by )?(?:a factor of )?(\d{1,2}(?:\.\d+)?) ?(?:x|times)(?: as)?(?!\w)")
_PLAINLY = re.compile(r"\b(?:completely|fully|totally|entirely|absolutely|100%)(?!\w)")

# Places, whose extent is unknown; they are never taken for a name.
PARTS = (
    r"left|right|top|bottom|upper|lower|half|side|corners?|edges?|borders?|middle|cent(?:er|re)"
    r"|inside|outside|only|except|everything|shadows?|highlights?|midtones?"
)
NAMED_PART = re.compile(rf"\b(?:the|its) (?:[a-z]+ )?(?:{PARTS})\b")
_NOT_IN_A_NAME = re.compile(
    rf"\b(?:{PARTS}|{PLAIN_COLORS}|and|or|but|not|no|never|of|in|on|at|to|by|with|without|into|from|than|as|so|too"
    rf"|more|less|(?:photo|hyper)?-?realistic|bigger|smaller|larger|nicer|better|look|appear|be|seem|is|are"
    rf"|{'|'.join(STRENGTHS)})(?![a-z-])"
)
_WHOLE = r"it|this|that|them|everything|the whole (?:thing|image|picture|photo|layer)"
_ARTICLE = r"(?:all )?(?:the|this|that|my|its|these|those|all|his|her|their|your|our)"
# Names for the layer itself; another name may follow: "brighten the picture and paint the car red".
_GENERAL = re.compile(
    rf"(?:{_WHOLE}|{_ARTICLE}"
    r" (?:image|picture|photo(?:graph)?|layer|colou?rs?|details?|tones?|hues?|texture|whole (?:image|picture|layer)))"
)
# What is edited: "it", "the house", "the old wooden house". A name is an unnamed group; `is_name` checks its words
# afterwards, because a lookahead at every word makes patterns slow.
IT = rf"({_WHOLE}|{_ARTICLE}(?: [a-z][a-z'-]*){{1,3}}?)"


@dataclass(frozen=True, kw_only=True)
class Strength:
    """The requested strength: a word's weight (1 is plain), a share 0–… ("by 20%"), or a factor ("twice")."""

    weight: float = 1.0
    share: float | None = None
    factor: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether only the plain effect is requested."""
        return self.weight == 1.0 and self.share in (None, 1.0) and self.factor is None

    @property
    def amount(self) -> float:
        """The strength of an effect that is not a scale; 1 is plain."""
        return self.weight * (1.0 if self.share is None else self.share) * (1.0 if self.factor is None else self.factor)


# "The red", "the red ones", "the red car": what has that color.
_COLORED_NAME = re.compile(rf"{_ARTICLE} (?:{PLAIN_COLORS})(?: (?P<noun>[a-z-]+))?")


def is_name(text: str, adjectives: re.Pattern[str]) -> bool:
    """Whether a match of `IT` names a thing: it contains no strength or place, and does not end in an adjective."""
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
    """Whether a name refers to what was named before."""
    return name in {"it", "this", "that", "them"}


_ARTICLES = re.compile(
    r"^(?:all )?(?:of )?(?:(?:the|this|that|my|its|these|those|all|his|her|their|your|our|a|an)(?: |$))+"
)
_COLORED = re.compile(rf"(?P<color>{PLAIN_COLORS})(?:[- ]?colou?red)?(?: [a-z-]+)?")


def part_of(name: str) -> Part:
    """Return what a name such as "her old jacket" or "the red ones" means."""
    bare = _ARTICLES.sub("", name)
    if colored := _COLORED.fullmatch(bare):
        return Part(kind="color", key="color", name=bare, color=parse_color(colored["color"]))
    words = re.findall(r"[a-z][a-z-]*", bare.replace("'s", ""))
    other: tuple[PartKind, str] = ("thing", "thing")
    kind, key = next((KINDS[form] for word in words[-1:] for form in singulars(word) if form in KINDS), other)
    return Part(kind=kind, key=key, name=bare)


def take_strength(clause: str) -> tuple[str, Strength]:
    """Return the clause without its strength words, and their strength."""
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
    for words, value in STRENGTHS.items():
        if found := re.search(rf"\b(?:{words})\b", clause):
            weight, clause = weight * value, _without(clause, found)
    return clause, Strength(weight=weight, share=share, factor=factor)


def _without(clause: str, found: re.Match[str]) -> str:
    return " ".join(f"{clause[: found.start()]} {clause[found.end() :]}".split())


# Rules: each matches a whole clause or nothing.


# The largest change that a percentage or a factor can request; beyond it pictures are only black, white or noise.
_MAX_FACTOR = 10.0
_WITHOUT_STRENGTH = frozenset({"cutout", "mirror", "flip", "turn", "invert"})

_ADJECTIVE_LAST = re.compile(rf" (?:{'|'.join(row.adjectives for row in ROWS if row.adjectives)})$")
SOME = r"(?:(?:the|its|a|an|some|any) )?"
KIND = (
    r"(?: (?:effect|look|filter|style|tone|tones|feel|version|image|picture|photo|colou?rs|scene|scenery|mode|mood|vibe"
    r"|atmosphere))?"
)
MAKE = (
    rf"(?:(?:(?:make|get|render|turn|have|set|give|i want|i need|i(?:'d| would) like) )?{IT}(?: to| should| must)?)"
    r"(?: (?:look|appear|be|become|seem|feel))?"
)
_UP = (
    r"increase|raise|boost|enhance|improve|intensify|strengthen|amplify|add|apply|use|put|create"
    r"|(?:turn|bring|crank|push) up"
    rf"|bump(?: up)?|give {IT}|more|extra|additional|higher|stronger"
)
_DOWN = (
    r"decrease|reduce|lower|lessen|weaken|diminish|minimi[sz]e|cut(?: down)?|drop|(?:turn|bring|tone|dial) down"
    r"|less|lower|weaker|reduced"
)
_SIGNED = r"(?P<sign>[+-]?) ?(?P<number>\d{1,4}(?:\.\d+)?) ?(?:%|percent)?"


@dataclass(frozen=True, kw_only=True)
class Match:
    """An understood clause: its operation and the things it names.

    `head` is the text before its last words, with "-" in front if it reverses their direction. `means_named` is true if
    the clause says "it", which is what was named before.
    """

    operation: Operation
    head: str = ""
    names: frozenset[str] = frozenset()
    means_named: bool = False


Build = Callable[[re.Match[str], Strength], Operation | None]


@dataclass(frozen=True)
class Rule:
    """A pattern for a whole clause, and its meaning (None: the words fit, the meaning does not)."""

    pattern: re.Pattern[str]
    build: Build

    def __call__(self, clause: str, strength: Strength) -> Match | None:
        """Match a clause without its strength words."""
        found = self.pattern.fullmatch(clause)
        operation = found and self.build(found, strength)
        if not found or not operation:
            return None
        named = set(self.pattern.groupindex.values())
        names = {text for index, text in enumerate(found.groups(), start=1) if text and index not in named}
        if not all(is_name(name, _ADJECTIVE_LAST) for name in names):
            return None
        return Match(
            operation=operation,
            head=_head(found),
            names=frozenset(name for name in names if not is_general(name)),
            means_named=any(map(is_pronoun, names)),
        )


def rule(pattern: str, build: Build) -> Rule:
    """Return the rule for a pattern in which {it}, {some}, {make} and {kind} stand for their grammar."""
    for name, grammar in (("{it}", IT), ("{some}", SOME), ("{make}", MAKE), ("{kind}", KIND)):
        pattern = pattern.replace(name, grammar)
    return Rule(re.compile(pattern), build)


def row_operation(row: Row, strength: Strength, *, negative: bool = False) -> Operation | None:
    """Return the operation of a row at a strength; `negative` reverses its direction ("less", "reduce", "too")."""
    if row.effect in _WITHOUT_STRENGTH and (negative or not strength.is_plain):
        return None
    if row.step:
        return Operation(effect=row.effect, amount=_factor(strength, row.step, down=row.down != negative))
    effect = row.reverse if negative else row.effect
    return Operation(effect=effect, amount=min(strength.amount, _MAX_FACTOR)) if effect else None


def _factor(strength: Strength, step: float, *, down: bool) -> float:
    """Return the factor of a scale: exact for "by 20%" and "twice as", based on its `step` for plain words."""
    if strength.share is not None:
        factor = max(1.0 - strength.share, 0.0) if down else 1.0 + strength.share
    else:
        wanted = 1.0 + step * strength.weight if strength.factor is None else max(strength.factor, 1.0 / _MAX_FACTOR)
        factor = 1.0 / wanted if down else wanted
    return min(factor, _MAX_FACTOR)


def _head(found: re.Match[str]) -> str:
    if found.groupdict().get("word") is None:
        return ""
    head = found.string[: found.start("word")].strip()
    return f"-{head}" if head and _is_turned(found) else head


def _is_turned(found: re.Match[str]) -> bool:
    groups = found.groupdict()
    return groups.get("degree") in NEGATIVE_DEGREES or groups.get("down") is not None


def _by_row(row: Row) -> Build:
    def build(found: re.Match[str], strength: Strength) -> Operation | None:
        return row_operation(row, strength, negative=_is_turned(found))

    return build


def _set_to(row: Row) -> Build:
    """ "Contrast 80%" is a factor of 0.8, "contrast +20" one of 1.2; transparency is the complement of opacity."""

    def build(found: re.Match[str], strength: Strength) -> Operation | None:
        share = float(found["number"]) / 100.0
        if found["sign"]:
            return row_operation(row, Strength(share=share), negative=found["sign"] == "-")
        if row.effect == "opacity" and share > 1.0:
            return None
        return Operation(effect=row.effect, amount=min(1.0 - share if row.down else share, _MAX_FACTOR))

    return build


def _times(row: Row) -> Build:
    factors = {"double": 2.0, "triple": 3.0, "halve": 0.5, "half": 0.5}

    def build(found: re.Match[str], strength: Strength) -> Operation | None:
        return row_operation(row, Strength(factor=factors[found["times"]]))

    return build


def _row_rules(row: Row) -> list[Rule]:
    """Return the rules for one row: by verb, by adjective, by noun, and by its own phrases."""
    rules: list[Rule] = []
    build = _by_row(row)
    if row.verbs:
        rules.append(rule(rf"(?:{row.verbs})(?: {{it}}(?: up| down| out| off)?)?", build))
    if row.adjectives:
        word = rf"(?P<word>{row.adjectives})"
        rules.append(rule(rf"(?:{{make}} )?(?:an? )?(?:{DEGREE} )?{word}{{kind}}", build))
        rules.append(rule(rf"(?:{{it}}|it's) (?:is |are |looks? )?(?P<degree>too) {word}", build))
        rules.append(rule(rf"(?:{{it}}|it's) (?:is |are |looks? )?not {word} enough", build))
        rules.append(rule(rf"(?:turn|convert|change|transform)(?: {{it}})? (?:in)?to (?:an? )?{word}{{kind}}", build))
        rules.append(
            rule(rf"(?:add|apply|use|give {{it}}) (?:an? |some )?{word} (?:effect|look|filter|style|tone|feel)", build)
        )
    if row.nouns:
        noun = rf"(?P<word>{row.nouns}){{kind}}(?: (?:of|in|to|on|around|for|over|from|behind|under|below) {{it}})?"
        rules.append(rule(rf"(?:(?P<up>{_UP})|(?P<down>{_DOWN})) {{some}}{noun}", build))
        rules.append(rule(rf"(?:add|give {{it}}|use|apply|with) (?P<degree>more|less|extra) {noun}", build))
        rules.append(rule(rf"(?:turn|bring|dial|crank) {{some}}(?:{row.nouns}) (?:up|(?P<down>down))", build))
        rules.append(rule(rf"(?P<times>double|triple|halve|half) {{some}}{noun}", _times(row)))
        if row.step:
            noun = rf"{{some}}(?:{row.nouns})(?: of {{it}})?"
            rules.append(rule(rf"(?:(?:set|change|put) )?{noun}(?: (?:to|at|of)|:| ?=)? ?{_SIGNED}", _set_to(row)))
            rules.append(
                rule(rf"(?:reduce|lower|decrease|increase|raise|bring|turn) {noun} to {_SIGNED}", _set_to(row))
            )
        else:
            rules.append(rule(rf"{{some}}{noun}", build))
    if row.phrases:
        rules.append(rule(row.phrases, build))
    return rules


def row_rules() -> list[Rule]:
    """Return the rules for all rows of the vocabulary."""
    return [made for row in ROWS for made in _row_rules(row)]

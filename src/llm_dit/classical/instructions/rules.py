"""The rows of `vocabulary.py` in the grammar of `phrases.py`: each rule matches a whole clause or nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm_dit.classical.instructions.phrases import (
    DEGREE,
    IT,
    NEGATIVE_DEGREES,
    Strength,
    is_general,
    is_name,
    is_pronoun,
)
from llm_dit.classical.instructions.vocabulary import ROWS, Row
from llm_dit.classical.operations import Operation

# The widest change that a percentage or a factor can ask for; beyond it pictures are only black, white or noise.
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

    `head` is what stands before its last words, "-" first when that turns their direction round. `means_named` says
    that it speaks of "it", which is what was named before.
    """

    operation: Operation
    head: str = ""
    names: frozenset[str] = frozenset()
    means_named: bool = False


Build = Callable[[re.Match[str], Strength], Operation | None]


@dataclass(frozen=True)
class Rule:
    """A pattern for a whole clause, and what it stands for (None: the words fit, the meaning does not)."""

    pattern: re.Pattern[str]
    build: Build

    def __call__(self, clause: str, strength: Strength) -> Match | None:
        """Match a clause whose words of strength are taken off."""
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
    """Return what a row means at a strength; `negative` turns its direction round ("less", "reduce", "too")."""
    if row.effect in _WITHOUT_STRENGTH and (negative or not strength.is_plain):
        return None
    if row.step:
        return Operation(effect=row.effect, amount=_factor(strength, row.step, down=row.down != negative))
    effect = row.reverse if negative else row.effect
    return Operation(effect=effect, amount=min(strength.amount, _MAX_FACTOR)) if effect else None


def _factor(strength: Strength, step: float, *, down: bool) -> float:
    """Return the factor of a scale: exact for "by 20%" and "twice as", by the scale's `step` for plain words."""
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
    """ "Contrast 80%" is a factor of 0.8, "contrast +20" one of 1.2; transparency counts from the other end."""

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


# The sentences with a number in a unit of their own: degrees, pixels, stops, levels, and absolute opacity.


_NUMBER = r"(?P<number>[+-]?\d{1,4}(?:\.\d+)?)"
_PLAIN_TURN = 30.0


def _hue(found: re.Match[str], strength: Strength) -> Operation:
    named = found.groupdict().get("number")
    return Operation(effect="hue", amount=float(named) if named else _PLAIN_TURN * strength.amount)


def _rotate(found: re.Match[str], strength: Strength) -> Operation | None:
    """Half a turn has words of its own; plain "rotate it" is a quarter."""
    groups = found.groupdict()
    angle = float(groups.get("number") or 90.0)
    if not strength.is_plain or abs(angle) % 180 == 0 or abs(angle) > 360:
        return None
    return Operation(effect="rotate", amount=-angle if groups.get("back") else angle)


def _sized(effect: str, lowest: float, highest: float) -> Build:
    def build(found: re.Match[str], strength: Strength) -> Operation | None:
        size = float(found["number"])
        return Operation(effect=effect, size=size) if lowest <= size <= highest and strength.is_plain else None

    return build


def _stops(found: re.Match[str], strength: Strength) -> Operation | None:
    stops = float(found["number"]) * (-1.0 if found.groupdict().get("down") else 1.0)
    return Operation(effect="exposure", amount=2.0**stops) if abs(stops) <= 5 and strength.is_plain else None


def _opacity(found: re.Match[str], strength: Strength) -> Operation | None:
    share = float(found["number"]) / 100.0
    return Operation(effect="opacity", amount=share) if 0.0 <= share <= 1.0 and strength.is_plain else None


def _fixed_opacity(value: float) -> Build:
    def build(found: re.Match[str], strength: Strength) -> Operation | None:
        return Operation(effect="opacity", amount=value) if strength.is_plain else None

    return build


def measure_rules() -> list[Rule]:
    """Return the rules, in the order in which they are tried."""
    percent = rf"{_NUMBER} ?(?:%|percent)"
    hue = r"(?:the |its |all )?(?:the )?(?:hues?|colou?rs?)(?: of {it})?"
    pixels = rf"(?:by |of |with |with a radius of |to |into )?{_NUMBER} ?-?(?:px|pixels?)(?: blocks?| radius| blur)?"
    back = r"(?:to the )?(?:left|(?:counter|anti)-?clockwise)"
    way = rf"(?:(?P<back>{back})|(?:to the )?(?:right|clockwise))"
    rotate = r"(?:rotate|turn|spin|tilt)(?: {it})?(?: around)?"
    degrees = rf"(?:by )?{_NUMBER} ?(?:°|degrees?|deg)"
    table: list[tuple[str, Build]] = [
        (rf"(?:shift|rotate|turn|change|move) {hue}(?: by)? {_NUMBER} ?(?:°|degrees?)?", _hue),
        (r"(?:shift|rotate|change) (?:the |its |all )?(?:the )?(?:hues?)(?: of {it})?|shift the colou?rs", _hue),
        (rf"(?:hue(?: shift)?)(?: by| of)? {_NUMBER} ?(?:°|degrees?)?", _hue),
        (rf"{rotate} {degrees}(?: {way})?", _rotate),
        (rf"{rotate} {way}(?: {degrees})?", _rotate),
        (r"(?:rotate|spin)(?: {it})?", _rotate),
        (rf"(?:rotate|spin|turn)(?: {{it}})? (?:by )?a quarter(?: turn)?(?: {way})?", _rotate),
        (rf"(?:rotate|spin)(?: {{it}})? (?:by )?{_NUMBER}", _rotate),
        (rf"(?:(?:add|apply) )?{{some}}(?:gaussian )?(?:blur|soften)(?: {{it}})? {pixels}", _sized("blur", 0.3, 500)),
        (rf"pixelate(?: {{it}})? {pixels}", _sized("pixelate", 2, 1000)),
        (rf"posteri[sz]e(?: {{it}})? (?:to|into|with) {_NUMBER} (?:levels?|tones?|steps?)", _sized("posterize", 2, 32)),
        (rf"(?:increase|raise|boost)?(?: ?{{some}}exposure)? ?(?:by |\+)?{_NUMBER} ?(?:stops?|ev)", _stops),
        (rf"(?P<down>decrease|reduce|lower)(?: {{some}}exposure)? (?:by )?{_NUMBER} ?(?:stops?|ev)", _stops),
        (rf"(?:{{make}} )?{percent} (?:opaque|visible|solid)", _opacity),
        (rf"(?:(?:at|use|give {{it}}|set {{it}} to) )?{percent} opacity", _opacity),
        (r"(?:{make} )?half[ -](?:transparent|opaque|visible)", _fixed_opacity(0.5)),
        (r"(?:{make} )?invisible", _fixed_opacity(0.0)),
    ]
    return [rule(pattern, build) for pattern, build in table]

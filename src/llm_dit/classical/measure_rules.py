"""The sentences with a number in a unit of their own: degrees, pixels, stops, levels, and absolute opacity."""

import re

from llm_dit.classical.operations import Operation
from llm_dit.classical.phrases import Strength
from llm_dit.classical.rules import Build, Rule, rule

_NUMBER = r"(?P<number>[+-]?\d{1,4}(?:\.\d+)?)"
_PLAIN_TURN = 30.0


def _hue(found: re.Match[str], strength: Strength) -> Operation:
    named = found.groupdict().get("number")
    return Operation(effect="hue", amount=float(named) if named else _PLAIN_TURN * strength.amount)


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
    table: list[tuple[str, Build]] = [
        (rf"(?:shift|rotate|turn|change|move) {hue}(?: by)? {_NUMBER} ?(?:°|degrees?)?", _hue),
        (r"(?:shift|rotate|change) (?:the |its |all )?(?:the )?(?:hues?)(?: of {it})?|shift the colou?rs", _hue),
        (rf"(?:hue(?: shift)?)(?: by| of)? {_NUMBER} ?(?:°|degrees?)?", _hue),
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

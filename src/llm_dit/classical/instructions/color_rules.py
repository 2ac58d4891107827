"""The sentences about colors: "change the house color to blue", "make the red parts blue", "tint it green"."""

import re

from llm_dit.classical.instructions.colors import COLOR_PATTERN, parse_color
from llm_dit.classical.instructions.phrases import DEGREE, NEGATIVE_DEGREES, Strength, is_noun
from llm_dit.classical.instructions.rules import Build, Rule, rule
from llm_dit.classical.operations import Operation
from llm_dit.color import Rgb

_WARM_LIGHT: Rgb = (255, 168, 76)
_COLD_LIGHT: Rgb = (120, 190, 255)
_GLOWS: dict[str, Rgb] = {"warm": _WARM_LIGHT, "cool": _COLD_LIGHT, "cold": _COLD_LIGHT, "neon": (80, 255, 230)}
_COMPARATIVES = {
    "redder": "red", "reddish": "red", "bluer": "blue", "bluish": "blue", "greener": "green", "greenish": "green",
    "yellower": "yellow", "yellowish": "yellow", "pinker": "pink", "pinkish": "pink", "purplish": "purple",
    "brownish": "brown", "browner": "brown", "greyish": "grey", "grayish": "gray",
}  # fmt: skip

_TO = rf"(?P<word>(?:a |an )?(?P<color>{COLOR_PATTERN})(?: colou?r(?:ed)?)?)"
_FROM = rf"(?P<source>{COLOR_PATTERN})(?: (?P<noun>(?!(?:to|into|with|by|in|for|as) )[a-z]+))?"
_PAINT = r"make|paint|recolou?r|colou?r|dye|turn|render|fill|convert|change|transform|switch|set"
_OF_WHAT = r"(?: (?:of|for|on) {it})?"


def _recolor(found: re.Match[str], strength: Strength) -> Operation | None:
    color = parse_color(found["color"])
    if not is_noun(found.groupdict().get("owner") or ""):
        return None
    return color and Operation(effect="recolor", color=color, amount=strength.amount)


def _replace(found: re.Match[str], strength: Strength) -> Operation | None:
    color, source = parse_color(found["color"]), parse_color(found["source"])
    if not color or not source or not is_noun(found.groupdict().get("noun") or ""):
        return None
    return Operation(effect="replace", color=color, source=source, amount=strength.amount)


def _tint(found: re.Match[str], strength: Strength) -> Operation | None:
    named = found["color"]
    color = parse_color(_COMPARATIVES.get(named, named))
    negative = found.groupdict().get("degree") in NEGATIVE_DEGREES
    return color and Operation(effect="tint", color=color, amount=-strength.amount if negative else strength.amount)


def _glow(found: re.Match[str], strength: Strength) -> Operation | None:
    named = found["kind"]
    color = _GLOWS.get(named) or parse_color(named) if named else (255, 244, 224)
    return color and Operation(effect="glow", color=color, amount=strength.amount)


def color_rules() -> list[Rule]:
    """Return the rules, in the order in which they are tried."""
    article = r"(?:the |its |all |every |only )?(?:the )?"
    named = r"(?:{it}(?:'s?)? )?"
    glow = rf"(?:(?P<kind>warm|cool|cold|neon|{COLOR_PATTERN}) )?(?:(?:outer |inner )?glow(?:ing light)?|bloom|halo)"
    light = r"(?P<kind>warm|cool|cold) (?:light|lighting)"
    give = r"(?:(?:add|apply|use|create|put|have|give {it}) )?"
    where = r"(?: (?:to|around|on|over|behind) {it})?"
    shade = rf"(?P<color>{COLOR_PATTERN}|{'|'.join(_COMPARATIVES)})"
    table: list[tuple[str, Build]] = [
        (rf"(?:{_PAINT}) {named}(?:the |its |all )?(?:the )?colou?rs?{_OF_WHAT} (?:in)?to (?:be )?{_TO}", _recolor),
        (rf"(?:{_PAINT}) (?:the )?(?P<owner>[a-z]+) colou?rs? (?:in)?to {_TO}", _recolor),
        (rf"(?:{_PAINT}|give) {named}(?:the |its )?colou?rs?{_OF_WHAT} (?:be )?{_TO}", _recolor),
        (rf"(?:{_PAINT}) (?:{{it}} |colou?rs? )?from (?P<source>{COLOR_PATTERN}) to {_TO}", _replace),
        (rf"(?:{_PAINT}|replace|swap) {article}{_FROM} (?:(?:in)?to|with|by|in|for|as)? ?{_TO}", _replace),
        (rf"(?:{_PAINT}) {{it}} (?:(?:in)?to|in|with|as)? ?(?!snow$){_TO}", _recolor),
        (rf"{{make}} (?:in )?(?!snow$){_TO}", _recolor),
        (rf"(?:(?:{_PAINT}) )?(?:to |in |into )?(?!snow$){_TO}", _recolor),
        (rf"tint {{it}} (?:in |with )?{shade}", _tint),
        (rf"{give}{{some}}{shade} (?:tint|cast|hue|tinge|tone|overlay)(?: to {{it}})?", _tint),
        (rf"{{make}} {DEGREE} (?P<word>{shade})", _tint),
        (rf"{DEGREE} (?P<word>{shade})", _tint),
        (rf"(?:add|give {{it}}) {DEGREE} (?P<word>{shade})", _tint),
        (rf"(?:{{make}} )?(?P<color>{'|'.join(_COMPARATIVES)})", _tint),
        (rf"{give}{{some}}(?P<word>{glow}){{kind}}{where}", _glow),
        (rf"{give}{{some}}(?P<word>{light}){{kind}}{where}", _glow),
        (rf"(?:make|let|have) {{it}} glow(?: (?:in )?(?P<kind>{COLOR_PATTERN}))?", _glow),
    ]  # fmt: skip
    return [rule(pattern, build) for pattern, build in table]

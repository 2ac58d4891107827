"""Rules for sentences with a color ("make the red parts blue", "tint it green") or a number with its own unit."""

import re

from llm_dit.classical.instructions.english import COLOR_PATTERN, parse_color
from llm_dit.classical.instructions.rules import DEGREE, NEGATIVE_DEGREES, Build, Rule, Strength, is_noun, part_of, rule
from llm_dit.classical.operations import Operation, from_oklch, to_oklch
from llm_dit.color import Rgb

_WARM_LIGHT: Rgb = (255, 168, 76)
_COLD_LIGHT: Rgb = (120, 190, 255)
_GLOWS: dict[str, Rgb] = {"warm": _WARM_LIGHT, "cool": _COLD_LIGHT, "cold": _COLD_LIGHT, "neon": (80, 255, 230)}
_COMPARATIVES = {
    "redder": "red", "reddish": "red", "bluer": "blue", "bluish": "blue", "greener": "green", "greenish": "green",
    "yellower": "yellow", "yellowish": "yellow", "pinker": "pink", "pinkish": "pink", "purplish": "purple",
    "brownish": "brown", "browner": "brown", "greyish": "grey", "grayish": "gray",
}  # fmt: skip

_METALS: dict[str, Rgb] = {
    "gold": (214, 162, 48), "golden": (214, 162, 48), "silver": (178, 182, 190), "bronze": (164, 112, 52),
    "copper": (190, 108, 66), "chrome": (170, 178, 188), "brass": (198, 164, 72),
}  # fmt: skip

_TO = rf"(?P<word>(?:a |an )?(?P<color>{COLOR_PATTERN})(?: colou?r(?:ed)?)?)"
_FROM = rf"(?P<source>{COLOR_PATTERN})(?: (?P<noun>(?!(?:to|into|with|by|in|for|as) )[a-z]+))?"
_PAINT = r"make|paint|recolou?r|colou?r|dye|turn|render|fill|convert|change|transform|switch|set"
_OF_WHAT = r"(?: (?:of|for|on) {it})?"


def _recolor(found: re.Match[str], strength: Strength) -> Operation | None:
    color = parse_color(found["color"])
    owner = found.groupdict().get("owner") or ""
    if color is None or not is_noun(owner):
        return None
    part = part_of(owner) if owner else None
    return Operation(effect="recolor", color=color, amount=strength.amount, part=part)


def _replace(found: re.Match[str], strength: Strength) -> Operation | None:
    color, source = parse_color(found["color"]), parse_color(found["source"])
    if not color or not source or not is_noun(found.groupdict().get("noun") or ""):
        return None
    return Operation(effect="replace", color=color, source=source, amount=strength.amount)


def _gradient(found: re.Match[str], strength: Strength) -> Operation | None:
    first = parse_color(found["color"])
    named = found.groupdict().get("second")
    if first is None:
        return None
    second = parse_color(named) if named else None
    if named and second is None:
        return None
    if second is None:
        lightness, chroma, hue = to_oklch(first)
        first, second = (from_oklch(min(max(lightness + step, 0.1), 0.97), chroma * 0.9, hue) for step in (0.18, -0.18))
    words = found.string
    way = 0.0 if re.search(r"horizontal|left to right|sideways", words) else 45.0 if "diagonal" in words else 90.0
    return Operation(effect="gradient", color=first, second=second, size=way, amount=strength.amount)


def _outline(found: re.Match[str], strength: Strength) -> Operation | None:
    groups = found.groupdict()
    color = parse_color(groups["color"]) if groups.get("color") else None
    named = groups.get("number") or groups.get("ahead")
    size = float(named) if named else None
    width = {"thin": 0.5, "fine": 0.5, "thick": 2.0, "bold": 2.0, "wide": 2.0}.get(
        groups.get("width") or groups.get("after") or "", 1.0
    )
    if size is not None and not 0.5 <= size <= 500:
        return None
    return Operation(effect="outline", color=color, size=size, amount=strength.amount * width)


def _metal(found: re.Match[str], strength: Strength) -> Operation | None:
    return Operation(effect="metal", color=_METALS[found["metal"]], amount=strength.amount)


def _isolate(found: re.Match[str], strength: Strength) -> Operation | None:
    source = parse_color(found["source"])
    return source and Operation(effect="isolate", source=source) if strength.is_plain else None


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
    """Return the rules in matching order."""
    article = r"(?:the |its |all |every |only )?(?:the )?"
    named = r"(?:{it}(?:'s?)? )?"
    glow = rf"(?:(?P<kind>warm|cool|cold|neon|{COLOR_PATTERN}) )?(?:(?:outer |inner )?glow(?:ing light)?|bloom|halo)"
    light = r"(?P<kind>warm|cool|cold) (?:light|lighting)"
    give = r"(?:(?:add|apply|use|create|put|have|give {it}) )?"
    where = r"(?: (?:to|around|on|over|behind) {it})?"
    shade = rf"(?P<color>{COLOR_PATTERN}|{'|'.join(_COMPARATIVES)})"
    metal = rf"(?P<metal>{'|'.join(_METALS)})"
    of_metal = rf"(?:solid |pure |real |shiny |polished |brushed |metallic )*{metal}(?: metal)?"
    as_if = r"(?:like |made (?:out )?of |out of )(?:it (?:is|was) (?:made )?(?:out )?(?:of )?)?"
    kind = r"(?: (?:effect|look|style|texture|finish|foil|leaf|plating|metal|material|surface|feel|shine))"
    width = r"(?:(?P<width>thin|fine|thick|bold|wide) )?"
    ahead = r"(?:(?P<ahead>\d{1,3}) ?-?(?:px|pixels?)(?: (?:wide|thick))? )?"
    lines = "(?:outline|stroke|contour|border)(?: line| effect)?"
    plain_line, line_color = "(?:outline|stroke|border)", rf"(?P<color>{COLOR_PATTERN})"
    line = rf"{ahead}{width}(?:(?P<color>{COLOR_PATTERN}) )?{lines}(?: (?P<after>thin|thick))?"
    pixels = r"(?:,? (?:of |with )?(?P<number>\d{1,3}(?:\.\d+)?) ?-?(?:px|pixels?)(?: wide)?)?"
    ways = r"(?: (?:horizontally|vertically|diagonally|(?:from )?left to right|(?:from )?top to bottom))?"
    kinds = r"(?:(?:linear|smooth|soft|nice|horizontal|vertical|diagonal|colou?r|simple) )*"
    grades = "gradient(?: effect| fill| overlay)?"
    two = rf"(?P<color>{COLOR_PATTERN})(?: colou?r)? ?(?:to|and|into|-|with|&) ?(?P<second>{COLOR_PATTERN})"
    put = r"(?:(?:add|apply|use|create|put|give {it}|fill {it} with|make {it}|turn {it} into|colou?r {it} with) )?"
    on = r"(?: (?:on|over|to|across|in) {it})?"
    rest = r"(?: (?:in (?:full )?colou?r|colou?red|parts?|ones?|areas?|as it is|alone|untouched|visible))*"
    turned = r"(?:{make} |turn {it} (?:in)?to |convert {it} to )?"
    but = r"(?:except(?: for)?|but(?: for| keep| leave| not)?|besides|apart from|other than|and keep|keeping|with only)"
    the = rf"(?:the )?(?P<source>{COLOR_PATTERN}){rest}"
    others = "(?:make |turn )?(?:(?:everything|all) else|the rest|the others?)"
    table: list[tuple[str, Build]] = [
        (rf"{turned}(?:black-and-white|gr[ae]y-?scale|monochrome),? {but} {the}", _isolate),
        (rf"desaturate (?:everything|all|{{it}}) {but} {the}", _isolate),
        (rf"(?:everything|all) {but} {the} (?:in |to )?black-and-white", _isolate),
        (rf"(?:keep|leave) only {the}", _isolate),
        (rf"(?:keep|leave) (?:only )?{the},? (?:and )?{others} (?:in(?:to)? |to )?black-and-white", _isolate),
        (rf"(?:only|just) (?:keep )?(?:the )?(?P<source>{COLOR_PATTERN}) (?:in|has|with|keeps) colou?r", _isolate),
        (rf"{put}{{some}}{kinds}{grades}{on}(?: (?:from|of|with|in|,))?:? {two}{ways}", _gradient),
        (rf"{put}{{some}}{kinds}{two} {kinds}gradient{{kind}}{on}{ways}", _gradient),
        (rf"{put}{{some}}{kinds}(?P<color>{COLOR_PATTERN}) {kinds}gradient{{kind}}{on}{ways}", _gradient),
        (rf"(?:{{make}} )?(?:fade|fading|go|goes|going|blend) from {two}{ways}", _gradient),
        (rf"{give}{{some}}{line}{pixels}(?: (?:around|on|to|for|over|round) {{it}})?", _outline),
        (rf"{give}{{some}}{width}{plain_line}(?: (?:around|on|to) {{it}})? (?:in |of )?{line_color}{pixels}", _outline),
        (rf"(?:outline|stroke)(?: {{it}})?(?: (?:in|with)(?: an?)? {line_color}(?: line)?)?{pixels}", _outline),
        (rf"(?:{{make}} )?(?:look )?{as_if}{of_metal}{kind}?", _metal),
        (rf"{{make}} (?:metallic |solid |pure |real ){metal}", _metal),
        (rf"(?:turn|change|convert|transform) {{it}} into {of_metal}{kind}?", _metal),
        (rf"{give}{{some}}(?:{{it}} )?{of_metal}{kind}(?: (?:on|to|over) {{it}})?", _metal),
        (rf"{{make}} (?:an? )?{of_metal}{kind}", _metal),
        (rf"metallic {metal}", _metal),
        (rf"(?P<source>{COLOR_PATTERN}) (?:to|into) {_TO}", _replace),
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


# A number with its own unit: degrees, pixels, stops, levels, and absolute opacity.


_NUMBER = r"(?P<number>[+-]?\d{1,4}(?:\.\d+)?)"
_PLAIN_TURN = 30.0


def _hue(found: re.Match[str], strength: Strength) -> Operation:
    named = found.groupdict().get("number")
    return Operation(effect="hue", amount=float(named) if named else _PLAIN_TURN * strength.amount)


def _rotate(found: re.Match[str], strength: Strength) -> Operation | None:
    """Half a turn has its own words; plain "rotate it" is a quarter."""
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
    """Return the rules in matching order."""
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

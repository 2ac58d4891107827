"""Translating a Chinese clause into the plain English that the rules read: words by the lexicon, in the rules' order.

Only words without a meaning of their own are dropped. A clause with an unknown word is not understood, unless the word
names what is edited.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from llm_dit.classical.instructions.chinese_words import Order, joined, words_of


@dataclass(frozen=True)
class Clause:
    """A clause in plain words, and the original spelling of its names."""

    plain: str
    names: dict[str, str] = field(default_factory=dict[str, str])


def plain_clause(clause: str) -> Clause | None:
    """Return a clause in plain words, or None if its words fit no order that the rules read."""
    words = joined(words_of(clause))
    if any(word.kind == "not" for word in words):
        return None
    names = {word.plain: word.written for word in words if word.kind == "name" and word.plain != "it"}
    for order in _ORDERS:
        if (plain := order(Order(words))) is not None:
            return Clause(" ".join(plain.split()), names)
    return None


Arrange = Callable[[Order], str | None]


def _but(order: Order) -> str | None:
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


def _gradient(order: Order) -> str | None:
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


def _outline(order: Order) -> str | None:
    if order.take("noun", plain="outline") is None:
        return None
    width, color = order.take("width") or "", order.take("color") or ""
    number, strength, target = order.take("number"), order.strength(), order.target()
    size = f" of {number}" if number else ""
    return order.rest(f"add {strength} a {width} {color} outline{size} around {target}")


def _glow(order: Order) -> str | None:
    if order.take("noun", plain="glow") is None:
        return None
    color = order.take("color") or {"warmer": "warm", "cooler": "cool", None: ""}.get(order.take("adjective"), "?")
    strength, target = order.strength(), order.target()
    return order.rest(f"add a {strength} {color} glow to {target}", "verb") if color != "?" else None


def _light(order: Order) -> str | None:
    light = order.take("adjective", plain="warm light") or order.take("adjective", plain="cool light")
    strength, target = order.strength(), order.target()
    return order.rest(f"add a {strength} {light} to {target}") if light else None


def _metal(order: Order) -> str | None:
    if not order.has("metal"):
        return None
    metals = [metal for metal in order.all("metal") if metal]
    color = (
        order.take("color", plain="gold") or order.take("color", plain="silver") or order.take("color", plain="copper")
    )
    metal = metals[0] if metals else color
    return order.rest(f"make {order.target()} look like {metal}") if metal else None


def _tint(order: Order) -> str | None:
    if not order.has("color") or not (order.has("lean") or order.has("noun", plain="tint")):
        return None
    less = order.take("less") or order.take("down")
    order.drop("lean", "more", "up")
    order.take("noun", plain="tint")
    color, strength, target = order.take("color"), order.strength(), order.target()
    words = f"make {target} {strength} less {color}" if less else f"tint {target} {strength} {color}"
    return order.rest(words)


def _hue(order: Order) -> str | None:
    if order.take("noun", plain="hue") is None:
        return None
    order.drop("shift", "turn", "till")
    number = order.take("number")
    return order.rest(f"shift the hue of {order.target()}{f' by {number}' if number else ''}")


def _tool(order: Order) -> str | None:
    tool = order.take("tool")
    if tool is None:
        return None
    order.drop("strength", "number", "more", "turn")
    order.drop("tool")
    return order.rest(tool.format(it=order.target()), "make")


def _turn(order: Order) -> str | None:
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


def _remove(order: Order) -> str | None:
    if order.take("remove") is None:
        return None
    if order.take("noun", plain="color"):
        return order.rest(f"remove the colors from {order.target()}")
    named = order.part()
    return order.rest("delete it" if named == "it" else f"remove {named}")


def _to(order: Order) -> str | None:
    """What changes stands before 改成, the result after it."""
    at = next((index for index, word in enumerate(order.words) if word.kind == "to"), None)
    if at is None:
        return None
    before, after = Order(order.words[:at]), Order(order.words[at + 1 :])
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


def _both(plain: str, *orders: Order) -> str | None:
    return plain if all(order.rest(plain, "more") is not None for order in orders) else None


def _scale(order: Order) -> str | None:
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


def _colors(order: Order, way: str | None) -> str | None:
    """让颜色更鲜艳: the colors of a layer mean the layer."""
    described = order.take("adjective")
    if described is None:
        return None
    degree = {"more": "more", "less": "less", "increase": "more", "decrease": "less"}.get(way or "", "")
    strength, by, target = order.strength(), order.by(), order.target()
    return order.rest(f"make {target} {strength} {degree} {described} {by}")


def _simple(order: Order) -> str | None:
    """简化细节, 抹平细节."""
    if not order.has("verb") or order.take("noun", plain="details") is None:
        return None
    verb, strength = order.take("verb"), order.strength()
    return order.rest(f"{verb} {order.target()} {strength}")


def _verb(order: Order) -> str | None:
    verb = order.take("verb")
    if verb is None:
        return None
    order.drop("remove", "shift")
    target, strength, by = order.part(), order.strength(), order.by()
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


def _adjective(order: Order) -> str | None:
    degree = order.take("too") or order.take("less") or order.take("more") or ""
    not_enough = order.take("enough") is not None
    down = order.take("down")
    order.take("noun", plain="tint")
    order.take("noun", plain="color")
    described = order.take("adjective")
    if described is None:
        return None
    target, strength, by = order.part(), order.strength(), order.by()
    if degree == "too":
        return order.rest(f"{target} is too {described.removesuffix('er')}")
    if not_enough:
        return order.rest(f"{target} is not {described.removesuffix('er')} enough")
    degree = "less" if down else degree
    if described.startswith("half "):
        return order.rest(f"make {target} {described}")
    return order.rest(f"make {target} {strength} {degree} {described} {by}")


def _color(order: Order) -> str | None:
    color, target, strength = order.take("color"), order.target(), order.strength()
    order.take("noun", plain="color")
    return order.rest(f"make {target} {color} {strength}") if color else None


def _add(order: Order) -> str | None:
    """An addition that is not an effect would be a new object."""
    if order.take("add") is None:
        return None
    new = [name for name in (*order.all("name"), *order.all("unknown")) if name != "it"]
    return order.rest("add something new", "color", "number", "strength") if new else None


_ORDERS: tuple[Arrange, ...] = (
    _but,
    _gradient,
    _outline,
    _metal,
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

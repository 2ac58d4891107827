"""Forty things that people ask of a layer, each in English, in Chinese and in sloppy English, and what each means.

They were written down before the engine was made to understand them.
"""

from dataclasses import dataclass
from typing import Literal

from llm_dit.options import Shape
from tests.kit.edits import meanings as m

Language = Literal["English", "Chinese", "sloppy"]
LANGUAGES: tuple[Language, ...] = ("English", "Chinese", "sloppy")
_SCENES = ("scene",)
_PHOTOS = ("apple", "scene", "picture 2", "picture 13")
_BLUE, _GREEN, _YELLOW, _PINK, _RED, _WHITE = (
    (0, 0, 255),
    (0, 128, 0),
    (255, 255, 0),
    (255, 192, 203),
    (255, 0, 0),
    (255, 255, 255),
)
_WARM, _COLD = (0.3, 1.0), (-0.2, -1.0)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Something people ask for: how, on which layers, and what is to come of it.

    `meaning` is what an edit has to have done; `way` is what a refusal has to point to instead.
    """

    name: str
    words: tuple[str, str, str]
    layers: tuple[str, ...]
    shape: Shape = "keep"
    meaning: m.Meaning | None = None
    way: str = ""


def _kind(name: str, words: tuple[str, str, str], layers: tuple[str, ...], meaning: m.Meaning) -> Kind:
    return Kind(name=name, words=words, layers=layers, meaning=m.both(m.same_alpha, meaning))


def _reshaped(name: str, words: tuple[str, str, str], layers: tuple[str, ...], meaning: m.Meaning) -> Kind:
    return Kind(name=name, words=words, layers=layers, shape="new", meaning=meaning)


def _refused(name: str, words: tuple[str, str, str], layers: tuple[str, ...], way: str) -> Kind:
    return Kind(name=name, words=words, layers=layers, way=way)


KINDS: tuple[Kind, ...] = (
    _kind(
        "recolor",
        ("Change the color to blue", "把颜色改成蓝色", "chnage color to blue pls"),
        ("apple",),
        m.both(m.becomes(_BLUE, "fruit")),
    ),
    _kind(
        "recolor, a shade",
        ("Make it dark green", "变成深绿色", "make it a dark grean"),
        ("apple",),
        m.both(m.leans((-0.14, 0.11), "fruit", 0.05), m.lightness(-1, "fruit")),
    ),
    _kind(
        "one color into another",
        ("Change the red parts to blue", "把红色的部分改成蓝色", "red -> blue"),
        ("balloons",),
        m.both(m.becomes(_BLUE, "red"), m.still("yellow", "blue")),
    ),
    _kind(
        "a part by its color",
        ("Make the yellow one darker", "把黄色的调暗", "yellow one darker"),
        ("balloons",),
        m.both(m.lightness(-1, "yellow"), m.still("red", "blue")),
    ),
    _kind(
        "a garment",
        ("Change her jacket to green", "把她的外套改成绿色", "her jaket green plz"),
        ("person",),
        m.both(m.becomes(_GREEN, "jacket"), m.still("face", "hair", "trousers")),
    ),
    _kind(
        "the letters",
        ("Make the letters yellow", "把文字改成黄色", "make text yelow"),
        ("sign",),
        m.both(m.becomes(_YELLOW, "letters"), m.still("-letters")),
    ),
    _kind(
        "the sky",
        ("Make the sky pink", "把天空变成粉色", "sky pink"),
        ("landscape",),
        m.both(m.becomes(_PINK, "sky"), m.still("grass", "path")),
    ),
    _refused("a part that is not clear", ("Make the roof red", "把屋顶涂成红色", "roof red pls"), ("house",), "select"),
    _reshaped(
        "remove the background",
        ("Remove the background", "去掉背景", "bg remove pls"),
        _SCENES,
        m.both(m.gone("ground"), m.stays("cup")),
    ),
    _kind(
        "blur the background",
        ("Blur the background", "背景虚化", "blur bg a bit"),
        _SCENES,
        m.both(m.sharpness(-1, "ground"), m.still("cup")),
    ),
    _kind(
        "darken the background",
        ("Darken the background", "把背景调暗", "make backgroud darker"),
        _SCENES,
        m.both(m.lightness(-1, "ground"), m.still("cup")),
    ),
    _kind(
        "the background black and white",
        ("Make the background black and white", "背景变成黑白", "bg b&w"),
        _SCENES,
        m.both(m.grey("ground"), m.still("cup")),
    ),
    _kind("brighter", ("Make it brighter", "调亮一点", "brigther plz"), _PHOTOS, m.lightness(1)),
    _kind("darker by a number", ("Make it 20% darker", "调暗20%", "20% darker thx"), _PHOTOS, m.lightness(-1)),
    _kind("contrast", ("Increase the contrast", "提高对比度", "more contrst"), _PHOTOS, m.spread(1)),
    _kind(
        "less saturated",
        ("Make it less saturated", "降低饱和度", "less saturatd pls"),
        _PHOTOS,
        m.colorfulness(-1),
    ),
    _kind(
        "vibrant",
        ("Make it more vibrant", "让颜色更鲜艳", "can u make it more vibrent"),
        ("scene", "picture 2", "picture 13"),
        # Two thirds of picture 2 have the strongest colors that a screen can show.
        m.colorfulness(1, None, 0.02),
    ),
    _kind("warmer", ("Make it warmer", "色调暖一点", "warmer look"), ("scene", "picture 13"), m.leans(_WARM)),
    _kind(
        "hue",
        ("Shift the hue by 90 degrees", "色相偏移90度", "hue shift 90"),
        ("scene", "balloons"),
        m.turns_hue(90),
    ),
    _kind(
        "tint",
        ("Add a green tint", "加一点绿色调", "green tint plz"),
        ("scene", "picture 13"),
        m.leans((-0.14, 0.11)),
    ),
    _reshaped(
        "outline",
        ("Add a white outline", "加白色描边", "white outlin around it"),
        ("apple", "balloons", "house"),
        m.both(m.ring(_WHITE), m.still(None)),
    ),
    _kind(
        "gradient",
        ("Add a gradient from red to blue", "加上从红到蓝的渐变", "gradient red to blue"),
        ("house", "apple"),
        m.grades(_RED, _BLUE),
    ),
    _kind(
        "night",
        ("Make it look like night", "变成夜晚", "make it nite time"),
        ("landscape", "scene", "picture 13"),
        m.both(m.lightness(-1, None, (0.1, 1.0)), m.leans(_COLD)),
    ),
    _kind(
        "gold",
        ("Make it look like gold", "变成黄金质感", "gold effect"),
        ("apple", "sign", "picture 2"),
        m.both(m.becomes((212, 160, 50))),
    ),
    _kind(
        "black and white but for a color",
        ("Make everything black and white except the red", "除了红色都变成黑白", "b&w but keep red"),
        ("balloons",),
        m.both(m.grey("yellow"), m.grey("blue"), m.still("red")),
    ),
    _reshaped(
        "drop shadow",
        ("Add a drop shadow", "加投影", "drop shaddow"),
        ("apple", "balloons", "sign"),
        m.both(m.falls, m.still(None)),
    ),
    _refused(
        "drop shadow in the same shape",
        ("Put a drop shadow under it", "给它加个投影", "needs a dropshadow"),
        ("apple", "sign"),
        "new_shape",
    ),
    _reshaped(
        "glow",
        ("Add a warm glow", "加暖色光晕", "warm glow pls"),
        ("apple", "house"),
        m.both(m.reaches_out, m.leans(_WARM, None, 0.003)),
    ),
    _kind(
        "vintage",
        ("Make it look vintage", "做成复古风格", "old photo look"),
        ("balloons", "landscape", "picture 13"),
        m.like_old_paper,
    ),
    _kind("black and white", ("Make it black and white", "变成黑白", "b/w"), _PHOTOS, m.grey()),
    _kind("invert", ("Invert the colors", "反相", "invert colours"), _PHOTOS, m.negative),
    _kind("sharpen", ("Sharpen it", "锐化一下", "make it sharper plz"), ("scene", "picture 13"), m.sharpness(1)),
    _kind("blur", ("Blur it by 8 pixels", "模糊8像素", "blur 8px"), ("scene", "picture 13"), m.sharpness(-1)),
    _reshaped(
        "flip", ("Flip it horizontally", "水平翻转", "flip horizontaly"), ("apple", "person", "picture 2"), m.mirrored
    ),
    _reshaped(
        "transparency",
        ("Make it 50% transparent", "透明度50%", "50% transparant"),
        ("apple", "scene"),
        m.both(m.fades(0.5), m.still(None)),
    ),
    _reshaped(
        "turn by a quarter",
        ("Rotate it by 90 degrees", "旋转90度", "rotate 90 deg"),
        ("apple", "person", "balloons"),
        m.quarter_turned,
    ),
    _refused("size", ("Make it bigger", "放大一点", "biger"), ("apple", "scene"), "resize"),
    _refused("place", ("Move it to the left", "往左移", "move left a lil"), ("apple", "scene"), "move"),
    _refused("delete", ("Delete it", "删除它", "delete this layer"), ("apple", "scene"), "delete"),
    _refused("something new", ("Add a hat", "加一顶帽子", "put hat on him"), ("person",), "model"),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One wording of a kind."""

    kind: Kind
    language: Language
    instruction: str


def asked() -> list[Asked]:
    """Return all 120."""
    return [
        Asked(kind=kind, language=language, instruction=words)
        for kind in KINDS
        for language, words in zip(LANGUAGES, kind.words, strict=True)
    ]

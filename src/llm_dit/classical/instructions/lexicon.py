"""What people call colors (CSS names together or apart, a few more, #hex, rgb(), "light", "dark", …) and things."""

import re

from PIL import ImageColor

from llm_dit.classical.effects.picture import from_oklch, to_oklch
from llm_dit.classical.operations import Part, PartKind
from llm_dit.color import Rgb

# Words for colors that people use and CSS does not have.
_MORE_NAMES = {
    "amber": "#ffbf00", "apricot": "#fbceb1", "burgundy": "#800020", "charcoal": "#36454f", "copper": "#b87333",
    "cream": "#fff8dc", "emerald": "#2ea86b", "golden": "#ffc526", "jade": "#00a86b", "lilac": "#c8a2c8",
    "mauve": "#b784a7", "mint": "#98ebc0", "mustard": "#d9a520", "navy blue": "#000080", "ochre": "#cc7722",
    "peach": "#ffcba4", "rose": "#f4627d", "ruby": "#c21e44", "rust": "#b7410e", "sapphire": "#0f52ba",
    "scarlet": "#ff2400", "terracotta": "#e2725b",
}  # fmt: skip
# By name alone: Pillow puts the values of those that it was asked for in the place of their texts.
_NAMES = {name: ImageColor.getrgb(_MORE_NAMES.get(name, name)) for name in (*ImageColor.colormap, *_MORE_NAMES)}

# Change of OKLCh lightness and factor on chroma; a CSS name such as "lightblue" wins over its modifier.
_MODIFIERS = {
    "light": (0.16, 0.8),
    "lighter": (0.16, 0.8),
    "pale": (0.24, 0.5),
    "pastel": (0.2, 0.5),
    "dark": (-0.14, 0.9),
    "darker": (-0.14, 0.9),
    "deep": (-0.1, 1.0),
    "bright": (0.02, 1.25),
    "vivid": (0.0, 1.3),
    "dull": (-0.02, 0.5),
    "muted": (0.0, 0.5),
}

# The first words of CSS names that people write apart: "light sea green", "rebecca purple".
_PREFIXES = [
    "alice", "antique", "blanched", "blue", "burly", "cadet", "corn", "cornflower", "dark", "deep", "dim", "dodger",
    "fire", "floral", "forest", "ghost", "gold", "golden", "green", "hot", "indian", "lavender", "lawn", "lemon",
    "light", "lime", "medium", "midnight", "mint", "misty", "navajo", "off", "old", "olive", "orange", "pale",
    "papaya", "peach", "powder", "rebecca", "red", "rosy", "royal", "saddle", "sandy", "sea", "sky", "slate",
    "spring", "steel", "violet", "white", "yellow", "navy",
]  # fmt: skip


def _spaced(name: str) -> str:
    """Return the pattern that takes a name written as one word, apart or with hyphens."""
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
COLOR_WORDS = frozenset([*_NAMES, *_PREFIXES, *_MODIFIERS])


def parse_color(text: str) -> Rgb | None:
    """Return the sRGB color (0–255 each) that a lower-case text names, or None."""
    joined = re.sub(r"[ -]", "", text)
    if text.startswith(("#", "rgb", "hsl")):
        return _css_value(text)
    for name, value in _NAMES.items():
        if name.replace(" ", "") == joined:
            return value[:3]
    modifier, _, rest = text.replace("-", " ").partition(" ")
    color = parse_color(rest) if modifier in _MODIFIERS else None
    return color and _modified(color, *_MODIFIERS[modifier])


def _css_value(text: str) -> Rgb | None:
    try:
        # CSS takes spaces in place of the commas, too.
        red, green, blue = ImageColor.getrgb(re.sub(r"(?<=[\d%]) +(?=[\d.])", ",", text))[:3]
    except ValueError:
        return None
    return (red, green, blue) if max(red, green, blue) <= 255 else None


def _modified(color: Rgb, lighter: float, stronger: float) -> Rgb:
    lightness, chroma, hue = to_oklch(color)
    return from_oklch(min(max(lightness + lighter, 0.0), 1.0), chroma * stronger, hue)


# Things: how what a name means can be found in a layer. A name that is not here is a thing of its own.


# By the kind of part and its key, the words for it, most of them in the singular.
_NOUNS: dict[tuple[PartKind, str], str] = {
    ("ground", "background"): "background backdrop back-ground",
    ("letters", "letters"): "letter text word lettering writing title caption slogan headline typography font",
    (
        "garment",
        "upper garment",
    ): "jacket coat shirt t-shirt tshirt tee sweater hoodie blouse vest cardigan blazer jumper",
    ("garment", "lower garment"): "trouser pant jean skirt short legging",
    ("garment", "garment"): "dress clothes clothing outfit gown robe uniform suit costume kimono",
    ("garment", "hat"): "hat cap beanie helmet",
    ("garment", "shoes"): "shoe boot sneaker sock",
    ("natural", "sky"): "sky",
    ("natural", "plant"): "grass leaf leaves foliage lawn meadow",
    ("natural", "water"): "sea ocean water lake river",
    ("natural", "sun"): "sun",
    ("natural", "fire"): "fire flame",
    ("natural", "snow"): "snow",
    ("natural", "lips"): "lip lipstick",
    ("scenery", "scenery"): (
        "cloud moon star path road tree flower bush plant hill mountain forest building street fence bridge rock "
        "stone sand fruit"
    ),
    ("piece", "piece"): (
        "roof door window wall floor ceiling chimney wheel tire tyre eye eyebrow nose mouth ear face skin hair "
        "beard hand finger arm leg foot feet head body neck tail wing horn handle button strap collar sleeve "
        "pocket belt tie scarf glove glasses stripe dot border rim lid petal stem trunk branch pupil tooth teeth "
        "nail headlight seat"
    ),
}
_KINDS = {word: key for key, words in _NOUNS.items() for word in words.split()}
# Things that people name often. Known words are never slips of the keyboard, and stand without an article.
_THINGS = (
    "subject object foreground person people man woman boy girl child kid baby figure character car truck bus "
    "bike boat ship plane train house tower castle rose beach field garden park city animal cat dog horse "
    "bird fish bear lion tiger rabbit mouse cow sheep duck butterfly dragon robot ball balloon box bag bottle "
    "cup glass plate bowl vase lamp candle chair table desk bed sofa book phone laptop camera clock watch "
    "umbrella sign flag poster card ticket badge icon arrow heart circle square triangle rectangle shape line "
    "crown ring gift cake pizza burger apple orange banana cherry lemon grape pumpkin carrot tomato bread egg "
    "coffee milk ghost witch skull spider monster alien rocket planet earth logo screen pattern"
)
THINGS = frozenset([*_KINDS, *_THINGS.split()])
# What is no slip of a word that is known: said of layers, but not understood.
_NO_SLIPS = (
    "shape shade shine brand grace brown drown class grass glass great group grown grade grape graph trace "
    "place plane light night right fight sight might eight weight height crown clean clear climb cloud close "
    "could would should there their these those three throw think thing thick thin thank black block blank "
    "bleak bland blend blond blood bloom bright bring brick white while write wrote whole where which other "
    "under after again about above below beach peach reach teach leach bench read bold hair pair chair fair "
    "wide wise side size wool wood word work world warn worm cork fold told sold hold good food mood moon noon "
    "soon more move love live line lime time tile mile male sharp shark share stare store shore score snore "
    "shirt skirt short sport spot stop step steep sleep sheep sheet street sweet sweat table cable stable "
    "texture mixture picture culture color colour blurb burn turn torn corn horn inverse convert revert divert "
    "avert expert flop flap clip slip ship chip tint hint mint lint print paint point joint pain gain main rain "
    "train brain drain grain fade face fact fast last cast past post most lost cost coast toast roast boast "
    "cool pool tool wall call tall small smell shell still skill spill"
)
OTHER_WORDS = frozenset(_NO_SLIPS.split())

_ARTICLE = re.compile(
    r"^(?:all )?(?:of )?(?:(?:the|this|that|my|its|these|those|all|his|her|their|your|our|a|an)(?: |$))+"
)
_COLORED = re.compile(rf"(?P<color>{PLAIN_COLORS})(?:[- ]?colou?red)?(?: [a-z-]+)?")


def part_of(name: str) -> Part:
    """Return what a name such as "her old jacket" or "the red ones" means."""
    bare = _ARTICLE.sub("", name)
    if colored := _COLORED.fullmatch(bare):
        return Part(kind="color", key="color", name=bare, color=parse_color(colored["color"]))
    words = re.findall(r"[a-z][a-z-]*", bare.replace("'s", ""))
    other: tuple[PartKind, str] = ("thing", "thing")
    kind, key = next((_KINDS[form] for word in words[-1:] for form in _forms(word) if form in _KINDS), other)
    return Part(kind=kind, key=key, name=bare)


def is_thing(word: str) -> bool:
    """Whether a word, or its singular, is the name of something."""
    return any(form in THINGS for form in _forms(word))


def _forms(word: str) -> tuple[str, ...]:
    return (word, word.removesuffix("s"), word.removesuffix("es"))

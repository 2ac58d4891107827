"""The vocabulary of the classical engine: one row per effect and direction, then colors and things.

The patterns are for lower-case text with single spaces; `rules.py` holds the English around them.
"""

import re
from dataclasses import dataclass

from PIL import ImageColor

from llm_dit.classical.operations import PartKind, from_oklch, to_oklch
from llm_dit.color import Rgb


@dataclass(frozen=True, kw_only=True)
class Row:
    """The words for one effect in one direction; each of `verbs`, `adjectives`, `nouns` is a pattern, "" for none.

    They form "verb it", "make it (more) adjective" and "add/increase/more noun"; `phrases` are full patterns with {it}.
    `step` > 0 marks a scale: the plain word multiplies by 1 + step, or divides if `down`. With `step` 0 the strength
    itself is the amount, and "less" means the effect named in `reverse`, if any.
    """

    effect: str
    verbs: str = ""
    adjectives: str = ""
    nouns: str = ""
    phrases: str = ""
    step: float = 0.0
    down: bool = False
    reverse: str = ""


ROWS = (
    Row(
        effect="cutout",
        verbs="cut out|isolate|extract",
        phrases="(?:remove|erase|delete|clear|drop|get rid of|take (?:away|off|out)|cut (?:out|away|off)|strip) "
        "(?:the |its |any |this )?(?:whole )?(?:back ?ground|backdrop)(?: (?:from|of|behind) {it})?"
        "|(?:make|turn) (?:the |its )?background (?:transparent|invisible)|transparent background"
        "|(?:give {it} |add )a transparent background|keep only the (?:subject|foreground)"
        "|(?:cut|take|clear|get) (?:the |its )?background (?:away|out|off)|no background"
        "|without (?:a |the |its )?background",
    ),
    Row(
        effect="brightness",
        verbs="brighten(?: up)?|lighten(?: up)?|light up|illuminate",
        adjectives="bright(?:er)?|light(?:er)?|luminous",
        nouns="brightness|luminosity|luminance|lightness|light",
        step=0.3,
    ),
    Row(
        effect="brightness",
        verbs="darken|dim",
        adjectives="dark(?:er)?|dim(?:mer)?",
        nouns="darkness",
        step=0.3,
        down=True,
    ),
    Row(effect="exposure", verbs="expose", adjectives="exposed", nouns="exposure", step=0.4),
    Row(effect="contrast", adjectives="contrast(?:y|ing|ed)", nouns="contrast", step=0.35),
    Row(
        effect="saturation",
        verbs="saturate",
        adjectives="saturated|colou?rful",
        nouns="(?:colou?r )?saturation|colou?r intensity|chroma",
        step=0.4,
    ),
    Row(effect="saturation", adjectives="dull(?:er)?|muted|subdued", verbs="mute|tone down", step=0.4, down=True),
    Row(effect="saturation", verbs="desaturate", adjectives="desaturated", step=1.5, down=True),
    Row(
        effect="vibrance",
        verbs="(?:enhance|boost|intensify) (?:the )?colou?rs(?: of| in)?",
        adjectives="vibrant|vivid|lively|livelier|punchy|punchier|intense|pop",
        nouns="vibrance|vibrancy|vividness|punch",
        step=0.5,
    ),
    Row(
        effect="warmth",
        verbs="warm(?: up)?",
        adjectives="warm(?:er)?|cosy|cosier|cozy|cozier|sunny|sunnier",
        nouns="warmth|(?:colou?r )?temperature",
        step=1.0,
    ),
    Row(
        effect="warmth",
        verbs="cool(?: down| off)?",
        adjectives="cool(?:er)?|cold(?:er)?|icy|icier|frosty",
        nouns="coolness|coldness",
        step=1.0,
        down=True,
    ),
    Row(
        effect="opacity",
        verbs="fade(?: out)?",
        adjectives="(?:semi-?)?transparent|translucent|see-through|sheer",
        nouns="transparency|translucency",
        step=1.0,
        down=True,
    ),
    Row(effect="opacity", adjectives="opaque|solid", nouns="opacity", step=1.0),
    Row(
        effect="blur",
        verbs="blur|soften|defocus",
        adjectives="blurr(?:y|ier|ed)|soft(?:er)?|out of focus|defocused",
        nouns="(?:gaussian |lens )?blur|blurriness|softness",
        reverse="sharpen",
    ),
    Row(
        effect="sharpen",
        verbs="sharpen(?: up)?|(?:enhance|bring out|emphasi[sz]e) the (?:fine )?details?(?: of| in)?",
        adjectives="sharp(?:er)?|crisp(?:er)?",
        nouns="sharpness|sharpening|crispness|clarity",
        reverse="blur",
    ),
    Row(
        effect="simplify",
        verbs="simplify|smooth(?:en)?(?: out)?|declutter"
        "|(?:reduce|remove|lower|lessen) (?:the )?(?:amount of )?(?:fine |small )?(?:visual )?"
        "(?:details?|texture|complexity)(?: of| in)?",
        adjectives="simple|simpler|simplified|less detailed|smooth(?:er)?|cleaner",
        nouns="simplification|smoothing",
        phrases="(?:use |with )?(?:less|fewer) details?(?: in {it})?",
    ),
    Row(
        effect="greyscale",
        adjectives="gr[ae]y-?scale|black-and-white|monochrom(?:e|atic)|colou?rless",
        nouns="gr[ae]y-?scale|black-and-white|monochrome",
        phrases="(?:remove|take out|drop|strip) (?:all )?(?:the |its )?colou?rs?(?: (?:from|of) {it})?"
        "|(?:change|turn|convert|set) (?:all )?(?:the |its )?colou?rs? (?:in)?to (?:black-and-white|gr[ae]y-?scale)",
    ),
    Row(
        effect="invert",
        verbs="invert|negate",
        adjectives="inverted|a? ?negative",
        nouns="(?:colou?r )?inversion",
        phrases="(?:invert|reverse) (?:all )?(?:the |its )?colou?rs(?: of {it})?",
    ),
    Row(effect="sepia", adjectives="sepia(?:[ -]toned)?", nouns="sepia(?:[ -]ton(?:e|ing))?"),
    Row(
        effect="vintage",
        adjectives="vintage|retro|old|older|old-fashioned|nostalgic|aged|antique"
        "|like (?:an? |it is )?(?:old|vintage|retro)(?: photo(?:graph)?| picture| film)?",
        nouns="vintage|retro|old[ -]photo|old[ -]film",
    ),
    Row(
        effect="sunset",
        adjectives="like (?:a |the |at )?(?:sunset|golden hour|dusk)",
        nouns="(?:soft |warm )?(?:sunset|golden[ -]hour)(?: (?:glow|light|lighting|colou?rs))?",
    ),
    Row(
        effect="shadow",
        verbs="shade|deepen the shadows(?: of| in)?|darken the shadows(?: of| in)?|(?:enhance|strengthen) the shadows",
        adjectives="shaded|shadowy",
        phrases="make the shadows (?:darker|deeper|stronger)",
        nouns="(?:deep |deeper |dark |darker )?shadows|shading",
    ),
    Row(effect="cast", nouns="drop[ -]?shadows?|(?:cast |falling |long )?shadow"),
    Row(
        effect="night",
        adjectives="(?:like )?(?:at |in the )?(?:night(?:[ -]?time)?|moonlight)|nocturnal|moonlit",
        nouns="night(?:[ -]?time)?|moonlight",
        phrases="(?:turn|change|convert|transform)(?: {it})? (?:from day )?(?:in)?to (?:the )?night(?:[ -]?time)?"
        "|(?:(?:turn|change|make) )?day (?:in)?to night",
    ),
    Row(effect="vignette", verbs="vignette", nouns="(?:dark )?vignette|vignetting"),
    Row(effect="grain", adjectives="grainy|grainier", nouns="(?:film )?grain"),
    Row(effect="posterize", verbs="posteri[sz]e", adjectives="posteri[sz]ed", nouns="posteri[sz]ation"),
    Row(
        effect="pixelate",
        verbs="pixelate|pixeli[sz]e",
        adjectives="pixelated|like pixel art",
        nouns="pixelation|pixel art",
    ),
    Row(
        effect="mirror",
        verbs="mirror|flip|flop",
        phrases="(?:flip|mirror|reflect|reverse)(?: {it})? (?P<word>horiz(?:ontal(?:ly)?)?|sideways|left to right)"
        "|(?:flip|mirror)(?: {it})? (?:along|on|around|about) the (?:vertical|y)[ -]axis",
    ),
    Row(
        effect="flip",
        phrases="(?:flip|mirror|reflect|reverse)(?: {it})? (?P<word>vert(?:ical(?:ly)?)?|top to bottom|up-down)"
        "|(?:flip|mirror)(?: {it})? (?:along|on|around|about) the (?:horizontal|x)[ -]axis",
    ),
    Row(
        effect="turn",
        phrases="(?:rotate|turn|spin|flip)(?: {it})? (?:by )?(?:180(?: ?°| degrees?)?|half a turn|a half turn)"
        "|(?:rotate|turn|spin|flip)(?: {it})? upside[ -]down"
        "|(?:put|make) {it} upside[ -]down|upside[ -]down",
    ),
    # Tools of the page.
    Row(
        effect="resize",
        verbs="enlarge|shrink|resize|re-?scale|scale(?: up| down)?|magnify",
        adjectives="big(?:ger)?|small(?:er)?|large(?:r)?|tiny|tinier|huge|taller|wider|narrower"
        "|double (?:the|its) size|half (?:the|its) size",
        phrases="(?:double|halve|change|increase|decrease|reduce) (?:the |its )?size(?: of {it})?"
        "|twice as (?:big|large)"
        "|half as (?:big|large)|(?:make )?(?:{it} )?(?:bigger|smaller|larger)",
        reverse="resize",
    ),
    Row(
        effect="move",
        verbs="move|cent(?:er|re)|nudge|reposition",
        phrases="(?:(?:move|shift|put|place|drag|nudge|push|slide|position|bring)(?: {it})?)?"
        "(?: ?(?:over|further|more|just|to|on|at|in|into|by|towards?|from|a))*(?: ?the)?"
        " ?(?:left|right|upwards?|downwards?|up|down|(?:top|bottom|upper|lower)(?:[ -](?:left|right))?"
        "|cent(?:er|re)|middle|corner)"
        "(?: (?:left|right|top|bottom))?(?: (?:side|corner|half|edge))?(?: (?:by )?[0-9]{1,4} ?(?:px|pixels?))?",
    ),
    Row(effect="hide", verbs="hide|show|unhide"),
    Row(effect="duplicate", verbs="duplicate|copy|clone"),
    Row(effect="undo", verbs="undo|revert"),
    Row(effect="delete", verbs="delete|erase|remove|trash|get rid of|take away|take out"),
)

TOOLS = frozenset({"resize", "move", "hide", "duplicate", "undo", "delete"})
"""What a tool of the page does with a layer, and no effect does."""

SCALES = frozenset(row.effect for row in ROWS if row.step)


# Colors: CSS names as one word or several, a few more, #hex, rgb(), "light", "dark", …

# Common color words that CSS lacks.
_MORE_NAMES = {
    "amber": "#ffbf00", "apricot": "#fbceb1", "burgundy": "#800020", "charcoal": "#36454f", "copper": "#b87333",
    "cream": "#fff8dc", "emerald": "#2ea86b", "golden": "#ffc526", "jade": "#00a86b", "lilac": "#c8a2c8",
    "mauve": "#b784a7", "mint": "#98ebc0", "mustard": "#d9a520", "navy blue": "#000080", "ochre": "#cc7722",
    "peach": "#ffcba4", "rose": "#f4627d", "ruby": "#c21e44", "rust": "#b7410e", "sapphire": "#0f52ba",
    "scarlet": "#ff2400", "terracotta": "#e2725b",
}  # fmt: skip
# Names only: Pillow replaces the text of each requested color with its value.
_NAMES = {name: ImageColor.getrgb(_MORE_NAMES.get(name, name)) for name in (*ImageColor.colormap, *_MORE_NAMES)}

# Change of OKLCh lightness and factor on chroma; a CSS name such as "lightblue" wins over its modifier.
_MODIFIERS = {
    "light": (0.16, 0.8), "lighter": (0.16, 0.8), "pale": (0.24, 0.5), "pastel": (0.2, 0.5),
    "dark": (-0.14, 0.9), "darker": (-0.14, 0.9), "deep": (-0.1, 1.0), "bright": (0.02, 1.25),
    "vivid": (0.0, 1.3), "dull": (-0.02, 0.5), "muted": (0.0, 0.5),
}  # fmt: skip

# The first words of CSS names that people write as several: "light sea green", "rebecca purple".
_PREFIXES = [
    "alice", "antique", "blanched", "blue", "burly", "cadet", "corn", "cornflower", "dark", "deep", "dim", "dodger",
    "fire", "floral", "forest", "ghost", "gold", "golden", "green", "hot", "indian", "lavender", "lawn", "lemon",
    "light", "lime", "medium", "midnight", "mint", "misty", "navajo", "off", "old", "olive", "orange", "pale",
    "papaya", "peach", "powder", "rebecca", "red", "rosy", "royal", "saddle", "sandy", "sea", "sky", "slate",
    "spring", "steel", "violet", "white", "yellow", "navy",
]  # fmt: skip


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


# The words for each kind of part and key, mostly in the singular.
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
KINDS = {word: key for key, words in _NOUNS.items() for word in words.split()}
# Things that people often name. Known words are never taken for typos, and need no article.
_THINGS = (
    "subject object foreground person people man woman boy girl child kid baby figure character car truck bus "
    "bike boat ship plane train house tower castle rose beach field garden park city animal cat dog horse "
    "bird fish bear lion tiger rabbit mouse cow sheep duck butterfly dragon robot ball balloon box bag bottle "
    "cup glass plate bowl vase lamp candle chair table desk bed sofa book phone laptop camera clock watch "
    "umbrella sign flag poster card ticket badge icon arrow heart circle square triangle rectangle shape line "
    "crown ring gift cake pizza burger apple orange banana cherry lemon grape pumpkin carrot tomato bread egg "
    "coffee milk ghost witch skull spider monster alien rocket planet earth logo screen pattern"
)
THINGS = frozenset([*KINDS, *_THINGS.split()])


def is_thing(word: str) -> bool:
    """Whether a word, or its singular, names a thing."""
    return any(form in THINGS for form in singulars(word))


def singulars(word: str) -> tuple[str, ...]:
    """Return a word and its possible singular."""
    return (word, word.removesuffix("s"), word.removesuffix("es"))

"""The names of things: how what they name can be found in a layer. A name that is not here is a thing of its own."""

import re

from llm_dit.classical.instructions.colors import PLAIN_COLORS, parse_color
from llm_dit.classical.operations import Part, PartKind

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
    kind, key = next((found for word in reversed(words[-1:]) if (found := _kind_of(word))), ("thing", "thing"))
    return Part(kind=kind, key=key, name=bare)


def is_thing(word: str) -> bool:
    """Whether a word, or its singular, is the name of something."""
    return any(form in THINGS for form in _forms(word))


def _kind_of(word: str) -> tuple[PartKind, str] | None:
    return next((_KINDS[form] for form in _forms(word) if form in _KINDS), None)


def _forms(word: str) -> tuple[str, ...]:
    return (word, word.removesuffix("s"), word.removesuffix("es"))

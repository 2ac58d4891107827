"""Colors as people write them: CSS names with or without spaces, a few more names, #hex, rgb(), "light", "dark", …"""

import re

from PIL import ImageColor

from llm_dit.classical.effects.oklab import from_oklch, to_oklch
from llm_dit.color import Rgb

# Words for colors that people use and CSS does not have.
_MORE_NAMES = {
    "amber": "#ffbf00",
    "apricot": "#fbceb1",
    "burgundy": "#800020",
    "charcoal": "#36454f",
    "copper": "#b87333",
    "cream": "#fff8dc",
    "emerald": "#2ea86b",
    "golden": "#ffc526",
    "jade": "#00a86b",
    "lilac": "#c8a2c8",
    "mauve": "#b784a7",
    "mint": "#98ebc0",
    "mustard": "#d9a520",
    "navy blue": "#000080",
    "ochre": "#cc7722",
    "peach": "#ffcba4",
    "rose": "#f4627d",
    "ruby": "#c21e44",
    "rust": "#b7410e",
    "sapphire": "#0f52ba",
    "scarlet": "#ff2400",
    "terracotta": "#e2725b",
}
_NAMES: dict[str, str] = {name: str(value) for name, value in ImageColor.colormap.items()} | _MORE_NAMES

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
    "alice",
    "antique",
    "blanched",
    "blue",
    "burly",
    "cadet",
    "corn",
    "cornflower",
    "dark",
    "deep",
    "dim",
    "dodger",
    "fire",
    "floral",
    "forest",
    "ghost",
    "gold",
    "golden",
    "green",
    "hot",
    "indian",
    "lavender",
    "lawn",
    "lemon",
    "light",
    "lime",
    "medium",
    "midnight",
    "mint",
    "misty",
    "navajo",
    "off",
    "old",
    "olive",
    "orange",
    "pale",
    "papaya",
    "peach",
    "powder",
    "rebecca",
    "red",
    "rosy",
    "royal",
    "saddle",
    "sandy",
    "sea",
    "sky",
    "slate",
    "spring",
    "steel",
    "violet",
    "white",
    "yellow",
    "navy",
]


def _spaced(name: str) -> str:
    """Return the pattern that takes a name written as one word, apart or with hyphens."""
    apart = name.replace(" ", "[ -]?")
    parts: list[str] = []
    while prefix := next((p for p in sorted(_PREFIXES, key=len, reverse=True) if _splits(apart, p)), None):
        parts.append(prefix)
        apart = apart[len(prefix) :]
    return "[ -]?".join([*parts, apart])


def _splits(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and len(name) > len(prefix) + 2


def _longest_first(names: list[str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_ANY_NAME = _longest_first([_spaced(name) for name in _NAMES])
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
            return _css_value(value)
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

"""Colors as people write them."""

import re

from llm_dit.errors import InputError

Rgb = tuple[int, int, int]
"""Red, green and blue, 0–255."""
Rgba = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0–255."""

_HEX = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def read_color(text: str) -> Rgba:
    """Return the color that "#rrggbb" or "#rrggbbaa" names; raises `InputError` for anything else."""
    if not _HEX.fullmatch(text):
        raise InputError("background must be a color as #rrggbb or #rrggbbaa.", param="background")
    red, green, blue, alpha = bytes.fromhex(text[1:].ljust(8, "f"))
    return red, green, blue, alpha

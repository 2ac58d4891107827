"""Short names for layers: what color, and where."""

import cv2
import numpy as np

from llm_dit.classical.segment import Floats
from llm_dit.naming import VOCABULARIES, Language

HUES = (
    (15, "Red"), (42, "Orange"), (68, "Yellow"), (165, "Green"), (200, "Turquoise"),
    (255, "Blue"), (290, "Purple"), (345, "Pink"), (361, "Red"),
)  # fmt: skip

FILLS = 0.5
"""The mean alpha from which the lowest layer is the background."""


def layer_names(colors: list[Floats], alphas: list[Floats], language: Language) -> list[str]:
    """Return a name for each layer, such as "Blue, top left"; no two are the same.

    The lowest is the "Background", unless most of the picture is clear there.

    `colors` are (n, 3) RGB 0–255 samples of each layer, `alphas` (height, width) small copies of its alpha, 0–1.
    """
    vocabulary = VOCABULARIES[language]
    names = [vocabulary.word("Background")] if alphas[0].mean() > FILLS else []
    for sample, alpha in list(zip(colors, alphas, strict=True))[len(names) :]:
        name = vocabulary.describe(color_name(sample), place_name(alpha))
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name} {number}", number + 1
        names.append(unique)
    return names


def color_name(sample: Floats) -> str:
    """Return the English name of the most frequent color of a sample."""
    bins = (sample // 43).astype(int) @ np.array([36, 6, 1])
    common = sample[bins == np.bincount(bins).argmax()].mean(axis=0)
    hue, lightness, saturation = cv2.cvtColor(
        np.asarray(common, np.float32).reshape(1, 1, 3) / np.float32(255), cv2.COLOR_RGB2HLS
    )[0, 0]
    chroma = (1 - abs(2 * lightness - 1)) * saturation
    if lightness > 0.93 or (lightness > 0.85 and chroma < 0.12):
        return "White"
    if lightness < 0.09:
        return "Black"
    if chroma < 0.1:
        return "Dark gray" if lightness < 0.35 else "Light gray" if lightness > 0.68 else "Gray"
    name = next(name for limit, name in HUES if hue < limit)
    if name in ("Orange", "Red", "Yellow") and lightness < 0.38 and chroma < 0.6:
        return "Brown"
    if lightness < 0.25:
        return f"Dark {name.lower()}"
    return f"Light {name.lower()}" if lightness > 0.75 else name


def place_name(alpha: Floats) -> str:
    """Return where most of a layer lies: "center", "top left", "bottom", … or "throughout"."""
    height, width = alpha.shape
    total = float(alpha.sum()) + 1e-9
    x = float((alpha.sum(axis=0) * (np.arange(width) + 0.5)).sum()) / total / width
    y = float((alpha.sum(axis=1) * (np.arange(height) + 0.5)).sum()) / total / height
    columns, rows = np.flatnonzero(alpha.max(axis=0) > 0.3), np.flatnonzero(alpha.max(axis=1) > 0.3)
    if len(columns) > 0.8 * width and len(rows) > 0.8 * height:
        return "throughout"
    down = "top" if y < 0.37 else "bottom" if y > 0.63 else ""
    across = "left" if x < 0.37 else "right" if x > 0.63 else ""
    return " ".join(word for word in (down, across) if word) or "center"

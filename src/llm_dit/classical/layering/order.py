"""Which layer lies over which, and what each one looks like where another covers it; short names for them."""

from collections.abc import Mapping

import cv2
import numpy as np

from llm_dit.classical.layering.regions import Floats, Labels, Mask
from llm_dit.names import VOCABULARIES, Language

FRAMING = 0.4
"""The share of the outline of all from which the lowest layer is taken to lie behind all."""
OUTLINED = 40
"""At most as many parts of a thing, those of which most is hidden, are completed by their outlines."""
LEAK = 0.03
"""The share of a shape that its completed outline may cover where the picture shows something else."""


def stack_order(groups: Labels) -> list[int]:
    """Return the group numbers from bottom to top; group 0, the ground, is the bottom of what fills its frame.

    A shape that is interrupted lies under what interrupts it: the convex hull of the lower one covers more of the
    upper one than the other way round (the closure and convexity cues of figure and ground; Ren et al., "Figure/ground
    assignment in natural images", ECCV 2006).
    """
    bottom = [0] if fills_frame(groups) else []
    numbers = list(range(len(bottom), int(groups.max()) + 1))
    seen = [groups == number for number in numbers]
    hulls = [hull_of(mask) for mask in seen]
    covered = np.array([[float((hull & mask).sum()) / float(mask.sum()) for mask in seen] for hull in hulls])
    above = (covered.T - covered) if numbers else np.zeros((0, 0))
    left, order = list(range(len(numbers))), bottom
    while left:
        lowest = min(left, key=lambda one: float(above[one, left].sum()))
        left.remove(lowest)
        order.append(numbers[lowest])
    return order


def fills_frame(seen: Labels) -> bool:
    """Return whether the lowest of the layers `seen` lies behind all that shows: that is so in a picture that is opaque
    or cut out as a rectangle or an ellipse, where the lowest is a good part of the outline."""
    shown = seen >= 0
    if shown.all():
        return True
    outline = shown & (cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) == 0)
    if float((seen[outline] == 0).mean()) < FRAMING:
        return False
    frames = _outlines(shown, np.zeros_like(shown))[1:]
    return min(float((frame != shown).sum()) for frame in frames) < LEAK * float(shown.sum())


def hull_of(mask: Mask) -> Mask:
    """Return the union of the convex hulls of the mask's parts."""
    hull = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        cv2.fillConvexPoly(hull, cv2.convexHull(contour), 1)
    return hull > 0


def complete(mask: Mask, covering: Mask, *, outlined: bool) -> Mask:
    """Return the mask continued under `covering` where its outline tells how.

    Parts joined by what covers them are taken as one thing. Where it is `outlined`, an ellipse, a rectangle or the
    convex hull is accepted when it explains what is seen of the thing (good continuation, Kanizsa 1979); else only
    holes are closed, and so in the many small parts of confetti.
    """
    if not outlined:
        return mask | _closed(mask, covering)
    count, parts = cv2.connectedComponents((mask | covering).astype(np.uint8))
    hidden = np.bincount(parts[covering], minlength=count) * (np.bincount(parts[mask], minlength=count) > 0)
    hidden[0] = 0
    largest = np.argsort(-hidden, kind="stable")[:OUTLINED]
    result = mask | _closed(mask & ~np.isin(parts, largest), covering)
    for part in largest[hidden[largest] > 0].tolist():
        inside = parts == part
        result |= _completed_part(mask & inside, covering & inside) & covering
    return result


def _completed_part(seen: Mask, covering: Mask) -> Mask:
    area = float(seen.sum())
    best, shape = LEAK, _closed(seen, covering)
    for candidate in _outlines(seen, covering):
        wrong = float((candidate & ~seen & ~covering).sum() + (seen & ~candidate).sum()) / area
        if wrong < best:
            best, shape = wrong, candidate
    return shape | seen


def _outlines(seen: Mask, covering: Mask) -> list[Mask]:
    """Return simple shapes that fit what is seen."""
    contours, _ = cv2.findContours(seen.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(contours).astype(np.int32)
    shapes = []
    hull = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    shapes.append(hull > 0)
    box = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(box, cv2.boxPoints(cv2.minAreaRect(points)).round().astype(np.int32), 1)
    shapes.append(box > 0)
    near = cv2.dilate(covering.astype(np.uint8), np.ones((5, 5), np.uint8))
    free = points[near[points[:, 0, 1], points[:, 0, 0]] == 0]
    height, width = seen.shape
    free = free[(free[:, 0, 0] > 1) & (free[:, 0, 1] > 1) & (free[:, 0, 0] < width - 2) & (free[:, 0, 1] < height - 2)]
    if len(free) > 20:
        oval = np.zeros(seen.shape, np.uint8)
        centre, axes, angle = cv2.fitEllipseDirect(free)
        if max(axes) < 3 * max(seen.shape) and min(axes) > 1:
            cv2.ellipse(oval, (centre, axes, angle), 1, -1)
            shapes.append(oval > 0)
    return shapes


def _closed(seen: Mask, covering: Mask) -> Mask:
    """Return what is seen with its holes filled where they are covered."""
    count, parts = cv2.connectedComponents((~seen).astype(np.uint8))
    holes = np.asarray(parts, np.int32)
    border = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    inner = ~np.isin(np.arange(count), border)
    return inner[holes] & covering


HUES = (
    (15, "Red"), (42, "Orange"), (68, "Yellow"), (165, "Green"), (200, "Turquoise"),
    (255, "Blue"), (290, "Purple"), (345, "Pink"), (361, "Red"),
)  # fmt: skip

FILLS = 0.5
"""The mean alpha from which the lowest layer is the background."""


def layer_names(
    colors: list[Floats], alphas: list[Floats], language: Language, known: Mapping[int, str] | None = None
) -> list[str]:
    """Return a name for each layer, such as "Blue, top left"; no two are the same.

    The lowest is the "Background", unless most of the picture is clear there.

    `known` has the names of layers, by their number, that need none of color and place.
    `colors` are (n, 3) RGB 0–255 samples of each layer, `alphas` (height, width) small copies of its alpha, 0–1.
    """
    vocabulary = VOCABULARIES[language]
    names = [vocabulary.word("Background")] if alphas[0].mean() > FILLS else []
    for sample, alpha in list(zip(colors, alphas, strict=True))[len(names) :]:
        name = (known or {}).get(len(names)) or vocabulary.describe(color_name(sample), place_name(alpha))
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

"""One step of an edit, as the parser asks for it and the effects carry it out."""

from dataclasses import dataclass
from typing import Literal

from llm_dit.color import Rgb

PartKind = Literal["thing", "ground", "color", "letters", "garment", "natural", "scenery", "piece"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What of a layer is meant: how it can be found, and the `name` that the user gave it, such as "her jacket".

    A "thing" is the layer's subject, the "ground" what lies around that; a "color" has its `color`. "letters", a
    "garment" and what has a "natural" color are looked for by their colors, `key` says which one in English; a "piece"
    of a thing and "scenery" have none to go by.
    """

    kind: PartKind
    key: str
    name: str
    color: Rgb | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An effect and how much of it.

    `amount` is a factor ≥ 0 for a scale (1 changes nothing), degrees for "hue" and "rotate" (clockwise), −1…1 for
    "tint", and a strength (1 is the plain effect) for everything else. `color` is the target, `second` where a
    gradient ends, `source` the only color to change, or the one that stays. `size` is a count in the effect's own
    unit: pixels of a blur, levels of a posterization, degrees of a gradient's way (0 to the right, 90 down). `part`
    is what of the layer is meant, None for all of it.
    """

    effect: str
    amount: float = 1.0
    color: Rgb | None = None
    second: Rgb | None = None
    source: Rgb | None = None
    size: float | None = None
    part: Part | None = None

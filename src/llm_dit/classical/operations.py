"""One step of an edit, as the parser asks for it and the effects carry it out."""

from dataclasses import dataclass

from llm_dit.color import Rgb


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An effect and how much of it.

    `amount` is a factor ≥ 0 for a scale (1 changes nothing), degrees for "hue", −1…1 for "tint", and a strength
    (1 is the plain effect) for everything else. `color` is the target, `source` the only color to change.
    `size` is a count in the effect's own unit: pixels of a blur, levels of a posterization.
    """

    effect: str
    amount: float = 1.0
    color: Rgb | None = None
    source: Rgb | None = None
    size: float | None = None

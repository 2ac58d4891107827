"""Does an instruction do to a layer what it says?"""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from llm_dit.classical.instructions.parsing import parse_instruction
from llm_dit.errors import InstructionError
from llm_dit.options import Shape
from llm_dit.pipelines.classical import NEEDS_NEW_SHAPE, edit_image
from tests.kit.edits.measures import goal, look_at

Outcome = Literal["moved", "no room", "nothing to do", "WRONG WAY", "ALPHA CHANGED", "NOT REFUSED"]
GOOD: frozenset[Outcome] = frozenset({"moved", "no room", "nothing to do"})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One instruction on one layer: the measure before and after, and what came of it."""

    instruction: str
    layer: str
    measure: str
    before: float
    after: float
    outcome: Outcome


def try_instruction(instruction: str, name: str, layer: Image.Image) -> Trial:
    """Carry out one instruction and judge it."""
    (operation,) = parse_instruction(instruction)
    shape: Shape = "new" if operation.effect in NEEDS_NEW_SHAPE else "keep"
    wanted = goal(operation)
    before = look_at(layer)
    after, outcome = before, "nothing to do"
    try:
        edited = edit_image(layer, instruction, 0, shape)
    except InstructionError:
        # Only a color or a part that is named may be missing from a layer.
        may_miss = operation.source is not None or operation.part is not None
        outcome = "nothing to do" if may_miss else "WRONG WAY"
    else:
        after = look_at(edited)
        if shape == "keep" and edited.getchannel("A").tobytes() != layer.getchannel("A").tobytes():
            outcome = "ALPHA CHANGED"
        elif shape == "new" and not _is_refused(layer, instruction):
            outcome = "NOT REFUSED"
        elif wanted.reached(before, after):
            outcome = "moved"
        elif operation.effect == "cutout" and (after.rgb == before.rgb)[before.alpha > 0].all():
            outcome = "nothing to do"
        else:
            outcome = "no room" if wanted.full(before) else "WRONG WAY"
    return Trial(
        instruction=instruction,
        layer=name,
        measure=wanted.name,
        before=round(wanted.measure(before, before), 5),
        after=round(wanted.measure(before, after), 5),
        outcome=outcome,
    )


def _is_refused(layer: Image.Image, instruction: str) -> bool:
    try:
        edit_image(layer, instruction, 0, "keep")
    except InstructionError:
        return True
    return False

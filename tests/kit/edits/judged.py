"""What came of an instruction: applied as meant, refused with a way to get there or without, or applied wrongly."""

from dataclasses import dataclass
from typing import Literal

from llm_dit.errors import InstructionError
from llm_dit.pipelines.classical import edit_image
from tests.kit.edits.asked import Asked
from tests.kit.edits.meanings import Trial
from tests.kit.edits.measures import look_at
from tests.kit.edits.pictured import Pictured

Verdict = Literal["as meant", "refused with a way", "refused", "WRONG"]
LONGEST_REFUSAL = 160
"""Characters."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The verdict on one wording, the worst over its layers; `said` is the refusal."""

    asked: Asked
    verdict: Verdict
    where: str = ""
    said: str = ""


def judge(asked: Asked, layers: dict[str, Pictured]) -> Judged:
    """Carry out an instruction on every layer of its kind that is there, and judge it."""
    verdicts = [_on(asked, name, layers[name]) for name in asked.kind.layers if name in layers]
    order: tuple[Verdict, ...] = ("WRONG", "refused", "refused with a way", "as meant")
    return min(verdicts, key=lambda judged: order.index(judged.verdict))


def _on(asked: Asked, name: str, pictured: Pictured) -> Judged:
    try:
        edited = edit_image(pictured.layer, asked.instruction, 0, asked.kind.shape)
    except InstructionError as error:
        way = error.hint.get("tool") or error.hint.get("way", "") if hasattr(error, "hint") else ""
        # A kind that has a meaning may be refused by pointing anywhere; one that has none must point to its own place.
        helps = way != "" and asked.kind.way in {"", way} and len(error.message) <= LONGEST_REFUSAL
        verdict: Verdict = "refused with a way" if helps else "refused"
        return Judged(asked=asked, verdict=verdict, where=name, said=f"[{way}] {error.message}")
    trial = Trial(look_at(pictured.layer), look_at(edited), pictured.parts)
    meant = asked.kind.meaning is not None and asked.kind.meaning(trial)
    return Judged(asked=asked, verdict="as meant" if meant else "WRONG", where=name)

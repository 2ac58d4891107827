"""Which pipeline runs: the names of the configuration, and the classes that they stand for."""

from dataclasses import dataclass
from typing import Literal

from llm_dit.errors import EngineError
from server.settings import Settings

QWEN_HINT = (
    "The Qwen-Image engine is not part of this version yet: its pipeline, the extra `llm-dit[qwen]` and an accelerator "
    "will be needed. Until then the classical engine carries out every request."
)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A pipeline by name; `pipeline` is `module:Class`, imported in the worker process only."""

    name: str
    label: str
    device: str
    pipeline: str
    hint: str = ""


ENGINES = {
    "classical": Engine(
        name="classical",
        label="Classical · CPU",
        device="cpu",
        pipeline="llm_dit.pipelines.classical:ClassicalPipeline",
        hint=QWEN_HINT,
    ),
}


def choose_engine(settings: Settings) -> Engine:
    """Return the engine that the settings ask for; raises `EngineError` when it cannot run here."""
    wanted: Literal["classical", "qwen"] = "classical" if settings.engine == "auto" else settings.engine
    if wanted not in ENGINES:
        raise EngineError(f'{QWEN_HINT} Set engine = "auto" or "classical".')
    return ENGINES[wanted]

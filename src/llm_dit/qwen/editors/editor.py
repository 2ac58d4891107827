"""What an edit model is to the rest of the house: which checkpoints are its own, what it takes, and how a run starts.

The service asks for what a model takes and has no torch: only what loads or runs a model imports it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_dit.options import QWEN_IMAGE, RunDefaults

if TYPE_CHECKING:
    from llm_dit.qwen.sampling.encoding import Encodings
    from llm_dit.qwen.sampling.running import Run, Start


@dataclass(frozen=True, kw_only=True)
class Editor(ABC):
    """An edit model.

    `pipeline` is the diffusers class that `model_index.json` names, `name` what people call the model. An instruction
    may have `text_tokens`. `defaults` are its steps and guidance.
    """

    pipeline: str
    name: str
    text_tokens: int
    defaults: RunDefaults = QWEN_IMAGE

    @abstractmethod
    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        """Return what our own loop starts from; what `encodings` has kept is not encoded again."""

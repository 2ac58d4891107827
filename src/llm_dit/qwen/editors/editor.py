"""What an edit model is to the rest of the house: which checkpoints are its own, what it takes, and how a run starts.

The service asks for what a model takes and has no torch: only what loads or runs a model imports it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from llm_dit.errors import InputError
from llm_dit.layers import over_white
from llm_dit.options import QWEN_IMAGE, RunDefaults

if TYPE_CHECKING:
    from llm_dit.qwen.sampling.encoding import Encodings
    from llm_dit.qwen.sampling.running import Run, Start

NO_REFERENCES = "This edit model takes no references: leave them out, or use Qwen-Image-Edit-2509 or 2511."


@dataclass(frozen=True, kw_only=True)
class Editor(ABC):
    """An edit model.

    `pipeline` is the diffusers class that `model_index.json` names, `name` what people call the model, `hub` where the
    hub has it. It takes up to `references` pictures beside the layer. An instruction may have `text_tokens`, of which
    each reference takes `picture_tokens`. `defaults` are its steps and guidance.
    """

    pipeline: str
    name: str
    hub: tuple[str, ...]
    references: int
    text_tokens: int
    picture_tokens: int
    defaults: RunDefaults = QWEN_IMAGE

    def check_references(self, count: int) -> None:
        """Raise `InputError` when the model does not take so many pictures beside the layer."""
        if count <= self.references:
            return
        if self.references == 0:
            raise InputError(NO_REFERENCES, param="references")
        raise InputError(f"{self.name} takes up to {self.references} references: leave some out.", param="references")

    def room_for_text(self, references: int) -> int:
        """Return how many tokens a text may have beside so many references."""
        return self.text_tokens - references * self.picture_tokens

    def reference(self, picture: Image.Image) -> Image.Image:
        """Return a reference as the model gets it: what is transparent in it over white."""
        return Image.fromarray(over_white(np.asarray(picture.convert("RGBA"))))

    @abstractmethod
    def start(self, pipeline: Any, run: "Run", encodings: "Encodings") -> "Start":
        """Return what our own loop starts from; what `encodings` has kept is not encoded again."""

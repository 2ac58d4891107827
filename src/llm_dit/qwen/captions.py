"""The caption that the text encoder writes when there is no prompt, kept per image."""

import hashlib
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image

from llm_dit.pipelines.base import Progress, ProgressCallback

MAX_TOKENS = 512
"""How long the pipeline lets a caption be."""
KEPT = 64


class Captions:
    """Writes captions and remembers the latest by the picture's pixels and the language."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()

    def caption(self, pipeline: Any, picture: Image.Image, *, english: bool, progress: ProgressCallback) -> str:
        """Return the caption of `picture`, as `QwenImageLayeredPipeline` writes it.

        `progress` hears of every token ("captioning", of at most 512) and ends the writing by raising.
        """
        key = _key(picture, english)
        if key not in self._texts:
            self._texts[key] = _write(pipeline, picture, english, progress)
        self._texts.move_to_end(key)
        while len(self._texts) > KEPT:
            self._texts.popitem(last=False)
        return self._texts[key]


def _key(picture: Image.Image, english: bool) -> str:
    about = f"{picture.mode} {picture.size} {english}".encode()
    return hashlib.sha256(about + picture.tobytes()).hexdigest()


def _write(pipeline: Any, picture: Image.Image, english: bool, progress: ProgressCallback) -> str:
    tokens = 0

    def count(*_: Any) -> None:
        nonlocal tokens
        tokens += 1
        progress(Progress(phase="captioning", step=tokens, total=MAX_TOKENS))

    hook = pipeline.text_encoder.register_forward_hook(count)
    try:
        with torch.no_grad():
            return pipeline.get_image_caption(picture, use_en_prompt=english, device=pipeline._execution_device)
    finally:
        hook.remove()

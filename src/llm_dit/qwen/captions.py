"""The caption that the text encoder writes when there is no prompt, kept per image."""

import hashlib
import logging
from collections import OrderedDict
from typing import Any

import torch
from PIL import Image

from llm_dit.pipelines.base import Progress, ProgressCallback
from llm_dit.qwen.transformer import is_fused
from llm_dit.qwen.writing import recorder_of, why_not_greedy, write_greedily

logger = logging.getLogger(__name__)

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

    device = pipeline._execution_device
    why = why_not_greedy(pipeline.text_encoder.generation_config) if is_fused(pipeline) else "fused = false"
    if not why:
        question = pipeline.image_caption_prompt_en if english else pipeline.image_caption_prompt_cn
        inputs = pipeline.vl_processor(text=question, images=picture, padding=True, return_tensors="pt").to(device)
        record = recorder_of(pipeline.text_encoder, device)
        written = write_greedily(pipeline.text_encoder, inputs, MAX_TOKENS, count, record=record)
        (text,) = pipeline.vl_processor.batch_decode(
            [written], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text.strip()
    logger.info("The caption is written by transformers' generate: %s", why)
    hook = pipeline.text_encoder.register_forward_hook(count)
    try:
        with torch.no_grad():
            return pipeline.get_image_caption(picture, use_en_prompt=english, device=device)
    finally:
        hook.remove()

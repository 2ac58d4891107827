"""Encodings made before a run, and cached: captions of pictures without a prompt, texts, and pictures."""

import hashlib
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from transformers import LogitsProcessorList, RepetitionPenaltyLogitsProcessor, StaticCache

from llm_dit.qwen.forward.graphs import Recorder, Replay, recorder_for
from llm_dit.qwen.forward.transformer import Branch, is_fused
from llm_dit.runs import Progress, ProgressCallback

logger = logging.getLogger(__name__)


# The caption that the text encoder writes if there is no prompt.

IGNORED = {"bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "_from_model_config"} | {
    # How `generate` works and what else it returns; transformers 5 sets some of these by default.
    *("use_cache", "output_attentions", "output_hidden_states", "output_scores", "output_logits"),
    *("return_dict_in_generate", "disable_compile", "compile_config", "cache_implementation"),
}
UNDERSTOOD = {"do_sample", "temperature", "top_k", "top_p", "repetition_penalty"}
COLD = 1e-3
"""At or below this temperature sampling is greedy; the published checkpoint has 1e-6."""


def why_not_greedy(settings: Any) -> str:
    """Return why a model's `GenerationConfig` does not decode greedily; "" if it does."""
    if settings.do_sample and (settings.temperature is None or settings.temperature > COLD):
        return "its generation_config.json asks for samples"
    others = sorted(settings.to_diff_dict().keys() - IGNORED - UNDERSTOOD)
    return f"its generation_config.json has {others[0]}" if others else ""


ROOM = 256
"""A cache's length is a multiple of this many tokens, so that pictures of similar shape share it."""


class Writer:
    """Greedy decoding with a text encoder over a static key-value cache.

    The cache and its recording stay for the next text if the weights have not moved.
    """

    def __init__(self, record: Recorder | None = None) -> None:
        self._record = record
        self._key: object = None
        self._step: _Step | None = None

    @torch.no_grad()
    def write(self, encoder: Any, inputs: Any, limit: int, on_token: Callable[[], None]) -> list[int]:
        """Return the tokens that follow `inputs`, one text; at most `limit`, including the end token.

        They equal those of `encoder.generate`. `on_token` is called for each token and may raise to stop.
        """
        settings = encoder.generation_config
        penalty = settings.repetition_penalty or 1.0
        rules = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(penalty)] if penalty != 1.0 else [])
        ends = settings.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        text: Any = inputs["input_ids"]
        start = text.shape[1]
        positions, shift = _positions(encoder, inputs)
        step = self._step_of(encoder, start + limit)
        logits = step.read(inputs, positions)
        while True:
            scores: Any = logits[:, -1].float()
            token = rules(text, scores).argmax(-1, keepdim=True)
            text = torch.cat([text, token], dim=1)
            on_token()
            written = text.shape[1] - start
            if written == limit or int(token) in ends:
                return text[0, start:].tolist()
            logits = step.read_next(token, (start + written - 1 + shift).view(1, 1, 1))

    def _step_of(self, encoder: Any, length: int) -> "_Step":
        room = math.ceil(length / ROOM) * ROOM
        key = room, *(parameter.data_ptr() for parameter in encoder.parameters())
        if self._step is None or key != self._key:
            self._step = None  # free its memory for the new one
            self._key, self._step = key, _Step(encoder, room, self._record)
        return self._step


class _Step:
    """A text encoder's prefill of at most `room` tokens, then its decoding of one token at a time."""

    def __init__(self, encoder: Any, room: int, record: Recorder | None) -> None:
        self._encoder = encoder
        self._cache: Any = StaticCache(config=encoder.config, max_cache_len=room)
        self._options = {"past_key_values": self._cache, "use_cache": True, "logits_to_keep": 1}
        device = encoder.device
        self._last = torch.zeros(1, 1, dtype=torch.long, device=device)
        self._here = torch.zeros(1, 1, 1, dtype=torch.long, device=device)
        self._replay = Replay(
            lambda: encoder(input_ids=self._last, position_ids=self._here.expand(3, 1, 1), **self._options).logits,
            lambda: [layer.cumulative_length.sub_(1) for layer in self._cache.layers],
            record,
        )

    def read(self, inputs: Any, positions: torch.Tensor) -> torch.Tensor:
        """Return the logits (1, 1, vocabulary) after a text, which starts the cache."""
        self._cache.reset()
        return self._encoder(**inputs, position_ids=positions, **self._options).logits

    def read_next(self, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Return the logits after the next token."""
        self._last.copy_(token)
        self._here.copy_(position)
        return self._replay()


def recorder_of(encoder: Any, device: torch.device) -> Recorder | None:
    """Return the recorder for a step of `encoder`; None if weights are fetched layer by layer, or without CUDA."""
    there = all(parameter.device.type == device.type for parameter in encoder.parameters())
    return recorder_for(device) if there else None


def _positions(encoder: Any, inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the positions (3, 1, tokens) of the input, and the offset of the positions that follow."""
    text = inputs["input_ids"]
    if "mm_token_type_ids" not in inputs or "image_grid_thw" not in inputs:
        plain = torch.arange(text.shape[1], device=text.device)
        return plain.expand(3, 1, -1), plain.new_zeros(1)
    return encoder.model.get_rope_index(
        text,
        mm_token_type_ids=inputs["mm_token_type_ids"],
        image_grid_thw=inputs["image_grid_thw"],
        attention_mask=inputs["attention_mask"],
    )


MAX_TOKENS = 512
"""The pipeline's limit for a caption, in tokens."""
CAPTIONS = 64
"""Captions in the cache."""


class Captions:
    """Writes captions and caches the latest by the picture's pixels and the language."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._writer: Writer | None = None

    def caption(self, pipeline: Any, picture: Image.Image, *, english: bool, progress: ProgressCallback) -> str:
        """Return the caption of `picture`, as `QwenImageLayeredPipeline` writes it.

        `progress` is called for every token ("captioning", at most 512) and may raise to stop.
        """
        key = _key_of_caption(picture, english)
        if key not in self._texts:
            self._texts[key] = self._write(pipeline, picture, english, progress)
        self._texts.move_to_end(key)
        while len(self._texts) > CAPTIONS:
            self._texts.popitem(last=False)
        return self._texts[key]

    def _write(self, pipeline: Any, picture: Image.Image, english: bool, progress: ProgressCallback) -> str:
        tokens = 0

        def count(*_: Any) -> None:
            nonlocal tokens
            tokens += 1
            progress(Progress(phase="captioning", step=tokens, total=MAX_TOKENS))

        encoder, device = pipeline.text_encoder, pipeline._execution_device
        why = why_not_greedy(encoder.generation_config) if is_fused(pipeline) else "fused = false"
        if not why:
            question = pipeline.image_caption_prompt_en if english else pipeline.image_caption_prompt_cn
            inputs = pipeline.vl_processor(text=question, images=picture, padding=True, return_tensors="pt").to(device)
            record = recorder_of(encoder, device)
            # Nothing is kept if weights come and go, or after an error, which may be one of memory.
            self._writer, writer = None, (self._writer if record else None) or Writer(record)
            written = writer.write(encoder, inputs, MAX_TOKENS, count)
            self._writer = writer if record else None
            (text,) = pipeline.vl_processor.batch_decode(
                [written], skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            return text.strip()
        logger.info("The caption is written by transformers' generate: %s", why)
        hook = encoder.register_forward_hook(count)
        try:
            with torch.no_grad():
                return pipeline.get_image_caption(picture, use_en_prompt=english, device=device)
        finally:
            hook.remove()


def _key_of_caption(picture: Image.Image, english: bool) -> str:
    about = f"{picture.mode} {picture.size} {english}".encode()
    return hashlib.sha256(about + picture.tobytes()).hexdigest()


# The text encoder's and the VAE's results, cached by content, so that nothing is encoded twice.

LIMIT = 256_000_000
"""Bytes on the host. A text with a picture takes about 10 MB, a picture of 1024² half of 1 MB."""
Tensors = tuple[torch.Tensor | None, ...]


class Encodings:
    """Encodes, and caches the latest results on the host within `limit` bytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Tensors] = OrderedDict()

    def text(self, pipeline: Any, text: str, *, image: Sequence[Image.Image] = (), **options: Any) -> Branch:
        """Return the branch of a text and its pictures."""
        shown = {"image": list(image)} if image else {}

        def encode() -> Tensors:
            return pipeline.encode_prompt(text, device=pipeline._execution_device, **shown, **options)

        content = [part for each in image for part in (f"{each.mode} {each.size}".encode(), each.tobytes())]
        key = _key(pipeline, "text", text.encode(), repr(options).encode(), *content)
        embeds, mask = self._get(key, encode, pipeline._execution_device)
        assert embeds is not None
        return Branch(embeds=embeds, mask=mask)

    def picture(self, pipeline: Any, pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return the latents of a picture, given as (1, channels, 1, height, width) in −1 … 1."""

        def encode() -> Tensors:
            # A picture's latents are the mode of the VAE's distribution: nothing is sampled.
            shown = pixels.to(device=pipeline._execution_device, dtype=dtype)
            return (pipeline._encode_vae_image(image=shown, generator=None),)

        key = _key(pipeline, "picture", f"{tuple(pixels.shape)} {dtype}".encode(), pixels.numpy().tobytes())
        (latents,) = self._get(key, encode, pipeline._execution_device)
        assert latents is not None
        return latents

    def _get(self, key: str, encode: Callable[[], Tensors], device: torch.device) -> Tensors:
        if key not in self._kept:
            self._kept[key] = tuple(None if each is None else each.cpu() for each in encode())
        self._kept.move_to_end(key)
        found = self._kept[key]
        while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > self._limit:
            self._kept.popitem(last=False)
        return tuple(None if each is None else each.to(device) for each in found)


def _key(pipeline: Any, kind: str, *content: bytes) -> str:
    digest = hashlib.sha256(f"{type(pipeline).__name__} {kind}".encode())
    for part in content:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()


def _bytes(tensors: Tensors) -> int:
    return sum(each.numel() * each.element_size() for each in tensors if each is not None)

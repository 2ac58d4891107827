"""What the text encoder and the VAE made of texts and pictures, kept by content: the same is not encoded twice."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image

from llm_dit.qwen.forward.transformer import Branch

LIMIT = 256_000_000
"""Bytes on the host. A text that comes with a picture has about 10 MB, a picture of 1024² half of one."""
Tensors = tuple[torch.Tensor | None, ...]


class Encodings:
    """Encodes, and remembers the latest results within `limit` bytes; they wait on the host."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Tensors] = OrderedDict()

    def text(self, pipeline: Any, text: str, *, image: Sequence[Image.Image] = (), **options: Any) -> Branch:
        """Return the branch that a text leads, and the pictures that it is about."""
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
            # A picture's latents are the mode of what the VAE tells: nothing is drawn.
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

"""What a run starts from, made with diffusers' own functions."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import QwenImageEditPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage_layered import retrieve_timesteps
from PIL import Image

from llm_dit.qwen.forward.transformer import Branch, Shapes

# What the text encoder and the VAE made of texts and pictures, kept by content: the same is not encoded twice.

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


MAX_CAPTION_TOKENS = 512
"""What `QwenImageLayeredPipeline` reads of a prompt."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is asked of a model. `size` is width and height in pixels; `layers` None means an edit."""

    image: Image.Image
    size: tuple[int, int]
    prompt: str
    negative_prompt: str
    scale: float
    steps: int
    generator: torch.Generator
    layers: int | None = None
    resolution: int = 0
    normalize: bool = True

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that lead it; guidance of 1 is none."""
        return (self.prompt, self.negative_prompt) if self.scale > 1 else (self.prompt,)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Noise and condition as tokens (1, tokens, channels), the branches that lead, and the schedule."""

    latents: torch.Tensor
    condition: torch.Tensor
    branches: list[Branch]
    timesteps: torch.Tensor
    shapes: Shapes
    scale: float
    normalize: bool


@torch.no_grad()
def prepare(pipeline: Any, run: Run, encodings: Encodings) -> Start:
    """Return the start of `run`; what `encodings` has kept is not encoded again."""
    return _edit(pipeline, run, encodings) if run.layers is None else _layers(pipeline, run, run.layers, encodings)


def reads_it_whole(pipeline: Any) -> bool:
    """Whether the text encoder reads the picture as large as the VAE sees it, as of the first edit model."""
    return isinstance(pipeline, QwenImageEditPipeline)


def _layers(pipeline: Any, run: Run, layers: int, encodings: Encodings) -> Start:
    width, height = run.size
    shown = pipeline.image_processor.resize(run.image, height, width)
    pixels = pipeline.image_processor.preprocess(shown, height, width).unsqueeze(2)
    branches = [encodings.text(pipeline, text, max_sequence_length=MAX_CAPTION_TOKENS) for text in run.texts]
    dtype = branches[0].embeds.dtype
    latents, condition = pipeline.prepare_latents(
        encodings.picture(pipeline, pixels, dtype),
        1,
        pipeline.transformer.config.in_channels // 4,
        height,
        width,
        layers,
        dtype,
        pipeline._execution_device,
        run.generator,
    )
    mu = (condition.shape[1] / (256 * 256 / 16 / 16)) ** 0.5
    return Start(
        latents=latents,
        condition=condition,
        branches=branches,
        timesteps=_timesteps(pipeline, np.linspace(1.0, 0, run.steps + 1)[:-1], mu),
        shapes=[[_frame(pipeline, run.size)] * (layers + 2)],
        scale=run.scale,
        normalize=run.normalize,
    )


def _edit(pipeline: Any, run: Run, encodings: Encodings) -> Start:
    ratio = run.image.width / run.image.height
    seen = edit_plus.calculate_dimensions(edit_plus.VAE_IMAGE_SIZE, ratio)
    width, height = (
        seen if reads_it_whole(pipeline) else edit_plus.calculate_dimensions(edit_plus.CONDITION_IMAGE_SIZE, ratio)
    )
    read = pipeline.image_processor.resize(run.image, height, width)
    pixels = pipeline.image_processor.preprocess(run.image, seen[1], seen[0]).unsqueeze(2)
    branches = [encodings.text(pipeline, text, image=[read]) for text in run.texts]
    dtype = branches[0].embeds.dtype
    latents, condition = pipeline.prepare_latents(
        encodings.picture(pipeline, pixels, dtype),
        1,
        pipeline.transformer.config.in_channels // 4,
        run.size[1],
        run.size[0],
        dtype,
        pipeline._execution_device,
        run.generator,
    )
    settings = pipeline.scheduler.config
    mu = edit_plus.calculate_shift(
        latents.shape[1],
        settings.get("base_image_seq_len", 256),
        settings.get("max_image_seq_len", 4096),
        settings.get("base_shift", 0.5),
        settings.get("max_shift", 1.15),
    )
    return Start(
        latents=latents,
        condition=condition,
        branches=branches,
        timesteps=_timesteps(pipeline, np.linspace(1.0, 1 / run.steps, run.steps), mu),
        shapes=[[_frame(pipeline, run.size), _frame(pipeline, seen)]],
        scale=run.scale,
        normalize=True,
    )


def _timesteps(pipeline: Any, sigmas: Any, mu: float) -> torch.Tensor:
    timesteps: Any = retrieve_timesteps(
        pipeline.scheduler, len(sigmas), pipeline._execution_device, sigmas=sigmas, mu=mu
    )[0]
    return timesteps


def _frame(pipeline: Any, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return frames, rows and columns in tokens."""
    return 1, size[1] // pipeline.vae_scale_factor // 2, size[0] // pipeline.vae_scale_factor // 2

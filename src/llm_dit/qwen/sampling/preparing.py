"""What a run starts from, made with diffusers' own functions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as edit_plus
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import QwenImageEditPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage_layered import retrieve_timesteps
from PIL import Image

from llm_dit.qwen.forward.transformer import Branch, Shapes
from llm_dit.qwen.sampling.encodings import Encodings

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

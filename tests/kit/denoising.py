"""A run of the denoising loop that starts from noise instead of a picture and texts."""

from collections.abc import Callable
from typing import Any

import torch

from llm_dit.qwen.forward.transformer import Branch
from llm_dit.qwen.sampling.caching import Mask
from llm_dit.qwen.sampling.running import Start, denoise


def denoise_noise(
    pipeline: Any, *, texts: tuple[int, ...], rows: int, seed: int, steps: int, computed: Mask | None = None
) -> torch.Tensor:
    """Return the latents of two layers and a picture of `rows` × 4 tokens; `texts` are the branches' lengths."""
    chance = torch.Generator().manual_seed(seed)
    draw: Callable[..., torch.Tensor] = lambda *size: torch.randn(1, *size, generator=chance)  # noqa: E731
    pipeline.scheduler.set_timesteps(sigmas=torch.linspace(1, 0.3, steps).tolist(), mu=0.7)
    start = Start(
        latents=draw(8 * rows, 64),
        condition=draw(4 * rows, 64),
        branches=[Branch(embeds=draw(text, 16)) for text in texts],
        timesteps=pipeline.scheduler.timesteps,
        shapes=[[(1, rows, 4)] * 3],
        scale=4.0,
        normalize=True,
    )
    return denoise(pipeline, start, lambda *_: None, computed)

"""A run of the denoising loop that starts from noise instead of a picture and texts, and recordings without a GPU."""

from collections.abc import Callable
from typing import Any

import torch

from llm_dit.qwen.forward.graphs import Call
from llm_dit.qwen.forward.transformer import Branch
from llm_dit.qwen.sampling.running import Mask, Start, denoise


def denoise_noise(
    pipeline: Any,
    *,
    texts: tuple[int, ...],
    rows: int,
    seed: int,
    steps: int,
    computed: Mask | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return the latents of two layers and a picture of `rows` × 4 tokens; `texts` are the branches' lengths."""
    start = noise_start(pipeline, texts=texts, rows=rows, seed=seed, steps=steps, dtype=dtype)
    return denoise(pipeline, start, lambda *_: None, computed)


def noise_start(
    pipeline: Any,
    *,
    texts: tuple[int, ...],
    rows: int,
    seed: int,
    steps: int,
    dtype: torch.dtype = torch.float32,
) -> Start:
    """Return the start of such a run."""
    chance = torch.Generator().manual_seed(seed)
    draw: Callable[..., torch.Tensor] = lambda *size: torch.randn(1, *size, generator=chance).to(dtype)  # noqa: E731
    pipeline.scheduler.set_timesteps(sigmas=torch.linspace(1, 0.3, steps).tolist(), mu=0.7)
    return Start(
        latents=draw(8 * rows, 64),
        condition=draw(4 * rows, 64),
        branches=[Branch(embeds=draw(text, 16)) for text in texts],
        timesteps=pipeline.scheduler.timesteps,
        shapes=[[(1, rows, 4)] * 3],
        scale=4.0,
        normalize=True,
    )


def record_well(call: Call) -> tuple[Callable[[], None], torch.Tensor]:
    """Stand in for a CUDA graph, which is recorded without being run, and then runs into the same memory."""
    return record_with(0.0, call)


def record_with(wrong: float, call: Call) -> tuple[Callable[[], None], torch.Tensor]:
    """Do so with numbers that are wrong by so much."""
    answer = torch.empty(0)

    def replay() -> None:
        answer.set_(call() + wrong)  # pyright: ignore[reportArgumentType]

    return replay, answer


def align(pipeline: Any) -> None:
    """Move the weights of a pipeline of diffusers to memory of their own.

    What comes from a mapped file may lie unaligned, and a CPU's matrix product rounds by alignment.
    """
    for part in (pipeline.text_encoder, pipeline.transformer, pipeline.vae):
        for tensor in part.parameters():
            tensor.data = tensor.data.clone()

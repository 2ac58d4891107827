"""The denoising loop: from noise to clean latents."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from llm_dit.qwen.sampling.preparing import Start

AfterStep = Callable[[int, torch.Tensor, Any], None]
"""Takes a step's number from 0, the latents after it, and the scheduler; what it raises ends the run."""


@torch.no_grad()
def denoise(pipeline: Any, start: Start, after_step: AfterStep) -> torch.Tensor:
    """Return the latents that the pipeline's transformer and scheduler make of `start`, as diffusers does."""
    scheduler, latents = pipeline.scheduler, start.latents
    scheduler.set_begin_index(0)
    schedule = start.timesteps.to(latents.dtype) / 1000
    transformer = pipeline.transformer
    predict = transformer.pair if transformer.pair and len(start.branches) == 2 else transformer
    for step, time in enumerate(start.timesteps):
        predicted = predict(
            torch.cat([latents, start.condition], dim=1),
            branches=start.branches,
            schedule=schedule,
            step=step,
            shapes=start.shapes,
        )
        velocity = guide([each[:, : latents.size(1)] for each in predicted], start.scale, normalize=start.normalize)
        latents = scheduler.step(velocity, time, latents, return_dict=False)[0]
        after_step(step, latents, scheduler)
    return latents


def guide(predicted: Sequence[torch.Tensor], scale: float, *, normalize: bool) -> torch.Tensor:
    """Return where to go: from what the second branch says `scale` times as far as the first, if there is a second.

    With `normalize` every token is as long as in the first branch (true classifier-free guidance).
    """
    if len(predicted) == 1:
        return predicted[0]
    wanted, unwanted = predicted
    combined = unwanted + scale * (wanted - unwanted)
    if not normalize:
        return combined
    return combined * (torch.norm(wanted, dim=-1, keepdim=True) / torch.norm(combined, dim=-1, keepdim=True))

"""From clean latents to pictures, as diffusers' pipelines end."""

from typing import Any

import numpy as np
import torch

from llm_dit.qwen.preparing import Run


@torch.no_grad()
def decode(pipeline: Any, run: Run, latents: torch.Tensor) -> np.ndarray:
    """Return the pictures (layers, height, width, channels) in 0 … 1; of a decomposition, all but the composite."""
    width, height = run.size
    scale, vae = pipeline.vae_scale_factor, pipeline.vae
    if run.layers is None:
        frames = pipeline._unpack_latents(latents, height, width, scale)
    else:
        frames = pipeline._unpack_latents(latents, height, width, run.layers, scale)[:, :, 1:]
    frames = frames.to(vae.dtype)
    inverse = 1.0 / _of_channels(vae.config.latents_std, frames)
    frames = frames / inverse + _of_channels(vae.config.latents_mean, frames)
    # Each frame is a picture of its own.
    frames = frames.permute(0, 2, 1, 3, 4).flatten(0, 1).unsqueeze(2)
    pictures = vae.decode(frames, return_dict=False)[0].squeeze(2)
    return pipeline.image_processor.postprocess(pictures, output_type="np")


def _of_channels(values: list[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1, 1).to(like.device, like.dtype)

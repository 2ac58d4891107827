"""What a run is going to make, seen while it denoises: the clean picture that its latest steps head for.

A flow-matching model moves the latents x along a nearly straight line from noise (σ = 1) to the picture (σ = 0), so two
points of the way give the velocity v = Δx / Δσ, and x − σv is where it leads (Lipman et al., "Flow Matching for
Generative Modeling", 2023). Only what the pipeline has already computed is looked at, and nothing of it is changed.
"""

import logging
import time
import weakref
from typing import Any

import torch

from llm_dit.pipelines.base import PreviewCallback
from llm_dit.qwen.sampling.linear_decoder import LinearDecoder, fit_linear_decoder

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""Seconds between two previews, at least."""
SHARE = 0.01
"""The part of a run's time that its previews may take."""
SPAN = 0.015
"""How far in σ two points must be apart: nearer to each other, the rounding of bfloat16 shows in their difference."""
FAILED = "previews failed: the run goes on without them"


class Previews:
    """Shows the layers of one run, now and then."""

    def __init__(self, decoder: LinearDecoder, *, size: tuple[int, int], layers: int, show: PreviewCallback) -> None:
        """`size` is width and height in tokens; the run's last `layers` frames are shown, as 1, 2, …"""
        self._decoder = decoder
        self._size = size
        self._layers = layers
        self._show = show
        self._before: tuple[torch.Tensor, float] | None = None
        self._due = time.monotonic() + INTERVAL_S
        self._failed = False

    def after_step(self, step: int, latents: torch.Tensor, scheduler: Any) -> None:
        """Take in the packed latents (1, tokens, 4 × channels) after step 0, 1, …; an error ends the previews alone."""
        try:
            if not self._failed:
                self._look(latents, float(scheduler.sigmas[step + 1]))
        except Exception:
            self._failed = True
            logger.warning(FAILED, exc_info=True)

    def _look(self, latents: torch.Tensor, sigma: float) -> None:
        if self._before is None:
            self._before = latents, sigma
        if self._before[1] - sigma < SPAN:
            return
        started = time.monotonic()
        if started >= self._due:
            self._preview(predict(self._before, (latents, sigma)))
            ended = time.monotonic()
            self._due = ended + max(INTERVAL_S, (ended - started) / SHARE)
        self._before = latents, sigma

    def _preview(self, latents: torch.Tensor) -> None:
        frames = unpack(latents, self._size)[-self._layers :]
        for layer, picture in enumerate(self._decoder.decode(frames), start=1):
            self._show(layer, picture)


class Previewing:
    """Opens the previews of runs; knows the linear decoder of each VAE that it has met."""

    def __init__(self) -> None:
        self._decoders: weakref.WeakKeyDictionary[Any, LinearDecoder] = weakref.WeakKeyDictionary()

    def of_run(
        self, pipeline: Any, size: tuple[int, int], layers: int, show: PreviewCallback | None
    ) -> Previews | None:
        """Return the previews of a run at `size`, width and height in pixels; None when nobody looks.

        To be called before the run: the first one lets the VAE encode, and later the memory is the transformer's.
        """
        if show is None:
            return None
        token = 2 * pipeline.vae_scale_factor
        try:
            decoder = self._decoders.get(pipeline.vae) or fit_linear_decoder(pipeline.vae)
        except Exception:
            logger.warning(FAILED, exc_info=True)
            return None
        self._decoders[pipeline.vae] = decoder
        return Previews(decoder, size=(size[0] // token, size[1] // token), layers=layers, show=show)


def predict(before: tuple[torch.Tensor, float], now: tuple[torch.Tensor, float]) -> torch.Tensor:
    """Return the latents at σ = 0 on the line through two points of the way, each latents and σ."""
    (there, sigma_there), (here, sigma_here) = before, now
    velocity = (here.float() - there.float()) / (sigma_here - sigma_there)
    return here.float() - sigma_here * velocity


def unpack(latents: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return packed latents (1, tokens, 4 × channels) as (frames, rows, columns, channels).

    A token holds two by two cells of a frame; `size` is width and height of a frame in tokens.
    """
    columns, rows = size
    tokens = latents.view(-1, rows, columns, latents.shape[-1] // 4, 2, 2)
    return tokens.permute(0, 1, 4, 2, 5, 3).reshape(-1, 2 * rows, 2 * columns, tokens.shape[3])

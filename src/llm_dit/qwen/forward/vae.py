"""From latents to pictures: the VAE for single frames, and previews of a run while it denoises.

The VAE is a video model, here for one frame. A causal convolution pads the past with zeros, so only the last slice of
its kernel in time meets a picture. That slice is a 2D convolution; the others, and the video model's cache for the next
frame, are left out.
"""

import logging
import random
import time
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage, QwenImageCausalConv3d
from diffusers.models.autoencoders.autoencoder_kl_qwenimage21 import AutoencoderKLQwenImage21
from diffusers.models.autoencoders.vae import DecoderOutput
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

from llm_dit.qwen.placement.devices import OVER_TIME
from llm_dit.runs import PreviewCallback

logger = logging.getLogger(__name__)


class SingleFrameVae(AutoencoderKLQwenImage):
    """Encodes and decodes pictures (n, channels, 1, height, width); call `fold` once after loading the weights.

    It differs from the video model only by the rounding of sums: at most 1e-5 in float32.
    """

    def fold(self) -> None:
        """Keep only the weights that one frame needs."""
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if name == OVER_TIME:
                    delattr(module, name)
                elif isinstance(child, QwenImageCausalConv3d):
                    setattr(module, name, _Flat(child))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.quant_conv(self.encoder(x))

    def _decode(self, z: torch.Tensor, return_dict: bool = True) -> Any:
        picture = self.decoder(self.post_quant_conv(z)).clamp(-1, 1)
        return DecoderOutput(sample=picture) if return_dict else (picture,)


class _Flat(nn.Conv2d):
    """The last slice in time of a causal convolution; takes and returns one frame."""

    def __init__(self, causal: Any) -> None:
        _, left, _, top, _, _ = causal._padding
        super().__init__(
            causal.in_channels,
            causal.out_channels,
            causal.kernel_size[1:],
            stride=causal.stride[1:],
            padding=(top, left),
            device="meta",
        )
        self.weight = nn.Parameter(causal.weight.data[:, :, -1].clone(), requires_grad=False)
        self.bias = causal.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.squeeze(2)).unsqueeze(2)


class SingleFrameVae21(AutoencoderKLQwenImage21):
    """The same for the VAE of Qwen-Image-2.1, whose convolutions are already 2D.

    Diffusers' own caches each convolution's input for a next frame; this one is bit-identical without the cache.
    """

    def fold(self) -> None:
        """Drop the weights that one frame does not need."""
        for module in list(self.modules()):
            for name, _ in list(module.named_children()):
                if name == OVER_TIME:
                    delattr(module, name)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.quant_conv(self.encoder(x))

    def _decode(self, z: torch.Tensor, return_dict: bool = True) -> Any:
        picture = self.decoder(self.post_quant_conv(z), first_chunk=True).clamp(-1, 1)
        return DecoderOutput(sample=picture) if return_dict else (picture,)


# Decoding latents without the VAE's decoder: a linear map from a latent cell to one pixel.
#
# The channels of these latents are nearly linear in the colors that they encode. Other programs' previews rely on that
# too, with a table of numbers for each model. Here the map is fitted to the loaded VAE, which encodes a test card, by
# least squares. So it suits every checkpoint, including the RGBA one of Qwen-Image-Layered, and during a run it needs
# neither the decoder's memory nor its time nor its turn on the device, for every placement (docs/adr/0010).

CARD_CELLS = 32
"""Latent cells on a side of the test card: about sixty times as many cells as the map has coefficients per color."""
DISCS = 150
ROUNDS = 20
"""Iterations of the fit; after these the map hardly changes."""
FULL = 0.98
"""From this value up a channel counts as full, and from 1 minus it down as empty."""
FAINTEST = 0.02
"""The weight of an invisible cell for the colors, relative to a visible one."""


@dataclass(frozen=True)
class LinearDecoder:
    """`weights` (channels + 1, 3 or 4) map the channels of a normalized latent cell and 1 to RGB or RGBA, 0–1."""

    weights: torch.Tensor

    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """Return an RGBA picture for each of `latents` (frames, rows, columns, channels), one pixel per cell."""
        weights = self.weights.to(latents.device)
        colors = latents.float() @ weights[:-1] + weights[-1]
        pixels = (colors.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return [Image.fromarray(frame).convert("RGBA") for frame in pixels]


def fit_linear_decoder(vae: Any) -> LinearDecoder:
    """Return the best linear map for a VAE of Qwen-Image; runs its encoder once, on a small picture."""
    card = draw_card(CARD_CELLS * vae.spatial_compression_ratio)
    channels = vae.config.input_channels if hasattr(vae.config, "input_channels") else vae.config.in_channels
    if channels == 3:
        card = card.convert("RGB")
    pixels = np.asarray(card) / np.float32(255)
    cells = _encode(vae, pixels)
    features = np.concatenate([cells, np.ones_like(cells[:, :1])], axis=1)
    wanted = pixels.reshape(CARD_CELLS, -1, CARD_CELLS, vae.spatial_compression_ratio, pixels.shape[-1]).mean((1, 3))
    wanted = wanted.reshape(len(features), -1)
    # Colors of invisible cells are arbitrary, so they get little weight.
    seen = np.sqrt(np.maximum(wanted[:, 3:4], FAINTEST)) if wanted.shape[1] == 4 else np.ones_like(features[:, :1])
    columns = [_fit(features, wanted[:, :3], seen), _fit(features, wanted[:, 3:], np.ones_like(seen))]
    return LinearDecoder(torch.from_numpy(np.concatenate(columns, axis=1).astype(np.float32)))


def draw_card(side: int) -> Image.Image:
    """Return a dead-leaves image: overlapping discs of all sizes, colors and opacities, RGBA, `side` × `side` pixels.

    It is a statistical model of photographs (Lee, Mumford and Huang, "Occlusion Models for Natural Images", 2001). The
    card is the same each time.
    """
    chance = random.Random(0)
    card = Image.new("RGBA", (side, side), "white")
    pen = ImageDraw.Draw(card)
    for _ in range(DISCS):
        # Radii with a density of r⁻³, at least a twentieth of the side, so that some cells have a single color.
        radius = min(side / 3, side / 20 / (1 - chance.random()) ** 0.5)
        x, y = chance.uniform(0, side), chance.uniform(0, side)
        opacity = chance.choice((0, 0, 255, 255, 255, chance.randrange(256)))
        color = (chance.randrange(256), chance.randrange(256), chance.randrange(256), opacity)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return card


def _fit(features: NDArray[Any], wanted: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """Return the weighted least squares map from `features` to `wanted`, 0–1, for outputs that are clipped to 0–1.

    An output beyond 0 or 1 is as good as one at the limit, so each round accepts those that overshoot. That makes the
    map steeper, so that opaque and clear cells come out as such.
    """
    solve = np.linalg.pinv(features * weight)
    weights = solve @ (wanted * weight)
    for _ in range(ROUNDS):
        answers = features @ weights
        aim = np.where(wanted >= FULL, np.maximum(answers, wanted), wanted)
        aim = np.where(wanted <= 1 - FULL, np.minimum(answers, wanted), aim)
        weights = solve @ (aim * weight)
    return weights


def _encode(vae: Any, pixels: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the latents (cells, channels) of a picture (height, width, channels), normalized as in the pipelines."""
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None] * 2 - 1
    with torch.no_grad():
        latents = vae.encode(picture.to(vae.device, vae.dtype)).latent_dist.mode()
    cells = latents[0, :, 0].flatten(1).T.double().cpu().numpy()
    return (cells - np.array(vae.config.latents_mean)) / np.array(vae.config.latents_std)


# Previews: the clean picture that the latest steps predict.
#
# A flow-matching model moves the latents x along a nearly straight line from noise (σ = 1) to the picture (σ = 0), so
# two points on it give the velocity v = Δx / Δσ, and x − σv is the prediction (Lipman et al., "Flow Matching for
# Generative Modeling", 2023). Previews only read what the pipeline has computed, and change nothing.

INTERVAL_S = 1.0
"""Least number of seconds between two previews."""
SHARE = 0.01
"""The largest part of a run's time for its previews."""
SPAN = 0.015
"""Least distance of two points in σ: closer together, their difference shows the rounding of bfloat16."""
FAILED = "previews failed: the run goes on without them"


class Previews:
    """Shows the layers of one run from time to time."""

    def __init__(
        self, decoder: LinearDecoder, *, size: tuple[int, int], patch: int = 2, layers: int, show: PreviewCallback
    ) -> None:
        """`size` is width and height in tokens, each of `patch` × `patch` cells.

        The run's last `layers` frames are shown, numbered 1, 2, …
        """
        self._decoder = decoder
        self._patch = patch
        self._size = size
        self._layers = layers
        self._show = show
        self._before: tuple[torch.Tensor, float] | None = None
        self._due = time.monotonic() + INTERVAL_S
        self._failed = False

    def after_step(self, step: int, latents: torch.Tensor, scheduler: Any) -> None:
        """Process the packed latents (1, tokens, channels) after step 0, 1, …; an error ends only the previews."""
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
        frames = unpack(latents, self._size, self._patch)[-self._layers :]
        for layer, picture in enumerate(self._decoder.decode(frames), start=1):
            self._show(layer, picture)


class Previewing:
    """Opens the previews of runs; caches a linear decoder per VAE."""

    def __init__(self) -> None:
        self._decoders: weakref.WeakKeyDictionary[Any, LinearDecoder] = weakref.WeakKeyDictionary()

    def of_run(
        self, pipeline: Any, size: tuple[int, int], layers: int, show: PreviewCallback | None
    ) -> Previews | None:
        """Return the previews of a run at `size`, width and height in pixels; None if nobody watches.

        Call it before the run: the first call runs the VAE's encoder, and later the transformer needs the memory.
        """
        if show is None:
            return None
        patch = pipeline.transformer.config.patch_size
        token = patch * pipeline.vae_scale_factor
        try:
            decoder = self._decoders.get(pipeline.vae) or fit_linear_decoder(pipeline.vae)
        except Exception:
            logger.warning(FAILED, exc_info=True)
            return None
        self._decoders[pipeline.vae] = decoder
        return Previews(decoder, size=(size[0] // token, size[1] // token), patch=patch, layers=layers, show=show)


def predict(before: tuple[torch.Tensor, float], now: tuple[torch.Tensor, float]) -> torch.Tensor:
    """Return the latents at σ = 0 on the line through two points, each latents and σ."""
    (there, sigma_there), (here, sigma_here) = before, now
    velocity = (here.float() - there.float()) / (sigma_here - sigma_there)
    return here.float() - sigma_here * velocity


def unpack(latents: torch.Tensor, size: tuple[int, int], patch: int = 2) -> torch.Tensor:
    """Return packed latents (1, tokens, patch² × channels) as (frames, rows, columns, channels).

    A token holds `patch` × `patch` cells of a frame; `size` is width and height of a frame in tokens.
    """
    columns, rows = size
    tokens = latents.view(-1, rows, columns, latents.shape[-1] // patch**2, patch, patch)
    return tokens.permute(0, 1, 4, 2, 5, 3).reshape(-1, patch * rows, patch * columns, tokens.shape[3])

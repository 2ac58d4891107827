"""What a VAE's latents look like, without its decoder: a linear map from a latent cell to one pixel.

The channels of these latents are nearly linear in the colors that they stand for. Previews elsewhere rest on that too,
with a table of numbers for each model; here the map is measured on this VAE: it encodes a test card, and least
squares do the rest. So it fits every checkpoint, the RGBA one of Qwen-Image-Layered included, and it needs none of the
decoder's memory, time or turns while a run is under way, however the weights are placed (docs/adr/0010).
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CARD_CELLS = 32
"""Latent cells on a side of the test card: some sixty times as many as the map has numbers for a color."""
DISCS = 150
ROUNDS = 20
"""After so many, the map changes no more to speak of."""
FULL = 0.98
"""From here up a channel counts as full, and from as near to 0 down as empty."""
FAINTEST = 0.02
"""What a cell that is not seen counts for the colors, as a part of one that is."""


@dataclass(frozen=True)
class LinearDecoder:
    """`weights` (channels + 1, 3 or 4) take the channels of a normalised latent cell and 1 to RGB or RGBA, 0–1."""

    weights: torch.Tensor

    def decode(self, latents: torch.Tensor) -> list[Image.Image]:
        """Return an RGBA picture for each of `latents` (frames, rows, columns, channels), a pixel for each cell."""
        weights = self.weights.to(latents.device)
        colors = latents.float() @ weights[:-1] + weights[-1]
        pixels = (colors.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return [Image.fromarray(frame).convert("RGBA") for frame in pixels]


def fit_linear_decoder(vae: Any) -> LinearDecoder:
    """Return the map that fits `vae`, an `AutoencoderKLQwenImage`, best; runs its encoder once, on a small picture."""
    card = draw_card(CARD_CELLS * vae.spatial_compression_ratio)
    if vae.config.input_channels == 3:
        card = card.convert("RGB")
    pixels = np.asarray(card) / np.float32(255)
    cells = _encode(vae, pixels)
    features = np.concatenate([cells, np.ones_like(cells[:, :1])], axis=1)
    wanted = pixels.reshape(CARD_CELLS, -1, CARD_CELLS, vae.spatial_compression_ratio, pixels.shape[-1]).mean((1, 3))
    wanted = wanted.reshape(len(features), -1)
    # The colors of what is not seen are anything: they are not what the map is judged by.
    seen = np.sqrt(np.maximum(wanted[:, 3:4], FAINTEST)) if wanted.shape[1] == 4 else np.ones_like(features[:, :1])
    columns = [_fit(features, wanted[:, :3], seen), _fit(features, wanted[:, 3:], np.ones_like(seen))]
    return LinearDecoder(torch.from_numpy(np.concatenate(columns, axis=1).astype(np.float32)))


def draw_card(side: int) -> Image.Image:
    """Return dead leaves: discs of all sizes, colors and opacities over each other, RGBA, `side` × `side` pixels.

    That is a model of photographs (Lee, Mumford and Huang, "Occlusion Models for Natural Images", 2001). The card is
    the same each time.
    """
    chance = random.Random(0)
    card = Image.new("RGBA", (side, side), "white")
    pen = ImageDraw.Draw(card)
    for _ in range(DISCS):
        # Radii with a density of r⁻³; from a twentieth of the side up, for there must be whole cells of one color.
        radius = min(side / 3, side / 20 / (1 - chance.random()) ** 0.5)
        x, y = chance.uniform(0, side), chance.uniform(0, side)
        opacity = chance.choice((0, 0, 255, 255, 255, chance.randrange(256)))
        color = (chance.randrange(256), chance.randrange(256), chance.randrange(256), opacity)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return card


def _fit(features: NDArray[Any], wanted: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """Return the weighted least squares map from `features` to `wanted`, 0–1, whose answers are cut off there.

    An answer beyond 0 or 1 is as good as one at it, so in each round those that go too far may stay where they are. The
    map gets steeper by that, and what is opaque or clear comes out so.
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
    """Return the latents (cells, channels) of a picture (height, width, channels), normalised as the pipelines do."""
    picture = torch.from_numpy(pixels).permute(2, 0, 1)[None, :, None] * 2 - 1
    with torch.no_grad():
        latents = vae.encode(picture.to(vae.device, vae.dtype)).latent_dist.mode()
    cells = latents[0, :, 0].flatten(1).T.double().cpu().numpy()
    return (cells - np.array(vae.config.latents_mean)) / np.array(vae.config.latents_std)

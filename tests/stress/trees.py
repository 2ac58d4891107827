"""Random trees of layers on small canvases: nested groups, names of every script, every property that a layer has."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from llm_dit.color import BLEND_MODES, BlendMode
from llm_dit.layer import PASS_THROUGH, SEPARATOR, Group, Layer

WIDTH, HEIGHT = 120, 96
"""Pixels; a slide has at least an inch a side, and 24 pixels are a whole number of hundredths of a millimeter."""
WORDS = [
    "Sky",
    "Straße",
    "Ελλάδα",
    "Небо",
    "空",
    "🌵 cactus",
    "e\u0301toile",
    "नमस्ते",
    "שלום",
    "مرحبا",
    "a<b>&\"c'",
    "50 %",
    "x / y",
]
MOST_DEPTH = 3


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A stack, bottom first, and how its groups show."""

    layers: list[Layer]
    groups: dict[str, Group]

    def with_modes(self, modes: Sequence[BlendMode]) -> "Tree":
        """Return the tree with every other mode than these made normal."""
        groups = {
            label: group if group.blend in {PASS_THROUGH, *modes} else group.model_copy(update={"blend": "normal"})
            for label, group in self.groups.items()
        }
        layers = [layer if layer.blend in modes else replace(layer, blend="normal") for layer in self.layers]
        return Tree(layers=layers, groups=groups)


def random_tree(seed: int) -> Tree:
    """Return a tree of 4 to some 20 layers; opacities are of 255 steps, as PSD has them, and no two names are the same.

    GIMP gives the second of a name a number.
    """
    chance = random.Random(seed)
    layers: list[Layer] = [Layer(image=_ground(seed), name="Ground")] if chance.random() < 0.7 else []
    groups: dict[str, Group] = {}
    _fill("", 0, chance, layers, groups)
    return Tree(layers=layers, groups=groups)


def _fill(label: str, depth: int, chance: random.Random, layers: list[Layer], groups: dict[str, Group]) -> None:
    for _ in range(chance.randint(2, 4) if depth else chance.randint(3, 6)):
        name = f"{chance.choice(WORDS).replace(SEPARATOR, '/')} {len(layers) + len(groups)}"
        if depth < MOST_DEPTH and chance.random() < 0.35:
            inner = label + SEPARATOR + name if label else name
            groups[inner] = Group(
                opacity=_opacity(chance),
                visible=chance.random() < 0.85,
                blend=chance.choice([PASS_THROUGH, "normal", chance.choice(BLEND_MODES)]),
            )
            _fill(inner, depth + 1, chance, layers, groups)
        else:
            layers.append(_layer(name, label, chance))


def _opacity(chance: random.Random) -> float:
    return 1.0 if chance.random() < 0.5 else chance.randint(40, 255) / 255


def _layer(name: str, label: str, chance: random.Random) -> Layer:
    return Layer(
        image=_shape(chance),
        name=name,
        opacity=_opacity(chance),
        visible=chance.random() < 0.85,
        x=chance.randint(-30, WIDTH - 20),
        y=chance.randint(-30, HEIGHT - 20),
        blend="normal" if chance.random() < 0.5 else chance.choice(BLEND_MODES),
        scale=chance.choice([1.0, 1.0, 0.6, 1.7]),
        stretch=chance.choice([1.0, 1.0, 1.0, 0.5, 1.4]),
        rotation=chance.choice([0.0, 0.0, 0.0, 90.0, 180.0, -90.0, 33.0, -117.5]),
        flip_x=chance.random() < 0.2,
        flip_y=chance.random() < 0.2,
        group=label,
    )


def _shape(chance: random.Random) -> Image.Image:
    """Return colors that change from pixel to pixel under a soft alpha."""
    width, height = chance.randint(8, 70), chance.randint(8, 70)
    noise = np.random.default_rng(chance.getrandbits(32))
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    first, second = noise.integers(0, 256, 3), noise.integers(0, 256, 3)
    share = (across[..., None] + down[..., None] + 2) / 4
    colors = first * share + second * (1 - share) + noise.normal(0, 6, (height, width, 3))
    alpha = np.clip((1 - np.hypot(across, down)) * noise.choice([2, 8, 90]), 0, 1) * noise.choice([255, 255, 150])
    if noise.random() < 0.3:
        alpha[:] = 255
    pixels = np.dstack([colors, alpha]).clip(0, 255).round().astype(np.uint8)
    pixels[pixels[..., 3] == 0] = 0
    return Image.fromarray(pixels, "RGBA")


def _ground(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed)
    small = Image.fromarray(noise.integers(0, 256, (4, 5, 3), dtype=np.uint8), "RGB")
    return small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).convert("RGBA")


def blended_pairs(mode: BlendMode) -> list[list[Layer]]:
    """Return stacks of two layers, the upper one in a mode: opaque ones, a soft one on an opaque one, two soft ones."""
    opaque, soft = (_ground(1), _ground(2)), (_soft(3), _soft(4))
    return [
        [Layer(image=below, name="Below"), Layer(image=above, name="Above", blend=mode, opacity=opacity)]
        for below, above, opacity in (
            (opaque[0], opaque[1], 1.0),
            (opaque[0], soft[0], 200 / 255),
            (soft[1], soft[0], 200 / 255),
        )
    ]


def _soft(seed: int) -> Image.Image:
    image = _ground(seed)
    alpha = np.random.default_rng(seed).integers(0, 256, (3, 4), dtype=np.uint8)
    image.putalpha(Image.fromarray(alpha).resize(image.size, Image.Resampling.BICUBIC))
    return image

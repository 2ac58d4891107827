"""Blurred things on opaque grounds: pictures, and what taking one apart makes of it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from llm_dit.pipelines.classical import ClassicalPipeline
from tests.kit.scenes.matching import soft_iou
from tests.kit.scenes.outlines import blob, box, fill, oval, soften, star

CONTRAST = 40.0
"""The least RGB distance of a thing's color from the ground's."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One picture: the blur of its things in pixels, the soft IoU of each, and the mean ghost in levels."""

    seed: int
    blurs: list[float]
    whole: list[float]
    ghost: float


def examine(seed: int) -> Trial:
    """Make the picture of a seed, take it apart and compare."""
    rng = np.random.default_rng([34, seed])
    size = (int(rng.integers(360, 760)), int(rng.integers(300, 620)))
    ground = np.full((size[1], size[0], 3), rng.uniform(20, 235, 3), np.float32)
    if seed % 3 == 1:
        ground += np.linspace(-1, 1, size[0], dtype=np.float32)[None, :, None] * rng.uniform(-30, 30, 3).astype(
            np.float32
        )
    ground = ground.clip(0, 255)
    picture, alphas, blurs = ground.copy(), [], []
    taken = np.zeros(size[::-1], np.float32)
    wanted = int(rng.integers(1, 4))
    for _ in range(200):
        if len(alphas) == wanted:
            break
        blur = float(rng.choice([1, 2, 4, 8, 14, 24, 40]))
        radius = float(max(3 * blur, min(size) * rng.choice([0.06, 0.12, 0.2, 0.28])))
        room = radius + 3 * blur
        if 2 * room > min(size):
            continue
        centre = (float(rng.uniform(room, size[0] - room)), float(rng.uniform(room, size[1] - room)))
        outline = (
            oval(centre, radius, radius * rng.uniform(0.6, 1), rng.uniform(0, 3)),
            box(centre, 1.6 * radius, 1.4 * radius, 0.2 * radius, rng.uniform(0, 3)),
            star(centre, radius, 0.6 * radius, 5, rng.uniform(0, 3)),
            blob(centre, 0.8 * radius, rng),
        )[int(rng.integers(4))]
        alpha = soften(fill(size, outline), blur)
        paint = rng.uniform(0, 255, 3).astype(np.float32)
        # What is opaque nowhere may as well be of another color.
        if (
            alpha.max() < 0.98
            or ((alpha > 0.004) & (taken > 0)).any()
            or np.linalg.norm(paint - ground.mean(axis=(0, 1))) < CONTRAST
        ):
            continue
        taken += alpha > 0.004
        picture += (paint - picture) * alpha[..., None]
        alphas.append(alpha)
        blurs.append(blur)
    grain = 3.0 if seed % 3 == 2 else 0.0
    shown = (picture + rng.normal(0, grain, picture.shape)) if grain else picture
    image = Image.fromarray(np.rint(shown.clip(0, 255)).astype(np.uint8), "RGB")
    layers = ClassicalPipeline().decompose(image, layer_num=1 + len(alphas), seed=seed, output_size="original")
    found = [np.asarray(layer.getchannel("A"), np.float32) / np.float32(255) for layer in layers[2:]]
    hidden = taken > 0
    ghost = np.abs(np.asarray(layers[1].convert("RGB"), np.float32) - ground).max(axis=-1)
    whole = [max(soft_iou(alpha, layer) for layer in found) for alpha in alphas]
    return Trial(seed=seed, blurs=blurs, whole=whole, ghost=float(ghost[hidden].mean()))

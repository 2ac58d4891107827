"""Synthetic scenes with known layers, to examine a decomposer with.

Every composition is drawn on a flat, a gradient and a textured ground. Colors, places, sizes and formats come from
the seed, so that a decomposer can be examined on scenes that nobody has tuned it on. A scene is kept only when each
layer could be found at all: enough of it is seen, and the picture would look different without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from llm_dit.layers import Layer, composite
from tests.kit.scenes.compositions import COMPOSITIONS
from tests.kit.scenes.matching import seen_alpha
from tests.kit.scenes.stage import Stage

KINDS = ("flat", "gradient", "textured")
"""What the ground is; "flat" and "gradient" together are the graphics."""

SIZES = ((640, 480), (480, 640), (768, 512), (512, 768), (600, 600), (720, 540), (540, 720), (768, 480))

MIN_SEEN = 0.002
"""The least share of the picture that each layer shows."""
MIN_DIFFERENCE = 9.0
"""The least mean change of color, in levels of 0–255, that taking a layer away makes where it is seen."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture (`image`, RGBA, opaque), the layers it is the composite of (bottom to top), and what each one is.

    `kind` is the ground's; `features` has a tuple of words for each layer, ("ground",) first.
    """

    name: str
    kind: str
    image: Image.Image
    layers: list[Image.Image]
    features: list[tuple[str, ...]]


def make_scenes(seed: int = 0) -> list[Scene]:
    """Return all scenes of a seed: each composition on each kind of ground."""
    return [make_scene(name, seed) for name in scene_names()]


def scene_names() -> list[str]:
    """Return the names, such as "poster-flat"."""
    return [f"{draw.__name__}-{kind}" for draw in COMPOSITIONS for kind in KINDS]


def make_scene(name: str, seed: int = 0) -> Scene:
    """Return one scene; the same name and seed give the same bytes."""
    index = scene_names().index(name)
    number, kind = index // len(KINDS), KINDS[index % len(KINDS)]
    for attempt in range(100):
        rng = np.random.default_rng([seed, index, attempt])
        stage = Stage(size=SIZES[int(rng.integers(len(SIZES)))], kind=kind, rng=rng)
        stage.ground(number + seed)
        COMPOSITIONS[number](stage)
        if _is_fair(stage.layers):
            image = composite([Layer(image=layer) for layer in stage.layers])
            return Scene(name=name, kind=kind, image=image, layers=stage.layers, features=stage.features)
    raise RuntimeError(f"no fair scene {name} in 100 attempts")


def scaled(scene: Scene, factor: float) -> Scene:
    """Return the scene at another size; its picture is again the composite of its layers."""
    size = (round(scene.image.width * factor), round(scene.image.height * factor))
    layers = [layer.resize(size, Image.Resampling.LANCZOS) for layer in scene.layers]
    return replace(scene, image=composite([Layer(image=layer) for layer in layers]), layers=layers)


def _is_fair(layers: Sequence[Image.Image]) -> bool:
    """Return whether every layer above the ground is seen and makes a difference."""
    alphas = np.stack([np.asarray(layer.getchannel("A"), np.float32) for layer in layers]) / np.float32(255)
    below = np.asarray(layers[0].convert("RGB"), np.float32)
    for layer, seen in zip(layers[1:], seen_alpha(alphas)[1:], strict=True):
        rgba = np.asarray(layer, np.float32)
        contrast = rgba[..., :3] - below
        # Taking the layer away would change the picture by its contrast with what it covers, where it is seen.
        change = np.abs(contrast).max(axis=-1) * seen
        if seen.mean() < MIN_SEEN or (change * seen).sum() < MIN_DIFFERENCE * seen.sum():
            return False
        below = below + contrast * (rgba[..., 3:] / 255)
    return True

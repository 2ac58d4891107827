"""Ways to take a scene apart, ours beside two simple ones, and how well each does."""

import time
from collections.abc import Callable

from PIL import Image

from llm_dit.pipelines.classical import ClassicalPipeline
from tests.kit.scenes.baselines import color_layers, superpixel_layers
from tests.kit.scenes.matching import score
from tests.kit.scenes.results import Result
from tests.kit.scenes.scenes import Scene

Decomposer = Callable[[Image.Image, int], list[Image.Image]]


def ours(image: Image.Image, layer_num: int) -> list[Image.Image]:
    """Return the layers of `ClassicalPipeline`, bottom to top."""
    return ClassicalPipeline().decompose(image, layer_num=layer_num, seed=0, output_size="original")[1:]


METHODS: dict[str, Decomposer] = {"ours": ours, "k-means": color_layers, "superpixels": superpixel_layers}


def examine(scene: Scene, method: str) -> tuple[Result, list[Image.Image]]:
    """Take a scene apart into as many layers as it has; return the scores and the layers found."""
    start = time.process_time()
    found = METHODS[method](scene.image, len(scene.layers))
    seconds = time.process_time() - start
    result = Result(
        scene=scene.name,
        kind=scene.kind,
        features=scene.features,
        method=method,
        seconds=seconds,
        score=score(found, scene.layers),
    )
    return result, found

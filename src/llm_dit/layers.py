"""The stack of layers, bottom first, and how it becomes one picture."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from llm_dit.blending import Planes
from llm_dit.color import Rgba
from llm_dit.compositing import bands, over, premultiply, to_pixels, to_planes
from llm_dit.errors import InputError
from llm_dit.layer import Box, Layer

COMPOSITE_NAME = "Composite"


class Decomposition(list[Image.Image]):
    """`[composite, bottom, …, top]`, RGBA images of one size, with the seed and prompt that made them.

    `names` has one name per image; `names[0]` is always "Composite".
    """

    def __init__(self, layers: Sequence[Image.Image], *, seed: int, prompt: str, names: Sequence[str]) -> None:
        if len(names) != len(layers):
            raise ValueError(f"{len(layers)} layers need as many names, not {len(names)}")
        super().__init__([composite(Layer(image=layer) for layer in layers), *layers])
        self.seed = seed
        self.prompt = prompt
        self.names = [COMPOSITE_NAME, *names]


def coverage(image: Image.Image) -> float:
    """Return the mean alpha of an image, 0 (nothing to see) to 1 (opaque everywhere)."""
    alpha = (image if image.mode == "RGBA" else image.convert("RGBA")).getchannel("A")
    total = sum(level * count for level, count in enumerate(alpha.histogram()))
    return total / 255.0 / (image.width * image.height)


def canvas_size(layers: Sequence[Layer], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return the canvas's width and height in pixels.

    What is not given is the smallest canvas that starts at (0, 0) and holds every layer, hidden ones too, so that
    hiding a layer never changes the size. Raises `InputError` when that leaves no canvas.
    """
    return canvas_of([layer.box for layer in layers], width, height)


def canvas_of(boxes: Sequence[Box], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return `canvas_size` for layers of which only the boxes are known."""
    width = max((box[2] for box in boxes), default=0) if width is None else width
    height = max((box[3] for box in boxes), default=0) if height is None else height
    if width < 1 or height < 1:
        raise InputError(
            "Nothing lies on the canvas: give a width and a height of at least 1 pixel, or move a layer.",
            param="layers",
        )
    return width, height


def composite(
    layers: Iterable[Layer],
    width: int | None = None,
    height: int | None = None,
    background: Rgba | None = None,
) -> Image.Image:
    """Put layers over each other, bottom first, and return one RGBA image.

    The canvas is `width` × `height` pixels, or as `canvas_size` has it. Parts outside are cut off. `background` is a
    color below everything; without one the canvas is transparent. The arithmetic is that of `compositing.py`, in
    32-bit floats from the first layer to the last. Raises `InputError` when there is neither a layer nor a size.
    """
    stack = list(layers)
    width, height = canvas_size(stack, width, height)
    shown = [layer.baked((0, 0, width, height)) for layer in stack if layer.visible and layer.opacity > 0]
    ground = premultiply(to_planes(np.array([[background or (0, 0, 0, 0)]], np.uint8)))
    pixels = np.empty((height, width, 4), np.uint8)
    for rows in bands(width, height):
        planes = np.tile(ground, (1, rows.stop - rows.start, width))
        for layer in shown:
            _paint(planes, rows, layer)
        pixels[rows] = to_pixels(planes)
    return Image.fromarray(pixels, "RGBA")


def _paint(planes: Planes, rows: slice, layer: Layer) -> None:
    """Put the rows of a baked layer that lie in a band of the canvas over that band, in place."""
    left, top, right, bottom = layer.box
    first, last = max(top, rows.start), min(bottom, rows.stop)
    if first < last:
        pixels = np.asarray(layer.image.crop((0, first - top, layer.width, last - top)))
        over(planes[:, first - rows.start : last - rows.start, left:right], pixels, layer.opacity, layer.blend)

"""The stack of layers and its compositing, in premultiplied arithmetic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.errors import InputError

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


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One picture in a stack: `opacity` in 0–1, `x` and `y` the offset of its top left corner in pixels."""

    image: Image.Image
    name: str = ""
    opacity: float = 1.0
    visible: bool = True
    x: int = 0
    y: int = 0


def coverage(image: Image.Image) -> float:
    """Return the mean alpha of an image, 0 (nothing to see) to 1 (opaque everywhere)."""
    return float(np.asarray(image.convert("RGBA").getchannel("A"), dtype=np.float64).mean() / 255.0)


def composite(
    layers: Iterable[Layer],
    width: int | None = None,
    height: int | None = None,
    background: tuple[int, int, int, int] | None = None,
) -> Image.Image:
    """Put layers over each other, bottom first, and return one RGBA image.

    The canvas is `width` × `height` pixels; what is not given is the smallest canvas that starts at (0, 0) and
    holds every layer, hidden ones too, so that hiding a layer never changes the size. Parts outside are cut off.
    `background` is an RGBA colour below everything, each channel 0–255; without one the canvas is transparent.

    The operator is "over" on premultiplied colours (Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984).
    Raises `InputError` when there is neither a layer nor a size.
    """
    stack = list(layers)
    canvas_width = max((layer.x + layer.image.width for layer in stack), default=0) if width is None else width
    canvas_height = max((layer.y + layer.image.height for layer in stack), default=0) if height is None else height
    if canvas_width < 1 or canvas_height < 1:
        raise InputError("The canvas is empty: give a width and a height of at least 1 pixel.", param="layers")
    canvas = np.zeros((canvas_height, canvas_width, 4), np.float32)
    if background is not None:
        canvas[:] = _premultiply(np.array(background, np.uint8))
    for layer in stack:
        if layer.visible and layer.opacity > 0:
            _over(canvas, layer)
    return Image.fromarray(_unpremultiply(canvas), "RGBA")


def _over(canvas: NDArray[np.float32], layer: Layer) -> None:
    """Put `layer` over `canvas` in place; the part of it that lies outside is cut off."""
    height, width = canvas.shape[:2]
    left, top = max(layer.x, 0), max(layer.y, 0)
    right, bottom = min(layer.x + layer.image.width, width), min(layer.y + layer.image.height, height)
    if left >= right or top >= bottom:
        return
    box = (left - layer.x, top - layer.y, right - layer.x, bottom - layer.y)
    source = _premultiply(np.asarray(layer.image.convert("RGBA").crop(box))) * np.float32(layer.opacity)
    below = canvas[top:bottom, left:right]
    below *= 1.0 - source[..., 3:]
    below += source


def _premultiply(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return colours times alpha and alpha, all 0–1."""
    values = rgba.astype(np.float32) / np.float32(255.0)
    values[..., :3] *= values[..., 3:]
    return values


def _unpremultiply(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return straight 8-bit RGBA; a pixel whose alpha rounds to 0 is transparent black."""
    alpha = values[..., 3:]
    colours = np.divide(values[..., :3], alpha, out=np.zeros_like(values[..., :3]), where=alpha >= 0.5 / 255.0)
    straight = np.concatenate([colours, alpha], axis=-1)
    return np.rint(straight.clip(0.0, 1.0) * 255.0).astype(np.uint8)

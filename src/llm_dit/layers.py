"""The stack of layers: what a layer is, where it lies, and how the stack becomes one picture."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from llm_dit.blending import BlendMode, Planes
from llm_dit.colour import Colour
from llm_dit.compositing import bands, over, premultiply, to_pixels, to_planes
from llm_dit.errors import InputError

COMPOSITE_NAME = "Composite"
MIN_SCALE, MAX_SCALE = 0.01, 32.0

Box = tuple[int, int, int, int]
"""Left, top, right and bottom on the canvas, in pixels; right and bottom lie outside."""


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
    """One picture in a stack: `opacity` in 0–1, `x` and `y` the offset of its top left corner in pixels.

    `scale` sizes it about that corner, within MIN_SCALE–MAX_SCALE; `flip_x` mirrors it left to right and `flip_y` top
    to bottom, within its own box. `blend` is how its colours meet those below. Consecutive layers with the same
    `group` form a group of that name; it is a label, and changes nothing of the composite.
    """

    image: Image.Image
    name: str = ""
    opacity: float = 1.0
    visible: bool = True
    x: int = 0
    y: int = 0
    blend: BlendMode = "normal"
    scale: float = 1.0
    flip_x: bool = False
    flip_y: bool = False
    group: str = ""

    @property
    def width(self) -> int:
        """Pixels that the layer is wide on the canvas."""
        return _scaled(self.image.width, self.scale)

    @property
    def height(self) -> int:
        """Pixels that the layer is high on the canvas."""
        return _scaled(self.image.height, self.scale)

    @property
    def box(self) -> Box:
        """Where the layer lies on the canvas."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def baked(self, within: Box) -> "Layer":
        """Return the layer as plain RGBA pixels: mirrored and scaled, cut to `within` and to what is not clear.

        Only what lies within is computed, however large the whole would be. A layer that has nothing to show there
        becomes one clear pixel.
        """
        part = _overlap(self.box, within)
        pixels = self._pixels(part) if part else None
        bounds = pixels.getbbox() if pixels else None
        if part is None or pixels is None or bounds is None:
            return self._plain(Image.new("RGBA", (1, 1)), within[0], within[1])
        return self._plain(_crop(pixels, bounds), part[0] + bounds[0], part[1] + bounds[1])

    def _pixels(self, part: Box) -> Image.Image:
        """Return `part` of the canvas, which lies within the layer's box, as the layer covers it."""
        image = self.image if self.image.mode == "RGBA" else self.image.convert("RGBA")
        if self.flip_x:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.flip_y:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        left, top, right, bottom = part[0] - self.x, part[1] - self.y, part[2] - self.x, part[3] - self.y
        if image.size == (self.width, self.height):
            return _crop(image, (left, top, right, bottom))
        across, down = image.width / self.width, image.height / self.height
        source = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        # Pillow resamples RGBA premultiplied: colours that nobody sees do not bleed into the edges.
        return image.resize((right - left, bottom - top), Image.Resampling.LANCZOS, source)

    def _plain(self, image: Image.Image, x: int, y: int) -> "Layer":
        return dataclasses.replace(self, image=image, x=x, y=y, scale=1.0, flip_x=False, flip_y=False)


def visible_area(layer: Layer, width: int, height: int) -> int:
    """Return how many pixels of a canvas of `width` × `height` a layer's box covers."""
    part = _overlap(layer.box, (0, 0, width, height))
    return (part[2] - part[0]) * (part[3] - part[1]) if part else 0


def coverage(image: Image.Image) -> float:
    """Return the mean alpha of an image, 0 (nothing to see) to 1 (opaque everywhere)."""
    return float(np.asarray(image.convert("RGBA").getchannel("A"), dtype=np.float64).mean() / 255.0)


def canvas_size(layers: Sequence[Layer], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return the canvas's width and height in pixels.

    What is not given is the smallest canvas that starts at (0, 0) and holds every layer, hidden ones too, so that
    hiding a layer never changes the size. Raises `InputError` when that leaves no canvas.
    """
    width = max((layer.x + layer.width for layer in layers), default=0) if width is None else width
    height = max((layer.y + layer.height for layer in layers), default=0) if height is None else height
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
    background: Colour | None = None,
) -> Image.Image:
    """Put layers over each other, bottom first, and return one RGBA image.

    The canvas is `width` × `height` pixels, or as `canvas_size` has it. Parts outside are cut off. `background` is a
    colour below everything; without one the canvas is transparent. The arithmetic is that of `compositing.py`, in
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


def _crop(image: Image.Image, box: Box) -> Image.Image:
    """Return a part of an image, or the image itself when that is all of it: Pillow would copy it."""
    return image if box == (0, 0, *image.size) else image.crop(box)


def _scaled(length: int, scale: float) -> int:
    """Return a length in whole pixels, at least one; halves go up, as `Math.round` has it in browsers."""
    return max(1, math.floor(length * scale + 0.5))


def _overlap(first: Box, second: Box) -> Box | None:
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return (left, top, right, bottom) if left < right and top < bottom else None

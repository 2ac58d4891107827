"""A layer: one picture, how it lies on the canvas, and what it becomes in plain pixels."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from PIL import Image
from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from llm_dit.color import BlendMode
from llm_dit.recipe import Recipe

Box = tuple[int, int, int, int]
"""Left, top, right and bottom on the canvas, in pixels; right and bottom lie outside."""

Opacity = Annotated[float, Field(ge=0, le=1)]
Offset = Annotated[int, Field(ge=-32768, le=32768, description="Pixels from the canvas's top left corner.")]
Blend = Annotated[BlendMode, Field(description="How the colors meet those below, as in CSS's mix-blend-mode.")]
Scale = Annotated[float, Field(ge=0.01, le=32, description="Size about the layer's top left corner.")]
Flip = Annotated[bool, Field(description="Mirrored within the layer's own box.")]

MAX_LAYERS = 256
"""Of a stack that comes in or goes out as a file."""
LANCZOS_SUPPORT = 3
"""Pixels on each side of one that it is resampled from, those of the smaller of both pictures."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One picture in a stack: `opacity` in 0–1, `x` and `y` the offset of its top left corner in pixels.

    `scale` sizes it about that corner, within the bounds of `Scale`; `flip_x` mirrors it left to right and `flip_y` top
    to bottom, within its own box. `blend` is how its colors meet those below. Consecutive layers with the same
    `group` form a group of that name; it is a label, and changes nothing of the composite. `recipe` tells how its
    picture was made.
    """

    image: Image.Image
    name: str = ""
    opacity: Opacity = 1.0
    visible: bool = True
    x: int = 0
    y: int = 0
    blend: Blend = "normal"
    scale: Scale = 1.0
    flip_x: Flip = False
    flip_y: Flip = False
    group: str = ""
    recipe: Recipe | None = None

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

    @property
    def shown_box(self) -> Box | None:
        """Where what is not clear of the layer lies on the canvas; None when there is nothing to see."""
        bounds = self._mirrored().getbbox()
        return self._reach(bounds) if bounds else None

    def baked(self, within: Box) -> "Layer":
        """Return the layer as plain RGBA pixels: mirrored and scaled, cut to `within` and to what is not clear.

        Only what lies within and is not clear is computed, however large the whole would be. A layer that has nothing
        to show there becomes one clear pixel.
        """
        image = self._mirrored()
        bounds = image.getbbox()
        part = _overlap(self._reach(bounds), within) if bounds else None
        pixels = self._cut(image, part) if part else None
        seen = pixels.getbbox() if pixels else None
        if part is None or pixels is None or seen is None:
            return self._plain(Image.new("RGBA", (1, 1)), within[0], within[1])
        return self._plain(_crop(pixels, seen), part[0] + seen[0], part[1] + seen[1])

    def _mirrored(self) -> Image.Image:
        image = self.image if self.image.mode == "RGBA" else self.image.convert("RGBA")
        if self.flip_x:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if self.flip_y else image

    def _reach(self, bounds: Box) -> Box:
        """Return the part of the canvas on which `bounds` of the image have a bearing; resampling spreads them."""
        across, down = self.width / self.image.width, self.height / self.image.height
        spread = 0 if across == down == 1.0 else math.ceil(LANCZOS_SUPPORT * max(across, down, 1.0))
        return (
            self.x + max(0, math.floor(bounds[0] * across) - spread),
            self.y + max(0, math.floor(bounds[1] * down) - spread),
            self.x + min(self.width, math.ceil(bounds[2] * across) + spread),
            self.y + min(self.height, math.ceil(bounds[3] * down) + spread),
        )

    def _cut(self, image: Image.Image, part: Box) -> Image.Image:
        """Return the layer's pixels on `part` of the canvas, which lies within its box, from its mirrored image."""
        left, top, right, bottom = part[0] - self.x, part[1] - self.y, part[2] - self.x, part[3] - self.y
        if image.size == (self.width, self.height):
            return _crop(image, (left, top, right, bottom))
        across, down = image.width / self.width, image.height / self.height
        source = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
        # Pillow resamples RGBA premultiplied: colors that nobody sees do not bleed into the edges.
        return image.resize((right - left, bottom - top), Image.Resampling.LANCZOS, source)

    def _plain(self, image: Image.Image, x: int, y: int) -> "Layer":
        return dataclasses.replace(self, image=image, x=x, y=y, scale=1.0, flip_x=False, flip_y=False)


class Placing(BaseModel, frozen=True):
    """How a layer lies and shows, as files and requests have it: under the names and with the defaults of `Layer`."""

    opacity: Opacity = Layer.opacity
    visible: bool = Layer.visible
    x: int = Layer.x
    y: int = Layer.y
    blend: Blend = Layer.blend
    scale: Scale = Layer.scale
    flip_x: Flip = Layer.flip_x
    flip_y: Flip = Layer.flip_y


def _readable(value: object, read: ValidatorFunctionWrapHandler) -> Recipe | None:
    """Do without a recipe that cannot be read: a layer is more than how it was made."""
    try:
        return read(value)
    except ValidationError:
        return None


class KeptLayer(Placing, frozen=True):
    """A layer as a file keeps it, beside its picture."""

    name: str = Layer.name
    group: Annotated[str, Field(description="Nested groups as a path, such as `Figure / Shadows`.")] = Layer.group
    recipe: Annotated[Recipe | None, Field(description="How its picture was made."), WrapValidator(_readable)] = (
        Layer.recipe
    )


def kept_fields(layer: Layer | KeptLayer) -> dict[str, Any]:
    """Return what a `KeptLayer` and a `Layer` have in common."""
    return {name: getattr(layer, name) for name in KeptLayer.model_fields}


def plain(layer: Layer, width: int, height: int) -> Layer:
    """Return a layer, a hidden one too, for formats in which one is a rectangle of pixels: baked and cropped.

    What lies off the canvas stays, so that it can be moved back; a scaled layer is cut to the canvas, as it may be of
    any size.
    """
    return layer.baked(layer.box if layer.scale == 1.0 else (0, 0, width, height))


def _crop(image: Image.Image, box: Box) -> Image.Image:
    """Return a part of an image, or the image itself when that is all of it: Pillow would copy it."""
    return image if box == (0, 0, *image.size) else image.crop(box)


def _scaled(length: int, scale: float) -> int:
    """Return a length in whole pixels, at least one; halves go up, as `Math.round` has it in browsers."""
    return max(1, math.floor(length * scale + 0.5))


def pixels_within(box: Box, within: Box) -> int:
    """Return how many pixels of one box lie within another."""
    part = _overlap(box, within)
    return (part[2] - part[0]) * (part[3] - part[1]) if part else 0


def _overlap(first: Box, second: Box) -> Box | None:
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


# Groups: consecutive layers with one label, which may be a path of nested groups, such as "Figure / Shadows".


SEPARATOR = " / "

T = TypeVar("T", bound=Layer)


def label_of(names: Iterable[str]) -> str:
    """Return the label of nested groups, the outermost first; a name keeps to itself what would end it."""
    return SEPARATOR.join(name.replace(SEPARATOR, "/").strip() for name in names)


def names_of(label: str) -> list[str]:
    """Return the names of the groups that a label stands for, the outermost first; none for ""."""
    return [name for name in label.split(SEPARATOR) if name.strip()]


def group_steps(layers: Iterable[T]) -> Iterator[tuple[int, list[str], T]]:
    """Yield each layer with how many groups end before it, and the names of those that begin with it."""
    inside: list[str] = []
    for layer in layers:
        names = names_of(layer.group)
        shared = 0
        while shared < min(len(names), len(inside)) and names[shared] == inside[shared]:
            shared += 1
        yield len(inside) - shared, names[shared:], layer
        inside = names

"""A layer: a picture, its position on the canvas, its rendering as plain pixels; and groups of layers."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from PIL import Image
from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from llm_dit.color import BlendMode
from llm_dit.options import Recipe

Box = tuple[int, int, int, int]
"""Left, top, right and bottom on the canvas, in pixels; right and bottom are exclusive."""

Opacity = Annotated[float, Field(ge=0, le=1)]
Offset = Annotated[int, Field(ge=-32768, le=32768, description="Pixels from the canvas's top left corner.")]
Blend = Annotated[BlendMode, Field(description="Blend mode, as in CSS's mix-blend-mode.")]
Scale = Annotated[float, Field(ge=0.01, le=32, description="Scale around the layer's top left corner.")]
Stretch = Annotated[float, Field(ge=0.01, le=100, description="Factor on the height, in addition to `scale`.")]
Rotation = Annotated[
    float, Field(ge=-360, le=360, description="Degrees, clockwise, around the center of the layer's box.")
]
Flip = Annotated[bool, Field(description="Mirrored within the layer's own box.")]

MAX_LAYERS = 256
"""Most layers of an imported or exported stack."""
LANCZOS_SUPPORT = 3
"""Radius of the resampling filter, in pixels of the smaller of both pictures."""
CUBIC_SUPPORT = 2
_QUARTERS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}
"""Pillow counts counterclockwise."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One picture in a stack: `opacity` in 0–1, `x` and `y` the offset of its top left corner in pixels.

    `scale` scales it around that corner, within the bounds of `Scale`, and `stretch` additionally scales its height;
    `flip_x` mirrors it left to right and `flip_y` top to bottom, within its own box. Then `rotation` rotates it by
    degrees, clockwise, around the center of that box. `blend` is its blend mode. Consecutive layers with the same
    `group` form a group of that name; see `Group`. `recipe` says how its picture was made.
    """

    image: Image.Image
    name: str = ""
    opacity: Opacity = 1.0
    visible: bool = True
    x: int = 0
    y: int = 0
    blend: Blend = "normal"
    scale: Scale = 1.0
    stretch: Stretch = 1.0
    rotation: Rotation = 0.0
    flip_x: Flip = False
    flip_y: Flip = False
    group: str = ""
    recipe: Recipe | None = None

    @property
    def width(self) -> int:
        """Width in pixels before the rotation."""
        return _scaled(self.image.width, self.scale)

    @property
    def height(self) -> int:
        """Height in pixels before the rotation."""
        return _scaled(self.image.height, self.scale * self.stretch)

    @property
    def box(self) -> Box:
        """The rotated layer's box on the canvas."""
        return self._reach(self._frame(self.image).box)

    @property
    def shown_box(self) -> Box | None:
        """The box of the layer's visible pixels on the canvas, or None if there are none."""
        shown = self._frame(self._mirrored()).shown
        return shown and self._reach(shown)

    @property
    def is_placed_plainly(self) -> bool:
        """Whether its pixels are those of its picture, at most mirrored or rotated by quarter turns."""
        return self.scale == self.stretch == 1.0 and not self._is_oblique

    @property
    def to_canvas(self) -> tuple[float, float, float, float, float, float]:
        """a … f of x = a·u + b·v + c, y = d·u + e·v + f, which map a point of the picture to the canvas, in pixels."""
        across, down = self.width / self.image.width, self.height / self.image.height
        left, top = self.x, self.y
        if self.flip_x:
            left, across = left + self.width, -across
        if self.flip_y:
            top, down = top + self.height, -down
        turn, frame = self._turn, self._frame(self.image)
        aside = (frame.width / 2 + frame.x - turn.x, frame.height / 2 + frame.y - turn.y)
        a, b, c, d, e, f = turn.affine((0, 0), (0, 0))
        return (
            a * across,
            b * down,
            a * left + b * top + c + aside[0],
            d * across,
            e * down,
            d * left + e * top + f + aside[1],
        )

    def baked(self, within: Box) -> "Layer":
        """Return the layer as RGBA pixels: mirrored, scaled and rotated, cropped to `within` and to visible pixels.

        Only those pixels are computed, however large the whole would be. A layer without any becomes one transparent
        pixel.
        """
        frame = self._frame(self._mirrored())
        shown = frame.shown
        part = _overlap(self._reach(shown), within) if shown else None
        pixels = None
        if part and shown:
            pixels = self._turned(frame, shown, part) if self._is_oblique else frame.cut(part)
        seen = pixels.getbbox() if pixels else None
        if part is None or pixels is None or seen is None:
            return self._plain(Image.new("RGBA", (1, 1)), within[0], within[1])
        return self._plain(_crop(pixels, seen), part[0] + seen[0], part[1] + seen[1])

    @property
    def _is_oblique(self) -> bool:
        return self.rotation % 90 != 0

    @property
    def _turn(self) -> "_Turn":
        return _Turn(self.rotation, self.x + self.width / 2, self.y + self.height / 2)

    def _reach(self, box: Box) -> Box:
        """Return the box on the canvas of a box of the unrotated layer."""
        return self._turn.reach(box) if self._is_oblique else box

    def _mirrored(self) -> Image.Image:
        image = self.image if self.image.mode == "RGBA" else self.image.convert("RGBA")
        if self.flip_x:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if self.flip_y else image

    def _frame(self, image: Image.Image) -> "_Frame":
        """Return the position of an image of the layer after its lossless quarter turns."""
        quarters = 0 if self._is_oblique else round(self.rotation / 90) % 4
        if quarters:
            image = image.transpose(_QUARTERS[quarters])
        if quarters % 2 == 0:
            return _Frame(image, self.x, self.y, self.width, self.height)
        # Around the center, on whole pixels.
        aside = (self.width - self.height) // 2
        return _Frame(image, self.x + aside, self.y - aside, self.height, self.width)

    def _turned(self, frame: "_Frame", shown: Box, part: Box) -> Image.Image:
        """Return the pixels on `part` of the canvas for a rotation that is not a quarter turn."""
        turn = self._turn
        back = turn.back.reach(part)
        needed = _overlap(_grown(back, CUBIC_SUPPORT), shown)
        if needed is None:
            return Image.new("RGBA", (1, 1))
        # Transparent pixels around it make its edges soft.
        room = _grown(needed, CUBIC_SUPPORT)
        source = Image.new("RGBA", (room[2] - room[0], room[3] - room[1]))
        source.paste(frame.cut(needed), (CUBIC_SUPPORT, CUBIC_SUPPORT))
        size = (part[2] - part[0], part[3] - part[1])
        # Pillow resamples RGBA premultiplied, so invisible colors do not bleed into the edges.
        affine = turn.back.affine(part[:2], room[:2])
        return source.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)

    def _plain(self, image: Image.Image, x: int, y: int) -> "Layer":
        return dataclasses.replace(
            self, image=image, x=x, y=y, scale=1.0, stretch=1.0, rotation=0.0, flip_x=False, flip_y=False
        )


@dataclass(frozen=True)
class _Frame:
    """An image drawn at `width` × `height` pixels."""

    image: Image.Image
    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        return self.x, self.y, self.x + self.width, self.y + self.height

    @property
    def shown(self) -> Box | None:
        """The part of the canvas that visible pixels affect, including the spread of resampling."""
        bounds = self.image.getbbox()
        if bounds is None:
            return None
        across, down = self.width / self.image.width, self.height / self.image.height
        spread = 0 if across == down == 1.0 else math.ceil(LANCZOS_SUPPORT * max(across, down, 1.0))
        return (
            self.x + max(0, math.floor(bounds[0] * across) - spread),
            self.y + max(0, math.floor(bounds[1] * down) - spread),
            self.x + min(self.width, math.ceil(bounds[2] * across) + spread),
            self.y + min(self.height, math.ceil(bounds[3] * down) + spread),
        )

    def cut(self, part: Box) -> Image.Image:
        """Return the pixels on `part` of the canvas, which is within the box."""
        left, top, right, bottom = part[0] - self.x, part[1] - self.y, part[2] - self.x, part[3] - self.y
        if self.image.size == (self.width, self.height):
            return _crop(self.image, (left, top, right, bottom))
        across, down = self.image.width / self.width, self.image.height / self.height
        source = (
            left * across,
            top * down,
            min(right * across, self.image.width),
            min(bottom * down, self.image.height),
        )
        # Pillow resamples RGBA premultiplied.
        return self.image.resize((right - left, bottom - top), Image.Resampling.LANCZOS, source)


@dataclass(frozen=True)
class _Turn:
    """A rotation by degrees, clockwise, around a point of the canvas."""

    degrees: float
    x: float
    y: float

    @property
    def back(self) -> "_Turn":
        return _Turn(-self.degrees, self.x, self.y)

    def reach(self, box: Box) -> Box:
        """Return the smallest box of whole pixels around a rotated box."""
        corners = [self._point(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
        across, down = [x for x, _ in corners], [y for _, y in corners]
        return math.floor(min(across)), math.floor(min(down)), math.ceil(max(across)), math.ceil(max(down))

    def affine(self, start: tuple[int, int], end: tuple[int, int]) -> tuple[float, ...]:
        """Return Pillow's six numbers, from points relative to `start` to rotated points relative to `end`."""
        x, y = self._point(*start)
        sine, cosine = self._parts
        return cosine, -sine, x - end[0], sine, cosine, y - end[1]

    @property
    def _parts(self) -> tuple[float, float]:
        angle = math.radians(self.degrees)
        return math.sin(angle), math.cos(angle)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        sine, cosine = self._parts
        across, down = x - self.x, y - self.y
        return self.x + cosine * across - sine * down, self.y + sine * across + cosine * down


class Placing(BaseModel, frozen=True):
    """The position and appearance of a layer in files and requests, with the names and defaults of `Layer`."""

    opacity: Opacity = Layer.opacity
    visible: bool = Layer.visible
    x: int = Layer.x
    y: int = Layer.y
    blend: Blend = Layer.blend
    scale: Scale = Layer.scale
    stretch: Stretch = Layer.stretch
    rotation: Rotation = Layer.rotation
    flip_x: Flip = Layer.flip_x
    flip_y: Flip = Layer.flip_y


def _readable(value: object, read: ValidatorFunctionWrapHandler) -> Recipe | None:
    """Drop an unreadable recipe, because the layer is usable without it."""
    try:
        return read(value)
    except ValidationError:
        return None


class KeptLayer(Placing, frozen=True):
    """The fields of a layer in a file, besides its picture."""

    name: str = Layer.name
    group: Annotated[str, Field(description="Nested groups as a path, such as `Figure / Shadows`.")] = Layer.group
    recipe: Annotated[Recipe | None, Field(description="How its picture was made."), WrapValidator(_readable)] = (
        Layer.recipe
    )


def kept_fields(layer: Layer | KeptLayer) -> dict[str, Any]:
    """Return the fields that `KeptLayer` and `Layer` share."""
    return {name: getattr(layer, name) for name in KeptLayer.model_fields}


def plain(layer: Layer, width: int, height: int) -> Layer:
    """Return a layer, even a hidden one, as a cropped rectangle of pixels, for formats with such layers.

    Pixels off the canvas stay, so that they can be moved back; a scaled or rotated layer is cropped to the canvas,
    because it may have any size.
    """
    return layer.baked(layer.box if layer.is_placed_plainly else (0, 0, width, height))


def _crop(image: Image.Image, box: Box) -> Image.Image:
    """Return a part of an image, or the image itself if that is all of it, because Pillow would copy it."""
    return image if box == (0, 0, *image.size) else image.crop(box)


def _scaled(length: int, scale: float) -> int:
    """Return a length in whole pixels, at least one; halves round up, like `Math.round` in browsers."""
    return max(1, math.floor(length * scale + 0.5))


def pixels_within(box: Box, within: Box) -> int:
    """Return the number of common pixels of two boxes."""
    part = _overlap(box, within)
    return (part[2] - part[0]) * (part[3] - part[1]) if part else 0


def _grown(box: Box, by: int) -> Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _overlap(first: Box, second: Box) -> Box | None:
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


# Groups: consecutive layers with the same label, which may be a path of nested groups, such as "Figure / Shadows".


SEPARATOR = " / "


PASS_THROUGH = "pass-through"
GroupBlend = Literal["pass-through"] | BlendMode


class Group(BaseModel, frozen=True):
    """The appearance of a group as a whole.

    With "pass-through" and full opacity each layer blends with what is below it, as without the group. Any other group
    is composited by itself and then blended as one picture.
    """

    opacity: Opacity = 1.0
    visible: bool = True
    blend: Annotated[
        GroupBlend, Field(description="A layer's blend mode, or `pass-through`: each layer blends by itself.")
    ] = PASS_THROUGH

    @property
    def passes_through(self) -> bool:
        return self.opacity == 1.0 and self.blend == PASS_THROUGH

    @property
    def mode(self) -> BlendMode:
        """The blend mode of the whole group, if it does not pass through."""
        return "normal" if self.blend == PASS_THROUGH else self.blend


Groups = Mapping[str, Group]
"""The appearance of groups, by label; a missing group is visible and passes through."""
PLAIN_GROUP = Group()
NO_GROUPS: Groups = {}

T = TypeVar("T", bound=Layer)


def label_of(names: Iterable[str]) -> str:
    """Return the label of nested groups, the outermost first; separators inside names are replaced."""
    return SEPARATOR.join(name.replace(SEPARATOR, "/").strip() for name in names)


def names_of(label: str) -> list[str]:
    """Return the names of the groups in a label, the outermost first; none for ""."""
    return [name for name in label.split(SEPARATOR) if name.strip()]


class GroupSteps:
    """Follows layers, bottom first, into and out of their groups."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._inside: list[str] = []

    def step(self, label: str) -> tuple[int, list[tuple[str, Group]]]:
        """Return how many groups end before a layer with this label, and the groups that begin."""
        around = groups_around(label, self._groups)
        shared = 0
        while shared < min(len(around), len(self._inside)) and around[shared][0] == self._inside[shared]:
            shared += 1
        closed, self._inside = len(self._inside) - shared, [label for label, _ in around]
        return closed, [(names_of(label)[-1], group) for label, group in around[shared:]]


def group_steps(layers: Iterable[T], groups: Groups) -> Iterator[tuple[int, list[tuple[str, Group]], T]]:
    """Yield each layer with its `GroupSteps`."""
    steps = GroupSteps(groups)
    for layer in layers:
        closed, begun = steps.step(layer.group)
        yield closed, begun, layer


def groups_around(label: str, groups: Groups) -> list[tuple[str, Group]]:
    """Return the groups of a label, the outermost first: their labels and appearance."""
    names = names_of(label)
    labels = [SEPARATOR.join(names[: depth + 1]) for depth in range(len(names))]
    return [(label, groups.get(label, PLAIN_GROUP)) for label in labels]


def shows(layer: Layer, groups: Groups) -> bool:
    """Whether a layer and all of its groups are visible."""
    return layer.visible and all(group.visible for _, group in groups_around(layer.group, groups))

"""What the other layers of a stack show around one of them, in that layer's own pixels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from PIL import Image

from llm_dit.errors import ImageError, InputError
from llm_dit.layer import NO_GROUPS, Box, Groups, Layer
from llm_dit.layers import Painting, canvas_size

VISIBLE_ALPHA = 5
"""Fainter than this nobody sees, but decomposed layers carry it all over the canvas as noise."""
AROUND = 0.3
"""So much of the longer side of what is seen of a layer is looked at all around it."""
LEAST_AROUND_PX = 64
MOST_PIXELS = 4_194_304
"""Four times as many as a model looks at."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """`image` (RGBA, of any size) lies on `box` (left, top, right, bottom), in pixels of the layer and beyond it."""

    image: Image.Image
    box: Box

    def within(self, box: Box, size: tuple[int, int]) -> Image.Image:
        """Return what lies in a box of the layer's pixels, at `size`; where nothing is known it is clear."""
        shown = Image.new("RGBA", size)
        left, top = max(box[0], self.box[0]), max(box[1], self.box[1])
        right, bottom = min(box[2], self.box[2]), min(box[3], self.box[3])
        if left >= right or top >= bottom:
            return shown
        across, down = size[0] / (box[2] - box[0]), size[1] / (box[3] - box[1])
        place = (round((left - box[0]) * across), round((top - box[1]) * down))
        end = (round((right - box[0]) * across), round((bottom - box[1]) * down))
        if place[0] >= end[0] or place[1] >= end[1]:
            return shown
        wide, high = self.image.width / (self.box[2] - self.box[0]), self.image.height / (self.box[3] - self.box[1])
        source = (
            (left - self.box[0]) * wide,
            (top - self.box[1]) * high,
            min((right - self.box[0]) * wide, self.image.width),
            min((bottom - self.box[1]) * high, self.image.height),
        )
        size = (end[0] - place[0], end[1] - place[1])
        shown.paste(self.image.convert("RGBA").resize(size, Image.Resampling.LANCZOS, source), place)
        return shown

    def scaled(self, across: float, down: float) -> "Surroundings":
        """Return the same around a layer that is so many times as wide and high."""
        left, top, right, bottom = self.box
        box = (math.floor(left * across), math.floor(top * down), math.ceil(right * across), math.ceil(bottom * down))
        return replace(self, box=box)


SurroundingsLike = Surroundings | Image.Image
"""A plain picture has the layer's size."""
NO_SURROUNDINGS = "With context the surroundings are needed: a picture of the layer's size, or those of its stack."
NO_CONTEXT = "Surroundings are for context alone: turn that on, or leave them out."


def read_surroundings(
    given: SurroundingsLike | None, layer: Image.Image, *, context: bool = True
) -> Surroundings | None:
    """Return what a caller gives as surroundings of a layer, None where no `context` is asked for.

    Raises `InputError` naming `surroundings` for one without the other, and for a picture of another size.
    """
    if given is None or not context:
        if context != (given is not None):
            raise InputError(NO_SURROUNDINGS if context else NO_CONTEXT, param="surroundings")
        return None
    if isinstance(given, Surroundings):
        left, top, right, bottom = given.box
        if left >= right or top >= bottom:
            raise InputError("The box of the surroundings has no inside.", param="surroundings")
        return given
    if not isinstance(given, Image.Image):
        raise ImageError("surroundings must be a picture, or what surroundings_of returns.", param="surroundings")
    if given.size != layer.size:
        raise InputError(
            f"The surroundings must have the layer's size, {layer.width}×{layer.height} pixels, and have "
            f"{given.width}×{given.height}: surroundings_of makes them of a stack.",
            param="surroundings",
        )
    return Surroundings(image=given, box=(0, 0, *layer.size))


def surroundings_of(
    layers: Iterable[Layer],
    index: int,
    width: int | None = None,
    height: int | None = None,
    groups: Groups = NO_GROUPS,
    *,
    whole: bool = False,
) -> Surroundings:
    """Return what the other layers of a stack, bottom first, show where the layer at `index` is seen, and around it.

    With `whole` that is all of the canvas.

    Layers above it count too, as if it lay on top; its own opacity, blend mode and visibility do not. The canvas is
    `width` × `height` pixels, or as `composite` has it; beyond it nothing is known. Scaled, turned and mirrored layers
    get surroundings that lie to them as the canvas does. Raises `InputError` for an index that is none.
    """
    if width is None or height is None:
        layers = list(layers)
        width, height = canvas_size(layers, width, height)
    layer = None
    with Painting(width, height, groups=groups) as painting:
        for number, each in enumerate(layers):
            if number == index:
                layer = each
            # A hidden one parts two groups of one name, as it did.
            painting.add(replace(each, visible=False) if number == index else each)
        if layer is None:
            raise InputError("index must be the place of a layer in the stack, 0 at the bottom.", param="index")
        box = _window(layer, width, height, whole)
        return Surroundings(image=_seen_from(layer, box, painting), box=box)


def seen_box(layer: Image.Image) -> Box:
    """Return the box of what is visible of an RGBA layer; all of it when that is nothing."""
    visible = layer.getchannel("A").point([0] * VISIBLE_ALPHA + [255] * (256 - VISIBLE_ALPHA))
    return visible.getbbox() or (0, 0, *layer.size)


def _window(layer: Layer, width: int, height: int, whole: bool) -> Box:
    """Return what is looked at, in the layer's pixels: around what is seen of it, as far as the canvas reaches, or the
    `whole` canvas."""
    left, top, right, bottom = seen_box(layer.image.convert("RGBA"))
    a, b, _, d, e, _ = layer.to_canvas
    # On a canvas on which the layer is small, its surroundings are more of its own pixels.
    least = LEAST_AROUND_PX / max(math.sqrt(abs(a * e - b * d)), 1e-6)
    room = math.ceil(max(AROUND * max(right - left, bottom - top), least))
    corners = [_from_canvas(layer, x, y) for x in (0, width) for y in (0, height)]
    canvas = (
        math.floor(min(x for x, _ in corners)),
        math.floor(min(y for _, y in corners)),
        math.ceil(max(x for x, _ in corners)),
        math.ceil(max(y for _, y in corners)),
    )
    if whole:
        return canvas
    box = (
        max(left - room, canvas[0]),
        max(top - room, canvas[1]),
        min(right + room, canvas[2]),
        min(bottom + room, canvas[3]),
    )
    return box if box[0] < box[2] and box[1] < box[3] else (left, top, right, bottom)


def _from_canvas(layer: Layer, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = layer.to_canvas
    area = a * e - b * d
    return (e * (x - c) - b * (y - f)) / area, (a * (y - f) - d * (x - c)) / area


def _seen_from(layer: Layer, box: Box, painting: Painting) -> Image.Image:
    """Return what is painted within a box of the layer's pixels, at the finer of both resolutions or `MOST_PIXELS`."""
    a, b, c, d, e, f = layer.to_canvas
    left, top, right, bottom = box
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (left, right) for y in (top, bottom)]
    part = (
        max(math.floor(min(x for x, _ in corners)) - 2, 0),
        max(math.floor(min(y for _, y in corners)) - 2, 0),
        min(math.ceil(max(x for x, _ in corners)) + 2, painting.width),
        min(math.ceil(max(y for _, y in corners)) + 2, painting.height),
    )
    if part[0] >= part[2] or part[1] >= part[3]:
        return Image.new("RGBA", (1, 1))
    seen = painting.part(part)
    zoom = min(math.sqrt(abs(a * e - b * d)), 1.0)  # a layer that is drawn smaller has no use for its own pixels
    share = min(zoom, math.sqrt(MOST_PIXELS / ((right - left) * (bottom - top))))
    size = max(1, round((right - left) * share)), max(1, round((bottom - top) * share))
    # Places of the result, in the layer's pixels, on the canvas; where several of its pixels become one, they are
    # averaged before.
    across, down = (right - left) / size[0], (bottom - top) / size[1]
    coarse = max(math.sqrt(abs(a * e - b * d) * across * down), 1.0)
    small = max(1, round(seen.width / coarse)), max(1, round(seen.height / coarse))
    wide, high = small[0] / seen.width, small[1] / seen.height
    if small != seen.size:
        seen = seen.resize(small, Image.Resampling.LANCZOS)
    first = (a * left + b * top + c - part[0], d * left + e * top + f - part[1])
    affine = (
        a * across * wide,
        b * down * wide,
        first[0] * wide,
        d * across * high,
        e * down * high,
        first[1] * high,
    )
    return seen.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)

"""Which part of a layer the model gets to see, and at what size."""

import math
from dataclasses import dataclass

from PIL import Image

# Fainter than this nobody sees, but decomposed layers carry it all over the canvas as noise.
VISIBLE_ALPHA = 5
# Beyond 4:1 the model has seen hardly any picture; the rest is filled with transparency.
MAX_RATIO = 4.0
# A smaller piece is shown with more of its surroundings: enlarging it further adds nothing but blur.
MIN_SIDE = 64


@dataclass(frozen=True, kw_only=True)
class Crop:
    """`box` (left, top, right, bottom) in the layer's pixels, which may reach beyond it, shown at `size` in pixels."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def box_size(self) -> tuple[int, int]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    def cut(self, layer: Image.Image) -> Image.Image:
        """Return the box of an RGBA layer at the layer's own resolution; what lies beyond the layer is transparent."""
        return layer.crop(self.box)

    def paste(self, layer: Image.Image, piece: Image.Image) -> Image.Image:
        """Return the layer with `piece`, of the box's size, in its place; what lies beyond the layer is cut off."""
        pasted = layer.copy()
        pasted.paste(piece, self.box[:2])
        return pasted


def crop_to_content(layer: Image.Image, margin: float, target_area: int, multiple: int) -> Crop:
    """Return the box around what is visible in an RGBA layer, with a margin, and the size at which to show it.

    `margin` is a share of the longer side. It stays inside the layer, so that an opaque picture gets no frame; only a
    box longer than 4:1 is padded beyond the layer. A layer with nothing visible is shown whole.
    """
    visible = layer.getchannel("A").point([0] * VISIBLE_ALPHA + [255] * (256 - VISIBLE_ALPHA))
    left, top, right, bottom = visible.getbbox() or (0, 0, *layer.size)
    room = math.ceil(margin * max(right - left, bottom - top))
    left, right = _grow(left - room, right + room, layer.width)
    top, bottom = _grow(top - room, bottom + room, layer.height)
    left, right = _pad(left, right, math.ceil((bottom - top) / MAX_RATIO))
    top, bottom = _pad(top, bottom, math.ceil((right - left) / MAX_RATIO))
    return Crop(box=(left, top, right, bottom), size=fit_size((right - left) / (bottom - top), target_area, multiple))


def whole_layer(layer: Image.Image, target_area: int, multiple: int) -> Crop:
    """Return the crop that is the whole layer; one longer than 4:1 is squeezed to that."""
    ratio = min(max(layer.width / layer.height, 1 / MAX_RATIO), MAX_RATIO)
    return Crop(box=(0, 0, *layer.size), size=fit_size(ratio, target_area, multiple))


def fit_size(ratio: float, target_area: int, multiple: int) -> tuple[int, int]:
    """Return (width, height), multiples of `multiple`, of about `target_area` pixels and width/height ≈ `ratio`.

    The rounding is that of diffusers' `calculate_dimensions` (QwenImageEditPlusPipeline), repeated until it holds
    still, so that the pipeline's own rounding of a picture of this size changes nothing.
    """
    size = _round_size(ratio, target_area, multiple)
    while (again := _round_size(size[0] / size[1], target_area, multiple)) != size:
        size = again
    return size


def is_larger(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether a size has more pixels than another."""
    return size[0] * size[1] > other[0] * other[1]


def _round_size(ratio: float, target_area: int, multiple: int) -> tuple[int, int]:
    width = math.sqrt(target_area * ratio)
    return (
        max(round(width / multiple) * multiple, multiple),
        max(round(width / ratio / multiple) * multiple, multiple),
    )


def _grow(low: int, high: int, limit: int) -> tuple[int, int]:
    """Widen a span to `MIN_SIDE` around its middle, then move and cut it to lie within 0…`limit`."""
    low, high = _pad(low, high, MIN_SIDE)
    shift = max(-low, 0) - max(high - limit, 0) if high - low <= limit else 0
    return max(low + shift, 0), min(high + shift, limit)


def _pad(low: int, high: int, at_least: int) -> tuple[int, int]:
    missing = max(at_least - (high - low), 0)
    return low - missing // 2, high + missing - missing // 2

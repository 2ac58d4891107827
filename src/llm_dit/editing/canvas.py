"""Turns a layer into a picture that an image model can edit, and the model's result into a layer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import (
    LUMA,
    Key,
    Plane,
    as_float,
    bleed,
    choose_matte,
    derive_key,
    join,
    measure_plate,
    measure_plate_error,
    on_ground,
    restore_alpha,
    take_out,
    to_image,
)
from llm_dit.color import Rgb
from llm_dit.editing.registration import Motion, measure_motion, undo_motion
from llm_dit.options import EditOutputSize, Shape
from llm_dit.surroundings import VISIBLE_ALPHA, seen_box

# The part of a layer that the model sees, and its size.

# Models have seen hardly any picture beyond 4:1; such a box is padded with transparency.
MAX_RATIO = 4.0
# A smaller piece is shown with more surroundings, because enlarging it further would only blur it.
MIN_SIDE = 64
# The margin around a region, relative to its longer side, so that the model sees the context.
AROUND_REGION = 0.5
MIN_REGION_SIDE = 256

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """`box` (left, top, right, bottom) in the layer's pixels, possibly beyond its edges, shown at `size` in pixels."""

    box: Box
    size: tuple[int, int]

    @property
    def box_size(self) -> tuple[int, int]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    def cut(self, layer: Image.Image) -> Image.Image:
        """Return the box of an RGBA layer at the layer's own resolution, transparent beyond its edges."""
        return layer.crop(self.box)

    def paste(self, layer: Image.Image, piece: Image.Image) -> Image.Image:
        """Return the layer with `piece`, of the box's size, at the box; parts beyond its edges are cropped."""
        pasted = layer.copy()
        pasted.paste(piece, self.box[:2])
        return pasted


def crop_to_content(
    layer: Image.Image, margin: float, target_area: int, multiple: int, within: Box | None = None
) -> Crop:
    """Return the box of an RGBA layer's visible content, with a margin, and the size at which to show it.

    `margin` is relative to the longer side. The box stays inside the layer, or `within` a box, so that an opaque
    picture gets no frame; only a box longer than 4:1 is padded beyond. A fully transparent layer is shown whole.
    """
    left, top, right, bottom = seen_box(layer)
    room = math.ceil(margin * max(right - left, bottom - top))
    bounds = within or (0, 0, *layer.size)
    left, right = _grow(left - room, right + room, (bounds[0], bounds[2]), MIN_SIDE)
    top, bottom = _grow(top - room, bottom + room, (bounds[1], bounds[3]), MIN_SIDE)
    return _padded((left, top, right, bottom), target_area, multiple)


def crop_around(region: Box, layer: Image.Image, target_area: int, multiple: int, within: Box | None = None) -> Crop:
    """Return the box around a region of a layer, with its surroundings, and the size at which to show it.

    It stays inside the layer, or `within` a box, if that is no longer than 4:1.
    """
    left, top, right, bottom = region
    room = math.ceil(AROUND_REGION * max(right - left, bottom - top))
    least = max(MIN_REGION_SIDE, math.ceil((max(right - left, bottom - top) + 2 * room) / MAX_RATIO))
    bounds = within or (0, 0, *layer.size)
    left, right = _grow(left - room, right + room, (bounds[0], bounds[2]), least)
    top, bottom = _grow(top - room, bottom + room, (bounds[1], bounds[3]), least)
    return _padded((left, top, right, bottom), target_area, multiple)


def _padded(box: Box, target_area: int, multiple: int) -> Crop:
    """Return the crop of a box, padded to at most 4:1."""
    left, top, right, bottom = box
    left, right = _pad(left, right, math.ceil((bottom - top) / MAX_RATIO))
    top, bottom = _pad(top, bottom, math.ceil((right - left) / MAX_RATIO))
    return Crop(box=(left, top, right, bottom), size=fit_size((right - left) / (bottom - top), target_area, multiple))


def whole_layer(layer: Image.Image, target_area: int, multiple: int) -> Crop:
    """Return the crop of the whole layer; one longer than 4:1 is scaled to 4:1."""
    ratio = min(max(layer.width / layer.height, 1 / MAX_RATIO), MAX_RATIO)
    return Crop(box=(0, 0, *layer.size), size=fit_size(ratio, target_area, multiple))


def choose_crop(
    layer: Image.Image,
    output_size: EditOutputSize,
    region: Box | None,
    margin: float,
    target_area: int,
    multiple: int,
    *,
    within: Box | None = None,
) -> Crop:
    """Return the crop of an RGBA layer for a model: the whole layer for the model's size, a `region` with its
    surroundings, or else its content with a margin; the latter two `within` a box, by default the whole layer."""
    if output_size == "model":
        return whole_layer(layer, target_area, multiple)
    if region is not None:
        return crop_around(region, layer, target_area, multiple, within)
    return crop_to_content(layer, margin, target_area, multiple, within)


def fit_size(ratio: float, target_area: int, multiple: int) -> tuple[int, int]:
    """Return (width, height), multiples of `multiple`, of about `target_area` pixels and width/height ≈ `ratio`.

    The rounding is that of diffusers' `calculate_dimensions` (QwenImageEditPlusPipeline), repeated until it
    is stable, so that the pipeline's own rounding of this size changes nothing.
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


def _grow(low: int, high: int, limits: tuple[int, int], at_least: int) -> tuple[int, int]:
    """Widen a span to `at_least` around its center, then shift and clip it to the limits."""
    low, high = _pad(low, high, at_least)
    least, most = limits
    shift = max(least - low, 0) - max(high - most, 0) if high - low <= most - least else 0
    return max(low + shift, least), min(high + shift, most)


def _pad(low: int, high: int, at_least: int) -> tuple[int, int]:
    missing = max(at_least - (high - low), 0)
    return low - missing // 2, high + missing - missing // 2


# The model's input picture, and the way back from its result.

# The reach of a model's blur: the background is measured farther from the object than this.
CLEAR_PX = 4
# The width of background around the object used for registration: it must contain a blurred edge, which would
# otherwise seem to move.
AROUND_PX = 16


@dataclass(frozen=True, kw_only=True)
class EditResult:
    """The edited RGBA layer, and the corrected motion: the model's shift, in pixels of its picture, and zoom.

    `registered` is False if the edges of the two pictures do not determine the motion, or if it is larger than usual
    for a model (16 px, 4 %); then nothing was corrected. `alpha_derived` says that alpha was derived from the picture.
    """

    image: Image.Image
    shift_px: tuple[float, float]
    zoom: float
    registered: bool
    alpha_derived: bool = False


@dataclass(frozen=True, kw_only=True)
class EditCanvas:
    """The model's input, `image` (RGB), and the data for turning its result into a layer.

    `colors` (height, width, 3) and `alpha` are the layer's at the picture's size, `coverage` is each pixel's opacity
    over the background `matte` in the picture, all 0–1.
    """

    image: Image.Image
    layer: Image.Image
    crop: Crop
    shape: Shape
    output_size: EditOutputSize
    matte: Rgb
    colors: Plane = field(repr=False)
    alpha: Plane = field(repr=False)
    coverage: Plane = field(repr=False)

    def finish(self, edited: Image.Image) -> EditResult:
        """Return the layer with the model's result for `image`, an RGB picture of any size.

        The result has the layer's own size; with `output_size="model"` that of `edited`, and its alpha is resized.
        """
        picture = as_float(edited.convert("RGB").resize(self.image.size, Image.Resampling.LANCZOS))
        motion = self._measure(picture)
        if motion.is_certain:
            picture = undo_motion(picture, motion)
        key = self._derive(picture) if self.shape == "new" else None
        if key is None:
            colors = self._take_out(picture)
            image = self._keep(colors, edited.size)
        else:
            image = self._renew(key, edited.size)
        certain = motion if motion.is_certain else Motion()
        return EditResult(
            image=image,
            shift_px=certain.shift,
            zoom=certain.zoom,
            registered=motion.is_certain,
            alpha_derived=key is not None,
        )

    def preview(self, edited: Image.Image) -> Image.Image:
        """Return the layer in an unfinished result, at the size of `edited`, an RGB picture.

        It has the layer's alpha if the shape is kept; only the finished result gives a new one.
        """
        if self.shape == "new":
            return edited.convert("RGBA")
        return restore_alpha(edited.convert("RGB"), to_image(self.alpha).resize(edited.size, Image.Resampling.BOX))

    def _measure(self, picture: Plane) -> Motion:
        weight = cv2.dilate(self.coverage, square(AROUND_PX))
        return measure_motion(as_float(self.image), picture, weight)

    def _derive(self, picture: Plane) -> Key | None:
        return derive_key(picture, self.alpha, self.matte)

    def _take_out(self, picture: Plane) -> Plane:
        clear = cv2.dilate(self.coverage, square(CLEAR_PX)) <= 1 / 255
        plate = measure_plate(picture, clear, self.matte)
        return take_out(picture, self.coverage, plate, measure_plate_error(picture, clear))

    def _keep(self, colors: Plane, edited_size: tuple[int, int]) -> Image.Image:
        """Return the edited colors under the original alpha."""
        if self.output_size == "model":
            rgb = to_image(colors).resize(edited_size, Image.Resampling.LANCZOS)
            return restore_alpha(rgb, self.layer.getchannel("A").resize(edited_size, Image.Resampling.LANCZOS))
        if not self.coverage.any():
            return self.layer.copy()
        pasted = self.crop.paste(self.layer, self._at_layer_size(colors))
        return restore_alpha(pasted, self.layer.getchannel("A"))

    def _renew(self, key: Key, edited_size: tuple[int, int]) -> Image.Image:
        """Return the derived colors and alpha; unchanged parts have the original alpha."""
        if self.output_size == "model":
            return join(key.colors, key.alpha).resize(edited_size, Image.Resampling.LANCZOS)
        piece = self.crop.cut(self.layer)
        new = as_float(to_image(key.alpha).resize(piece.size, Image.Resampling.LANCZOS))
        changed = as_float(to_image(key.changed).resize(piece.size, Image.Resampling.BILINEAR))
        alpha = as_float(piece.getchannel("A")) * (1 - changed) + new * changed
        return self.crop.paste(self.layer, restore_alpha(self._at_layer_size(key.colors), to_image(alpha)))

    def _at_layer_size(self, colors: Plane) -> Image.Image:
        return at_layer_size(colors, self.colors, self.crop, self.layer)


def square(reach: int) -> NDArray[np.uint8]:
    """Return a square kernel that reaches `reach` pixels to each side."""
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)


# Restoring detail of a layer that is finer than the model's resolution.


def at_layer_size(edited: Plane, shown: Plane, crop: Crop, layer: Image.Image) -> Image.Image:
    """Return edited colors (height, width, 3) at the size of the layer's crop, as RGB; `shown` is the model's input."""
    if is_larger(crop.box_size, crop.size):
        return enlarge_with_detail(edited, shown, crop.cut(layer))
    return to_image(edited).resize(crop.box_size, Image.Resampling.LANCZOS)


def enlarge_with_detail(edited: Plane, shown: Plane, piece: Image.Image) -> Image.Image:
    """Return the edited colors at the size of `piece`, the RGBA layer that was downscaled for the model, as RGB.

    `edited` and `shown` (height, width, 3), 0–1, are the model's output and input. Detail lost by downscaling is added
    in proportion to how much of the finest detail in the input survived. That is measured by the local regression of
    the guided filter (He, Sun and Tang, ECCV 2010) and applied as in joint upsampling (Kopf et al., SIGGRAPH 2007):
    unchanged pictures are restored exactly, and new content shows no trace of the old.
    """
    fine = _lost_detail(shown, piece)
    guide = _band(shown @ LUMA)
    power = cv2.blur(guide**2, (9, 9)) + 1e-5
    channels = []
    for channel in _channels(edited):
        gain = (cv2.blur(guide * _band(channel), (9, 9)) / power).clip(0, 1.5)
        large = _resize(channel, piece.size) + fine * _resize(gain, piece.size)
        channels.append(np.rint(large.clip(0, 1) * 255).astype(np.uint8))
    return Image.fromarray(np.stack(channels, -1))


def _lost_detail(shown: Plane, piece: Image.Image) -> Plane:
    """Return the luminance of the piece minus that of the model's input; 0 where the piece is transparent."""
    luminance = as_float(piece.convert("RGB").convert("L"))
    visible = np.asarray(piece.getchannel("A")) >= 128
    return np.where(visible, luminance - _resize(shown @ LUMA, piece.size), 0)


def _channels(picture: Plane) -> Iterator[Plane]:
    return (np.ascontiguousarray(picture[..., index]) for index in range(picture.shape[-1]))


def _band(plane: Plane) -> Plane:
    """Return the finest detail of a plane that survives an autoencoder."""
    return cv2.GaussianBlur(plane, (0, 0), 0.8) - cv2.GaussianBlur(plane, (0, 0), 3.0)


def _resize(plane: Plane, size: tuple[int, int]) -> Plane:
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))


# How an image model sees a layer: the background, the size, and the opacity.

# A new shape needs room to grow into.
MARGINS: dict[Shape, float] = {"keep": 0.08, "new": 0.25}
# Least RGB distance (0–442) of a neutral background from the layer's colors: to show the shape, or to key it.
ENOUGH: dict[Shape, float] = {"keep": 70.0, "new": 130.0}
# The layer is grown by this, so that the model's blur does not mix the background into kept pixels.
GROW_PX = 3
# The layer is composited over itself this often: a glow gets an outline for measuring a shift, and hardly any
# background shows through that would have to be removed again.
TIMES = 32


def prepare(
    layer: Image.Image,
    *,
    shape: Shape,
    output_size: EditOutputSize = "layer",
    region: Box | None = None,
    target_area: int = 1024 * 1024,
    multiple: int = 32,
) -> EditCanvas:
    """Turn an RGBA layer into a picture of about `target_area` pixels whose sides are multiples of `multiple`.

    The picture shows the layer's content with a margin, enlarged to the whole area; or a `region` with its
    surroundings; or with `output_size="model"` the whole layer. The background differs from the layer's colors. Colors
    under full transparency are never shown. For `shape="keep"` the layer is shown more opaque, because its original
    alpha is restored (see `GROW_PX`, `TIMES`); for "new" unchanged, so that alpha can be derived from the result.
    """
    layer = layer.convert("RGBA")
    crop = choose_crop(layer, output_size, region, MARGINS[shape], target_area, multiple)
    piece = without_specks(crop.cut(layer))
    matte = choose_matte(piece, ENOUGH[shape])
    colors, alpha = at_size(piece, crop.size)
    coverage = _strengthen(alpha) if shape == "keep" else alpha
    ground = np.array(matte, np.float32) / np.float32(255)
    return EditCanvas(
        image=to_image(on_ground(colors, coverage, ground)),
        layer=layer,
        crop=crop,
        shape=shape,
        output_size=output_size,
        matte=matte,
        colors=colors,
        alpha=alpha,
        coverage=coverage,
    )


def without_specks(piece: Image.Image) -> Image.Image:
    """Return the piece without pixels too faint to be visible, whose colors are arbitrary."""
    cleared = piece.copy()
    cleared.putalpha(piece.getchannel("A").point([0] * VISIBLE_ALPHA + list(range(VISIBLE_ALPHA, 256))))
    return cleared


def at_size(piece: Image.Image, size: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return straight colors, bled under transparency, and alpha, both at `size` and 0–1."""
    if is_larger(piece.size, size):
        piece = piece.resize(size, Image.Resampling.LANCZOS)  # Pillow weights the colors by alpha
    filled = bleed(piece)
    colors = as_float(filled.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    alpha = as_float(filled.getchannel("A").resize(size, Image.Resampling.LANCZOS))
    return colors, alpha


def _strengthen(alpha: Plane) -> Plane:
    """Return the coverage of a layer grown by `GROW_PX` and composited `TIMES` over itself."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * GROW_PX + 1, 2 * GROW_PX + 1))
    grown = np.maximum(cv2.GaussianBlur(cv2.dilate(alpha, kernel), (0, 0), 0.8), alpha)
    return 1 - (1 - grown) ** TIMES

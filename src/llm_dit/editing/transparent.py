"""Turns a layer into a picture for an RGBA model, and the model's result into a layer."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import Plane, as_float, bleed, join, resize_layer, restore_alpha, spread, to_image
from llm_dit.editing.canvas import (
    AROUND_PX,
    MARGINS,
    Box,
    Crop,
    EditResult,
    at_layer_size,
    choose_crop,
    square,
    without_specks,
)
from llm_dit.editing.registration import Motion, measure_motion, undo_motion
from llm_dit.options import EditOutputSize, Shape
from llm_dit.surroundings import VISIBLE_ALPHA

GROUND = 0.5
"""The background of both pictures while their edges are compared, 0–1."""
SURE = 0.1
"""From this alpha up a color is used unchanged; fainter ones get more from their neighbors."""


@dataclass(frozen=True, kw_only=True)
class TransparentCanvas:
    """The model's input, `image` (RGBA), and the data for turning its result into a layer.

    Transparent pixels have colors extended from their neighbors, not the layer's hidden ones.
    """

    image: Image.Image
    layer: Image.Image
    crop: Crop
    shape: Shape
    output_size: EditOutputSize
    colors: Plane = field(repr=False)

    def finish(self, edited: Image.Image) -> EditResult:
        """Return the layer with the model's result for `image`, an RGBA picture of any size.

        With `shape="new"` it has the model's own alpha, rounded to clear or opaque where the difference is invisible.
        The result has the layer's own size; with `output_size="model"` that of `edited`.
        """
        shown, seen = as_float(self.image), as_float(resize_layer(edited.convert("RGBA"), self.image.size))
        weight = cv2.dilate(shown[..., 3], square(AROUND_PX))
        motion = measure_motion(_on_ground(shown), _on_ground(seen), weight)
        motion = motion if motion.is_certain else Motion()
        colors, alpha = _take_apart(seen, motion)
        return EditResult(
            image=self._keep(colors, edited.size) if self.shape == "keep" else self._renew(colors, alpha, edited.size),
            shift_px=motion.shift,
            zoom=motion.zoom,
            registered=motion.is_certain,
            alpha_derived=self.shape == "new",
        )

    def preview(self, edited: Image.Image) -> Image.Image:
        """Return the layer in an unfinished result, at the size of `edited`."""
        if self.shape == "new":
            return edited.convert("RGBA")
        alpha = self.image.getchannel("A").resize(edited.size, Image.Resampling.BOX)
        return restore_alpha(edited.convert("RGB"), alpha)

    def _keep(self, colors: Plane, edited_size: tuple[int, int]) -> Image.Image:
        """Return the edited colors under the original alpha."""
        alpha = self.layer.getchannel("A")
        if self.output_size == "model":
            rgb = to_image(colors).resize(edited_size, Image.Resampling.LANCZOS)
            return restore_alpha(rgb, alpha.resize(edited_size, Image.Resampling.LANCZOS))
        if not self.image.getchannel("A").getbbox():
            return self.layer.copy()
        return restore_alpha(self.crop.paste(self.layer, self._at_layer_size(colors)), alpha)

    def _renew(self, colors: Plane, alpha: Plane, edited_size: tuple[int, int]) -> Image.Image:
        """Return the edited colors under the model's own alpha."""
        if self.output_size == "model":
            return _settled(join(colors, alpha).resize(edited_size, Image.Resampling.LANCZOS))
        outline = to_image(alpha).resize(self.crop.box_size, Image.Resampling.LANCZOS)
        return self.crop.paste(self.layer, _settled(restore_alpha(self._at_layer_size(colors), outline)))

    def _at_layer_size(self, colors: Plane) -> Image.Image:
        return at_layer_size(colors, self.colors, self.crop, self.layer)


def prepare_transparent(
    layer: Image.Image,
    *,
    shape: Shape,
    output_size: EditOutputSize = "layer",
    region: Box | None = None,
    target_area: int = 1024 * 1024,
    multiple: int = 32,
) -> TransparentCanvas:
    """Turn an RGBA layer into an RGBA picture of about `target_area` pixels, sides multiples of `multiple`.

    It shows the same part of the layer as `canvas.prepare`.
    """
    layer = layer.convert("RGBA")
    crop = choose_crop(layer, output_size, region, MARGINS[shape], target_area, multiple)
    # Twice, because faint edges after resizing have colors from rounding.
    image = bleed(without_specks(resize_layer(without_specks(crop.cut(layer)), crop.size)))
    return TransparentCanvas(
        image=image,
        layer=layer,
        crop=crop,
        shape=shape,
        output_size=output_size,
        colors=as_float(image.convert("RGB")),
    )


def _on_ground(picture: Plane) -> Plane:
    alpha = picture[..., 3:]
    return picture[..., :3] * alpha + GROUND * (1 - alpha)


def _take_apart(picture: Plane, motion: Motion) -> tuple[Plane, Plane]:
    """Return straight colors, extended under transparency, and alpha of a result with its motion corrected."""
    alpha, light = picture[..., 3], picture[..., :3] * picture[..., 3:]
    if motion.is_certain:
        alpha, light = undo_motion(alpha, motion).clip(0, 1), undo_motion(light, motion)
    colors = (light / np.maximum(alpha, 1 / 255)[..., None]).clip(0, 1)
    return spread(colors, (alpha / SURE).clip(0, 1)), alpha


def _settled(layer: Image.Image) -> Image.Image:
    """Return a layer whose alpha is rounded to 0 or 255 where the difference is invisible."""
    settled = layer.copy()
    steps = [0] * VISIBLE_ALPHA + list(range(VISIBLE_ALPHA, 256 - VISIBLE_ALPHA)) + [255] * VISIBLE_ALPHA
    settled.putalpha(layer.getchannel("A").point(steps))
    return settled

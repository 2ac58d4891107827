"""The canvases of a layer without a plain background: over its surroundings, and transparent for an RGBA model."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import (
    NOISE,
    Key,
    Plane,
    as_float,
    bleed,
    choose_matte,
    join,
    key_on,
    measure_plate_error,
    on_ground,
    resize_layer,
    restore_alpha,
    spread,
    take_out,
    to_image,
)
from llm_dit.editing.canvas import (
    AROUND_PX,
    CLEAR_PX,
    ENOUGH,
    MARGINS,
    Box,
    Crop,
    EditCanvas,
    EditResult,
    at_layer_size,
    at_size,
    choose_crop,
    square,
    without_specks,
)
from llm_dit.editing.registration import Motion, measure_motion, undo_motion
from llm_dit.options import EditOutputSize, Shape
from llm_dit.surroundings import VISIBLE_ALPHA, Surroundings

MARGIN = 0.25
"""Surroundings shown on each side, relative to the longer side of the layer's content."""
BLURS_PX = (0.0, 0.5, 0.8, 1.2, 1.8, 2.6)
"""Candidate blurs of a result relative to the input (Gaussian sigma, pixels of the picture)."""
MOST_APART = 0.1
"""Colors that differ more (0–1) were edited, and do not measure blur."""
KEPT_GROUND = 12 / 255
"""The background counts as kept within this distance from the input, after correcting a color drift."""
MOST_SAMPLES = 50_000
LEAST_KEPT = 0.4
"""If less of it is kept, the model has painted another scene, and no new shape can be derived."""


@dataclass(frozen=True, kw_only=True)
class ContextCanvas(EditCanvas):
    """As `EditCanvas`, on a `ground` (height, width, 3), 0–1, which shows the layers around and behind this one.

    The model's version of the background is measured outside of the layer, and removed from the layer's own pixels. A
    new shape is what then differs from the background.
    """

    ground: Plane = field(repr=False)

    def finish(self, edited: Image.Image) -> EditResult:
        """Return the layer with the model's result for `image`, as `EditCanvas` does; the result may have alpha."""
        return super().finish(self._opaque(edited))

    def preview(self, edited: Image.Image) -> Image.Image:
        """Return the layer in an unfinished result, at the size of `edited`."""
        edited = self._opaque(edited)
        alpha = to_image(self.alpha).resize(edited.size, Image.Resampling.BOX)
        if self.shape == "new":
            ground = as_float(to_image(self.ground).resize(edited.size, Image.Resampling.BOX))
            apart = np.abs(as_float(edited) - ground).max(-1)
            alpha = to_image(np.maximum(as_float(alpha), (apart / MOST_APART - 1).clip(0, 1)))
        return restore_alpha(edited, alpha)

    def _opaque(self, edited: Image.Image) -> Image.Image:
        """Return a result as RGB: an RGBA model leaves unchanged background transparent."""
        if edited.mode == "RGB":
            return edited
        shown = self.image.resize(edited.size, Image.Resampling.LANCZOS).convert("RGBA")
        return Image.alpha_composite(shown, edited.convert("RGBA")).convert("RGB")

    def _measure(self, picture: Plane) -> Motion:
        return measure_motion(as_float(self.image), picture, np.ones_like(self.alpha))

    def _take_out(self, picture: Plane) -> Plane:
        blur_px = self._blur(picture)
        # Blur mixes the background into opaque pixels of the layer.
        coverage = np.minimum(_blurred(self.coverage, blur_px), self.coverage)
        clear = cv2.dilate(self.coverage, square(CLEAR_PX)) <= 1 / 255
        ground = _regraded(_blurred(self.ground, blur_px), picture, clear)
        drift = _carried_on(picture - ground, clear)
        error = measure_plate_error(picture - ground - drift + 0.5, clear) if clear.any() else NOISE
        return take_out(picture, coverage, ground + drift, error)

    def _derive(self, picture: Plane) -> Key | None:
        around = cv2.dilate(self.alpha, square(CLEAR_PX)) <= 1 / 255
        if not around.any():
            return None
        blur_px = self._blur(picture)
        ground = _regraded(_blurred(self.ground, blur_px), picture, around)
        residual = picture - ground
        usual = np.median(residual[around], axis=0)
        kept = around & (cv2.blur(np.abs(residual - usual).max(-1), (5, 5)) < KEPT_GROUND)
        if kept.sum() < LEAST_KEPT * around.sum():
            return None
        plate = (ground + _carried_on(residual, kept)).astype(np.float32)
        key = key_on(picture, self.alpha, plate)
        # Where the result equals the input the old alpha is kept, even if the layer looks like the background.
        shown = on_ground(self.colors, self.alpha, plate)
        apart = cv2.blur(np.abs(picture - _blurred(shown, blur_px)).max(-1), (5, 5))
        changed = key.changed * (apart / KEPT_GROUND - 1).clip(0, 1)
        alpha = self.alpha * (1 - changed) + key.alpha * changed
        return Key(alpha=alpha, colors=take_out(picture, alpha, plate), changed=changed)

    def _blur(self, picture: Plane) -> float:
        """Return the result's blur: the candidate with which the input is closest to it."""
        shown = as_float(self.image)
        apart = [
            float(np.minimum(np.abs(picture - _blurred(shown, blur_px)).mean(-1), MOST_APART).mean())
            for blur_px in BLURS_PX
        ]
        return BLURS_PX[int(np.argmin(apart))]


def prepare_context(
    layer: Image.Image,
    surroundings: Surroundings,
    *,
    shape: Shape,
    output_size: EditOutputSize = "layer",
    region: Box | None = None,
    target_area: int = 1024 * 1024,
    multiple: int = 32,
) -> ContextCanvas:
    """Turn an RGBA layer and its surroundings into a picture of about `target_area` pixels, as `canvas.prepare` does.

    It shows the layer unchanged, neither grown nor more opaque, with a margin that extends beyond the layer's own image
    as far as the surroundings do. Where these are transparent, the background is a color that differs from the layer's.
    """
    layer = layer.convert("RGBA")
    left, top, right, bottom = surroundings.box
    within = (min(left, 0), min(top, 0), max(right, layer.width), max(bottom, layer.height))
    crop = choose_crop(layer, output_size, region, MARGIN, target_area, multiple, within=within)
    piece = without_specks(crop.cut(layer))
    matte = choose_matte(piece, ENOUGH[shape])
    around = as_float(surroundings.within(crop.box, crop.size))
    plain = np.array(matte, np.float32) / np.float32(255)
    ground = on_ground(around[..., :3], around[..., 3], plain)
    colors, alpha = at_size(piece, crop.size)
    return ContextCanvas(
        image=to_image(on_ground(colors, alpha, ground)),
        layer=layer,
        crop=crop,
        shape=shape,
        output_size=output_size,
        matte=matte,
        colors=colors,
        alpha=alpha,
        coverage=alpha,
        ground=ground,
    )


def _blurred(plane: Plane, blur_px: float) -> Plane:
    return cv2.GaussianBlur(plane, (0, 0), blur_px) if blur_px else plane


def _regraded(ground: Plane, picture: Plane, clear: NDArray[np.bool_]) -> Plane:
    """Return the background with the result's global color change, an affine map fitted where it is clear.

    Least squares, regularized toward no change, because a background of few colors does not determine the map.
    """
    old, new = ground[clear], picture[clear]
    if not len(old):
        return ground
    step = len(old) // MOST_SAMPLES + 1
    known = np.column_stack([old[::step], np.ones(len(old[::step]))]).astype(np.float64)
    drawn = len(known) * 1e-3 * np.eye(4)
    change = np.linalg.solve(known.T @ known + drawn, known.T @ (new[::step] - old[::step]))
    return (ground + ground @ change[:3] + change[3]).clip(0, 1).astype(np.float32)


def _carried_on(residual: Plane, clear: NDArray[np.bool_]) -> Plane:
    """Return the smooth difference of result and background (height, width, 3), extended under the layer."""
    if not clear.any():
        return np.zeros_like(residual)
    known = clear.astype(np.float32)
    # At an eighth of the size, because a model's change of the whole background is smooth, while lost detail is not.
    height, width = known.shape
    small = (max(width // 8, 1), max(height // 8, 1))
    sums = cv2.resize(np.dstack([residual * known[..., None], known]), small, interpolation=cv2.INTER_AREA)
    sums = cv2.GaussianBlur(sums, (0, 0), 2)
    weight = sums[..., 3]
    mean = sums[..., :3] / np.maximum(weight, 1e-4)[..., None]
    return cv2.resize(spread(mean, (weight / 0.25).clip(0, 1)), (width, height), interpolation=cv2.INTER_LINEAR)


# A layer as a transparent picture.

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
        motion = measure_motion(_on_gray(shown), _on_gray(seen), weight)
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


def _on_gray(picture: Plane) -> Plane:
    return on_ground(picture[..., :3], picture[..., 3], GROUND)


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

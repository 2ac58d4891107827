"""A stand-in for the image model, which makes the edits of `simulated_edits` in an opaque picture.

What it assumes of a model, for every way of preparing the picture alike; it knows a picture and which part of the layer
that shows, never how it was made:

- It renders at about one megapixel with sides that are multiples of 32 (diffusers' `calculate_dimensions`).
- It edits what it sees of the object. On a flat ground that is how far each pixel is from the ground to the object;
  elsewhere it is told the true alpha, which favors the way that shows raw colors.
- The ground is kept, graded by the same edit, or repainted with an unrelated scene. A model that repaints redraws the
  object as it was, a pixel larger, or a pixel smaller, each equally often.
- Everything is shifted by up to 12 px of its picture and zoomed by up to 3 % about the middle, as users report of
  Qwen-Image-Edit-2509 (QwenLM/Qwen-Image#160, #229); what comes in at the border is mirrored.
- It softens (Gaussian, sigma 0.35 to 0.8 px) and adds noise, of sigma 3/255 before it is softened and 0.8/255 in cells
  of 8 px, about what a round trip through the VAE costs.

Not simulated: bending, a change of style or of the object's parts, light of the ground on the object, words misread.
"""

import math

import cv2
import numpy as np
from PIL import Image

from tests.kit.edits.simulated_edits import Edit
from tests.kit.edits.simulated_layers import Plane, Subject, draw_scenery

Box = tuple[float, float, float, float]
MODEL_AREA = 1024 * 1024
MIN_GROUND_PX = 500


def render(picture: Image.Image, box: Box, subject: Subject, edit: Edit, area: int = MODEL_AREA) -> Image.Image:
    """Return what the stand-in makes of `picture`, which shows `box` (left, top, right, bottom) of the layer."""
    size = model_size(*picture.size, area)
    seen = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    x, y = _places(box, size)
    scale = size[0] / (box[2] - box[0])
    colors, alpha = _look_up(subject.colors, x, y, scale, cv2.BORDER_REPLICATE), _look_up(subject.alpha, x, y, scale)
    cover = _perceive(seen, colors, alpha)
    rng = np.random.default_rng(edit.seed + 1)
    if edit.ground == "graded":
        made = edit.apply(seen, x, y, scale)
    elif edit.ground == "kept":
        made = seen + cover[..., None] * (edit.apply(colors, x, y, scale) - colors)
    else:
        scenery = draw_scenery(rng, *size)
        redraw = {-1: cv2.erode, 0: lambda same, _: same, 1: cv2.dilate}[edit.outline_px]
        cover = redraw(cover, np.ones((3, 3), np.uint8))
        made = cover[..., None] * edit.apply(colors, x, y, scale) + (1 - cover[..., None]) * scenery
    return _to_image(_decode(_move(made.astype(np.float32), edit), rng))


def render_reshaped(
    picture: Image.Image, box: Box, subject: Subject, reshaped: Subject, edit: Edit, area: int = MODEL_AREA
) -> Image.Image:
    """Return what the stand-in makes of `picture` when the edit changes the object's shape, on the ground it sees."""
    size = model_size(*picture.size, area)
    seen = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    x, y = _places(box, size)
    scale = size[0] / (box[2] - box[0])
    colors, before = _look_up(subject.colors, x, y, scale, cv2.BORDER_REPLICATE), _look_up(subject.alpha, x, y, scale)
    apart = cv2.dilate(before, np.ones((25, 25), np.uint8)) < 0.004
    ground = np.broadcast_to(np.median(seen[apart], axis=0), seen.shape).astype(np.float32)
    if edit.ground == "graded":
        ground = edit.apply(ground, x, y, scale)
    cover = _look_up(reshaped.alpha, x, y, scale)[..., None]
    made = cover * edit.apply(colors, x, y, scale) + (1 - cover) * ground
    return _to_image(_decode(_move(made.astype(np.float32), edit), np.random.default_rng(edit.seed + 1)))


def model_size(width: int, height: int, area: int) -> tuple[int, int]:
    """Return the size the model renders at for a picture of this size."""
    ratio = width / height
    wide = math.sqrt(area * ratio)
    return round(wide / 32) * 32, round(wide / ratio / 32) * 32


def _places(box: Box, size: tuple[int, int]) -> tuple[Plane, Plane]:
    across = np.linspace(box[0], box[2], size[0] + 1, dtype=np.float32)
    down = np.linspace(box[1], box[3], size[1] + 1, dtype=np.float32)
    x, y = np.meshgrid((across[:-1] + across[1:]) / 2, (down[:-1] + down[1:]) / 2)
    return x, y


def _look_up(values: Plane, x: Plane, y: Plane, scale: float, border: int = cv2.BORDER_CONSTANT) -> Plane:
    smooth = cv2.GaussianBlur(values, (0, 0), 0.45 / scale) if scale < 0.9 else values
    return cv2.remap(
        np.ascontiguousarray(smooth, np.float32),
        x - np.float32(0.5),
        y - np.float32(0.5),
        cv2.INTER_LINEAR,
        borderMode=border,
    )


def _perceive(seen: Plane, colors: Plane, alpha: Plane) -> Plane:
    """Return how much of the object is to be seen at each pixel.

    On a flat ground that is how far a pixel is from the ground to the object's color; where there is no flat ground,
    or the object has its color, the stand-in is told the truth.
    """
    apart = cv2.dilate(alpha, np.ones((25, 25), np.uint8)) < 0.004
    if apart.sum() < MIN_GROUND_PX:
        return alpha
    ground = np.median(seen[apart], axis=0)
    if np.quantile(np.abs(seen[apart] - ground).max(-1), 0.9) > 0.02:
        return alpha
    way = colors - ground
    length = (way**2).sum(-1)
    return np.where(length > 0.02, (((seen - ground) * way).sum(-1) / np.maximum(length, 1e-6)).clip(0, 1), alpha)


def _move(picture: Plane, edit: Edit) -> Plane:
    height, width = picture.shape[:2]
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    matrix = np.column_stack([np.eye(2) * edit.zoom, middle * (1 - edit.zoom) + edit.shift])
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _decode(picture: Plane, rng: np.random.Generator) -> Plane:
    """Soften a picture and add noise, fine and by latent cells of 8 pixels."""
    height, width = picture.shape[:2]
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.35, 0.8))
    fine = cv2.GaussianBlur(rng.normal(0, 3.0 / 255, picture.shape).astype(np.float32), (0, 0), 0.7)
    cells = rng.normal(0, 0.8 / 255, (height // 8, width // 8, 3)).astype(np.float32)
    return soft + fine + cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def _to_image(values: Plane) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8), "RGB")

"""Alpha: colors under alpha, resizing with alpha, showing a layer on a background, and matting."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.color import Rgb

Plane = NDArray[Any]
"""A picture as floats, 0–1: (height, width), or (height, width, channels)."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in a color's luminance (ITU-R BT.601)."""


def restore_alpha(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return `rgb` with `alpha` (an "L" image), byte for byte; raises `ValueError` if the sizes differ."""
    if rgb.size != alpha.size:
        raise ValueError(f"colors of {rgb.size} and alpha of {alpha.size} do not fit")
    restored = rgb.convert("RGB").convert("RGBA")
    restored.putalpha(alpha)
    return restored


def bleed(layer: Image.Image) -> Image.Image:
    """Fill the colors under full transparency from nearby visible colors; nothing else changes.

    A pull-push pyramid weighted by alpha (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): colors next
    to an edge continue it, far ones fade into the layer's average. A fully transparent layer keeps its bytes.
    """
    rgba = np.asarray(layer.convert("RGBA"))
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return Image.fromarray(rgba, "RGBA")
    values = as_float(layer.convert("RGBA"))
    whole = spread(values[..., :3], values[..., 3])
    filled = rgba.copy()
    filled[hidden, :3] = np.rint(whole[hidden].clip(0, 1) * 255.0).astype(np.uint8)
    return Image.fromarray(filled, "RGBA")


def resize_layer(layer: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an RGBA image at another size; invisible colors do not bleed into the edges."""
    if layer.size == size:
        return layer
    colors, alpha = bleed(layer).convert("RGB"), layer.getchannel("A")
    if alpha.getextrema() != (255, 255):
        # Pillow resizes the premultiplied mode "RGBa" correctly.
        return bleed(layer.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA"))
    return restore_alpha(colors.resize(size, Image.Resampling.LANCZOS), Image.new("L", size, 255))


def spread(colors: Plane, weight: Plane) -> Plane:
    """Return `colors` (height, width, 3), extended smoothly from where `weight` (height, width), 0–1, is above 0.

    The weight may also be a confidence: the lower it is, the more a color gets from its neighbors. If all weights are 0
    the result is black. The method is that of `bleed`.
    """
    values = np.empty((*weight.shape, 4), np.float32)
    np.multiply(colors, weight[..., None], out=values[..., :3])
    values[..., 3] = weight
    return _pull_push(values)[..., :3]


def _pull_push(values: Plane) -> Plane:
    """Return weighted colors and weights, filled up to a weight of 1 from coarser levels."""
    height, width = values.shape[:2]
    if height == 1 and width == 1:
        weight = values[..., 3:]
        return np.divide(values, weight, out=np.zeros_like(values), where=weight > 0)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = cv2.resize(values, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 4)
    # A coarse pixel counts fully once a quarter of it is known; otherwise colors would hardly leave the edge.
    coarse /= np.maximum(coarse[..., 3:], 0.25)
    around = cv2.resize(_pull_push(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    return values + around * (1.0 - values[..., 3:])


def as_float(image: Image.Image) -> Plane:
    """Return the pixels of an 8-bit image as 0–1, float32."""
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(values: Plane) -> Image.Image:
    """Return the 8-bit image of values 0–1; other values are clipped."""
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def join(colors: Plane, alpha: Plane) -> Image.Image:
    """Return an RGBA image from straight colors (height, width, 3) and alpha (height, width)."""
    return to_image(np.concatenate([colors, alpha[..., None]], -1))


def on_ground(colors: Plane, alpha: Plane, ground: Plane | float) -> Plane:
    """Return what straight colors (height, width, 3) with alpha (height, width) look like on a background."""
    return colors * alpha[..., None] + ground * (1 - alpha[..., None])


# The background on which a layer is shown: its color, what a model made of it, and its removal.

# Neutral backgrounds come first, because a model that simulates light would reflect a strong color onto the object.
# Medium ones come before light and dark ones, because an edit of contrast or light cannot push them out of range.
NEUTRALS: tuple[Rgb, ...] = ((128, 128, 128), (192, 192, 192), (64, 64, 64), (240, 240, 240), (16, 16, 16))
VIVID: tuple[Rgb, ...] = tuple((red, green, blue) for red in (0, 255) for green in (0, 255) for blue in (0, 255))
SAMPLES = 20_000
# Standard deviations in 0–1: of an autoencoder's noise, and of a color from its neighbors.
NOISE = 0.012
DIFFERENCE = 0.05
UNSURE = 0.3


def choose_matte(layer: Image.Image, enough: float) -> Rgb:
    """Return a background color that differs from the visible colors of an RGBA layer.

    The distance is Euclidean in RGB (0–442) to the nearest 2 % of the colors, weighted by alpha. The result is the
    first neutral color at least `enough` away, otherwise the farthest of all.
    """
    pixels = np.asarray(layer).reshape(-1, 4)
    pixels = pixels[pixels[:, 3] > 8]
    if not len(pixels):
        return NEUTRALS[0]
    sample = pixels[:: max(len(pixels) // SAMPLES, 1)].astype(np.float32)
    distances = [_nearest(sample, ground) for ground in NEUTRALS + VIVID]
    apart = (ground for ground, distance in zip(NEUTRALS, distances, strict=False) if distance >= enough)
    return next(apart, (NEUTRALS + VIVID)[int(np.argmax(distances))])


def measure_plate(edited: Plane, clear: NDArray[np.bool_], matte: Rgb) -> Plane:
    """Return the background in `edited` (height, width, 3), 0–1, extended under the object (a "clean plate").

    It is measured where `clear` (height, width) is true; if that is nowhere, it is the color that was shown.
    """
    if not clear.any():
        return np.broadcast_to(np.array(matte, np.float32) / np.float32(255), edited.shape)
    known = clear.astype(np.float32)
    mean = cv2.blur(edited * known[..., None], (5, 5)) / np.maximum(cv2.blur(known, (5, 5)), 0.04)[..., None]
    return as_float(bleed(join(mean, known)).convert("RGB"))


def take_out(edited: Plane, coverage: Plane, plate: Plane, plate_error: float = NOISE) -> Plane:
    """Return the colors F with edited = coverage · F + (1 − coverage) · plate, straight, (height, width, 3) in 0–1.

    The less a pixel covers, the more noise and plate error, divided by coverage, its solution contains. Each pixel is
    weighted by its inverse variance and gets the rest from its neighbors (`spread`). `plate_error` is the standard
    deviation of the plate from the real background.
    """
    cover = coverage[..., None]
    colors = ((edited - (1 - cover) * plate) / np.maximum(cover, 1 / 255)).clip(0, 1)
    # The noise of an opaque pixel is accepted; only the excess reduces the weight.
    variance = (NOISE**2 * (1 - cover**2) + plate_error**2 * (1 - cover) ** 2) / np.maximum(cover, 1 / 255) ** 2
    sure = (1 / (1 + variance / DIFFERENCE**2)) * (cover > 1 / 255)
    if not sure.any():
        return edited
    # Many uncertain pixels would outvote a few certain ones.
    sure[sure < UNSURE * sure.max()] = 0
    return spread(colors, sure[..., 0])


def measure_plate_error(edited: Plane, clear: NDArray[np.bool_]) -> float:
    """Return the standard deviation of the background from its local mean: large if a scene was painted on it."""
    if not clear.any():
        return NOISE
    height, width = clear.shape
    known = clear.astype(np.float32)[..., None]
    # A coarse mean, because the plate is extended under an object from about that distance.
    small = (max(width // 8, 1), max(height // 8, 1))
    sums = cv2.resize(np.concatenate([edited * known, known], -1), small, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(cv2.GaussianBlur(sums.reshape(small[1], small[0], 4), (0, 0), 6), (width, height))
    residual = edited - sums[..., :3] / np.maximum(sums[..., 3:], 1e-3)
    return float((residual[clear] ** 2).mean() ** 0.5)


def _nearest(sample: Plane, ground: Rgb) -> float:
    distances = np.linalg.norm(sample[:, :3] - np.array(ground, np.float32), axis=1)
    order = np.argsort(distances)
    weight = np.cumsum(sample[order, 3])
    return float(distances[order[int(np.searchsorted(weight, 0.02 * weight[-1]))]])


# Deriving a new alpha from an edited picture and its background color.


# Allowed RGB distance (0–1) of a background pixel from the background color: for light on it, and for noise.
UNEVEN = 0.25
KEY_NOISE = 0.06
# If less of the background remains, the model has painted a scene, and keying is impossible.
MIN_GROUND = 0.4


@dataclass(frozen=True, kw_only=True)
class Key:
    """The derived alpha and straight colors (0–1), and the share of new alpha (0 old, 1 new)."""

    alpha: Plane
    colors: Plane
    changed: Plane


def derive_key(edited: Plane, alpha: Plane, matte: Rgb) -> Key | None:
    """Return the object in `edited` (height, width, 3), which was shown with `alpha` (height, width) on `matte`.

    Blue-screen matting with one known ground has no unique answer (Smith and Blinn, "Blue Screen Matting", SIGGRAPH
    1996, section 3), so I = αF + (1 − α)B is solved with two additions: B is measured around the object, and F is the
    color of the nearest certain object pixels. α is then the position of I between B and F. Where this agrees with the
    old alpha, the old alpha stays, because it is exact and includes glow and glass. None if the background is lost.
    """
    ground = _find_ground(edited, alpha, matte)
    return None if ground is None else key_on(edited, alpha, measure_plate(edited, ground, matte))


def key_on(edited: Plane, alpha: Plane, plate: Plane) -> Key:
    """Return the key of `derive_key` for a ground, `plate` (height, width, 3), that is known."""
    nearest = _nearest_object_colors(edited, alpha, plate)
    way = nearest - plate
    gone = ((edited - plate) * way).sum(-1) / np.maximum((way**2).sum(-1), KEY_NOISE**2)
    keyed = ((gone - 0.03) / 0.94).clip(0, 1)
    keyed = np.where(cv2.blur(np.linalg.norm(edited - plate, axis=-1), (3, 3)) < KEY_NOISE / 2, 0, keyed)
    apart = cv2.GaussianBlur(np.abs(keyed - alpha), (0, 0), 2.0)
    changed = cv2.dilate(((apart - 0.05) / 0.07).clip(0, 1), np.ones((5, 5), np.uint8))
    new = alpha * (1 - changed) + keyed * changed
    return Key(alpha=new, colors=take_out(edited, new, plate), changed=changed)


def _find_ground(edited: Plane, alpha: Plane, matte: Rgb) -> NDArray[np.bool_] | None:
    """Return where the background is clearly visible, or None if too little of it is left."""
    around = cv2.dilate(alpha, np.ones((9, 9), np.uint8)) < 1 / 255
    if not around.any():
        return None
    usual = np.median(edited[around], axis=0)
    rough = around & (np.linalg.norm(edited - usual, axis=-1) < UNEVEN)
    if rough.sum() < MIN_GROUND * around.sum():
        return None
    # Wide means follow the light on the background, not the objects on it.
    plate = cv2.GaussianBlur(measure_plate(edited, rough, matte), (0, 0), 12)
    even = cv2.blur(np.linalg.norm(edited - plate, axis=-1), (5, 5)) < KEY_NOISE
    clear = cv2.erode((even & (np.linalg.norm(edited - usual, axis=-1) < UNEVEN)).astype(np.uint8), np.ones((7, 7)))
    # Areas that were already faint look even, too, but are not background.
    ground = clear.astype(bool) & around
    return ground if ground.sum() >= MIN_GROUND * around.sum() else None


def _nearest_object_colors(edited: Plane, alpha: Plane, plate: Plane) -> Plane:
    """Return for each pixel the color of certain object pixels near it.

    A pixel is certain if it differs from the background as much as the most different pixel around it does, relative to
    its old alpha, if it had one.
    """
    distance = np.linalg.norm(edited - plate, axis=-1)
    farthest = cv2.dilate(cv2.blur(distance, (3, 3)), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    inside = cv2.erode(
        ((distance > KEY_NOISE) & (distance > 0.5 * farthest)).astype(np.uint8), np.ones((5, 5), np.uint8)
    )
    seen_before = (alpha > 0.05) & (distance > 0.6 * alpha * farthest) & (distance > KEY_NOISE / 2)
    solid = np.where(alpha > 0.05, seen_before * alpha, inside * (distance > KEY_NOISE))
    kept = take_out(edited, alpha, plate)
    colors = np.where((alpha > 0.05)[..., None], kept, edited)
    mean = cv2.GaussianBlur(colors * (solid**2)[..., None], (0, 0), 2.5)
    weight = cv2.GaussianBlur(solid**2, (0, 0), 2.5)[..., None]
    known = (weight[..., 0] > 0.02).astype(np.float32)
    return as_float(bleed(join(mean / np.maximum(weight, 1e-4), known)).convert("RGB"))

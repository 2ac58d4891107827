"""The alpha channel around an edit: restore it, resize with it, continue colors under it; pictures as floats."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[Any]
"""A picture as floats, 0–1: (height, width), or (height, width, channels)."""


def restore_alpha(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return `rgb` with `alpha` (an "L" image), byte for byte; sizes that differ raise `ValueError`."""
    if rgb.size != alpha.size:
        raise ValueError(f"colors of {rgb.size} and alpha of {alpha.size} do not fit")
    restored = rgb.convert("RGB").convert("RGBA")
    restored.putalpha(alpha)
    return restored


def bleed(layer: Image.Image) -> Image.Image:
    """Fill the colors under full transparency from the visible ones nearby; everything else stays as it is.

    A pull-push pyramid weighted by alpha (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): colors next
    to an edge continue it, far ones fade into the layer's average. A layer with nothing visible keeps its bytes.
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
    """Return an RGBA image at another size; colors that nobody sees do not bleed into the edges."""
    if layer.size == size:
        return layer
    colors, alpha = bleed(layer).convert("RGB"), layer.getchannel("A")
    if alpha.getextrema() != (255, 255):
        # Pillow resizes the premultiplied mode "RGBa" as it should be.
        return bleed(layer.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA"))
    return restore_alpha(colors.resize(size, Image.Resampling.LANCZOS), Image.new("L", size, 255))


def spread(colors: Plane, weight: Plane) -> Plane:
    """Return `colors` (height, width, 3) continued smoothly from where `weight` (height, width), 0–1, is above 0.

    The weight may also be how sure a color is: the less sure, the more it gets of its neighbors. All weights 0 give
    black. The method is that of `bleed`.
    """
    return _pull_push(np.dstack([colors * weight[..., None], weight]).astype(np.float32))[..., :3]


def _pull_push(values: Plane) -> Plane:
    """Return weighted colors and weights with what is missing to a weight of 1 taken from coarser levels."""
    height, width = values.shape[:2]
    if height == 1 and width == 1:
        weight = values[..., 3:]
        return np.divide(values, weight, out=np.zeros_like(values), where=weight > 0)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = cv2.resize(values, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 4)
    # A coarse pixel counts in full as soon as a quarter of it is known, or colors would hardly leave the edge.
    coarse /= np.maximum(coarse[..., 3:], 0.25)
    around = cv2.resize(_pull_push(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    return values + around * (1.0 - values[..., 3:])


def as_float(image: Image.Image) -> Plane:
    """Return the pixels of an 8-bit image as 0–1, float32."""
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(values: Plane) -> Image.Image:
    """Return the 8-bit image of values 0–1; what lies outside is cut off."""
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def join(colors: Plane, alpha: Plane) -> Image.Image:
    """Return an RGBA image from straight colors (height, width, 3) and alpha (height, width)."""
    return to_image(np.concatenate([colors, alpha[..., None]], -1))

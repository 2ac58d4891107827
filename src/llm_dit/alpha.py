"""Handling the alpha channel around an edit: split, bleed, flatten, un-matte, restore, resize; pictures as floats."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.color import Rgb

Floats = NDArray[np.floating[Any]]


def split_alpha(layer: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the RGB image and its alpha, an "L" image of the same size."""
    rgba = layer.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def restore_alpha(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return `rgb` with `alpha` (an "L" image), byte for byte; sizes that differ raise `ValueError`."""
    if rgb.size != alpha.size:
        raise ValueError(f"colors of {rgb.size} and alpha of {alpha.size} do not fit")
    restored = rgb.convert("RGB").convert("RGBA")
    restored.putalpha(alpha)
    return restored


def flatten(layer: Image.Image, matte: Rgb) -> Image.Image:
    """Return the layer over a ground of one color, as RGB."""
    colors, alpha = _as_float(layer)
    ground = np.array(matte, np.float32) / np.float32(255.0)
    return _to_rgb(colors * alpha + ground * (1.0 - alpha))


def unmatte(rgb: Image.Image, alpha: Image.Image, matte: Rgb) -> Image.Image:
    """Undo `flatten`: return the RGBA layer whose colors over `matte` give `rgb`.

    Solves the compositing equation I = αF + (1 − α)M for F where α > 0 and clips it to what a color can be;
    where α = 0 nothing is known of the color, and the colors beside it are bled in.
    """
    ground = np.array(matte, np.float32) / np.float32(255.0)
    a = np.asarray(alpha, np.float32)[..., None] / np.float32(255.0)
    values = np.asarray(rgb.convert("RGB"), np.float32) / np.float32(255.0)
    colors = np.divide(values - ground * (1.0 - a), a, out=np.zeros_like(values), where=a > 0)
    return bleed(restore_alpha(_to_rgb(colors), alpha))


def bleed(layer: Image.Image) -> Image.Image:
    """Fill the colors under full transparency from the visible ones nearby; everything else stays as it is.

    A pull-push pyramid weighted by alpha (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): colors next
    to an edge continue it, far ones fade into the layer's average. A layer with nothing visible keeps its bytes.
    """
    rgba = np.asarray(layer.convert("RGBA"))
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return Image.fromarray(rgba, "RGBA")
    colors, alpha = _as_float(layer)
    whole = spread(np.concatenate([colors * alpha, alpha], axis=-1))
    filled = rgba.copy()
    filled[hidden, :3] = np.rint(whole[hidden, :3].clip(0, 1) * 255.0).astype(np.uint8)
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


def spread(premultiplied: Floats) -> Floats:
    """Return `premultiplied` (height, width, 4) with what is missing to an alpha of 1 filled in from coarser levels.

    All values are 0–1, float32. Alpha may also be how sure a color is: the less sure, the more it gets of its
    neighbors. Something must be known somewhere. The method is that of `bleed`.
    """
    height, width = premultiplied.shape[:2]
    if height == 1 and width == 1:
        return premultiplied / premultiplied[..., 3:]
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = cv2.resize(premultiplied, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 4)
    # A coarse pixel counts in full as soon as a quarter of it is known, or colors would hardly leave the edge.
    coarse /= np.maximum(coarse[..., 3:], 0.25)
    around = cv2.resize(spread(coarse), (width, height), interpolation=cv2.INTER_LINEAR)
    return premultiplied + around * (1.0 - premultiplied[..., 3:])


def _as_float(layer: Image.Image) -> tuple[Floats, Floats]:
    """Return the straight colors (height, width, 3) and alpha (height, width, 1), both 0–1."""
    values = np.asarray(layer.convert("RGBA"), np.float32) / np.float32(255.0)
    return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3:])


def _to_rgb(values: Floats) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0.0, 1.0) * 255.0).astype(np.uint8), "RGB")


# Pictures as arrays of floats, 0–1: (height, width), or (height, width, channels).

Plane = NDArray[Any]


def as_float(image: Image.Image) -> Plane:
    """Return the pixels of an 8-bit image as 0–1, float32."""
    return np.asarray(image, np.float32) / np.float32(255)


def to_image(values: Plane) -> Image.Image:
    """Return the 8-bit image of values 0–1; what lies outside is cut off."""
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8))


def join(colors: Plane, alpha: Plane) -> Image.Image:
    """Return an RGBA image from straight colors (height, width, 3) and alpha (height, width)."""
    return to_image(np.concatenate([colors, alpha[..., None]], -1))

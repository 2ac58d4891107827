"""Handling the alpha channel around an edit: split, bleed, flatten, un-matte, restore."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Colour = tuple[int, int, int]


def split_alpha(layer: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the RGB image and its alpha, an "L" image of the same size."""
    rgba = layer.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def restore_alpha(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return `rgb` with `alpha` (an "L" image), byte for byte; sizes that differ raise `ValueError`."""
    if rgb.size != alpha.size:
        raise ValueError(f"colours of {rgb.size} and alpha of {alpha.size} do not fit")
    restored = rgb.convert("RGB").convert("RGBA")
    restored.putalpha(alpha)
    return restored


def flatten(layer: Image.Image, matte: Colour) -> Image.Image:
    """Return the layer over a ground of one colour, as RGB."""
    colours, alpha = _as_float(layer)
    ground = np.array(matte, np.float32) / np.float32(255.0)
    return _to_rgb(colours * alpha + ground * (1.0 - alpha))


def unmatte(rgb: Image.Image, alpha: Image.Image, matte: Colour) -> Image.Image:
    """Undo `flatten`: return the RGBA layer whose colours over `matte` give `rgb`.

    Solves the compositing equation I = αF + (1 − α)M for F where α > 0 and clips it to what a colour can be;
    where α = 0 nothing is known of the colour, and the colours beside it are bled in.
    """
    ground = np.array(matte, np.float32) / np.float32(255.0)
    a = np.asarray(alpha, np.float32)[..., None] / np.float32(255.0)
    values = np.asarray(rgb.convert("RGB"), np.float32) / np.float32(255.0)
    colours = np.divide(values - ground * (1.0 - a), a, out=np.zeros_like(values), where=a > 0)
    return bleed(restore_alpha(_to_rgb(colours), alpha))


def bleed(layer: Image.Image) -> Image.Image:
    """Fill the colours under full transparency from the nearest visible ones; alpha and visible pixels stay as they are.

    A pull-push pyramid weighted by alpha (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): colours next
    to an edge continue it, far ones fade into the layer's average. A layer with nothing visible keeps its bytes.
    """
    rgba = np.asarray(layer.convert("RGBA"))
    hidden = rgba[..., 3] == 0
    if hidden.all() or not hidden.any():
        return Image.fromarray(rgba, "RGBA")
    colours, alpha = _as_float(layer)
    filled = rgba.copy()
    filled[hidden, :3] = np.rint(_pull_push(colours, alpha)[hidden].clip(0, 1) * 255.0).astype(np.uint8)
    return Image.fromarray(filled, "RGBA")


def _pull_push(colours: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `colours` (height, width, 3) with pixels of low `weight` (height, width, 1; 0–1) interpolated."""
    height, width = weight.shape[:2]
    if height == 1 and width == 1:
        return colours
    half = ((width + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)[..., None]
    small_colours = cv2.resize(colours * weight, half, interpolation=cv2.INTER_AREA)
    mean = np.divide(small_colours, small_weight, out=np.zeros_like(small_colours), where=small_weight > 0)
    # A coarse pixel counts in full as soon as a quarter of it is known, or far colours would never reach a hole.
    coarse = _pull_push(mean.reshape(half[1], half[0], 3), np.minimum(small_weight * 4.0, 1.0))
    spread = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return colours * weight + spread.reshape(colours.shape) * (1.0 - weight)


def _as_float(layer: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the straight colours (height, width, 3) and alpha (height, width, 1), both 0–1."""
    values = np.asarray(layer.convert("RGBA"), np.float32) / np.float32(255.0)
    return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3:])


def _to_rgb(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0.0, 1.0) * 255.0).astype(np.uint8), "RGB")

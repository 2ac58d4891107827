"""Fine detail: blur, sharpen, simplify, pixelate."""

from dataclasses import replace

import cv2
import numpy as np

from llm_dit.classical.effects.oklab import Floats, from_oklab, to_oklab
from llm_dit.classical.effects.picture import Picture, Scene, soften, soften_visible, strips
from llm_dit.classical.operations import Operation


def blur(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Soften by a Gaussian of `size` pixels, or of a share of the layer's extent."""
    sigma = operation.size or max(0.006 * picture.extent, 0.8) * operation.amount
    softened = soften(picture.alpha, sigma)
    for channel in range(3):
        plane = np.ascontiguousarray(picture.colors[..., channel])
        picture.colors[..., channel] = soften_visible(plane, picture.alpha, softened, sigma)
    return replace(picture, alpha=softened) if scene.shape == "new" else picture


def sharpen(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Unsharp masking of lightness at two sizes; colors keep their hue and chroma."""
    lightness = np.empty_like(picture.alpha)
    for rows in strips(picture.alpha.shape[0]):
        lightness[rows] = to_oklab(picture.colors[rows])[..., 0]
    detail = np.zeros_like(lightness)
    for sigma, share in ((max(0.0008 * picture.extent, 0.8), 0.8), (max(0.003 * picture.extent, 1.6), 0.35)):
        softened = soften(picture.alpha, sigma)
        detail += share * (lightness - soften_visible(lightness, picture.alpha, softened, sigma))
    for rows in strips(picture.alpha.shape[0]):
        lab = to_oklab(picture.colors[rows])
        lab[..., 0] = np.clip(lab[..., 0] + operation.amount * detail[rows], 0.0, 1.0)
        picture.colors[rows] = from_oklab(lab)
    return picture


def simplify(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Remove what is small and keep what is large, with its edges.

    Rolling guidance (Zhang et al., "Rolling Guidance Filter", ECCV 2014) by the domain transform (Gastal and
    Oliveira, "Domain Transform for Edge-Aware Image and Video Processing", SIGGRAPH 2011).
    """
    small = max(0.0022 * picture.extent, 0.8) * operation.amount
    guide = cv2.GaussianBlur(picture.colors, (0, 0), small, borderType=cv2.BORDER_REPLICATE)
    for _ in range(3):
        guide = cv2.ximgproc.dtFilter(guide, picture.colors, 5.0 * small, 0.16, mode=cv2.ximgproc.DTF_RF)
    return replace(picture, colors=guide)


def pixelate(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Replace squares of `size` pixels, or of a share of the layer's extent, by their mean."""
    height, width = picture.alpha.shape
    side = round(operation.size or max(0.016 * picture.extent * operation.amount, 2.0))
    columns, rows = -(-width // side), -(-height // side)
    padding = (0, rows * side - height, 0, columns * side - width)

    def squares(plane: Floats) -> Floats:
        whole = cv2.copyMakeBorder(plane, *padding, cv2.BORDER_REPLICATE)
        small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, whole.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return np.asarray(large[:height, :width], np.float32)

    alpha = squares(picture.alpha)
    for channel in range(3):
        plane = np.ascontiguousarray(picture.colors[..., channel])
        picture.colors[..., channel] = np.divide(squares(plane * picture.alpha), alpha, out=plane, where=alpha > 1e-3)
    return replace(picture, alpha=alpha) if scene.shape == "new" else picture

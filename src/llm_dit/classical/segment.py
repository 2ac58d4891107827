"""Cutting a picture into many small regions of one color or texture each."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# 32-bit floats throughout; OpenCV's stubs promise no more than numbers.
Floats = NDArray[Any]
Labels = NDArray[np.int32]
Bytes = NDArray[np.uint8]

PALETTE = 16
"""Colors that stand for all colors when neighborhoods are compared."""


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A small copy of the picture that all decisions are made on.

    `rgb` (height, width, 3) is 0–255, `lab` the same in CIELAB, `visible` tells where the picture's alpha is above a
    few levels, `scale` is this copy's size as a share of the picture's.
    """

    rgb: Floats
    lab: Floats
    visible: NDArray[np.bool_]
    scale: float


def oversegment(sketch: Sketch) -> Labels:
    """Return labels 0…n−1 of small regions, −1 where nothing is visible.

    Graph-based segmentation (Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation", IJCV 2004)
    in CIELAB: it follows gradients without cutting them and keeps thin strokes.
    """
    area = sketch.visible.size
    values = np.dstack([sketch.lab, np.where(sketch.visible, 0, 300).astype(np.float32)])
    segmenter = cv2.ximgproc.segmentation.createGraphSegmentation(0.5, 40.0, max(8, area // 24000))
    labels = np.asarray(segmenter.processImage(values), np.int32)
    return compact(np.where(sketch.visible, labels, -1))


def compact(labels: Labels) -> Labels:
    """Return the labels renumbered 0…n−1 in order of their number; −1 stays."""
    values, inverse = np.unique(labels, return_inverse=True)
    start = 1 if values[0] < 0 else 0
    return (inverse.reshape(labels.shape) - start).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Few colors that stand for all: `colors` (n, 3) in CIELAB, `index` each pixel's, and `near` (n, height, width)
    the share of each one in the window around each pixel."""

    colors: Floats
    index: NDArray[np.uint8]
    near: Floats


def find_palette(sketch: Sketch, seed: int) -> Palette:
    """Return the palette of a sketch, by k-means++ on a sample of its pixels."""
    pixels = sketch.lab[sketch.visible]
    sample = np.ascontiguousarray(pixels[np.random.default_rng(seed).integers(0, len(pixels), 6000)])
    cv2.setRNGSeed(seed & 0x7FFFFFFF)
    count = min(PALETTE, len(np.unique(np.round(sample), axis=0)))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    _, _, colors = cv2.kmeans(sample, count, np.empty(0, np.int32), stop, 1, cv2.KMEANS_PP_CENTERS)
    distance = (colors**2).sum(axis=1) - 2 * sketch.lab.reshape(-1, 3) @ colors.T
    index = distance.argmin(axis=1).astype(np.uint8).reshape(sketch.visible.shape)
    side = max(5, round(min(index.shape) * 0.05)) | 1
    near = [cv2.boxFilter((index == color).astype(np.float32), -1, (side, side)) for color in range(count)]
    return Palette(colors=np.asarray(colors, np.float32), index=index, near=np.stack(near))

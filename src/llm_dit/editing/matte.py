"""The ground a layer is shown on: its colour, what the model made of it, and how to take it out again."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import Colour, bleed
from llm_dit.editing.planes import Plane, as_float, join

# Neutral grounds are taken first: a model that knows about light would reflect a strong colour onto the object. Middle
# ones come before light and dark ones: an edit for contrast or light cannot push those out of what a picture can hold.
NEUTRALS: tuple[Colour, ...] = ((128, 128, 128), (192, 192, 192), (64, 64, 64), (240, 240, 240), (16, 16, 16))
VIVID: tuple[Colour, ...] = tuple((red, green, blue) for red in (0, 255) for green in (0, 255) for blue in (0, 255))
SAMPLES = 20_000


def choose_matte(layer: Image.Image, enough: float) -> Colour:
    """Return a ground that stands apart from the visible colours of an RGBA layer.

    The distance is Euclidean in RGB (0–442) to the nearest 2 % of the colours, weighted by alpha. The first neutral
    ground at least `enough` away is taken; when there is none, the farthest of all.
    """
    pixels = np.asarray(layer).reshape(-1, 4)
    pixels = pixels[pixels[:, 3] > 8]
    if not len(pixels):
        return NEUTRALS[0]
    sample = pixels[:: max(len(pixels) // SAMPLES, 1)].astype(np.float32)
    distances = [_nearest(sample, ground) for ground in NEUTRALS + VIVID]
    apart = (ground for ground, distance in zip(NEUTRALS, distances, strict=False) if distance >= enough)
    return next(apart, (NEUTRALS + VIVID)[int(np.argmax(distances))])


def measure_plate(edited: Plane, clear: NDArray[np.bool_], matte: Colour) -> Plane:
    """Return the ground as it is in `edited` (height, width, 3), 0–1, carried on under what covers it.

    It is read where `clear` (height, width) says that nothing covers it; where that is nowhere it is the matte that was
    shown. A "clean plate" in the words of matting.
    """
    if not clear.any():
        return np.broadcast_to(np.array(matte, np.float32) / np.float32(255), edited.shape)
    known = clear.astype(np.float32)
    mean = cv2.blur(edited * known[..., None], (5, 5)) / np.maximum(cv2.blur(known, (5, 5)), 0.04)[..., None]
    return as_float(bleed(join(mean, known)).convert("RGB"))


def take_out(edited: Plane, coverage: Plane, plate: Plane, ridge: float = 0.02, reach_px: float = 4.0) -> Plane:
    """Return the colours F with edited = coverage · F + (1 − coverage) · plate, straight, (height, width, 3) in 0–1.

    The less a pixel covers, the more its solution is noise divided by coverage; it is therefore drawn towards the
    mean of its neighbours (normalised convolution: Knutsson and Westin, CVPR 1993), by ridge regression with `ridge`.
    Where nothing is covered the colours beside it are bled in.
    """
    cover = coverage[..., None]
    own = edited - (1 - cover) * plate
    nearby = cv2.GaussianBlur(coverage, (0, 0), reach_px)[..., None]
    mean = (cv2.GaussianBlur(own, (0, 0), reach_px) / np.maximum(nearby, 1e-4)).clip(0, 1)
    colours = (cover * own + ridge * mean) / (cover**2 + ridge)
    return as_float(bleed(join(colours, (coverage > 1 / 255).astype(np.float32))).convert("RGB"))


def _nearest(sample: Plane, ground: Colour) -> float:
    distances = np.linalg.norm(sample[:, :3] - np.array(ground, np.float32), axis=1)
    order = np.argsort(distances)
    weight = np.cumsum(sample[order, 3])
    return float(distances[order[int(np.searchsorted(weight, 0.02 * weight[-1]))]])

"""The ground a layer is shown on: its colour, what the model made of it, and how to take it out again."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import Colour, bleed, spread
from llm_dit.editing.planes import Plane, as_float, join

# Neutral grounds are taken first: a model that knows about light would reflect a strong colour onto the object. Middle
# ones come before light and dark ones: an edit for contrast or light cannot push those out of what a picture can hold.
NEUTRALS: tuple[Colour, ...] = ((128, 128, 128), (192, 192, 192), (64, 64, 64), (240, 240, 240), (16, 16, 16))
VIVID: tuple[Colour, ...] = tuple((red, green, blue) for red in (0, 255) for green in (0, 255) for blue in (0, 255))
SAMPLES = 20_000
# Standard deviations, of 0–1: of the noise of an autoencoder, and of a colour from those beside it.
NOISE = 0.012
DIFFERENCE = 0.05
UNSURE = 0.3


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


def take_out(edited: Plane, coverage: Plane, plate: Plane, plate_error: float = NOISE) -> Plane:
    """Return the colours F with edited = coverage · F + (1 − coverage) · plate, straight, (height, width, 3) in 0–1.

    The less a pixel covers, the more its solution is noise and error of the plate, divided by coverage. Each pixel
    counts by how sure it is, by the inverse of its variance, and gets the rest from its neighbours (`spread`).
    `plate_error` is the standard deviation of the plate from the ground that is really there.
    """
    cover = coverage[..., None]
    colours = ((edited - (1 - cover) * plate) / np.maximum(cover, 1 / 255)).clip(0, 1)
    # What an opaque pixel has of noise stays: only the excess over that is mistrusted.
    variance = (NOISE**2 * (1 - cover**2) + plate_error**2 * (1 - cover) ** 2) / np.maximum(cover, 1 / 255) ** 2
    sure = (1 / (1 + variance / DIFFERENCE**2)) * (cover > 1 / 255)
    if not sure.any():
        return edited
    # Many that are hardly sure would outvote a few that are.
    sure[sure < UNSURE * sure.max()] = 0
    return spread(np.concatenate([colours * sure, sure], -1, dtype=np.float32))[..., :3]


def measure_plate_error(edited: Plane, clear: NDArray[np.bool_]) -> float:
    """Return the standard deviation of the ground from its own mean nearby: large where a scene was painted on it."""
    if not clear.any():
        return NOISE
    height, width = clear.shape
    known = clear.astype(np.float32)[..., None]
    # A coarse mean: the plate is carried on under an object from about as far away.
    small = (max(width // 8, 1), max(height // 8, 1))
    sums = cv2.resize(np.concatenate([edited * known, known], -1), small, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(cv2.GaussianBlur(sums.reshape(small[1], small[0], 4), (0, 0), 6), (width, height))
    residual = edited - sums[..., :3] / np.maximum(sums[..., 3:], 1e-3)
    return float((residual[clear] ** 2).mean() ** 0.5)


def _nearest(sample: Plane, ground: Colour) -> float:
    distances = np.linalg.norm(sample[:, :3] - np.array(ground, np.float32), axis=1)
    order = np.argsort(distances)
    weight = np.cumsum(sample[order, 3])
    return float(distances[order[int(np.searchsorted(weight, 0.02 * weight[-1]))]])

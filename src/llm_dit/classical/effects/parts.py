"""Where in a layer a named part is: by the subject, by a color, or by what such things look like; never by a guess."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.effects.adjustments import similarity
from llm_dit.classical.effects.cutout import is_cut_out
from llm_dit.classical.effects.picture import Floats, Picture, Scene, chroma, sample_lab, smoothstep, strips, to_oklab
from llm_dit.classical.operations import Part, refusal
from llm_dit.color import Rgb

# The side at which parts are looked for where their shape counts.
_SEARCH_SIDE = 480
# A color with less of the layer is a detail of something, and what has more is all of it.
_LEAST, _ALL = 0.004, 0.97
# The chroma from which something has a hue.
_COLORED = 0.055
# How much of what has a hue must have the one hue for it to be clear which is meant.
_CLEAR = 0.8
# The share of one hue from which a layer is a single piece of something, or a single tree with its trunk.
_ONE_COLOR, _MAINLY_ONE = 0.95, 0.65

_NATURAL: dict[str, tuple[Rgb, ...]] = {
    "sky": ((110, 170, 230), (60, 110, 200)),
    "plant": ((80, 140, 60),),
    "water": ((60, 120, 190), (60, 160, 180)),
    "sun": ((250, 200, 60),),
    "fire": ((240, 120, 30),),
    "snow": ((245, 248, 250),),
    "lips": ((200, 50, 70),),
}
# Where in what is visible the middle of a garment lies, as shares of its height.
_WORN: dict[str, tuple[float, float]] = {
    "upper garment": (0.2, 0.72),
    "lower garment": (0.45, 0.95),
    "hat": (0.0, 0.33),
    "shoes": (0.75, 1.0),
    "garment": (0.2, 0.95),
}
_NOWHERE: Floats = np.zeros(0, np.float32)
"""What is returned when it is not clear which pixels are meant."""


def find_part(picture: Picture, part: Part, scene: Scene) -> Floats | None:
    """Return how far each pixel belongs to the part, 0–1, or None when all of the layer is meant.

    Raises `InstructionError` when it is not clear which pixels are meant.
    """
    match part.kind:
        case "thing":
            subject = None if is_cut_out(picture) else scene.subject(picture)
            if subject is None and not is_cut_out(picture) and not _has_one_color(picture, _MAINLY_ONE):
                raise refusal("unclear_part", part=part.name)
            return subject
        case "ground":
            if is_cut_out(picture):
                raise refusal("no_background")
            subject = scene.subject(picture)
            if subject is None:
                raise refusal("no_subject")
            return 1.0 - subject
        case "color":
            assert part.color
            mask = _like(picture, (part.color,))
            if _share(picture, mask) < _LEAST:
                raise refusal("no_such_color")
            return mask
        case "piece" | "scenery":
            alike = _ONE_COLOR if part.kind == "piece" else _MAINLY_ONE
            found = None if is_cut_out(picture) and _has_one_color(picture, alike) else _NOWHERE
        case "letters":
            found = _letters(picture)
        case "garment":
            found = _garment(picture, part.key)
        case "natural":
            found = _natural(picture, part.key)
    if found is not None and found.size == 0:
        raise refusal("unclear_part", part=part.name)
    return found


def _like(picture: Picture, colors: tuple[Rgb, ...]) -> Floats:
    """Return how far each pixel has the name of one of the colors."""
    masks = [similarity(color) for color in colors]
    found = np.empty_like(picture.alpha)
    for rows in strips(len(found)):
        lab = to_oklab(picture.colors[rows])
        found[rows] = np.max([mask(lab) for mask in masks], axis=0)
    return found


def _share(picture: Picture, mask: Floats) -> float:
    return float((mask * picture.alpha).sum() / picture.alpha.sum())


def _has_one_color(picture: Picture, alike: float) -> bool:
    """Whether of what has a hue at all this share has the same, and that is most of the layer or nothing at all."""
    lab, weights = sample_lab(picture)
    _, weight, around = _hues(lab[:, 0], weights)
    return weight < 0.02 * weights.sum() or (around > alike and weight > 0.6 * weights.sum())


def _hues(lab: Floats, weights: Floats) -> tuple[float, float, float]:
    """Return the commonest hue in radians, the weight of what has a hue, and the share of that which has this one."""
    colored = weights * (np.hypot(lab[:, 1], lab[:, 2]) > _COLORED)
    hue = np.arctan2(lab[:, 2], lab[:, 1])
    counts, _ = np.histogram(hue, 72, (-np.pi, np.pi), weights=colored)
    smooth = sum(np.roll(counts, step) for step in range(-4, 5))
    middle = -np.pi + (int(np.argmax(smooth)) + 0.5) * np.pi / 36
    near = np.abs(np.angle(np.exp(1j * (hue - middle)))) < 0.45
    weight = float(colored.sum())
    return middle, weight, float(colored[near].sum()) / max(weight, 1e-6)


def _garment(picture: Picture, key: str) -> Floats | None:
    """Return what of a figure has the one strong color that is no skin's, if it lies where such a thing is worn."""
    lab, weights = sample_lab(picture)
    samples = lab[:, 0]
    weights = weights * (1.0 - _skin(samples))
    hue, weight, around = _hues(samples, weights)
    if around < _CLEAR or weight < 0.03 * weights.sum():
        return _NOWHERE

    mask = np.empty_like(picture.alpha)
    for rows in strips(len(mask)):
        values = to_oklab(picture.colors[rows])
        turn = np.abs(np.angle(np.exp(1j * (np.arctan2(values[..., 2], values[..., 1]) - hue))))
        mask[rows] = (1.0 - smoothstep(turn, 0.4, 0.65)) * smoothstep(chroma(values), 0.03, 0.06)
        mask[rows] *= 1.0 - _skin(values)
    if _share(picture, mask) > 0.85:
        return None
    _, top, _, bottom = picture.box
    seen = (mask * picture.alpha).sum(axis=1)
    middle = (float((np.arange(len(seen)) * seen).sum() / max(seen.sum(), 1e-6)) - top) / max(bottom - top, 1)
    low, high = _WORN[key]
    return mask if low <= middle <= high else _NOWHERE


def _skin(lab: Floats) -> Floats:
    """Return how far OKLab values are of skin and brown hair, light or dark: orange, and not of much chroma."""
    hue = np.arctan2(lab[..., 2], lab[..., 1])
    strong = np.hypot(lab[..., 1], lab[..., 2])
    return (1.0 - smoothstep(np.abs(hue - 0.95), 0.35, 0.5)) * (1.0 - smoothstep(strong, 0.1, 0.13))


def _natural(picture: Picture, key: str) -> Floats | None:
    """Return what has the natural color of a thing; a sky comes from the top."""
    mask = _like(picture, _NATURAL[key])
    share = _share(picture, mask)
    if is_cut_out(picture) and share > 0.85:
        return None
    unsure = float((((mask > 0.2) & (mask < 0.8)) * picture.alpha).sum() / picture.alpha.sum())
    if share < 0.02 or share > _ALL or unsure > 0.35 * share:
        return _NOWHERE
    if key == "sky":
        return _from_the_top(picture, mask)
    return mask


def _from_the_top(picture: Picture, mask: Floats) -> Floats:
    """Return what of a mask hangs together with the top of what is visible, _NOWHERE when that is little of it."""
    left, top, right, _ = picture.box
    _, labels = cv2.connectedComponents((mask > 0.5).astype(np.uint8))
    touching = np.setdiff1d(labels[top : top + 3, left:right], [0])
    hanging = np.isin(labels, touching).astype(np.uint8)
    if _share(picture, hanging * mask) < 0.6 * _share(picture, mask):
        return _NOWHERE
    return mask * cv2.GaussianBlur(cv2.dilate(hanging, np.ones((5, 5), np.uint8)).astype(np.float32), (0, 0), 1.0)


def _letters(picture: Picture) -> Floats | None:
    """Return what of a layer is thin strokes of one color on an even ground; None when nothing else is there."""
    height, width = picture.alpha.shape
    scale = min(_SEARCH_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    colors = cv2.resize(picture.colors, size, interpolation=cv2.INTER_AREA)
    seen = cv2.resize(picture.alpha, size, interpolation=cv2.INTER_AREA) > 0.5
    if not seen.any():
        return _NOWHERE
    lab = to_oklab(np.asarray(colors, np.float32))
    tones = _two_tones(lab[seen])
    if tones is None:
        return None if _is_strokes(seen, seen) else _NOWHERE
    near = np.stack([np.linalg.norm(lab - tone, axis=-1) for tone in tones]).argmin(axis=0)
    strokes = [index for index in (0, 1) if _is_strokes(seen & (near == index), seen)]
    if len(strokes) != 1:
        return None if len(strokes) == 2 and _is_strokes(seen, seen) else _NOWHERE
    own, other = tones[strokes[0]], tones[1 - strokes[0]]
    way = own - other
    mask = np.empty_like(picture.alpha)
    for rows in strips(height):
        along = ((to_oklab(picture.colors[rows]) - other) @ way) / float(way @ way)
        mask[rows] = smoothstep(along, 0.15, 0.85)
    return mask


def _two_tones(samples: Floats) -> Floats | None:
    """Return the two colors that a layer consists of, or None for one that has one, or more."""
    if len(samples) < 16:
        return None
    values = np.ascontiguousarray(samples[:: max(1, len(samples) // 20_000)], np.float32)
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, labels, means = cv2.kmeans(values, 2, np.empty(0, np.int32), criteria, 3, cv2.KMEANS_PP_CENTERS)
    centres = np.asarray(means, np.float32)
    apart = float(np.linalg.norm(centres[0] - centres[1]))
    off = np.linalg.norm(values - centres[np.asarray(labels, np.intp)[:, 0]], axis=-1)
    return centres if apart > 0.2 and float((off < 0.4 * apart).mean()) > 0.85 else None


def _is_strokes(mask: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    """Whether a mask is thin for its area and all its pieces together are of one width: writing rather than a shape."""
    area = int(mask.sum())
    if area < 12 or (area > 0.6 * seen.sum() and mask is not seen):
        return False
    deep = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    thick = 2.0 * float(np.quantile(deep[deep > 0], 0.95))
    return area > 6.0 * thick**2

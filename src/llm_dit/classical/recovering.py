"""A layer's colors before a change of color and light, read from the same thing where the picture shows it."""

from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import LUMA, Plane, as_float
from llm_dit.layer import Box
from llm_dit.surroundings import Surroundings

# The search: the layer's detail, which a change of color and light keeps, is looked for in the picture.

SOLID = 0.9
"""The least alpha of a pixel that is compared with the picture."""
COARSE_SIDE, FINE_SIDE = 512, 1024
"""The longer side in pixels of the picture in the search, and of the layer when a place is examined."""
EVEN = 1.02
"""The picture counts as shown at the layer's size up to this factor, because boxes end at whole pixels."""
LEAST_PIXELS = 60
PLACES, EXAMINED = (3, 24), 3_000_000
"""The fewest and the most places that are examined, within so many pixels in all."""
DETAIL = 2.5
"""Detail is what a blur of so many pixels removes."""
ALIKE_HERE, ALIKE, PERHAPS = 0.4, 0.6, 0.2
"""The least correlation of detail, right below the layer and elsewhere; with less, to the third, only an exact fit of
the colors counts. Unrelated pictures have less than 0.15."""
SHARPER = 0.1
"""By how much a sure correlation elsewhere falls when the layer moves in any direction: one straight edge resembles
many others."""
CLIPPED = 0.003
"""Levels so near to 0 and 1 may have been clipped."""

# The fit of the change to the pairs of colors.

FITTED, STEPS, HUBER, STEADY, FARTHEST = 3000, 12, 0.008, 0.05, 1.5
"""Pixels, steps, the residual from which a pixel counts less, the weight that keeps an unknown change at 0,
and how far a step may lead."""
SAME, NEAR, EXPLAINED = 0.004, 0.02, 0.25
"""Mean differences from the picture: below the first the layer has its colors already. A fit leaves less than the
second, than half of the difference before, and than the third of the layer's standard deviation: flat layers fit
anything flat."""
LOST = 0.012
"""A clipped pixel is that of the picture if the fit makes it so nearly of it."""
EXACT = 0.0015
"""An exact fit leaves only what rounding leaves."""
COLORS, LARGEST = 32, np.array([1.4, 1.4, 1.4, 0.9, 0.9])
"""The fewest different colors of the same thing elsewhere, and the largest shift: a mark of few colors on a flat layer
becomes any other mark by a large enough shift."""


def changed(colors: Plane, change: Plane) -> Plane:
    """Return colors (…, 3), 0–1, with changed saturation, then gamma, exposure and white balance."""
    exposure, red, blue, gamma, saturation = (float(value) for value in change)
    gray = (colors @ LUMA)[..., None]
    vivid = np.clip(gray + (colors - gray) * np.float32(np.exp(saturation)), 0, 1)
    gains = np.exp(exposure + np.array([red, -(red + blue) / 2, blue])).astype(np.float32)
    return vivid ** np.float32(np.exp(gamma)) * gains


def recovered(image: Image.Image, around: Surroundings) -> Plane | None:
    """Return the colors (height, width, 3), 0–1, that the picture shows of what an RGBA layer shows, or None.

    None if the picture does not show the same thing, or not with another exposure, white balance, gamma and saturation.
    Pixels that this change clipped are taken from the picture, where it is shown as finely as the layer.
    """
    known = around.image.width / (around.box[2] - around.box[0])
    share = min(1.0, FINE_SIDE / max(image.size), known * EVEN)
    layer = _resized(image, share)
    levels = np.rint(layer[layer[..., 3] > SOLID][:, :3] * 255) @ np.array([65536, 256, 1], np.float32)
    few = np.unique(levels).size < COLORS
    best: tuple[float, Plane, Plane] | None = None
    for x, y, sure in _places(image, layer, around, share):
        part = _shown(around, (x, y, x + image.width, y + image.height), share)
        use = (layer[..., 3] > SOLID) & (part[..., 3] > SOLID)
        if use.sum() < LEAST_PIXELS:
            continue
        own, truth = layer[..., :3], part[..., :3]
        if sure and np.abs(own - truth)[use].mean() < SAME:
            return as_float(image)[..., :3]
        fit = None if few and not (sure and x == y == 0) else _fitted(own[use], truth[use], sure)
        if fit and (best is None or fit[0] < best[0]):
            best = *fit, part
            if fit[0] < EXACT or x == y == 0:
                break
    if best is None:
        return None
    _, shift, part = best
    made = changed(as_float(image)[..., :3], _undone(shift))
    if share == 1:
        own, truth = layer[..., :3], part[..., :3]
        lost = ((own < CLIPPED) | (own > 1 - CLIPPED)).any(-1) & (part[..., 3] > SOLID)
        lost &= np.abs(_shifted(truth, shift) - own).max(-1) < LOST
        made[lost] = truth[lost]
    return made


def _shifted(colors: Plane, shift: Plane) -> Plane:
    """Return colors (…, 3), 0–1, after a gamma, three gains (all logarithms) and a change of saturation, clipped."""
    made = colors.clip(1e-4, 1) ** np.exp(shift[3]) * np.exp(shift[:3])
    gray = (made @ LUMA)[..., None]
    return (gray + (made - gray) * np.exp(shift[4])).clip(0, 1)


def _fitted(own: Plane, truth: Plane, sure: bool) -> tuple[float, Plane] | None:
    """Return what is left by the shift that makes colors (n, 3) of the picture those of the layer, and the shift.

    None if none nearly does, or not exactly where it is not `sure` that they are of the same thing. Least squares with
    Huber's weights (Huber, 1964), because pixels of other things fit no shift.
    """
    chosen = np.random.default_rng(0).choice(len(own), min(len(own), FITTED), replace=False)
    own, truth = own[chosen].astype(np.float64), truth[chosen].astype(np.float64)
    shift = np.zeros(5)
    for _ in range(STEPS):
        made = _shifted(truth, shift)
        slopes = np.stack([(_shifted(truth, shift + step) - made).ravel() / 1e-4 for step in 1e-4 * np.eye(5)], -1)
        left = (own - made).ravel()
        weighted = slopes * (HUBER / np.maximum(np.abs(left), HUBER))[:, None]
        shift = shift + np.linalg.solve(weighted.T @ slopes + STEADY * np.eye(5), weighted.T @ left - STEADY * shift)
        shift = shift.clip(-FARTHEST, FARTHEST)
    before, after = (float(np.abs(own - each).mean()) for each in (truth, _shifted(truth, shift)))
    if after > min(NEAR, before / 2, EXPLAINED * float(own.std(0).mean())):
        return None
    # Undoing a strong shift multiplies what the fit leaves.
    free = (own > CLIPPED) & (own < 1 - CLIPPED)
    undone = np.abs(changed(own, _undone(shift)).clip(0, 1) - truth)
    if free.any() and undone[free].mean() > before / 2:
        return None
    if not sure and after > EXACT:
        return None
    return (after, shift) if (np.abs(shift) < LARGEST).all() else None


def _undone(shift: Plane) -> Plane:
    """Return the change (`changed`) that undoes a shift (`_shifted`)."""
    red, green, blue = -shift[:3] * np.exp(-shift[3])
    exposure = (red + 2 * green + blue) / 4
    return np.array([exposure, red - exposure, blue - exposure, -shift[3], -shift[4]])


def _places(image: Image.Image, layer: Plane, around: Surroundings, fine: float) -> Iterator[tuple[int, int, bool]]:
    """Yield places of a layer's left top corner, in its pixels, where the picture has the same detail, and if it surely
    has. `layer` is the image at `fine` times its size."""
    here = _correlation(layer, _shown(around, (0, 0, *image.size), fine))
    if here is not None and here[0, 0] > PERHAPS:
        yield 0, 0, bool(here[0, 0] > ALIKE_HERE)
    box = around.box
    share = min(fine, COARSE_SIDE / max(box[2] - box[0], box[3] - box[1]))
    found = _correlation(_resized(image, share), _shown(around, box, share))
    while found is None and share < fine:
        # A small or thin layer has too little detail on a small copy.
        share = min(fine, 2 * share)
        found = _correlation(_resized(image, share), _shown(around, box, share))
    if found is None:
        return
    for _ in range(int(np.clip(EXAMINED // layer[..., 0].size, *PLACES))):
        top, left = (int(each) for each in np.unravel_index(found.argmax(), found.shape))
        found[max(top - 3, 0) : top + 4, max(left - 3, 0) : left + 4] = -1
        room = int(np.ceil(1.5 / share + 6 / fine))
        x, y = round(left / share) + box[0] - room, round(top / share) + box[1] - room
        near = _shown(around, (x, y, x + image.width + 2 * room, y + image.height + 2 * room), fine)
        place = _best(_correlation(layer, near))
        if place:
            yield x + round(place[0] / fine), y + round(place[1] / fine), place[2]


def _best(found: Plane | None) -> tuple[int, int, bool] | None:
    """Return x and y of the highest correlation, and if it is high enough and lower all around it."""
    if found is None or found.max() < PERHAPS:
        return None
    top, left = (int(each) for each in np.unravel_index(found.argmax(), found.shape))
    ring = [(top + down, left + across) for down in (-3, 0, 3) for across in (-3, 0, 3) if down or across]
    beside = [float(found[y, x]) for y, x in ring if 0 <= y < found.shape[0] and 0 <= x < found.shape[1]]
    score = float(found[top, left])
    return left, top, score > ALIKE and score - max(beside, default=1) > SHARPER


def _resized(image: Image.Image, share: float) -> Plane:
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    return as_float(image.resize(size, Image.Resampling.BOX))


def _shown(around: Surroundings, box: Box, share: float) -> Plane:
    size = max(1, round((box[2] - box[0]) * share)), max(1, round((box[3] - box[1]) * share))
    return as_float(around.within(box, size))


def _detail(picture: Plane) -> tuple[Plane, Plane]:
    """Return the detail of the logarithm of luminance, and 1 where it is known, else 0."""
    colors, known = picture[..., :3], picture[..., 3] > SOLID
    free = ((colors > CLIPPED) & (colors < 1 - CLIPPED)).all(-1) & known
    known = free if free.sum() > 0.2 * known.sum() else known
    light = np.log(colors @ LUMA + 0.03).astype(np.float32)
    light = np.where(known, light, light[known].mean() if known.any() else 0).astype(np.float32)
    inner = cv2.erode(np.pad(known.astype(np.float32), 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    return (light - cv2.GaussianBlur(light, (0, 0), DETAIL)) * inner, inner


def _correlation(layer: Plane, seen: Plane) -> Plane | None:
    """Return the correlation of the detail at every place of the layer in what is seen, None if it has too little."""
    if layer.shape[0] > seen.shape[0] or layer.shape[1] > seen.shape[1]:
        return None
    (own, inner), (other, _) = _detail(layer), _detail(seen)
    if inner.sum() < LEAST_PIXELS:
        return None
    product = cv2.matchTemplate(other, own, cv2.TM_CCORR)
    power = cv2.matchTemplate(other * other, inner, cv2.TM_CCORR)
    return product / np.sqrt(np.maximum(power, 1e-5) * max(float((own * own).sum()), 1e-5))

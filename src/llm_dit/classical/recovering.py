"""A layer's colors before a change of color and light, read from the same thing where the picture shows it."""

from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import Plane, as_float
from llm_dit.layer import Box
from llm_dit.surroundings import Surroundings

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# The search: the layer's detail, which a change of color and light keeps, is looked for in the picture.

SOLID = 0.9
"""The least alpha of a pixel that is compared with the picture."""
COARSE_SIDE, FINE_SIDE = 360, 1024
"""The longer side in pixels of the picture in the search, and of the layer when a place is examined."""
EVEN = 1.02
"""The picture counts as shown at the layer's size up to this factor, because boxes end at whole pixels."""
LEAST_PIXELS, PLACES = 60, 3
DETAIL = 2.5
"""Detail is what a blur of so many pixels removes."""
ALIKE_HERE, ALIKE = 0.4, 0.6
"""The least correlation of detail, right below the layer and elsewhere. Unrelated pictures have less than 0.15."""
SHARPER = 0.1
"""By how much the correlation elsewhere falls when the layer moves in any direction: one straight edge resembles many
others."""
CLIPPED = 0.003
"""Levels so near to 0 and 1 may have been clipped."""

# The fit of the change to the pairs of colors.

FITTED, STEPS, HUBER, STEADY = 3000, 12, 0.008, 0.05
"""Pixels, steps, the residual from which a pixel counts less, and the weight that keeps an unknown change at 0."""
SAME, NEAR, ENOUGH = 0.004, 0.012, 0.2
"""Mean differences from the picture: below the first the layer has its colors already. A fit leaves less than the
second, and less than half of the difference before, or less than the third of that."""


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
    for x, y in _places(image, layer, around, share):
        part = _shown(around, (x, y, x + image.width, y + image.height), share)
        use = (layer[..., 3] > SOLID) & (part[..., 3] > SOLID)
        if use.sum() < LEAST_PIXELS:
            continue
        own, truth = layer[..., :3], part[..., :3]
        same = np.abs(own - truth)[use].mean() < SAME
        shift = np.zeros(5) if same else _fitted(own[use], truth[use])
        if shift is None:
            continue
        made = changed(as_float(image)[..., :3], _undone(shift))
        if share == 1 and not same:
            lost = ((own < CLIPPED) | (own > 1 - CLIPPED)).any(-1) & (part[..., 3] > SOLID)
            lost &= np.abs(shifted(truth, shift) - own).max(-1) < NEAR
            made[lost] = truth[lost]
        return made
    return None


def shifted(colors: Plane, shift: Plane) -> Plane:
    """Return colors (…, 3), 0–1, after a gamma, three gains (all logarithms) and a change of saturation, clipped."""
    made = colors.clip(1e-4, 1) ** np.exp(shift[3]) * np.exp(shift[:3])
    gray = (made @ LUMA)[..., None]
    return (gray + (made - gray) * np.exp(shift[4])).clip(0, 1)


def _fitted(own: Plane, truth: Plane) -> Plane | None:
    """Return the shift that makes colors (n, 3) of the picture those of the layer, or None if none nearly does.

    Least squares with Huber's weights (Huber, 1964), because pixels of other things fit no shift.
    """
    chosen = np.random.default_rng(0).choice(len(own), min(len(own), FITTED), replace=False)
    own, truth = own[chosen].astype(np.float64), truth[chosen].astype(np.float64)
    shift = np.zeros(5)
    for _ in range(STEPS):
        made = shifted(truth, shift)
        slopes = np.stack([(shifted(truth, shift + step) - made).ravel() / 1e-4 for step in 1e-4 * np.eye(5)], -1)
        left = (own - made).ravel()
        weighted = slopes * (HUBER / np.maximum(np.abs(left), HUBER))[:, None]
        shift = shift + np.linalg.solve(weighted.T @ slopes + STEADY * np.eye(5), weighted.T @ left - STEADY * shift)
        shift = shift.clip(-1.5, 1.5)
    before, after = (float(np.abs(own - each).mean()) for each in (truth, shifted(truth, shift)))
    return shift if after < max(min(NEAR, before / 2), ENOUGH * before) else None


def _undone(shift: Plane) -> Plane:
    """Return the change (`changed`) that undoes a shift (`shifted`)."""
    red, green, blue = -shift[:3] * np.exp(-shift[3])
    exposure = (red + 2 * green + blue) / 4
    return np.array([exposure, red - exposure, blue - exposure, -shift[3], -shift[4]])


def _places(image: Image.Image, layer: Plane, around: Surroundings, fine: float) -> Iterator[tuple[int, int]]:
    """Yield the places of a layer's left top corner, in its pixels, where the picture has the same detail.

    `layer` is the image at `fine` times its size.
    """
    here = _correlation(layer, _shown(around, (0, 0, *image.size), fine))
    if here is not None and here[0, 0] > ALIKE_HERE:
        yield 0, 0
    box = around.box
    share = min(fine, COARSE_SIDE / max(box[2] - box[0], box[3] - box[1]))
    found = _correlation(_resized(image, share), _shown(around, box, share))
    while found is None and share < fine:
        # A small or thin layer has too little detail on a small copy.
        share = min(fine, 2 * share)
        found = _correlation(_resized(image, share), _shown(around, box, share))
    if found is None:
        return
    for _ in range(PLACES):
        top, left = (int(each) for each in np.unravel_index(found.argmax(), found.shape))
        found[max(top - 3, 0) : top + 4, max(left - 3, 0) : left + 4] = -1
        room = int(np.ceil(1.5 / share + 6 / fine))
        x, y = round(left / share) + box[0] - room, round(top / share) + box[1] - room
        near = _shown(around, (x, y, x + image.width + 2 * room, y + image.height + 2 * room), fine)
        place = _best(_correlation(layer, near))
        if place:
            yield x + round(place[0] / fine), y + round(place[1] / fine)


def _best(found: Plane | None) -> tuple[int, int] | None:
    """Return x and y of the highest correlation if it is high, and lower all around it."""
    if found is None:
        return None
    top, left = (int(each) for each in np.unravel_index(found.argmax(), found.shape))
    ring = [(top + down, left + across) for down in (-3, 0, 3) for across in (-3, 0, 3) if down or across]
    beside = [float(found[y, x]) for y, x in ring if 0 <= y < found.shape[0] and 0 <= x < found.shape[1]]
    score = float(found[top, left])
    return (left, top) if score > ALIKE and score - max(beside, default=1) > SHARPER else None


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

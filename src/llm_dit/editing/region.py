"""Edits of a part of a layer: the mask of what may change, and seamless blending of the result."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import Plane, as_float, to_image
from llm_dit.editing.canvas import Box
from llm_dit.errors import InputError
from llm_dit.options import Shape
from llm_dit.runs import RegionLike, region_box

# The seam. A weight rises from 0 at the region's border to 1 inside, faster across edges of the pictures. Then the
# gradient of the blend is measured in rings around the border, and the weight rises slower in rings that are steeper
# than the pictures, until none is. A region too narrow for a strong change gets less of it.

SLOPE_SHARE = 0.6
"""The seam's initial gradient limit, relative to the pictures' local gradient, to which it adds."""
RINGS = 64
"""Number of rings, one pixel wide each, that are checked."""
AROUND_PX = 40
"""Width of the surroundings that give the pictures' usual gradient."""
ROUNDS, MOST_PIXELS = 14, 30_000_000
"""Limits of iterations, and of pixels over all of them: a large region has room for a slow rise."""
LEAST_RISE = 0.5
"""Least part of the rise up to `RISE_SHARE` that remains in too steep rings, so that the center is fully edited."""
SHADED = 4 / 255
"""Steps up to this, in the mean of a ring, look like shading, not like an edge, even on a flat surface."""
USUAL = 0.75
"""The local gradient is at least this quantile of the gradients around the region."""
LEAST_STEP = 1.5 / 255
"""An invisible step between two pixels."""
NEAR_PX = 1
"""Edges and differences within this distance count: an edge's gradient extends to the neighboring pixels."""
RISE_SHARE = 0.5
"""The weight reaches its maximum by this part of the distance from the border to the center of a region."""
LONGEST_RISE_PX = 64.0
STEEPEST_RISE_PX = 1.5

# The surroundings of a region separate a model's unwanted global color drift from the requested edit.

MOST_GAIN, MOST_OFFSET = 0.08, 0.04
SAME = 12 / 255
"""Colors that differ by less, after correcting the drift, count as unchanged."""
ENOUGH_SAME = 0.5
"""Least unchanged part of the surroundings; with less, the drift cannot be determined."""
NOTHING_ELSE = 0.95
"""If this part of the region is unchanged, too, the drift itself is the requested edit."""
APART_PX = 4
MIN_SAMPLE = 400


@dataclass(frozen=True, eq=False)
class Region:
    """Where a layer may change: `mask` (height, width), from 0 (unchanged) to 255 (fully edited)."""

    mask: NDArray[np.uint8]

    @cached_property
    def box(self) -> Box:
        """Left, top, right and bottom of the nonzero part."""
        box = Image.fromarray(self.mask).getbbox()
        assert box is not None
        return box

    @property
    def share(self) -> Plane:
        """The mask as 0–1."""
        return self.mask.astype(np.float32) / np.float32(255)

    def resized(self, size: tuple[int, int]) -> "Region":
        """Return the region of the layer at another size."""
        mask = np.asarray(Image.fromarray(self.mask.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        return Region(np.ceil(mask).astype(np.uint8))  # a tiny region must not vanish

    def put_in(self, before: Image.Image, after: Image.Image) -> Image.Image:
        """Return the RGBA `before` with `after`, of the same size, inside the region; bytes outside do not change.

        Inside, the pictures blend with a gradient no steeper than their own.
        """
        left, top, right, bottom = self.box
        room = AROUND_PX
        box = (
            max(left - room, 0),
            max(top - room, 0),
            min(right + room, before.width),
            min(bottom + room, before.height),
        )
        mask = self.mask[box[1] : box[3], box[0] : box[2]]
        old, new = before.crop(box), after.crop(box)
        merged = _mix(as_float(old), as_float(new), _weight(as_float(old), as_float(new), mask))
        joined = before.copy()
        joined.paste(to_image(merged), box[:2])
        kept = Image.fromarray(np.where(self.mask > 0, np.uint8(0), np.uint8(255)))
        joined.paste(before, (0, 0), kept)
        return joined

    def preview(self, before: Image.Image, seen: Image.Image, box: Box) -> Image.Image:
        """Return an unfinished result of any size, shown within `box` of the RGBA layer, inside the region.

        Outside are the layer's own pixels.
        """
        around = before.crop(box).resize(seen.size, Image.Resampling.BOX)
        where = Image.fromarray(self.mask).crop(box).resize(seen.size, Image.Resampling.BOX)
        return Image.composite(seen, around, where)

    def settle(self, before: Image.Image, after: Image.Image, seen: Box) -> Image.Image:
        """Return `after` without the model's global color drift within the box `seen`.

        A gain and an offset per channel are fitted to the surroundings of the region, where little change is requested.
        A drift larger than usual for a model, or without any other change, was requested and stays.
        """
        window = np.s_[max(seen[1], 0) : seen[3], max(seen[0], 0) : seen[2]]
        old, new = as_float(before)[window], as_float(after)[window]
        shown = (old[..., 3] > 0.5) & (new[..., 3] > 0.5)
        far = cv2.dilate(self.mask[window], np.ones((2 * APART_PX + 1,) * 2, np.uint8)) == 0
        drift = _drift(old[shown & far, :3], new[shown & far, :3])
        inside = shown & (self.mask[window] > 0)
        if drift is None or _is_same(old[inside, :3], new[inside, :3], *drift).mean() > NOTHING_ELSE:
            return after
        gain, offset = drift
        colors = ((new[..., :3] - offset) / gain).clip(0, 1)
        settled = after.copy()
        settled.paste(to_image(np.dstack([colors, new[..., 3]])), (max(seen[0], 0), max(seen[1], 0)))
        return settled


def read_region(region: RegionLike, layer: Image.Image, shape: Shape) -> Region | None:
    """Return where an RGBA layer may change; None for everywhere.

    `region` is a box (left, top, right, bottom) in the layer's pixels, clipped to the layer, or a picture of the
    layer's size. The mask is the picture's alpha if it has any transparency, otherwise its lightness. Raises
    `InputError` for a region that is empty, outside the layer, of another size, or, if the shape is kept, fully
    transparent in the layer.
    """
    if isinstance(region, Image.Image):
        mask = _mask(region, layer.size)
    else:
        left, top, right, bottom = region_box(region, layer.size)
        mask = np.zeros((layer.height, layer.width), np.uint8)
        mask[top:bottom, left:right] = 255
    if not mask.any():
        raise InputError("The region is empty: mark where the layer may change.", param="region")
    if shape == "keep" and not np.asarray(layer.getchannel("A"))[mask > 0].any():
        raise InputError(
            "The layer is transparent everywhere in the region: choose another one, or send shape “new”.",
            param="region",
        )
    return None if mask.min() == 255 else Region(mask)


def _mask(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    if picture.size != size:
        raise InputError(
            f"The region's mask must have the layer's size, {size[0]}×{size[1]} pixels, and has "
            f"{picture.width}×{picture.height}.",
            param="region",
        )
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    if alpha is None or alpha.getextrema() == (255, 255):
        return np.array(picture.convert("RGB").convert("L"))
    return np.array(alpha)


def _mix(old: Plane, new: Plane, weight: Plane) -> Plane:
    """Return straight RGBA (height, width, 4), interpolated from `old` to `new` by `weight`, premultiplied."""
    share = weight * new[..., 3]
    alpha = old[..., 3] * (1 - weight) + share
    part = np.divide(share, alpha, out=np.zeros_like(alpha), where=alpha > 0)[..., None]
    return np.dstack([old[..., :3] + (new[..., :3] - old[..., :3]) * part, alpha])


def _weight(old: Plane, new: Plane, mask: NDArray[np.uint8]) -> Plane:
    """Return the weight of `new` (height, width), 0–1: 0 where the mask is 0, and at most the mask.

    It is the shortest-path distance from outside, where each step adds the weight that may be gained there: less where
    the pictures differ more, more where they have edges, and less again in rings where the mean gradient of the blend
    is steeper than that of both.
    """
    if mask.min() > 0:
        return as_float(Image.fromarray(mask))
    over = [np.dstack([picture[..., :3] * picture[..., 3:], picture[..., 3]]) for picture in (old, new)]
    # New content ends at the border, which is not an edge of the picture.
    inside = cv2.erode((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    steep = np.maximum(_steepness(over[0]), _steepness(over[1]) * inside)
    apart = np.abs(over[0] - over[1]).max(-1)
    band = (2 * NEAR_PX + 1,) * 2
    allowed = np.maximum(cv2.dilate(steep, np.ones(band, np.uint8)), max(float(np.quantile(steep, USUAL)), LEAST_STEP))
    gain = SLOPE_SHARE * allowed / np.maximum(cv2.dilate(apart, np.ones(band, np.uint8)), 1e-4)
    least = 1 / (RISE_SHARE * _reach(mask)).clip(STEEPEST_RISE_PX, LONGEST_RISE_PX)
    gain = gain.clip(least, 1.0).astype(np.float32)
    return _no_steeper(over[0], over[1] - over[0], as_float(Image.fromarray(mask)), gain, LEAST_RISE * least, steep)


def _no_steeper(old: Plane, change: Plane, most: Plane, gain: Plane, least: Plane, steep: Plane) -> Plane:
    """Return weights for adding `change` to `old`, both premultiplied, with less gain in rings steeper than `steep`.

    If no weights suffice, return those whose steepest ring is the least steep.
    """
    within = cv2.distanceTransform((most > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    at_border = cv2.dilate(most, np.ones((3, 3), np.uint8)) > 0
    # Each pixel's distance from the border, 0 just outside.
    ring = np.where(at_border, np.minimum(np.rint(within), RINGS), RINGS).astype(np.intp)
    usual = max(float(steep[within < RINGS].mean()), SHADED)
    allowed = np.maximum(_by_ring(steep, ring), usual)
    share = np.ones(RINGS + 1, np.float32)
    weight, steepest = most, np.inf
    for _ in range(min(ROUNDS, max(MOST_PIXELS // most.size, 2))):
        rising = _rise(most, np.maximum(gain * share[ring], least).astype(np.float32))
        excess = _by_ring(_steepness(old + change * rising[..., None]), ring) / allowed
        if excess.max() < steepest:
            weight, steepest = rising, float(excess.max())
        if steepest <= 1:
            break
        # Neighboring rings too, because they would take over the gain.
        near = np.pad(excess, 1).astype(np.float32)
        worst = np.maximum(np.maximum(near[:-2], near[2:]), near[1:-1]).clip(1, 4)
        share[:RINGS] /= worst**2
    return weight


def _by_ring(values: Plane, ring: NDArray[np.intp]) -> Plane:
    """Return the mean of each ring (RINGS), 0 without pixels."""
    count = np.bincount(ring.ravel(), minlength=RINGS + 1)
    return (np.bincount(ring.ravel(), values.ravel(), minlength=RINGS + 1) / np.maximum(count, 1))[:RINGS]


def _steepness(picture: Plane) -> Plane:
    """Return the largest step of any channel between each pixel and its neighbors (height, width)."""
    down = np.abs(np.diff(picture, axis=0, append=picture[-1:])).max(-1)
    across = np.abs(np.diff(picture, axis=1, append=picture[:, -1:])).max(-1)
    return np.maximum(down, across)


def _reach(mask: NDArray[np.uint8]) -> Plane:
    """Return for each pixel of a mask the local center's distance from the border, in pixels."""
    off = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    reach, radius = off.copy(), 2.0
    while (wide := off >= radius).any():
        near = cv2.distanceTransform((~wide).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) < 2 * radius
        reach[near] = np.maximum(reach[near], radius)
        radius *= 1.5
    return reach


def _rise(most: Plane, gain: Plane) -> Plane:
    """Return the largest weights (height, width) that are at most `most` and rise at most `gain` from pixel to pixel.

    Four sweeps propagate them by row and by column, as in a distance transform (Borgefors, 1986), here with varying
    distances; a second round follows paths around a corner.
    """
    weight = most.copy()
    for _ in range(2):
        for flipped in (np.s_[:], np.s_[::-1]):
            _sweep(weight[flipped], gain[flipped])
            _sweep(weight.T[flipped], gain.T[flipped])
    return weight


def _sweep(weight: Plane, gain: Plane) -> None:
    aside = np.float32(2**0.5)
    for row in range(1, len(weight)):
        before, now, step = weight[row - 1], weight[row], gain[row]
        np.minimum(now, before + step, out=now)
        np.minimum(now[1:], before[:-1] + step[1:] * aside, out=now[1:])
        np.minimum(now[:-1], before[1:] + step[:-1] * aside, out=now[:-1])


def _drift(old: Plane, new: Plane) -> tuple[Any, Any] | None:
    """Return gain and offset (3) with new ≈ gain · old + offset, of colors (n, 3); None if there is no drift."""
    if len(old) < MIN_SAMPLE:
        return None
    old, new = (colors[:: len(colors) // 50_000 + 1].astype(np.float64) for colors in (old, new))
    gain, offset = np.ones(3), np.median(new - old, axis=0)
    for _ in range(6):
        same = _is_same(old, new, gain, offset)
        if same.mean() < ENOUGH_SAME:
            return None
        mean = old[same].mean(0), new[same].mean(0)
        away = old[same] - mean[0]
        # Regularized toward 1, because a flat surface does not determine the gain.
        gain = ((away * (new[same] - mean[1])).mean(0) + 1e-3) / ((away**2).mean(0) + 1e-3)
        offset = mean[1] - gain * mean[0]
    at_middle = np.abs(gain * 0.5 + offset - 0.5)
    return (gain, offset) if np.abs(gain - 1).max() <= MOST_GAIN and at_middle.max() <= MOST_OFFSET else None


def _is_same(old: Plane, new: Plane, gain: Any, offset: Any) -> NDArray[np.bool_]:
    return (np.abs(old * gain + offset - new) < SAME).all(-1)

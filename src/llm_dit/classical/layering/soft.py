"""Soft things on a known background: blurred or feathered things, shadows and glows, and mist."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.alpha import spread
from llm_dit.classical.layering.paint import Edge, Halo, Plan, least_alpha, own_colors
from llm_dit.classical.layering.regions import Floats, Labels, Mask, Regions, Sketch, compact, depth, nearest_label
from llm_dit.classical.layering.surfaces import Ground
from llm_dit.color import dot, norm

Places = tuple[NDArray[np.intp], NDArray[np.intp]]
STEEP = 0.22
"""The steepest rise of alpha per pixel of a soft edge, on a copy blurred by one pixel; a sharp edge is steeper."""
ALONG = 0.95
"""Cosine from which two color differences have the same direction."""
AGREED = 0.92
"""The least share of a one-paint thing's color difference from the background that has one direction."""
MOST = 200
"""The most soft things, the largest."""


@dataclass(frozen=True, kw_only=True)
class Soft:
    """Soft things 0…n−1: `thing` (height, width) is each pixel's thing, −1 for none; `alpha` (height, width) its share
    of the pixel, 0–1; `paint` (n, 3) its color, 0–255; `noise` the error of the background in levels."""

    thing: Labels
    alpha: Floats
    paint: Floats
    noise: float

    def enlarged(self, width: int, height: int) -> "Soft":
        """Return these soft things at the picture's size."""
        thing = cv2.resize(self.thing.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        alpha = cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        return Soft(
            thing=thing.astype(np.int32), alpha=np.asarray(alpha, np.float32), paint=self.paint, noise=self.noise
        )

    def lay(self, number: int, plan: Plan, below: Floats, alpha: Floats, colors: Floats) -> None:
        """Write the soft things of layer `number` into its `alpha` (height, width) and `colors` (height, width, 3).

        A thing belongs to the layer of `plan` in which most of its middle is visible; it lies over `below`.
        """
        seen = plan.rank
        solid = (self.thing >= 0) & (self.alpha > 0.5) & (seen >= 0)
        layers = int(seen.max()) + 1
        keys = self.thing[solid] * layers + seen[solid]
        counts = np.bincount(keys, minlength=layers * len(self.paint)).reshape(-1, layers)
        owned = counts.any(axis=-1) & (counts.argmax(axis=-1) == number)
        mine = (self.thing >= 0) & owned[self.thing] & (seen <= number)
        share = self.alpha[mine]
        edge = Edge(
            mixed=plan.rgb[mine],
            upper=self.paint[self.thing[mine]],
            lower=below[mine],
            guess=share,
            own=np.zeros(share.shape, bool),
            noise=np.full(share.shape, self.noise, np.float32),
        )
        alpha[mine] = np.maximum(share, least_alpha(edge))
        colors[mine] = own_colors(edge, alpha[mine])


def find_soft(ground: Ground, sketch: Sketch) -> Soft | None:
    """Return the soft things of one paint on the background `ground`, or None.

    Every pixel of such a thing is a mixture of its paint and the background: I = αF + (1 − α)B.
    """
    off = cv2.GaussianBlur(sketch.rgb, (0, 0), 1.0) - ground.field
    strength = np.where(sketch.visible, norm(off), 0)
    thing, alpha = np.full(strength.shape, -1, np.int32), np.zeros(strength.shape, np.float32)
    paints: list[Floats] = []
    for places in _lumps(strength, ground.limit):
        found = _mixed(off[places], ground.field[places], strength[places])
        if found is None:
            continue
        share, paint, aligned = found
        if _is_soft(share, places):
            rows, columns = places[0][aligned], places[1][aligned]
            thing[rows, columns], alpha[rows, columns] = len(paints), share[aligned].clip(0, 1)
            paints.append(paint)
    return Soft(thing=thing, alpha=alpha, paint=np.stack(paints), noise=ground.limit) if paints else None


def with_soft(labels: Labels, ground: int, soft: Soft) -> Labels:
    """Return the labels with each soft thing as one region; pixels with less than half of it become `ground`.

    Segments of its edge are not things.
    """
    inside = np.where(soft.alpha > 0.5, soft.thing + int(labels.max()) + 1, ground)
    return compact(np.where(soft.thing >= 0, inside, labels))


def _lumps(strength: Floats, limit: float) -> list[Places]:
    """Return the pixels of each thing on the background, separated where colors fade between two things."""
    found = []
    for part in _parts(strength > limit):
        cores = np.zeros(strength.shape, bool)
        cores[part] = strength[part] > 0.4 * float(np.percentile(strength[part], 90))
        inner = _parts(cores)
        if len(inner) < 2:
            found.append(part)
            continue
        labels = np.full(strength.shape, -1, np.int32)
        for number, one in enumerate(inner):
            labels[one] = number
        nearest = nearest_label(labels, labels >= 0)[part]
        found += [(part[0][nearest == number], part[1][nearest == number]) for number in range(len(inner))]
    return found


def _parts(mask: Mask) -> list[Places]:
    """Return the pixels of the largest connected parts of a mask."""
    _, found, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    labels, area = np.asarray(found, np.int32), stats[1:, cv2.CC_STAT_AREA]
    parts = []
    for one in (np.argsort(-area, kind="stable")[:MOST] + 1).tolist():
        left, top, width, height, size = stats[one].tolist()
        if size > 30:
            rows, columns = np.nonzero(labels[top : top + height, left : left + width] == one)
            parts.append((rows + top, columns + left))
    return parts


def _mixed(off: Floats, lower: Floats, strength: Floats) -> tuple[Floats, Floats, Mask] | None:
    """Return a lump's alpha, its paint (3) and where they explain it, or None if it has several paints."""
    top = strength >= np.percentile(strength, 95)
    paint = (off[top] + lower[top]).mean(axis=0)
    span = paint - lower
    length = norm(span) + 1e-3
    along = dot(off, span) / length
    aligned = along > ALONG * strength
    if float(strength[aligned].sum()) < AGREED * float(strength.sum()):
        return None
    share = along / length
    # A weak difference has no reliable direction.
    return share, paint, aligned | (share < 0.15)


def _is_soft(share: Floats, places: Places) -> bool:
    """Return whether alpha rises slowly at the edge of a lump and is high in its middle."""
    rows, columns = places[0] - places[0].min() + 1, places[1] - places[1].min() + 1
    alpha = np.zeros((int(rows.max()) + 2, int(columns.max()) + 2), np.float32)
    alpha[rows, columns] = share
    half = (alpha > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(half, cv2.DIST_L2, 3)
    edge, middle = (depth > 0) & (depth < 1.5), depth > 0.7 * depth.max()
    slope = np.hypot(*np.gradient(alpha))
    return bool(edge.any() and np.median(slope[edge]) < STEEP and np.percentile(alpha[middle], 5) > 0.7)


# Shadows and glows of things, and mist.


ALIGNED = 0.96
"""Cosine from which two color differences have the same direction."""
SIMILAR = 0.8
"""Cosine from which a light may belong to a thing of another color."""
NEAR = 6
"""The distance from its thing, in pixels, within which a shadow or glow begins."""
FAINT = 0.01
"""The alpha below which a shadow or glow has ended."""
LIKE_ONE = 0.97
"""The length of the sum over the sum of lengths, from which many differences have the same direction."""


def sort_soft(regions: Regions, ground: int, fit: Ground, sketch: Sketch) -> Labels:
    """Return the labels with rings of shadow and glow given to the background, where `find_halo` finds them again, and
    with mist on the background as a region of its own."""
    labels = regions.labels.copy()
    for shell in _shells(regions, ground, fit, sketch):
        labels[regions.labels == shell] = ground
    return compact(_with_mist(labels, ground, fit, regions, sketch))


def _shells(regions: Regions, ground: int, fit: Ground, sketch: Sketch) -> list[int]:
    """Return the regions that are the outer part of a shadow or glow of the thing that they surround."""
    found = []
    side = min(regions.labels.shape)
    candidates = (regions.shared[ground] > 0) & (regions.thick < 0.07 * side)
    candidates[ground] = False
    away = cv2.distanceTransform((regions.labels != ground).astype(np.uint8), cv2.DIST_L2, 3)
    means = _inner_means(regions.labels, sketch.rgb)
    for one in np.flatnonzero(candidates).tolist():
        left, top, right, bottom = regions.box[one].astype(int)
        rows, columns = np.nonzero(regions.labels[top:bottom, left:right] == one)
        places = (rows + top, columns + left)
        off = (sketch.rgb[places] - fit.field[places]).mean(axis=0)
        strength = float(np.linalg.norm(off))
        lower = fit.field[places].mean(axis=0)
        outline = regions.shared[one].sum()
        things = [
            other
            for other in np.flatnonzero(regions.shared[one] > 0.02 * outline).tolist()
            if other != ground and regions.area[other] > 0.5 * regions.area[one]
        ]
        dark = _cosine(off, -lower) > ALIGNED and strength < 0.8 * np.linalg.norm(lower)
        length = norm(sketch.rgb[places] - fit.field[places])
        rim = length[(away[places] > 1.5) & (away[places] < 3.5)]
        # A shadow fades: it is weaker at its rim than inside. The first pixel is excluded: every edge blurs.
        fades = len(rim) > 0 and float(np.median(rim)) < 0.7 * float(np.percentile(length, 90))
        if things and fades and (dark or _glows(off, strength, lower, means[things])):
            found.append(one)
    return found


def _glows(off: Floats, strength: float, lower: Floats, things: Floats) -> bool:
    """Return whether `off` points from the color `lower` to that of one of `things` (n, 3)."""
    spans = things - lower
    return any(_cosine(off, span) > ALIGNED and strength < 0.9 * np.linalg.norm(span) for span in spans)


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-6))


def _with_mist(labels: Labels, ground: int, fit: Ground, regions: Regions, sketch: Sketch) -> Labels:
    """Return `labels` with large soft things on the background, other than halos, as new regions."""
    on_ground = labels == ground
    strong = on_ground & (norm(fit.off) > 2 * fit.limit)
    if strong.any() and (labels != ground).any():
        strong &= ~explained(labels, ground, fit, sketch)[0]
    opened = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    next_label = int(labels.max()) + 1
    result = labels.copy()
    for part in range(1, count):
        if 0.006 * labels.size < stats[part, cv2.CC_STAT_AREA] < 0.5 * on_ground.sum():
            result[parts == part] = next_label
            next_label += 1
    return result


def explained(labels: Labels, ground: int, fit: Ground, sketch: Sketch) -> tuple[Mask, Mask, Floats, Labels]:
    """Find where on the background the nearest thing's shadow or glow explains the picture.

    Returns four arrays: whether it does; whether as a shadow; its alpha; the label of the nearest thing.
    """
    things = (labels >= 0) & (labels != ground)
    owner = nearest_label(labels, things)
    means = _inner_means(labels, sketch.rgb)
    on_ground = labels == ground
    lights = means.copy()
    for one, light in _lights(means, owner, on_ground, fit).items():
        lights[one] = light
    span = lights[owner] - fit.field
    strength = norm(fit.off)
    glow_length = norm(span) + 1e-3
    dark_length = norm(fit.field) + 1e-3
    glow = dot(fit.off, span) / glow_length
    dark = -dot(fit.off, fit.field) / dark_length
    strong = strength > fit.limit
    is_dark = strong & (dark > ALIGNED * strength) & (dark >= glow)
    is_glow = strong & (glow > ALIGNED * strength) & ~is_dark
    alpha = np.where(is_dark, dark / dark_length, np.where(is_glow, glow / glow_length, 0)).clip(0, 0.97)
    return (is_dark | is_glow) & on_ground, is_dark & on_ground, alpha.astype(np.float32), owner


def _lights(means: Floats, owner: Labels, on_ground: Mask, fit: Ground) -> dict[int, Floats]:
    """Return the light color (3) of each thing whose light has one color other than the thing's, such as a pale sun.

    `means` (n, 3) are the things' colors, `owner` (height, width) the nearest thing of each pixel.
    """
    lights, count = dict[int, Floats](), len(means)
    strength = norm(fit.off)
    bright = on_ground & (strength > 2 * fit.limit) & (fit.off.sum(axis=-1) > 0)

    def total(values: Floats) -> Floats:
        return np.bincount(owner[bright], values[bright], count).astype(np.float32)

    pixels, length = total(np.ones_like(strength)), total(strength)
    along = np.stack([total(fit.off[..., channel]) for channel in range(3)], -1)
    around = np.stack([total(fit.field[..., channel]) for channel in range(3)], -1) / np.maximum(pixels[:, None], 1)
    agreed = (pixels > 50) & (np.linalg.norm(along, axis=-1) > LIKE_ONE * length)
    for one in np.flatnonzero(agreed).tolist():
        span = means[one] - around[one]
        if _cosine(along[one], span) > SIMILAR:
            way = along[one] / np.linalg.norm(along[one])
            room = np.where(way > 0, 255 - around[one], around[one]) / np.maximum(np.abs(way), 1e-6)
            # Clipping would change the hue of the light.
            lights[one] = around[one] + way * min(float(np.linalg.norm(span)), float(room.min()))
    return lights


def find_halo(labels: Labels, fit: Ground, sketch: Sketch) -> Halo:
    """Return the shadows and glows of things on background 0, at the sketch's size.

    They are continued under the things and along their outlines from their visible part.
    """
    found, dark, alpha, owner = explained(labels, 0, fit, sketch)
    found = _beside(found, labels > 0)
    known = (labels == 0) & (depth(labels) > 2.5)
    seen = np.where(found, alpha, 0).astype(np.float32)
    wide = spread(np.dstack([seen, seen * dark, seen * 0]), known.astype(np.float32))
    wide[known, 0] = seen[known]
    means = _inner_means(labels, sketch.rgb)
    strength = norm(fit.off)
    span = norm(means[owner] - fit.field) + 1e-3
    beside = (labels == 0) & (cv2.distanceTransform((labels <= 0).astype(np.uint8), cv2.DIST_L2, 3) < 5)
    beside &= (depth(labels) > 1.5) & ~dark
    soft = set()
    for one in range(1, int(labels.max()) + 1):
        rim = beside & (owner == one)
        if rim.sum() > 10 and float(np.median(strength[rim] / span[rim])) > 0.15:
            soft.add(one)
    darkness = np.divide(wide[..., 1], wide[..., 0], out=np.zeros_like(seen), where=wide[..., 0] > 1e-3)
    return Halo(
        alpha=np.where(wide[..., 0] < FAINT, 0, wide[..., 0]).clip(0, 0.97),
        dark=darkness.clip(0, 1),
        owner=owner,
        soft=frozenset(soft),
        lights=_lights(means, owner, labels == 0, fit),
    )


def _beside(found: Mask, things: Mask) -> Mask:
    """Return the parts of `found` that begin at a thing: a distant patch of the background is not its light."""
    away = cv2.distanceTransform((~things).astype(np.uint8), cv2.DIST_L2, 3)
    count, labels = cv2.connectedComponents(found.astype(np.uint8))
    parts = np.asarray(labels, np.int32)
    gap = np.full(count, np.inf, np.float32)
    np.minimum.at(gap, parts[found], away[found])
    return found & (gap < NEAR)[parts]


def _inner_means(labels: Labels, rgb: Floats) -> Floats:
    """Return the mean color (n, 3) of the deeper half of each label."""
    inside = labels >= 0
    flat = labels[inside]
    count = int(labels.max()) + 1
    deep = depth(labels)[inside]
    weight = np.minimum(deep, 6.0) ** 3
    total = np.maximum(np.bincount(flat, weight, count), 1e-6)
    return np.stack([np.bincount(flat, weight * rgb[..., c][inside], count) / total for c in range(3)], -1).astype(
        np.float32
    )

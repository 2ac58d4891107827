"""Restores layers that a model drew from a small copy of a picture at the picture's own size.

`restore` decomposes the picture again, from the top layer down: the visible picture is a·F + (1 − a)·B, the layer's
colors F over the picture B of everything below, in which the next layer is found. Estimates that need neighboring
pixels are made at the model's size: bounds of alpha, the colors of both sides, their variances. At full size each pixel
is then solved by itself, so that twelve million pixels take seconds and little memory.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.alpha import Plane, as_float, resize_layer, spread
from llm_dit.classical.layering.paint import settle_colors

Report = Callable[[int, int], None]
"""Called with the finished and the total number of parts; an exception ends the work."""

TILE = 320
"""The side of a tile in pixels, small enough for the CPU's cache."""
REACH = 2
"""Blur and displacement of the model's edges, in pixels of the model."""
NEAR, FAR = 2.0, 16.0
"""How far colors are extended beside an edge, in pixels of the model: first, and if nothing is nearer."""
LITTLE, NOTHING = 0.15, 0.01
"""The weight of far colors against near ones, and of no correction against both."""
NOISE = 0.012
"""The standard deviation, 0–1, of even alpha, and the minimum for a color."""
DRAWN = 0.02
"""The standard deviation of a color that the model drew."""
UNKNOWN = 0.04
"""The standard deviation of a color that is never visible alone."""
EVEN = 0.15
"""Below this uncertainty alpha counts as even."""
LEVEL = 0.004
"""The standard deviation of a pixel of the picture: one level of 255."""
OFF = 0.6
"""Allowed error of the composite in levels before rounding."""
COLORS = 7
"""Planes of an estimate before its colors."""
SOFT, STEEP = 0.4, 0.25
"""The share of a change of alpha, of so much at least, that lies within `REACH` of a pixel where the change is soft."""
THIN = 0.04
"""Alpha that differs this much from its surroundings belongs to a structure thinner than the model's pixels."""


def restore(picture: Image.Image, layers: Sequence[Image.Image], report: Report | None = None) -> list[Image.Image]:
    """Return the RGBA layers, bottom first, at the size of `picture`, so that they composite to it.

    `layers` have one size, with about the picture's aspect ratio. Where a layer is fully visible, it gets the picture's
    pixels; hidden parts are the model's, enlarged, with colors adjusted to the visible parts next to them. Edges follow
    the picture's, as far as the colors of both sides differ, and mixed colors are separated, so that neither side has
    the other's colors when it is moved or hidden. The bottom layer of an opaque picture is opaque where visible.

    The composite differs by at most one of 255 levels. `report` is called before the first and after each part.
    """
    rgba = np.asarray(picture.convert("RGBA"))
    channels = 3 if (rgba[..., 3] == 255).all() else 4
    drawn = [layer.convert("RGBA") for layer in layers]
    if picture.width < drawn[0].width or picture.height < drawn[0].height:
        drawn = [resize_layer(layer, picture.size) for layer in drawn]
    guesses = _guess(rgba, list(map(as_float, drawn)), channels)
    made = np.zeros((len(layers), *rgba.shape), np.uint8)
    down, across = (steps(slice(0, length), TILE) for length in rgba.shape[:2])
    tiles = list(itertools.product(down, across))
    tell = report or (lambda done, total: None)
    tell(0, len(tiles))
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        # An exception of `report` ends this loop, and so the tiles that have not started.
        for done, _ in enumerate(pool.map(lambda tile: _solve(rgba, guesses, made, tile), tiles), start=1):
            tell(done, len(tiles))
    return [Image.fromarray(layer, "RGBA") for layer in made]


def _channels_of(rgba: NDArray[np.uint8], channels: int) -> Plane:
    """Return the planes of a picture: its colors, or premultiplied colors and alpha if it is transparent."""
    planes = np.ascontiguousarray(rgba[..., :channels].transpose(2, 0, 1), np.float32) / np.float32(255)
    if channels == 4:
        planes[:3] *= planes[3]
    return planes


# At the model's size.


def _guess(rgba: NDArray[np.uint8], layers: list[Plane], channels: int) -> list[Plane]:
    """Return the estimates of each layer, bottom first, as planes that are enlarged together.

    They are alpha with its minimum and maximum; variances of the layer's colors and of those below, and of the detail
    that both lack; then the colors of the layer, and those below.
    """
    height, width = layers[0].shape[:2]
    seen, variance = _shrunk(rgba, (width, height), channels)
    alphas = [_even(layer[..., 3]) for layer in layers]
    colors = [_carried(layer[..., :3], alpha, channels) for layer, alpha in zip(layers, alphas, strict=True)]
    # Nothing is visible behind an opaque picture.
    below = [np.zeros_like(seen), colors[0] if channels == 3 else alphas[0] * colors[0]]
    for alpha, color in zip(alphas[1:], colors[1:], strict=True):
        below.append(alpha * color + (1 - alpha) * below[-1])
    trust = np.ones((height, width), np.float32)
    guesses: list[Plane] = []
    for alpha, color, under in reversed(list(zip(alphas, colors, below, strict=False))):
        least, most = _range(alpha)
        own_uneven, other_uneven = _uneven(color), _uneven(under)
        own_known = ((least - 0.9) * 10).clip(0, 1) * trust / (1 + own_uneven / DRAWN**2)
        other_known = ((0.1 - most) * 10).clip(0, 1) * trust / (1 + other_uneven / DRAWN**2)
        own, own_doubt, own_detail = _corrected(color, seen, variance, own_known)
        other, other_doubt, other_detail = _corrected(under, seen, variance, other_known)
        missing = (seen - alpha * own - (1 - alpha) * other) * (most - least < EVEN)
        shares = _shares(alpha, own_uneven + DRAWN**2, other_uneven + DRAWN**2)
        own, other = own + shares[0] * missing, other + shares[1] * missing
        own_doubt, other_doubt = own_doubt + own_uneven, other_doubt + other_uneven
        own_detail, other_detail = own_detail + own_uneven, other_detail + other_uneven
        known = [alpha, least, most, own_doubt, other_doubt, own_detail, other_detail]
        guesses.insert(0, np.concatenate([np.stack(known), own, other]))
        # Here alpha is as soft as drawn: near an edge the missing detail says nothing about the colors.
        astray = ((most - least) / 2) ** 2 * ((own - other) ** 2).mean(axis=0)
        share = _shares(alpha, own_detail, other_detail, astray)[1]
        seen = other + share * (seen - alpha * own - (1 - alpha) * other)
        trust = trust * (1 - alpha)
    return guesses


def _shrunk(rgba: NDArray[np.uint8], size: tuple[int, int], channels: int) -> tuple[Plane, Plane]:
    """Return the picture at the model's size, and the variance of the lost detail."""
    means: list[Plane] = []
    squares: list[Plane] = []
    for channel in range(channels):  # one after another, for memory
        values = rgba[..., channel] * np.float32(1 / 255)
        if channels == 4 and channel < 3:
            values *= rgba[..., 3] * np.float32(1 / 255)
        means.append(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
        squares.append(cv2.resize(values * values, size, interpolation=cv2.INTER_AREA))
    return np.stack(means), (np.stack(squares) - np.stack(means) ** 2).mean(axis=0).clip(0)


def _even(alpha: Plane) -> Plane:
    """Return alpha without noise where it is even or soft, with values near 0 and 1 rounded to them."""
    smooth = cv2.bilateralFilter(np.ascontiguousarray(alpha), 5, 4 * NOISE, 2.0)
    around = np.ones((5, 5), np.uint8)
    smooth[cv2.dilate(cv2.medianBlur(alpha, 3), around) < 3 * NOISE] = 0
    smooth[cv2.erode(cv2.medianBlur(alpha, 3), around) > 1 - 3 * NOISE] = 1
    smooth, side = np.asarray(smooth, np.float32), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    soft = 1 - cv2.dilate(_sharp(cv2.erode(smooth, side), cv2.dilate(smooth, side)), side)
    return smooth + soft * (cv2.GaussianBlur(smooth, (0, 0), NEAR) - smooth)


def _carried(colors: Plane, alpha: Plane, channels: int) -> Plane:
    """Return a layer's colors as planes; barely visible colors come from their neighbors."""
    sure = np.where(alpha > 0.1, alpha**2, 0).astype(np.float32)
    carried = spread(colors, sure)
    # A transparent color is never visible alone, and the model's noise in it would pass to the layers behind.
    even = cv2.bilateralFilter(carried, 9, 0.1, 3.0)
    carried += (4 * alpha * (1 - alpha))[..., None] * (even - carried)
    planes = np.ascontiguousarray(carried.transpose(2, 0, 1))
    return planes if channels == 3 else np.concatenate([planes, np.ones_like(planes[:1])])


def _range(alpha: Plane) -> tuple[Plane, Plane]:
    """Return the minimum and maximum of alpha, from the surroundings of each pixel and for thin structures."""
    side = 2 * REACH + 1
    around = np.ones((side, side), np.uint8)
    ridge = alpha - cv2.morphologyEx(alpha, cv2.MORPH_OPEN, around)
    gap = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, around) - alpha
    least = np.where(cv2.dilate(gap, around) > THIN, 0, cv2.erode(alpha, around))
    most = np.where(cv2.dilate(ridge, around) > THIN, 1, cv2.dilate(alpha, around))
    sharp = np.maximum(_sharp(least, most), 0.5)
    return alpha - (alpha - least) * sharp, alpha + (most - alpha) * sharp


def _sharp(least: Any, most: Any) -> Plane:
    """Return where alpha changes abruptly (1), and where it changes gradually or hardly (0)."""
    around = np.ones((6 * REACH + 3, 6 * REACH + 3), np.uint8)
    wide = cv2.dilate(most, around) - cv2.erode(least, around)
    return (((most - least) / np.maximum(wide, STEEP) - SOFT) / (1 - 2 * SOFT)).clip(0, 1)


def _corrected(colors: Plane, seen: Plane, variance: Plane, known: Plane) -> tuple[Plane, Plane, Plane]:
    """Return colors corrected by their error where `known`, extended around it; their uncertainty; their detail.

    The last two are variances; detail is measured where the colors are known, nearby if possible.
    """
    off = (seen - colors) * known
    total = _around(known)
    square = (off**2).mean(axis=0) + variance * known
    miss = np.stack([_around(plane) for plane in off]) / (total + NOTHING)
    varied = _around(square) + NOTHING * float(square.sum() / (known.sum() + 1))
    detail = (varied / (total + NOTHING) - (miss**2).mean(axis=0)).clip(NOISE**2, None)
    return colors + miss, detail + UNKNOWN**2 * NOTHING / (total + NOTHING), detail


def _uneven(colors: Plane) -> Plane:
    """Return the variance of colors from their neighbors, within the possible displacement and blur."""
    means, squares = (np.stack([cv2.blur(plane, (5, 5)) for plane in planes]) for planes in (colors, colors**2))
    return (squares - means**2).mean(axis=0).clip(0, None)


def _around(values: Plane) -> Plane:
    return cv2.GaussianBlur(values, (0, 0), NEAR) + LITTLE * cv2.GaussianBlur(values, (0, 0), FAR)


# At the picture's size.


def _solve(rgba: NDArray[np.uint8], guesses: list[Plane], made: NDArray[np.uint8], tile: tuple[slice, slice]) -> None:
    """Fill one tile of all layers."""
    channels = (len(guesses[0]) - COLORS) // 2
    seen = _channels_of(rgba[tile], channels)
    trust = np.ones(seen.shape[1:], np.float32)
    enlarge = Enlarger(guesses[0].shape[1:], rgba.shape[:2], tile)
    for number in range(len(guesses) - 1, 0, -1):
        planes = enlarge(guesses[number])
        if planes[2].max() < 2 / 255:
            continue
        alpha = _alpha(seen, planes, trust, channels)
        own, seen = _part(
            seen, alpha, planes[COLORS : COLORS + channels], planes[COLORS + channels :], planes[5], planes[6]
        )
        _write(made[(number, *tile)], own, alpha)
        trust *= 1 - alpha
    drawn = enlarge(guesses[0][:1])[0].clip(0, 1)
    whole = seen[3] if channels == 4 else np.ones_like(trust)
    alpha = np.where(trust > 0.5 / 255, whole, drawn)
    own = seen[:3] / np.maximum(whole, 1 / 255)
    _write(made[(0, *tile)], own.clip(0, 1), alpha)
    _settle(made[(slice(None), *tile)], rgba[tile])


def _settle(stack: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
    """Correct the colors of a stack where rounding, or the range of colors, makes it differ from the picture."""
    shown = np.zeros((3, *picture.shape[:2]), np.float32)
    for layer in stack:
        alpha = layer[..., 3] * np.float32(1 / 255)
        shown *= 1 - alpha
        shown += alpha * layer[..., :3].transpose(2, 0, 1)
    whole = picture[..., 3] * np.float32(1 / 255)
    rows, columns = np.nonzero((np.abs(shown - whole * picture[..., :3].transpose(2, 0, 1)) > OFF).any(axis=0))
    if len(rows):
        pixels = np.ascontiguousarray(stack[:, rows, columns, None])
        settle_colors(pixels, picture[rows, columns, None])
        stack[:, rows, columns] = pixels[:, :, 0]


def _alpha(seen: Plane, planes: Plane, trust: Plane, channels: int) -> Plane:
    """Return a layer's alpha, in whole levels, from the model's and from the colors of both sides.

    Both are weighted by their inverse variances.
    """
    drawn, least, most, own_doubt, other_doubt = planes[:5]
    own, other = planes[COLORS : COLORS + channels], planes[COLORS + channels :]
    way, there = own - other, seen - other
    length = (way**2).sum(axis=0) + np.float32(1e-6)
    told = ((there * way).sum(axis=0) / length).clip(-0.1, 1.1)
    aside = ((there - told * way) ** 2).mean(axis=0)
    drawn, share = drawn.clip(0, 1), told.clip(0, 1)
    doubt = share**2 * own_doubt + (1 - share) ** 2 * other_doubt + aside + (LEVEL / np.maximum(trust, LEVEL)) ** 2
    play = np.maximum((most - least) / 2, NOISE) ** 2
    weight = play / (play + doubt / length)
    alpha = drawn + weight * (told - drawn)
    alpha = np.minimum(np.maximum(alpha, least - 2 * NOISE), most + 2 * NOISE).clip(0, 1)
    alpha[(alpha < 2 * NOISE) & (least < 2 * NOISE)] = 0
    alpha[(alpha > 1 - 2 * NOISE) & (most > 1 - 2 * NOISE)] = 1
    if channels == 4:
        alpha = np.minimum(alpha, seen[3])
    return np.rint(alpha * 255) / np.float32(255)


def _part(
    seen: Plane, alpha: Plane, own: Plane, other: Plane, own_detail: Plane, other_detail: Plane
) -> tuple[Plane, Plane]:
    """Return the colors of a layer and of the picture below it, which composite to `seen` at this alpha.

    The difference is detail of both, divided in proportion to the detail of each, as far as alpha is right; the rest
    goes to the more visible side.
    """
    rest = 1 - alpha
    astray = (2 * NOISE) ** 2 * alpha * rest * ((own - other) ** 2).mean(axis=0)
    missing = seen - alpha * own - rest * other
    own_share, other_share = _shares(alpha, own_detail, other_detail, astray)
    own, other = own + own_share * missing, other + other_share * missing
    both = alpha**2 + rest**2
    for _ in range(2):
        missing = seen - alpha * own - rest * other
        own, other = own + alpha / both * missing, other + rest / both * missing
        np.clip(own, 0, 1, out=own)
        np.clip(other, 0, 1, out=other)
    if len(seen) == 4:
        own[3] = 1
        other[3] = ((seen[3] - alpha) / np.maximum(rest, 1 / 255)).clip(0, 1) * (rest > 0) + other[3] * (rest == 0)
        np.minimum(other[:3], other[3], out=other[:3])
    return own, other


def _shares(
    alpha: Plane, own_variance: Plane, other_variance: Plane, astray: Plane | float = 0.0
) -> tuple[Plane, Plane]:
    """Return the shares of the difference for both colors, the most likely ones given all variances."""
    rest = 1 - alpha
    total = alpha**2 * own_variance + rest**2 * other_variance + astray
    return alpha * own_variance / total, rest * other_variance / total


def _write(target: NDArray[np.uint8], colors: Plane, alpha: Plane) -> None:
    target[..., 3] = np.rint(alpha * 255)
    target[..., :3] = (np.rint(colors[:3] * 255) * (target[..., 3] > 0)).transpose(1, 2, 0)


# Enlarging planes tile by tile, with the same result as for the whole picture.


STEP = 32
"""Pixels of a line that one product enlarges."""


class Enlarger:
    """Enlarges a tile's part of planes by bicubic interpolation, as products with small matrices.

    They are so small that the BLAS library starts no threads, which would wait for each other.
    """

    def __init__(self, size: tuple[int, int], full: tuple[int, int], tile: tuple[slice, slice]) -> None:
        self._down = [_cubic(size[0], full[0], part) for part in steps(tile[0], STEP)]
        self._across = [_cubic(size[1], full[1], part) for part in steps(tile[1], STEP)]

    def __call__(self, planes: Plane) -> Plane:
        rows = np.concatenate([weights @ planes[:, used] for weights, used in self._down], axis=1)
        return np.concatenate([rows[..., used] @ weights.T for weights, used in self._across], axis=2)


def steps(part: slice, step: int) -> Iterator[slice]:
    """Yield a part of a line in steps."""
    for first in range(part.start, part.stop, step):
        yield slice(first, min(first + step, part.stop))


def _cubic(size: int, full: int, part: slice) -> tuple[Plane, slice]:
    """Return the weights (part, used) of the samples for a part of an enlarged line, and the samples' indices."""
    at = (np.arange(part.start, part.stop) + 0.5) * size / full - 0.5
    first = np.floor(at).astype(int) - 1
    used = slice(max(0, first[0]), min(size, first[-1] + 4))
    weights = np.zeros((len(at), used.stop - used.start), np.float32)
    for step in range(4):
        away = np.abs(at - first - step)
        near = (1.5 * away - 2.5) * away**2 + 1
        far = ((-0.5 * away + 2.5) * away - 4) * away + 2
        index = (first + step).clip(used.start, used.stop - 1) - used.start
        np.add.at(weights, (np.arange(len(at)), index), np.where(away < 1, near, np.where(away < 2, far, 0)))
    return weights, used

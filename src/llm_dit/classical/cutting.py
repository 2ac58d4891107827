"""Cutting a visible part of a stack into a new layer, and filling the area behind it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from llm_dit.alpha import spread
from llm_dit.classical.layering.lifting import fill_behind
from llm_dit.classical.layering.paint import Edge, unmix
from llm_dit.classical.layering.regions import Bytes, Floats, Mask, box_of, window_around
from llm_dit.errors import InputError
from llm_dit.layer import LANCZOS_SUPPORT, NO_GROUPS, Box, Groups, Layer, groups_around, shows
from llm_dit.layers import bands, over

FILL_PIXELS = 300_000
"""The most pixels at which the area behind a part is filled."""
RIM = 2
"""Pixels around a part that are no source for the filling, because its edge is mixed into them."""
SHOWN = 0.04
"""The least share of the visible part that a layer must contribute to be cut."""
HALF = 0.5 / 255
SURE, NONE = 0.98, 0.008
"""Shares of a pixel that count as 1 and as 0."""


class CutLayers(list[Layer]):
    """A stack, bottom first, with a new layer at `place`."""

    def __init__(self, layers: Sequence[Layer], place: int) -> None:
        super().__init__(layers)
        self.place = place


def cut_out(
    layers: Sequence[Layer],
    width: int,
    height: int,
    mask: Image.Image,
    name: str = "",
    groups: Groups = NO_GROUPS,
) -> CutLayers:
    """Return the layers, bottom first, with a new one of what is visible at `mask`, an "L" image of the canvas's size.

    The new layer has the size of the canvas, lies right above the topmost layer visible there, and has its colors
    without those of its surroundings. Layers from which it is cut keep their size and position; their surroundings are
    continued into the hole, or transparency if the surroundings are transparent. The composite differs from the one
    before by at most 1 of 255 levels, by 2 where a layer is scaled or turned. Raises `InputError` if nothing is visible
    at `mask`, or if the visible part is in a group that blends as a whole.
    """
    if mask.size != (width, height):
        raise InputError(f"The mask must have the canvas's size, {width}×{height} pixels.", param="mask")
    share = np.asarray(mask.convert("L"), np.float32) / 255
    box = _reach(share > NONE, width, height)
    if box is None:
        raise InputError("Nothing is selected: the mask is empty.", param="mask")
    left, top, right, low = box
    share = share[top:low, left:right]
    share = np.where(share > SURE, 1, np.where(share < NONE, 0, share)).astype(np.float32)
    stack = [replace(layer, x=layer.x - left, y=layer.y - top, visible=shows(layer, groups)) for layer in layers]
    shown = _shown(stack, share)
    if not shown:
        raise InputError("Nothing is visible under the mask: select a visible part.", param="mask")
    if not all(group.passes_through for number in shown for _, group in groups_around(layers[number].group, groups)):
        raise InputError(
            "The selection is in a group with its own opacity or blend mode: merge the group, or let it pass through.",
            param="mask",
        )
    above = max(shown) + 1
    wanted = _planes(stack[:above], share.shape)
    changed, pixels = _cut(stack[:above], shown, share, wanted)
    image = np.zeros((height, width, 4), np.uint8)
    image[top:low, left:right] = pixels
    cut = [replace(layer, image=changed.get(number, layer.image)) for number, layer in enumerate(layers)]
    new = Layer(image=Image.fromarray(image, "RGBA"), name=name, group=layers[above - 1].group)
    return CutLayers([*cut[:above], new, *cut[above:]], above)


def _reach(mask: Mask, width: int, height: int) -> Box | None:
    """Return the box of a mask with a margin of surroundings, or None if the mask is empty."""
    box = left, top, right, bottom = box_of(mask)
    if not mask.any():
        return None
    more = _room(box)
    return max(0, left - more), max(0, top - more), min(width, right + more), min(height, bottom + more)


def _room(box: Box) -> int:
    """Return the margin around a box in pixels."""
    left, top, right, bottom = box
    return 16 + round(0.3 * max(right - left, bottom - top))


def _planes(stack: Sequence[Layer], shape: tuple[int, int]) -> Floats:
    """Return the composite of a stack as premultiplied planes (4, height, width), 0–1."""
    planes = np.zeros((4, *shape), np.float32)
    for layer in stack:
        if layer.visible and layer.opacity > 0:
            _paint(planes, layer)
    return planes


def _paint(planes: Floats, layer: Layer) -> None:
    plain = layer.baked((0, 0, planes.shape[2], planes.shape[1]))
    left, top, right, low = plain.box
    over(planes[:, top:low, left:right], np.asarray(plain.image), plain.opacity, plain.blend)


def _shown(stack: Sequence[Layer], share: Floats) -> list[int]:
    """Return the layers visible in the part, each with a share above `SHOWN`."""
    inner = _inner(share) * share
    # Along its edge a thing shows what is behind it.
    part = inner if inner.any() else share
    through, total, found = np.ones(share.shape, np.float32), float(part.sum()), []
    for number in range(len(stack) - 1, -1, -1):
        layer = stack[number]
        if not layer.visible or layer.opacity == 0:
            continue
        alone = np.zeros((4, *share.shape), np.float32)
        _paint(alone, replace(layer, blend="normal"))
        if float((part * through * alone[3]).sum()) > SHOWN * total:
            found.append(number)
        through *= 1 - alone[3]
    return found


def _cut(
    stack: Sequence[Layer], shown: Sequence[int], share: Floats, wanted: Floats
) -> tuple[dict[int, Image.Image], Bytes]:
    """Return the changed pictures of the visible layers, by number, and the new layer's pixels (height, width, 4).

    Where no color over the remaining layers gives what is wanted, which requires translucent layers, these are cleared;
    if that does not help either, they stay as they were.
    """
    filled = {number: _without(stack[number], share) for number in shown}
    changed, trouble = dict(filled), np.zeros(share.shape, bool)
    for mend in (*MENDS, None):
        rest = [replace(layer, image=changed.get(number, layer.image)) for number, layer in enumerate(stack)]
        part, impossible = _solve(wanted, _planes(rest, share.shape), share)
        if mend is None or not impossible.any():
            return changed, part
        # In scaled layers a change affects neighboring pixels.
        trouble = cv2.dilate((trouble | impossible).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        changed = {number: mend(stack[number], filled[number], trouble) for number in shown}
    raise AssertionError("the last round returns")


def _solve(wanted: Floats, below: Floats, share: Floats) -> tuple[Bytes, Mask]:
    """Return the pixels (height, width, 4) that give `wanted` over `below`, and where there are none.

    The alpha is `share`, unmixed where the surroundings are known (I = αF + (1 − α)B); where `below` is translucent, it
    is the one that supplies the missing alpha.
    """
    height, width = share.shape
    alpha = _unmixed(wanted, below, share)
    pixels, impossible = np.empty((height, width, 4), np.uint8), np.empty((height, width), bool)
    for rows in bands(width, height):
        pixels[rows], impossible[rows] = _solve_band(wanted[:, rows], below[:, rows], alpha[rows])
    return pixels, impossible


def _solve_band(wanted: Floats, below: Floats, alpha: Floats) -> tuple[Bytes, Mask]:
    lack = wanted[3] - below[3]
    half = below[3] < 1 - HALF
    alpha = np.where(half, np.divide(lack, 1 - below[3], out=np.zeros_like(lack), where=half), alpha).clip(0, 1)
    free = ~half
    off = wanted[:3] - below[:3]
    room = np.where(off > 0, 1 - below[:3], below[:3])
    least = np.divide(np.abs(off), room, out=np.zeros_like(off), where=np.abs(off) > HALF).max(axis=0)
    alpha = np.where(free, np.maximum(alpha, least), alpha)
    # Rounded up, because no color would fit with less.
    alpha = (np.ceil((alpha * 255 - 1e-3).clip(0, 255)) / 255).astype(np.float32)
    own = wanted[:3] - (1 - alpha) * below[:3]
    color = np.divide(own, alpha, out=np.zeros_like(own), where=alpha > 0)
    level = np.rint((color * 255).clip(0, 255))
    result = alpha + (1 - alpha) * below[3]
    miss = np.abs(wanted[:3] - (1 - alpha) * below[:3] - alpha * level / 255).max(axis=0)
    impossible = ((miss > 1.01 * HALF) | (np.abs(result - wanted[3]) > 1.01 * HALF)) & (half | (alpha < 1))
    pixels = np.dstack([*level, np.rint(alpha * 255)]).astype(np.uint8)
    pixels[pixels[..., 3] == 0] = 0
    return pixels, impossible


def _unmixed(wanted: Floats, below: Floats, share: Floats) -> Floats:
    """Return the alpha along the part's edge according to its own colors and those behind it, and `share` elsewhere."""
    sure = _inner(share)
    band = (share > 0) & ~sure & (below[3] > 1 - HALF)
    if not band.any() or not sure.any():
        return share
    upper = _continued(np.moveaxis(wanted[:3], 0, -1) * 255, sure)
    edge = Edge(
        mixed=np.moveaxis(wanted[:3], 0, -1)[band] * 255,
        upper=upper[band],
        lower=np.moveaxis(below[:3], 0, -1)[band] * 255,
        guess=share[band],
        own=share[band] == 1,
        noise=np.full(int(band.sum()), 4.0, np.float32),
    )
    alpha = share.copy()
    alpha[band] = np.maximum(unmix(edge)[0], np.where(share[band] == 1, 0.5, 0))
    return alpha


def _inner(share: Floats) -> Mask:
    """Return the interior of a part, away from its edge."""
    return cv2.erode((share == 1).astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0


# Behind the part.


def _without(layer: Layer, share: Floats) -> Image.Image:
    """Return a layer's picture with the part replaced by a continuation of its surroundings; alpha never increases."""
    pixels = np.array(layer.image.convert("RGBA"))
    part = _in_layer(layer, share) > 0
    if not part.any():
        return layer.image
    window = window_around(part, _room(box_of(part)))
    piece, hole = pixels[window], part[window]
    wide = cv2.dilate(hole.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0
    alpha = piece[..., 3].astype(np.float32) / 255
    around = _continued(alpha[..., None], ~wide)[..., 0] if not wide.all() else np.zeros_like(alpha)
    kept = np.minimum(alpha, ((around - 0.5) * 8 + 0.5).clip(0, 1))
    if (kept[hole] > 0).any():
        piece[..., :3][hole] = _filled(piece[..., :3], alpha, wide)[hole]
    piece[..., 3][hole] = np.rint(kept * 255)[hole]
    piece[piece[..., 3] == 0] = 0
    return Image.fromarray(pixels, "RGBA")


def _filled(rgb: Bytes, alpha: Floats, hole: Mask) -> Bytes:
    """Return the colors (height, width, 3) with a hole filled from its visible surroundings."""
    clear = (alpha <= 0.5) & ~hole
    if clear.any() and not (clear | hole).all():
        # Transparent pixels have no colors to continue.
        around = np.rint(_continued(rgb.astype(np.float32), ~(clear | hole)).clip(0, 255)).astype(np.uint8)
        rgb = np.where(clear[..., None], around, rgb)
    return fill_behind(rgb, hole)


def _continued(values: Floats, known: Mask) -> Floats:
    """Return values (height, width, n ≤ 3) extended from where they are known."""
    height, width = known.shape
    scale = min(1.0, (FILL_PIXELS / known.size) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    seen = known.astype(np.float32)
    share = cv2.resize(seen, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    small = np.zeros((*size[::-1], 3), np.float32)
    for channel in range(values.shape[2]):
        weighted = cv2.resize(values[..., channel] * seen, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
        small[..., channel] = weighted / np.maximum(share, 1e-6)
    wide = spread(small, (share > 0.2).astype(np.float32))[..., : values.shape[2]]
    return cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


def _in_layer(layer: Layer, share: Floats) -> Floats:
    """Return each pixel's share in the part for a layer's picture; `share` is on the canvas."""
    if layer.rotation % 360:
        a, b, c, d, e, f = layer.to_canvas
        # OpenCV counts from pixel centers.
        back = np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]], np.float32)
        return cv2.warpAffine(share, back, layer.image.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    height, width = share.shape
    left, top, right, low = layer.box
    whole = np.zeros((layer.height, layer.width), np.float32)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, right), min(height, low)
    if x0 < x1 and y0 < y1:
        whole[y0 - top : y1 - top, x0 - left : x1 - left] = share[y0:y1, x0:x1]
    size = (layer.image.width, layer.image.height)
    if whole.shape != size[::-1]:
        whole = cv2.resize(whole, size, interpolation=cv2.INTER_AREA if layer.scale < 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(whole[:: -1 if layer.flip_y else 1, :: -1 if layer.flip_x else 1])


# Where the remaining layers allow no color.


def _cleared(layer: Layer, changed: Image.Image, where: Mask) -> Image.Image:
    pixels = np.array(changed.convert("RGBA"))
    pixels[_touched(layer, where)] = 0
    return Image.fromarray(pixels, "RGBA")


def _restored(layer: Layer, changed: Image.Image, where: Mask) -> Image.Image:
    pixels, touched = np.array(changed.convert("RGBA")), _touched(layer, where)
    pixels[touched] = np.asarray(layer.image.convert("RGBA"))[touched]
    return Image.fromarray(pixels, "RGBA")


def _touched(layer: Layer, where: Mask) -> Mask:
    """Return the pixels of a layer's picture that affect places of the canvas."""
    wide = where.astype(np.uint8)
    if not layer.is_placed_plainly:
        side = 2 * math.ceil(LANCZOS_SUPPORT * max(1.0, layer.scale, layer.scale * layer.stretch)) + 3
        wide = cv2.dilate(wide, np.ones((side, side), np.uint8))
    return _in_layer(layer, np.asarray(wide, np.float32)) > 0


def _as_it_was(layer: Layer, changed: Image.Image, where: Mask) -> Image.Image:
    return layer.image


MENDS = (_cleared, _restored, _restored, _restored, _as_it_was)

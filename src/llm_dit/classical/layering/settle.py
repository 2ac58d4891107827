"""The last steps: colors and alphas whose composite is the picture, and as many layers as were asked for."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Labels, Mask


def settle_alpha(alphas: Bytes, wanted: Bytes, owner: NDArray[np.integer]) -> None:
    """Change `alphas` (layers, height, width) in place so that they composite to `wanted` (height, width).

    Where they do not, and wherever the picture is half transparent, the layer numbered by `owner` alone carries it.
    """
    through = np.ones(wanted.shape, np.float32)
    for alpha in alphas:
        through *= 1 - alpha.astype(np.float32) / 255
    off = (np.abs((1 - through) * 255 - wanted) > 0.5) | ((wanted > 0) & (wanted < 255))
    rows, columns = np.nonzero(off)
    alphas[:, rows, columns] = 0
    alphas[owner[rows, columns], rows, columns] = wanted[rows, columns]


def settle_colors(layers: Bytes, picture: Bytes) -> None:
    """Change the colors of `layers` (layers, height, width, 4; bottom first) in place so that they give `picture`.

    What is missing is first shared out by the least change of all colors together (`_share`), so that the faint
    edge of a layer keeps its own color and the layer behind it takes what the edge cannot. Where that meets the
    bounds of a color, the layers are solved one by one (`_solve`). The composite is off by half a level of rounding
    at most, times two when written.
    """
    count = len(layers)
    clear = np.ones(picture.shape[:2], bool)
    mixed = np.zeros(picture.shape[:2], bool)
    for index in range(count - 1, -1, -1):
        alpha = layers[index, ..., 3]
        whole = clear & (alpha == 255)
        layers[index, ..., :3][whole] = picture[..., :3][whole]
        mixed |= clear & (alpha > 0) & (alpha < 255)
        clear &= alpha == 0
    rows, columns = np.nonzero(mixed)
    if len(rows):
        stack = layers[:, rows, columns].astype(np.float32)
        target = picture[rows, columns, :3].astype(np.float32)
        left = _share(stack, target)
        if left.any():
            hard = stack[:, left]
            _solve(hard, target[left])
            stack[:, left] = hard
        layers[:, rows, columns] = stack.astype(np.uint8)


def _share(stack: NDArray[np.float32], target: NDArray[np.float32]) -> Mask:
    """Change the colors of `stack` (layers, pixels, 4) in place by the least squares that give `target` (pixels, 3).

    Σ T α C = I, T being what the layers above let through. Of all solutions the one with the least Σ (α ΔC)²: neither
    is a faint edge tinted much when it is moved, nor is a ghost of it left much in the layer behind. Colors at a bound
    stay there and the others take over; all end as whole numbers. Returns where more than half a level is missing.
    """
    alpha = stack[..., 3:] / 255
    through = np.ones_like(alpha)
    for index in range(len(stack) - 2, -1, -1):
        through[index] = through[index + 1] * (1 - alpha[index + 1])
    wanted = target * (1 - through[0] * (1 - alpha[0]))
    colors = stack[..., :3]
    change = np.divide(through, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    effect = through**2 * (alpha > 0)
    free = np.ones(colors.shape, np.float32)
    for _ in range(3):
        missing = wanted - (colors * through * alpha).sum(axis=0)
        colors += missing * change * free / np.maximum((effect * free).sum(axis=0), 1e-6)
        free = ((colors > 0) & (colors < 255)).astype(np.float32)
        np.clip(colors, 0, 255, out=colors)
    np.rint(colors, out=colors)
    return (np.abs(wanted - (colors * through * alpha).sum(axis=0)) > 0.5).any(axis=-1)


def _solve(stack: NDArray[np.float32], target: NDArray[np.float32]) -> None:
    """Solve the colors of `stack` (layers, pixels, 4) in place for `target` (pixels, 3), premultiplying on the way.

    From the top down each layer's color is solved from I = αF + (1 − α)B, B being what the layers below give. Where F
    would leave 0…255 it is clipped and the rest is asked of the layers below; it always fits, since all layers showing
    I itself is a solution.
    """
    alpha = stack[..., 3:] / 255
    below = [np.zeros_like(target)]
    through = np.ones_like(alpha[0])
    for index in range(len(stack)):
        below.append(below[-1] * (1 - alpha[index]) + stack[index, :, :3] * alpha[index])
        through *= 1 - alpha[index]
    wanted = target * (1 - through)
    asked = np.ones(target.shape, bool)
    for index in range(len(stack) - 1, -1, -1):
        a = alpha[index]
        use = asked & (a > 0)
        solved = np.divide(wanted - (1 - a) * below[index], a, out=np.zeros_like(wanted), where=a > 0)
        color = np.where(use, np.rint(solved.clip(0, 255)), stack[index, :, :3])
        stack[index, :, :3] = color
        clipped = (solved < -0.5) | (solved > 255.5)
        asked = np.where(use, clipped, asked) & (a < 1)
        rest = np.divide(wanted - a * color, 1 - a, out=np.zeros_like(wanted), where=a < 1)
        wanted = np.where(asked, rest, below[index])


# More layers than there are things.


def with_pieces(layers: Bytes, seen: Labels, count: int) -> None:
    """Fill what is left empty of `layers` (n, height, width, 4) with pieces cut off the first `count`, in place.

    `seen` (height, width) tells which layer is seen, −1 for none. A piece lies above the layer that it is a copy of,
    which stays whole below with its soft edge. Only where nothing is opaque, the piece is missing below.
    """
    alpha = np.take_along_axis(layers[..., 3], np.maximum(seen, 0)[None], axis=0)[0]
    pieces, number = _halved(np.where(alpha == 255, seen, -1), count, len(layers))
    if number < len(layers):
        pieces, _ = _halved(seen, count, len(layers))
    origin = list(range(count))
    for number in range(count, int(pieces.max()) + 1):
        mine = pieces == number
        origin.append(int(seen[mine][0]))
        rest = layers[origin[-1]]
        layers[number][mine] = rest[mine]
        rest[mine & (rest[..., 3] < 255)] = 0
    order = sorted(range(len(origin)), key=lambda number: (origin[number], number))
    layers[: len(order)] = layers[order]
    seen[...] = np.where(seen >= 0, np.argsort(order)[np.where(pieces >= 0, pieces, seen)], -1)


def _halved(groups: Labels, number: int, layer_num: int) -> tuple[Labels, int]:
    """Return `groups`, of numbers below `number`, with the largest halved until there are `layer_num`, and their count.

    No group of one pixel is halved, so that there may be fewer.

    A group in several pieces is halved between them, along its longer side; one piece is cut across.
    """
    groups = groups.copy()
    while number < layer_num:
        sizes = np.bincount(groups[groups >= 0], minlength=1)
        largest = int(sizes.argmax())
        if sizes[largest] < 2:
            break
        groups[_half(groups == largest)] = number
        number += 1
    return groups, number


def _half(mask: Mask) -> Mask:
    rows, columns = np.nonzero(mask)
    along = columns if np.ptp(columns) >= np.ptp(rows) else rows
    half = mask.copy()
    _, labels, _, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    parts, centres = np.asarray(labels, np.int32), np.asarray(middles)
    own = parts[rows, columns]
    sizes = np.bincount(own)
    if sizes.max() < 0.7 * len(rows):
        place = centres[own, 0 if along is columns else 1]
        chosen = place > np.median(place)
        if not chosen.any():
            chosen = own == sizes.argmax()
    else:
        chosen = along > np.median(along)
    if not chosen.any():
        chosen = np.arange(len(rows)) >= (len(rows) + 1) // 2
    half[rows, columns] = chosen
    return half


def show_each(layers: Bytes, picture: Bytes, seen: Labels) -> None:
    """Give layers (n, height, width, 4) that are empty, or the same as another, what `seen` says is seen of them."""
    known: set[bytes] = set()
    for number, layer in enumerate(layers):
        if not layer[..., 3].any() or layer.tobytes() in known:
            mine = seen == number
            layers[:, mine] = 0
            layer[mine] = picture[mine]
            if (picture[mine, 3] == 255).all():
                layers[0, mine] = picture[mine]
        known.add(layer.tobytes())

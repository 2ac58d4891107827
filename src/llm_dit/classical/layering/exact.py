"""Solving the layers' colors so that their composite is the picture."""

import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes


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


def _share(stack: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.bool_]:
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

"""The stack: the order of layers, their hidden parts, and colors that reproduce the picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.layering.regions import Bytes, Labels, Mask

FRAMING = 0.4
"""The share of the whole outline from which the lowest layer counts as lying behind everything."""
OUTLINED = 40
"""The most parts of a thing, those hidden most, that are completed by their outlines."""
LEAK = 0.03
"""The share of a completed shape that may lie where the picture shows something else."""


def stack_order(groups: Labels) -> list[int]:
    """Return the group numbers from bottom to top; group 0, the background, is the lowest of what fills the frame.

    An interrupted shape lies under the interrupting one: the convex hull of the lower shape covers more of the upper
    one than the reverse (the closure and convexity cues of figure and ground; Ren et al., "Figure/ground assignment in
    natural images", ECCV 2006).
    """
    bottom = [0] if fills_frame(groups) else []
    numbers = list(range(len(bottom), int(groups.max()) + 1))
    seen = [groups == number for number in numbers]
    hulls = [hull_of(mask) for mask in seen]
    covered = np.array([[float((hull & mask).sum()) / float(mask.sum()) for mask in seen] for hull in hulls])
    above = (covered.T - covered) if numbers else np.zeros((0, 0))
    left, order = list(range(len(numbers))), bottom
    while left:
        lowest = min(left, key=lambda one: float(above[one, left].sum()))
        left.remove(lowest)
        order.append(numbers[lowest])
    return order


def fills_frame(seen: Labels) -> bool:
    """Return whether the lowest of the layers `seen` lies behind everything visible: true for a picture that is opaque
    or cut out as a rectangle or an ellipse and whose lowest layer forms a good part of the outline."""
    shown = seen >= 0
    if shown.all():
        return True
    outline = shown & (cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) == 0)
    if float((seen[outline] == 0).mean()) < FRAMING:
        return False
    frames = _outlines(shown, np.zeros_like(shown))[1:]
    return min(float((frame != shown).sum()) for frame in frames) < LEAK * float(shown.sum())


def hull_of(mask: Mask) -> Mask:
    """Return the union of the convex hulls of the mask's parts."""
    hull = np.zeros(mask.shape, np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        cv2.fillConvexPoly(hull, cv2.convexHull(contour), 1)
    return hull > 0


def complete(mask: Mask, covering: Mask, *, outlined: bool) -> Mask:
    """Return the mask continued under `covering` where its outline shows how.

    Parts joined by what covers them count as one thing. If it is `outlined`, an ellipse, a rectangle or the convex hull
    is accepted if it explains the visible part (good continuation, Kanizsa 1979); otherwise, and for the many small
    parts of confetti, only holes are closed.
    """
    if not outlined:
        return mask | _closed(mask, covering)
    count, parts = cv2.connectedComponents((mask | covering).astype(np.uint8))
    hidden = np.bincount(parts[covering], minlength=count) * (np.bincount(parts[mask], minlength=count) > 0)
    hidden[0] = 0
    largest = np.argsort(-hidden, kind="stable")[:OUTLINED]
    result = mask | _closed(mask & ~np.isin(parts, largest), covering)
    for part in largest[hidden[largest] > 0].tolist():
        inside = parts == part
        result |= _completed_part(mask & inside, covering & inside) & covering
    return result


def _completed_part(seen: Mask, covering: Mask) -> Mask:
    area = float(seen.sum())
    best, shape = LEAK, _closed(seen, covering)
    for candidate in _outlines(seen, covering):
        wrong = float((candidate & ~seen & ~covering).sum() + (seen & ~candidate).sum()) / area
        if wrong < best:
            best, shape = wrong, candidate
    return shape | seen


def _outlines(seen: Mask, covering: Mask) -> list[Mask]:
    """Return simple shapes that fit the visible part."""
    contours, _ = cv2.findContours(seen.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(contours).astype(np.int32)
    shapes = []
    hull = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    shapes.append(hull > 0)
    box = np.zeros(seen.shape, np.uint8)
    cv2.fillConvexPoly(box, cv2.boxPoints(cv2.minAreaRect(points)).round().astype(np.int32), 1)
    shapes.append(box > 0)
    near = cv2.dilate(covering.astype(np.uint8), np.ones((5, 5), np.uint8))
    free = points[near[points[:, 0, 1], points[:, 0, 0]] == 0]
    height, width = seen.shape
    free = free[(free[:, 0, 0] > 1) & (free[:, 0, 1] > 1) & (free[:, 0, 0] < width - 2) & (free[:, 0, 1] < height - 2)]
    if len(free) > 20:
        oval = np.zeros(seen.shape, np.uint8)
        centre, axes, angle = cv2.fitEllipseDirect(free)
        if max(axes) < 3 * max(seen.shape) and min(axes) > 1:
            cv2.ellipse(oval, (centre, axes, angle), 1, -1)
            shapes.append(oval > 0)
    return shapes


def _closed(seen: Mask, covering: Mask) -> Mask:
    """Return the visible part with its covered holes filled."""
    count, parts = cv2.connectedComponents((~seen).astype(np.uint8))
    holes = np.asarray(parts, np.int32)
    border = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    inner = ~np.isin(np.arange(count), border)
    return inner[holes] & covering


# The last step: alpha and colors whose composite is the picture.


def settle_alpha(alphas: Bytes, wanted: Bytes, owner: NDArray[np.integer]) -> None:
    """Change `alphas` (layers, height, width) in place so that they composite to `wanted` (height, width).

    Where their composite differs, and wherever the picture is translucent, only the layer `owner` has alpha.
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

    First the difference is distributed by the least change of all colors (`_share`), so that a faint edge of a layer
    keeps its color and the layer behind takes what the edge cannot. Where colors reach their bounds, the layers are
    solved one by one (`_solve`). The composite differs by at most half a level of rounding, twice that when written.
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

    Σ T α C = I, where T is the transmission of the layers above. The solution has the least Σ (α ΔC)²: it neither tints
    a faint edge much nor leaves much of a ghost in the layer behind. Colors at a bound stay there and the others
    compensate; all are rounded to integers. Returns where the error exceeds half a level.
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

    From the top down each layer's color is solved from I = αF + (1 − α)B, where B comes from the layers below. F is
    clipped to 0–255 and the remainder passed to the layers below. A solution always exists: every layer equal to I.
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

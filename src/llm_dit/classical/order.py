"""Which layer lies over which, and what each one looks like where another covers it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from llm_dit.classical.segment import Labels

Mask = NDArray[np.bool_]
FRAMING = 0.4
"""The share of the outline of all from which the lowest layer is taken to lie behind all."""
OUTLINED = 40
"""At most as many parts of a thing, those of which most is hidden, are completed by their outlines."""
LEAK = 0.03
"""The share of a shape that its completed outline may cover where the picture shows something else."""


def stack_order(groups: Labels) -> list[int]:
    """Return the group numbers from bottom to top; group 0, the ground, is the bottom of what fills its frame.

    A shape that is interrupted lies under what interrupts it: the convex hull of the lower one covers more of the
    upper one than the other way round (the closure and convexity cues of figure and ground; Ren et al., "Figure/ground
    assignment in natural images", ECCV 2006).
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
    """Return whether the lowest of the layers `seen` lies behind all that shows: that is so in a picture that is opaque
    or cut out as a rectangle or an ellipse, where the lowest is a good part of the outline."""
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
    """Return the mask continued under `covering` where its outline tells how.

    Parts joined by what covers them are taken as one thing. Where it is `outlined`, an ellipse, a rectangle or the
    convex hull is accepted when it explains what is seen of the thing (good continuation, Kanizsa 1979); else only
    holes are closed, and so in the many small parts of confetti.
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
    """Return simple shapes that fit what is seen."""
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
    """Return what is seen with its holes filled where they are covered."""
    count, parts = cv2.connectedComponents((~seen).astype(np.uint8))
    holes = np.asarray(parts, np.int32)
    border = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    inner = ~np.isin(np.arange(count), border)
    return inner[holes] & covering

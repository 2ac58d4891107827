"""What becomes of a layer's outline: it is turned in its place, made transparent, or gets a line around it."""

from dataclasses import replace

import cv2
import numpy as np

from llm_dit.classical.effects.light import behind
from llm_dit.classical.effects.oklab import Floats
from llm_dit.classical.effects.picture import Picture, Scene
from llm_dit.classical.operations import Operation


def mirror(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Swap left and right."""
    return _turn(picture, scene, down=1, across=-1)


def flip(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Swap top and bottom."""
    return _turn(picture, scene, down=-1, across=1)


def turn(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Turn upside down, by 180°."""
    return _turn(picture, scene, down=-1, across=-1)


def rotate(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Turn by so many degrees clockwise about the middle; what would pass the canvas is moved, or else made to fit."""
    left, top, right, bottom = picture.box
    width, height = right - left, bottom - top
    angle = np.deg2rad(operation.amount)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    wide, high = width * abs(cos) + height * abs(sin), width * abs(sin) + height * abs(cos)
    rows, columns = picture.alpha.shape
    scale = min(1.0, (columns + 1e-3) / wide, (rows + 1e-3) / high)
    across = _inside((left + right) / 2, scale * wide / 2, columns)
    down = _inside((top + bottom) / 2, scale * high / 2, rows)
    # Pixels are areas: the middle of the first one is at a half.
    x, y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    turn = np.array([[cos, -sin], [sin, cos]]) * scale
    shift = np.array([across - 0.5, down - 0.5]) - turn @ np.array([x, y])
    matrix = np.concatenate([turn, shift[:, None]], axis=1)
    how = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    size = (columns, rows)
    alpha = cv2.warpAffine(picture.alpha, matrix, size, flags=how, borderMode=cv2.BORDER_CONSTANT).clip(0.0, 1.0)
    colors = cv2.warpAffine(picture.colors, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    return Picture(colors=np.asarray(colors, np.float32), alpha=np.asarray(alpha, np.float32))


def _inside(middle: float, half: float, length: int) -> float:
    """Return where a middle has to lie so that half of a thing on both sides stays on the canvas."""
    return min(max(middle, half), max(length - half, half))


def opacity(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Multiply the alpha."""
    return replace(picture, alpha=np.minimum(picture.alpha * np.float32(operation.amount), 1.0))


def _turn(picture: Picture, scene: Scene, *, down: int, across: int) -> Picture:
    """Turn what is visible inside its own box, so that a thing stays where it stands on the canvas."""
    left, top, right, bottom = picture.box
    inside = np.s_[top:bottom, left:right]
    picture.colors[inside] = picture.colors[inside][::down, ::across].copy()
    if scene.shape == "new":
        picture.alpha[inside] = picture.alpha[inside][::down, ::across].copy()
    return picture


# A line around a layer.


_DARK: Floats = np.array([0.08, 0.08, 0.09], np.float32)
_LIGHT: Floats = np.ones(3, np.float32)


def outline(picture: Picture, operation: Operation, scene: Scene) -> Picture:
    """Put a line of `size` pixels around what is visible, in the operation's color, or in one that shows against it.

    A layer that fills its canvas gets a frame inside it.
    """
    width = operation.size or max(0.016 * picture.extent * operation.amount, 1.5)
    seen = picture.alpha > 0.5
    color = np.array(operation.color, np.float32) / np.float32(255.0) if operation.color else _against(picture)
    if seen.all():
        rows, columns = (np.minimum(np.arange(n) + 1, n - np.arange(n)) for n in seen.shape)
        inside = np.minimum(rows[:, None], columns[None, :]).astype(np.float32)
        frame = (width + 0.5 - inside).clip(0.0, 1.0)[..., None]
        picture.colors[:] += frame * (color - picture.colors)
        return picture
    off = cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Distances go from the middles of pixels, in steps; the softening takes the steps away.
    line = cv2.GaussianBlur((width + 1.0 - off).clip(0.0, 1.0), (0, 0), 0.6)
    return behind(picture, color, np.asarray(line, np.float32))


def _against(picture: Picture) -> Floats:
    """Return a dark color for a light layer and a light one for a dark layer."""
    light = float((picture.colors.mean(axis=-1) * picture.alpha).sum() / picture.alpha.sum())
    return _DARK if light > 0.4 else _LIGHT

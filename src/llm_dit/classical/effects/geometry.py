"""Turning a layer in its place, and its opacity."""

from dataclasses import replace

import numpy as np

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

"""Shapes as anti-aliased masks: float32 arrays (height, width) in 0–1. Lengths are pixels, angles radians."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Size = tuple[int, int]
Point = tuple[float, float]
Mask = NDArray[np.floating]
Outline = NDArray[np.float64]

SAMPLES = 4
"""Masks are drawn this many times larger in each direction and averaged down."""


def oval(centre: Point, rx: float, ry: float, angle: float = 0.0) -> Outline:
    """Return the outline (180, 2) of an ellipse."""
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    return placed(np.stack([rx * np.cos(turn), ry * np.sin(turn)], axis=-1), centre, angle)


def box(centre: Point, width: float, height: float, radius: float = 0.0, angle: float = 0.0) -> Outline:
    """Return the outline of a rectangle whose corners are rounded by `radius`."""
    radius = min(radius, width / 2, height / 2)
    quarter = np.linspace(0, np.pi / 2, 16)
    corners = []
    for turn, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        arc = quarter + turn * np.pi / 2
        corner = np.array([sx * (width / 2 - radius), sy * (height / 2 - radius)])
        corners.append(corner + radius * np.stack([np.cos(arc), np.sin(arc)], axis=-1))
    return placed(np.concatenate(corners), centre, angle)


def star(centre: Point, outer: float, inner: float, tips: int, angle: float = 0.0) -> Outline:
    """Return the outline of a star; `inner == outer` gives a regular polygon of 2 × `tips` corners."""
    turn = np.arange(2 * tips) * np.pi / tips - np.pi / 2
    reach = np.where(np.arange(2 * tips) % 2 == 0, outer, inner)
    return placed(np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=-1), centre, angle)


def polygon(centre: Point, radius: float, corners: int, angle: float = 0.0) -> Outline:
    """Return the outline of a regular polygon, one corner up."""
    turn = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    return placed(radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1), centre, angle)


def blob(centre: Point, radius: float, rng: np.random.Generator, roughness: float = 0.25) -> Outline:
    """Return a smooth closed outline that wanders around a circle."""
    turn = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    reach = np.ones_like(turn)
    for wave in range(2, 6):
        reach += roughness / wave * rng.uniform(0.3, 1) * np.sin(wave * turn + rng.uniform(0, 2 * np.pi))
    return placed(radius * reach[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1), centre, 0.0)


def placed(points: Outline, centre: Point, angle: float) -> Outline:
    """Return `points` turned by `angle` about the origin and moved to `centre`."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + np.array(centre)


def fill(size: Size, *outlines: Outline) -> Mask:
    """Return the union of closed outlines."""
    sheet = _sheet(size)
    draw = ImageDraw.Draw(sheet)
    for outline in outlines:
        draw.polygon([(x * SAMPLES, y * SAMPLES) for x, y in outline.tolist()], fill=255)
    return _reduced(sheet, size)


def stroke(size: Size, width: float, *paths: Outline) -> Mask:
    """Return the union of open paths drawn with a round pen `width` pixels wide."""
    sheet = _sheet(size)
    draw = ImageDraw.Draw(sheet)
    for path in paths:
        points = [(x * SAMPLES, y * SAMPLES) for x, y in path.tolist()]
        draw.line(points, fill=255, width=max(round(width * SAMPLES), 1), joint="curve")
        for x, y in (points[0], points[-1]):
            draw.circle((x, y), width * SAMPLES / 2, fill=255)
    return _reduced(sheet, size)


def lettering(size: Size, text: str, centre: Point, height: float, width: float, bold: float = 0.0) -> Mask:
    """Return text in Pillow's own font, `height` pixels to the em and no wider than `width`; lines split at newlines.

    `bold` thickens the strokes by that share of the em.
    """
    sheet = _sheet(size)
    draw = ImageDraw.Draw(sheet)
    spacing = height * SAMPLES * 0.35
    font = ImageFont.load_default(height * SAMPLES)
    left, _, right, _ = draw.multiline_textbbox((0, 0), text, font=font, spacing=spacing)
    em = height * SAMPLES * min(1.0, width * SAMPLES / max(right - left, 1))
    draw.multiline_text(
        (centre[0] * SAMPLES, centre[1] * SAMPLES),
        text,
        fill=255,
        font=ImageFont.load_default(em),
        anchor="mm",
        align="center",
        spacing=em * 0.35,
        stroke_width=em * bold,
    )
    return _reduced(sheet, size)


def soften(mask: Mask, sigma: float) -> Mask:
    """Return the mask blurred by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32)


def cut(mask: Mask, hole: Mask) -> Mask:
    """Return the mask without `hole`."""
    return mask * (1 - hole)


def join(*masks: Mask) -> Mask:
    """Return the union of masks."""
    return np.maximum.reduce(masks)


def _sheet(size: Size) -> Image.Image:
    return Image.new("L", (size[0] * SAMPLES, size[1] * SAMPLES))


def _reduced(sheet: Image.Image, size: Size) -> Mask:
    return np.asarray(cv2.resize(np.asarray(sheet), size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)

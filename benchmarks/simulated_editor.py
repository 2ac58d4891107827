"""Layers whose colours are known everywhere, edits whose truth is known, and a stand-in for the model that makes them.

Nothing here knows how a picture was prepared: the stand-in sees a picture and which part of the layer it shows. It
renders at about one megapixel with sides that are multiples of 32, edits what it can see of the object, keeps, grades
or repaints the ground, shifts and zooms as is reported of Qwen-Image-Edit-2509, and softens and adds noise as a latent
autoencoder does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[Any]
Ground = Literal["kept", "graded", "repainted"]
Box = tuple[float, float, float, float]
KINDS = ("solid", "soft", "hair", "glow", "shadow", "small", "holes", "text")
EDITS = ("recolour", "relight", "texture", "hue", "blur", "contrast", "vintage")
SHAPES = ("added", "punched", "thinner", "thicker")
GROUNDS: tuple[Ground, ...] = ("kept", "graded", "repainted")
MODEL_AREA = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A layer as its maker knows it: colours (height, width, 3) everywhere and alpha (height, width), 0–1."""

    kind: str
    colours: Plane
    alpha: Plane
    layer: Image.Image


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What the stand-in will do; `seed` decides everything that is not named."""

    name: str
    ground: Ground
    shift: tuple[float, float]
    zoom: float
    seed: int

    def apply(self, colours: Plane, x: Plane, y: Plane, pixels_per_unit: float) -> Plane:
        """Return edited colours; `x` and `y` are each pixel's place in the layer, so every resolution agrees."""
        return EDIT_FUNCTIONS[self.name](colours, x, y, pixels_per_unit, np.random.default_rng(self.seed)).clip(0, 1)


def draw_subject(kind: str, seed: int) -> Subject:
    """Return a layer of one of `KINDS`; the colours under its transparency are as arbitrary as a model leaves them."""
    rng = np.random.default_rng(seed)
    longest = int(rng.integers(800, 1400) if kind == "small" else rng.integers(360, 1300))
    ratio = rng.uniform(0.6, 1.6)
    width, height = (longest, round(longest / ratio)) if ratio > 1 else (round(longest * ratio), longest)
    alpha = DRAWERS[kind](rng, width, height)
    colours = _draw_colours(rng, kind, width, height)
    hidden = _draw_hidden(rng, width, height)
    shown = np.where(alpha[..., None] > 0.5 / 255, colours, hidden)
    pixels = np.rint(np.concatenate([shown, alpha[..., None]], -1).clip(0, 1) * 255).astype(np.uint8)
    # The truth is what eight bits can say, as for any method.
    return Subject(
        kind=kind, colours=colours, alpha=pixels[..., 3].astype(np.float32) / 255, layer=Image.fromarray(pixels, "RGBA")
    )


def draw_edit(name: str, ground: Ground, seed: int, *, moved: bool = True) -> Edit:
    """Return an edit with a shift of up to 12 px and a zoom of up to 3 %, or with neither."""
    rng = np.random.default_rng(seed)
    shift = (float(rng.uniform(-12, 12)), float(rng.uniform(-12, 12))) if moved else (0.0, 0.0)
    return Edit(name=name, ground=ground, shift=shift, zoom=1 + float(rng.uniform(-0.03, 0.03)) * moved, seed=seed)


def reshape(subject: Subject, name: str, seed: int) -> Subject:
    """Return the subject with the alpha that an edit of its shape gives it, one of `SHAPES`."""
    rng = np.random.default_rng(seed)
    height, width = subject.alpha.shape
    rows, columns = np.nonzero(subject.alpha > 0.3)
    side = max(np.ptp(rows), np.ptp(columns))
    at = int(rng.integers(len(rows)))
    disc = np.zeros((height * FINE, width * FINE), np.uint8)
    radius = max(int(side * rng.uniform(0.08, 0.16)), 2)
    cv2.circle(disc, (int(columns[at]) * FINE, int(rows[at]) * FINE), radius * FINE, 255, -1)
    kernel = np.ones((2 * max(int(side * 0.008), 1) + 1,) * 2, np.uint8)
    alpha = {
        "added": np.maximum(subject.alpha, _shrink(disc, width, height)),
        "punched": subject.alpha * (1 - _shrink(disc, width, height)),
        "thinner": cv2.GaussianBlur(cv2.erode(subject.alpha, kernel), (0, 0), 0.6),
        "thicker": cv2.GaussianBlur(cv2.dilate(subject.alpha, kernel), (0, 0), 0.6),
    }[name]
    return replace(subject, alpha=alpha.astype(np.float32))


def true_colours(subject: Subject, edit: Edit) -> Plane:
    """Return the colours (height, width, 3), 0–1, that a perfect edit of the layer would have."""
    height, width = subject.alpha.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
    return edit.apply(subject.colours, x, y, 1.0)


def render(picture: Image.Image, box: Box, subject: Subject, edit: Edit) -> Image.Image:
    """Return what the stand-in makes of `picture`, which shows `box` (left, top, right, bottom) of the layer."""
    size = model_size(*picture.size)
    seen = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    x, y = _places(box, size)
    scale = size[0] / (box[2] - box[0])
    colours, alpha = _look_up(subject.colours, x, y, scale, cv2.BORDER_REPLICATE), _look_up(subject.alpha, x, y, scale)
    cover = _perceive(seen, colours, alpha)
    rng = np.random.default_rng(edit.seed + 1)
    if edit.ground == "graded":
        made = edit.apply(seen, x, y, scale)
    elif edit.ground == "kept":
        made = seen + cover[..., None] * (edit.apply(colours, x, y, scale) - colours)
    else:
        scenery = _draw_scenery(rng, *size)
        if rng.random() < 0.5:  # as a model does that redraws an object a little larger than it was
            cover = cv2.dilate(cover, np.ones((3, 3), np.uint8))
        made = cover[..., None] * edit.apply(colours, x, y, scale) + (1 - cover[..., None]) * scenery
    return _to_image(_decode(_move(made.astype(np.float32), edit), rng))


def render_reshaped(picture: Image.Image, box: Box, subject: Subject, reshaped: Subject, edit: Edit) -> Image.Image:
    """Return what the stand-in makes of `picture` when the edit changes the object's shape, on the ground it sees."""
    size = model_size(*picture.size)
    seen = np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    x, y = _places(box, size)
    scale = size[0] / (box[2] - box[0])
    colours, before = _look_up(subject.colours, x, y, scale, cv2.BORDER_REPLICATE), _look_up(subject.alpha, x, y, scale)
    apart = cv2.dilate(before, np.ones((25, 25), np.uint8)) < 0.004
    ground = np.broadcast_to(np.median(seen[apart], axis=0), seen.shape).astype(np.float32)
    if edit.ground == "graded":
        ground = edit.apply(ground, x, y, scale)
    cover = _look_up(reshaped.alpha, x, y, scale)[..., None]
    made = cover * edit.apply(colours, x, y, scale) + (1 - cover) * ground
    return _to_image(_decode(_move(made.astype(np.float32), edit), np.random.default_rng(edit.seed + 1)))


def model_size(width: int, height: int) -> tuple[int, int]:
    """Return the size the model renders at for a picture of this size."""
    ratio = width / height
    wide = math.sqrt(MODEL_AREA * ratio)
    return round(wide / 32) * 32, round(wide / ratio / 32) * 32


def _places(box: Box, size: tuple[int, int]) -> tuple[Plane, Plane]:
    across = np.linspace(box[0], box[2], size[0] + 1, dtype=np.float32)
    down = np.linspace(box[1], box[3], size[1] + 1, dtype=np.float32)
    x, y = np.meshgrid((across[:-1] + across[1:]) / 2, (down[:-1] + down[1:]) / 2)
    return x, y


def _look_up(values: Plane, x: Plane, y: Plane, scale: float, border: int = cv2.BORDER_CONSTANT) -> Plane:
    smooth = cv2.GaussianBlur(values, (0, 0), 0.45 / scale) if scale < 0.9 else values
    return cv2.remap(
        np.ascontiguousarray(smooth, np.float32),
        x - np.float32(0.5),
        y - np.float32(0.5),
        cv2.INTER_LINEAR,
        borderMode=border,
    )


def _perceive(seen: Plane, colours: Plane, alpha: Plane) -> Plane:
    """Return how much of the object is to be seen at each pixel.

    On a flat ground that is how far a pixel is from the ground to the object's colour; where there is no flat ground,
    or the object has its colour, the stand-in is told the truth.
    """
    apart = cv2.dilate(alpha, np.ones((25, 25), np.uint8)) < 0.004
    if apart.sum() < 500:
        return alpha
    ground = np.median(seen[apart], axis=0)
    if np.quantile(np.abs(seen[apart] - ground).max(-1), 0.9) > 0.02:
        return alpha
    way = colours - ground
    length = (way**2).sum(-1)
    return np.where(length > 0.02, (((seen - ground) * way).sum(-1) / np.maximum(length, 1e-6)).clip(0, 1), alpha)


def _move(picture: Plane, edit: Edit) -> Plane:
    height, width = picture.shape[:2]
    middle = np.array([width / 2 - 0.5, height / 2 - 0.5])
    matrix = np.column_stack([np.eye(2) * edit.zoom, middle * (1 - edit.zoom) + edit.shift])
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def _decode(picture: Plane, rng: np.random.Generator) -> Plane:
    """Soften a picture and add noise, fine and by latent cells of 8 pixels."""
    height, width = picture.shape[:2]
    soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.35, 0.8))
    fine = cv2.GaussianBlur(rng.normal(0, 3.0 / 255, picture.shape).astype(np.float32), (0, 0), 0.7)
    cells = rng.normal(0, 0.8 / 255, (height // 8, width // 8, 3)).astype(np.float32)
    return soft + fine + cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def _to_image(values: Plane) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 1) * 255).astype(np.uint8), "RGB")


# Edits: (colours, x, y, pixels per layer pixel, rng) -> colours.


def _luma(colours: Plane) -> Plane:
    return (colours @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]


def _recolour(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    tint = rng.uniform(0.1, 1, 3).astype(np.float32)
    return _luma(colours) * tint * np.float32(0.9 / tint.max()) + np.float32(0.08)


def _relight(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    angle, span = rng.uniform(0, 2 * np.pi), rng.uniform(300, 900)
    light = 1 + 0.45 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / span * np.pi)
    return colours * light[..., None].astype(np.float32) * np.array([1.0, 0.95, 0.85], np.float32)


def _texture(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    angle, wave = rng.uniform(0, np.pi), rng.uniform(14, 50)
    along = x * np.cos(angle) + y * np.sin(angle) + 5 * np.sin((x - y) / (2 * wave))
    return colours * (0.8 + 0.25 * np.sin(2 * np.pi * along / wave))[..., None].astype(np.float32)


def _hue(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    hls = cv2.cvtColor(np.ascontiguousarray(colours.clip(0, 1), np.float32), cv2.COLOR_RGB2HLS)
    hls[..., 0] = (hls[..., 0] + rng.uniform(40, 320)) % 360
    return cv2.cvtColor(hls, cv2.COLOR_HLS2RGB)


def _blur(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    return cv2.GaussianBlur(colours, (0, 0), rng.uniform(1.5, 4) * scale)


def _contrast(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    gain = rng.choice([rng.uniform(0.4, 0.75), rng.uniform(1.3, 1.8)])
    return (colours - 0.5) * np.float32(gain) + 0.5


def _vintage(colours: Plane, x: Plane, y: Plane, scale: float, rng: np.random.Generator) -> Plane:
    faded = _luma(colours) * 0.4 + colours * 0.6
    return faded ** np.float32(rng.uniform(0.7, 1.2)) * np.array([1.0, 0.92, 0.75], np.float32) * 0.9 + 0.06


EditFunction = Callable[[Plane, Plane, Plane, float, np.random.Generator], Plane]
EDIT_FUNCTIONS: dict[str, EditFunction] = {
    "recolour": _recolour,
    "relight": _relight,
    "texture": _texture,
    "hue": _hue,
    "blur": _blur,
    "contrast": _contrast,
    "vintage": _vintage,
}

# Shapes: (rng, width, height) -> alpha, drawn four times as fine and averaged.
FINE = 4


def _shrink(fine: NDArray[np.uint8], width: int, height: int) -> Plane:
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _blob(rng: np.random.Generator, width: int, height: int, radius: float, middle: tuple[float, float]) -> Plane:
    """Return a star-shaped outline of a few random waves."""
    angle = np.linspace(0, 2 * np.pi, 400)
    waves = sum(rng.uniform(-0.12, 0.12) * np.cos(k * angle + rng.uniform(0, 6.28)) for k in range(2, 7))
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * (radius * (1 + waves))[:, None] + middle
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(points * FINE).astype(np.int32)], 255)
    return _shrink(fine, width, height)


def _solid(rng: np.random.Generator, width: int, height: int) -> Plane:
    side = min(width, height)
    return _blob(rng, width, height, rng.uniform(0.2, 0.36) * side, (width * rng.uniform(0.42, 0.58), height / 2))


def _soft(rng: np.random.Generator, width: int, height: int) -> Plane:
    return cv2.GaussianBlur(_solid(rng, width, height), (0, 0), rng.uniform(3, 16))


def _hair(rng: np.random.Generator, width: int, height: int) -> Plane:
    side = min(width, height)
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    root = np.array([width / 2, height / 2])
    cv2.circle(fine, tuple(np.rint(root * FINE).astype(int).tolist()), int(side * 0.1 * FINE), 255, -1)
    for _ in range(60):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.44) * side
        ahead = np.array([np.cos(angle), np.sin(angle)])
        aside = np.array([-ahead[1], ahead[0]]) * rng.uniform(-0.5, 0.5)
        t = np.linspace(0, 1, 40)[:, None]
        points = root + ahead * reach * t + aside * reach * t**2
        thickness = int(rng.integers(2, 8))  # 0.5 to 1.75 px
        cv2.polylines(fine, [np.rint(points * FINE).astype(np.int32)], False, 255, thickness)
    return _shrink(fine, width, height)


def _glow(rng: np.random.Generator, width: int, height: int) -> Plane:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    alpha = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        middle = (width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7))
        distance = np.hypot(x - middle[0], y - middle[1]) / (min(width, height) * rng.uniform(0.08, 0.2))
        alpha = np.maximum(alpha, rng.uniform(0.5, 1) * np.exp(-(distance**2)))
    return alpha


def _shadow(rng: np.random.Generator, width: int, height: int) -> Plane:
    return cv2.GaussianBlur(_solid(rng, width, height), (0, 0), rng.uniform(6, 24)) * rng.uniform(0.35, 0.7)


def _small(rng: np.random.Generator, width: int, height: int) -> Plane:
    middle = (width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.85))
    return _blob(rng, width, height, rng.uniform(14, 50), middle)


def _holes(rng: np.random.Generator, width: int, height: int) -> Plane:
    alpha = _solid(rng, width, height)
    fine = np.full((height * FINE, width * FINE), 255, np.uint8)
    for _ in range(25):
        place = (int(rng.uniform(0.2, 0.8) * width * FINE), int(rng.uniform(0.2, 0.8) * height * FINE))
        cv2.circle(fine, place, int(rng.uniform(2, 18) * FINE), 0, -1)
    return alpha * _shrink(fine, width, height)


def _text(rng: np.random.Generator, width: int, height: int) -> Plane:
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    for line in range(4):
        words = "".join(rng.choice(list("ABCDEFGHKLMNRSTUVWabcdeghkmnorstu &?"), 10))
        size = width * FINE / 260
        place = (int(width * FINE * 0.08), int(height * FINE * (0.25 + 0.17 * line)))
        cv2.putText(fine, words, place, int(rng.integers(0, 5)), size, 255, int(rng.integers(4, 18)), cv2.LINE_AA)
    return _shrink(fine, width, height)


DRAWERS: dict[str, Callable[[np.random.Generator, int, int], Plane]] = {
    "solid": _solid,
    "soft": _soft,
    "hair": _hair,
    "glow": _glow,
    "shadow": _shadow,
    "small": _small,
    "holes": _holes,
    "text": _text,
}


def _cloud(rng: np.random.Generator, width: int, height: int, cells: int, depth: int = 3) -> Plane:
    coarse = rng.uniform(0, 1, (max(cells * height // width, 2), cells, depth)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, depth).clip(0, 1)


def _draw_colours(rng: np.random.Generator, kind: str, width: int, height: int) -> Plane:
    """Return colours for every pixel: plain for shadows, glows and text, clouds with detail for the rest."""
    base = rng.uniform(0.1, 0.9, 3).astype(np.float32)
    if kind == "shadow":
        return np.full((height, width, 3), rng.uniform(0, 0.15), np.float32)
    if kind in {"glow", "text"}:
        return (base + 0.15 * (_cloud(rng, width, height, 3) - 0.5)).clip(0, 1).astype(np.float32)
    detail = 0.5 * (_cloud(rng, width, height, 4) - 0.5) + 0.25 * (_cloud(rng, width, height, 40, 1) - 0.5)
    return (base + detail).clip(0, 1).astype(np.float32)


def _draw_hidden(rng: np.random.Generator, width: int, height: int) -> Plane:
    """Return what lies under alpha 0: black, white, noise, or leftovers of another picture."""
    way = rng.integers(0, 4)
    if way < 2:
        return np.full((height, width, 3), float(way), np.float32)
    if way == 2:
        return rng.uniform(0, 1, (height, width, 3)).astype(np.float32)
    return _draw_scenery(rng, width, height)


def _draw_scenery(rng: np.random.Generator, width: int, height: int) -> Plane:
    """Return a picture of soft clouds with hard-edged things in it."""
    scenery = np.ascontiguousarray(_cloud(rng, width, height, 6) * 0.6 + _cloud(rng, width, height, 60) * 0.2)
    for _ in range(12):
        corner = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        other = (corner[0] + int(rng.uniform(10, width / 4)), corner[1] + int(rng.uniform(10, height / 4)))
        cv2.rectangle(scenery, corner, other, rng.uniform(0, 1, 3).tolist(), -1)
    return scenery

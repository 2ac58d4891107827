"""Procedural fills: float32 RGB arrays (height, width, 3) in 0–255, drawn from random numbers and base colors."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.kit.scenes.outlines import Size

Color = NDArray[np.floating]
Fill = NDArray[np.floating]
Texture = Callable[[Size, np.random.Generator, Color, Color], Fill]


def flat(size: Size, color: Color) -> Fill:
    """Return one color everywhere."""
    return np.broadcast_to(color, (size[1], size[0], 3)).astype(np.float32)


def linear(size: Size, angle: float, *stops: Color) -> Fill:
    """Return a linear gradient through evenly spaced color stops."""
    x, y = _grid(size)
    along = x * np.cos(angle) + y * np.sin(angle)
    return _ramp((along - along.min()) / np.ptp(along), *stops)


def radial(size: Size, centre: tuple[float, float], reach: float, *stops: Color) -> Fill:
    """Return a radial gradient; `centre` and `reach` are shares of the width and height."""
    x, y = _grid(size)
    distance = np.hypot(x / size[0] - centre[0], y / size[1] - centre[1]) / reach
    return _ramp(distance.clip(0, 1), *stops)


def paper(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """Fibrous paper: one color, uneven and grainy."""
    uneven = (fractal(size, rng, 6) - 0.5) * 26 + rng.normal(0, 5, size[::-1])
    fibres = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]), (0, 0), sigmaX=4, sigmaY=0.6) * 12
    return _shaded(first, uneven + fibres)


def fabric(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """A plain weave, its threads a few pixels wide."""
    x, y = _turned(size, rng.uniform(-0.2, 0.2))
    period = rng.uniform(5, 9)
    over = np.sin(2 * np.pi * x / period) * np.sin(np.pi * y / period) + np.sin(2 * np.pi * y / period) * 0.5
    return _shaded(first, over * rng.uniform(7, 13) + rng.normal(0, 4, size[::-1]) + fractal(size, rng, 3) * 12 - 6)


def stripes(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """Stripes of two related colors."""
    along, _ = _turned(size, rng.uniform(0, np.pi))
    period = rng.uniform(14, 40)
    wave = (np.sin(2 * np.pi * along / period) * period / 4 + 0.5).clip(0, 1)
    return _mixed(first, first * 0.72 + second * 0.28, wave)


def halftone(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """Printed dots that grow along one direction."""
    x, y = _turned(size, np.pi / 4)
    period = rng.uniform(10, 18)
    to_dot = np.hypot(x % period - period / 2, y % period - period / 2)
    along, _ = _turned(size, rng.uniform(0, 2 * np.pi))
    radius = period * (0.12 + 0.3 * (along - along.min()) / np.ptp(along))
    return _mixed(first, first * 0.65 + second * 0.35, (radius - to_dot + 0.5).clip(0, 1))


def clouds(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """Billows between two colors, as of sky or marble."""
    amount = ((fractal(size, rng, 7) - 0.35) * 2.2).clip(0, 1)
    return _mixed(first, first * 0.4 + second * 0.6, amount) + rng.normal(0, 2, (*size[::-1], 1)).astype(np.float32)


def wood(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """Grain along planks."""
    x, y = _turned(size, rng.choice([0.0, np.pi / 2]))
    warp = fractal(size, rng, 4) * 60
    rings = 0.5 + 0.5 * np.sin((y + warp + 12 * np.sin(x / 170)) / rng.uniform(3.5, 6))
    fibre = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]), (0, 0), 3) * 5
    brown = np.array([150, 98, 58], np.float32) * np.float32(rng.uniform(0.7, 1.25))
    return _shaded(first * 0.35 + brown * 0.65, rings * -24 + 12 + fibre)


def landscape(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """A photograph's ranges of hills under a hazy sky, from fractal ridges."""
    _, y = _grid(size)
    haze = first * 0.3 + 255 * 0.7
    picture = _mixed(haze, first * 0.6 + 60, ((1 - y / size[1]) ** 1.5).clip(0, 1))
    for depth in range(3):
        ridge = fractal((size[0], 4), rng, 6 - depth)[0]
        crest = size[1] * (0.42 + 0.19 * depth - 0.3 * (ridge - 0.5))
        shade = (fractal(size, rng, 7) - 0.5) * 50 + rng.normal(0, 3, size[::-1])
        near = (depth + 1) / 3
        slope = _shaded(haze * (1 - near) + (second * 0.35 + 12) * near, shade * near)
        picture = picture + (slope - picture) * (y - crest[None, :] + 0.5).clip(0, 1)[..., None]
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.float32)


def bokeh(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """A photograph's ground far out of focus: faint discs of light on a soft gradient."""
    picture = _mixed(first * 0.7, first * 0.5 + second * 0.5, fractal(size, rng, 3))
    for _ in range(26):
        disc = np.zeros(size[::-1], np.float32)
        centre = (int(rng.integers(0, size[0])), int(rng.integers(0, size[1])))
        cv2.circle(disc, centre, int(rng.integers(10, 46)), 1.0, -1)
        light = 255 * 0.5 + second * 0.5
        picture = picture + (light - picture) * cv2.GaussianBlur(disc, (0, 0), 3)[..., None] * rng.uniform(0.05, 0.22)
    return picture + rng.normal(0, 2.5, (*size[::-1], 3)).astype(np.float32)


def checks(size: Size, rng: np.random.Generator, first: Color, second: Color) -> Fill:
    """A chequered cloth."""
    x, y = _turned(size, rng.uniform(0, np.pi / 2))
    period = rng.uniform(22, 44)
    amount = (np.sin(2 * np.pi * x / period) * 6).clip(-1, 1) + (np.sin(2 * np.pi * y / period) * 6).clip(-1, 1)
    return _mixed(first, first * 0.55 + second * 0.45, amount / 4 + 0.5)


GROUNDS: tuple[Texture, ...] = (paper, landscape, fabric, clouds, stripes, wood, halftone, bokeh)
"""Textures that fill a whole picture, taken in turn."""

OBJECTS: tuple[Texture, ...] = (wood, checks, clouds, halftone, fabric, stripes)
"""Textures for things."""


def fractal(size: Size, rng: np.random.Generator, octaves: int) -> NDArray[np.floating]:
    """Return value noise in 0–1 summed over octaves of halving size and strength."""
    total = np.zeros(size[::-1], np.float32)
    for octave in range(octaves):
        cells = 2 ** (octave + 1) + 1
        values = rng.random((cells, cells), np.float32)
        total += cv2.resize(values, size, interpolation=cv2.INTER_CUBIC) * np.float32(0.55**octave)
    return (total - total.min()) / np.ptp(total)


def _grid(size: Size) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    return x, y


def _turned(size: Size, angle: float) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    x, y = _grid(size)
    return x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)), y * np.float32(
        np.cos(angle)
    ) - x * np.float32(np.sin(angle))


def _ramp(along: NDArray[np.floating], *stops: Color) -> Fill:
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(along, places, [stop[channel] for stop in stops]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _mixed(first: Color, second: Color, amount: NDArray[np.floating]) -> Fill:
    return (first + (second - first) * amount[..., None]).astype(np.float32)


def _shaded(color: Color, light: NDArray[np.floating]) -> Fill:
    """Return `color` lightened by `light`, in levels of 0–255."""
    return (color + light[..., None] * (0.6 + 0.4 * color / 255)).astype(np.float32)

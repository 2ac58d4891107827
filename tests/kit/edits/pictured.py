"""Layers drawn with parts that people name: where each part lies is known, so that an edit of it can be measured."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.kit.edits.layers import picture_layers

_WIDTH, _HEIGHT = 288, 216
_FINER = 4
Mask = NDArray[np.bool_]
Rgb = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Pictured:
    """A layer, and by name the pixels that surely belong to each part of it."""

    layer: Image.Image
    parts: dict[str, Mask]


class _Canvas:
    """Draws shaded shapes with smooth edges, and remembers which is where."""

    def __init__(self, ground: Rgb | None) -> None:
        self.colors = np.tile(np.array(ground or (0, 0, 0), np.float32), (_HEIGHT, _WIDTH, 1))
        self.alpha = np.full((_HEIGHT, _WIDTH), 1.0 if ground else 0.0, np.float32)
        self.parts: dict[str, NDArray[np.float32]] = {"ground": np.ones_like(self.alpha)} if ground else {}

    def draw(self, name: str, color: Rgb, paint: Callable[[NDArray[np.uint8]], object], shade: float = 0.25) -> None:
        large = np.zeros((_HEIGHT * _FINER, _WIDTH * _FINER), np.uint8)
        paint(large)
        cover = cv2.resize(large, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        down, across = np.mgrid[:_HEIGHT, :_WIDTH].astype(np.float32)
        light = 1.0 + shade * (0.5 - (down / _HEIGHT + across / _WIDTH) / 2) * 2 + 0.03 * np.sin(across / 3.0 + down)
        shaded = np.array(color, np.float32) * light[..., None]
        own = np.divide(cover, cover + self.alpha * (1.0 - cover), out=np.zeros_like(cover), where=cover > 0)
        self.colors += (shaded - self.colors) * own[..., None]
        self.alpha = cover + self.alpha * (1.0 - cover)
        for other in self.parts.values():
            other *= 1.0 - cover
        self.parts[name] = np.maximum(self.parts.get(name, np.zeros_like(cover)), cover)

    def finish(self) -> Pictured:
        rgba = np.dstack([self.colors, self.alpha * 255.0])
        layer = Image.fromarray(np.rint(rgba.clip(0, 255)).astype(np.uint8), "RGBA")
        return Pictured(layer=layer, parts={name: cover > 0.99 for name, cover in self.parts.items()})


def _ellipse(x: float, y: float, rx: float, ry: float) -> Callable[[NDArray[np.uint8]], object]:
    centre, radii = (round(x * _FINER), round(y * _FINER)), (round(rx * _FINER), round(ry * _FINER))
    return lambda large: cv2.ellipse(large, centre, radii, 0, 0, 360, (255,), -1)


def _polygon(*points: tuple[float, float]) -> Callable[[NDArray[np.uint8]], object]:
    corners = np.array([[round(x * _FINER), round(y * _FINER)] for x, y in points], np.int32)
    return lambda large: cv2.fillPoly(large, [corners], (255,))


def _box(left: float, top: float, right: float, bottom: float) -> Callable[[NDArray[np.uint8]], object]:
    return _polygon((left, top), (right, top), (right, bottom), (left, bottom))


def _words(text: str, x: float, y: float, size: float) -> Callable[[NDArray[np.uint8]], object]:
    where = round(x * _FINER), round(y * _FINER)
    return lambda large: cv2.putText(large, text, where, cv2.FONT_HERSHEY_DUPLEX, size * _FINER, (255,), 4 * _FINER)


def _apple() -> Pictured:
    canvas = _Canvas(None)
    canvas.draw("leaf", (70, 130, 50), _ellipse(160, 44, 22, 10))
    canvas.draw("fruit", (196, 44, 40), _ellipse(140, 112, 66, 62), shade=0.5)
    return canvas.finish()


def _person() -> Pictured:
    canvas = _Canvas(None)
    canvas.draw("hair", (58, 38, 30), _ellipse(144, 52, 34, 38))
    canvas.draw("trousers", (52, 54, 60), _box(112, 150, 176, 214))
    canvas.draw("jacket", (186, 40, 54), _polygon((100, 100), (188, 100), (196, 170), (92, 170)))
    canvas.draw("face", (226, 176, 144), _ellipse(144, 64, 23, 29))
    return canvas.finish()


def _sign() -> Pictured:
    canvas = _Canvas(None)
    canvas.draw("board", (188, 36, 40), _box(24, 50, 264, 166))
    canvas.draw("letters", (246, 244, 238), _words("SALE", 48, 132, 2.6), shade=0.05)
    return canvas.finish()


def _balloons() -> Pictured:
    canvas = _Canvas(None)
    canvas.draw("red", (208, 44, 48), _ellipse(66, 100, 42, 54))
    canvas.draw("yellow", (236, 196, 40), _ellipse(146, 90, 36, 48))
    canvas.draw("blue", (46, 88, 204), _ellipse(226, 108, 40, 54))
    return canvas.finish()


def _landscape() -> Pictured:
    canvas = _Canvas((120, 168, 220))
    canvas.draw("sky", (120, 172, 226), _box(0, 0, _WIDTH, 110), shade=0.12)
    canvas.draw("grass", (84, 130, 58), _polygon((0, 104), (110, 88), (288, 112), (288, 216), (0, 216)))
    canvas.draw("path", (176, 150, 112), _polygon((120, 216), (150, 216), (142, 110), (138, 110)))
    return canvas.finish()


def _house() -> Pictured:
    canvas = _Canvas(None)
    canvas.draw("wall", (222, 198, 120), _box(70, 96, 218, 200))
    canvas.draw("roof", (120, 62, 52), _polygon((56, 100), (144, 30), (232, 100)))
    canvas.draw("door", (54, 96, 150), _box(128, 140, 160, 200))
    return canvas.finish()


def _scene() -> Pictured:
    canvas = _Canvas((126, 150, 138))
    noise = cv2.resize(np.random.default_rng(3).random((18, 24), dtype=np.float32), (_WIDTH, _HEIGHT))
    canvas.colors += 46.0 * (noise[..., None] - 0.5)
    canvas.colors += 14.0 * np.sin(np.arange(_WIDTH, dtype=np.float32) / 2.0)[None, :, None]
    canvas.draw("cup", (220, 92, 40), _polygon((100, 60), (190, 60), (178, 178), (112, 178)))
    canvas.draw("cup", (226, 120, 60), _ellipse(145, 60, 45, 13))
    return canvas.finish()


def pictured() -> dict[str, Pictured]:
    """Return the drawn layers by name, and "picture 1", … where there are pictures."""
    drawn = {
        "apple": _apple(),
        "person": _person(),
        "sign": _sign(),
        "balloons": _balloons(),
        "landscape": _landscape(),
        "house": _house(),
        "scene": _scene(),
    }
    return drawn | {name: Pictured(layer=layer, parts={}) for name, layer in picture_layers().items()}

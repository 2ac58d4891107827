"""The layers on which instructions are measured: drawn here, and pictures from ../shared/images if it is there."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PICTURES = Path(__file__).resolve().parents[4] / "shared/images"
_WIDTH, _HEIGHT = 192, 144


def drawn_layers() -> dict[str, Image.Image]:
    """Return the drawn layers by name."""
    ellipse = _ellipse(0.36, softness=2.0)
    return {
        "photo, soft edge": _layer(_texture(), _ellipse(0.42, softness=24.0)),
        "photo, opaque": _layer(_texture(), np.ones((_HEIGHT, _WIDTH))),
        "object on a ground": _object_on_ground(),
        "flat red": _layer(_flat(214, 40, 40), ellipse),
        "flat blue": _layer(_flat(30, 70, 220), ellipse),
        "black": _layer(_flat(0, 0, 0), ellipse),
        "white": _layer(_flat(255, 255, 255), ellipse),
        "grey gradient": _layer(_gradient(), np.ones((_HEIGHT, _WIDTH))),
        "thin lines": _thin_lines(),
        "text": _text(),
        "smoke": _layer(_flat(200, 204, 214) + 10 * _noise(12)[..., None], 0.6 * _noise(5) * _ellipse(0.4, 30.0)),
        "tiny": _layer(_texture()[60:67, 60:69], np.ones((7, 9))),
        "one pixel": Image.new("RGBA", (1, 1), (120, 90, 60, 200)),
    }


def picture_layers(side: int = 256) -> dict[str, Image.Image]:
    """Return the pictures that are there, whole and at most `side` pixels long, by name."""
    layers: dict[str, Image.Image] = {}
    for path in sorted(PICTURES.glob("*.png")):
        with Image.open(path) as image:
            image.thumbnail((side, side))
            layers[f"picture {path.stem}"] = image.convert("RGBA")
    return layers


def _layer(colors: NDArray[np.float64], alpha: NDArray[np.float64]) -> Image.Image:
    rgba = np.dstack([colors, alpha * 255.0])
    return Image.fromarray(np.rint(rgba.clip(0, 255)).astype(np.uint8), "RGBA")


def _flat(red: int, green: int, blue: int) -> NDArray[np.float64]:
    return np.tile(np.array([red, green, blue], np.float64), (_HEIGHT, _WIDTH, 1))


def _gradient() -> NDArray[np.float64]:
    ramp = np.linspace(40, 215, _WIDTH)
    return np.dstack([np.tile(ramp, (_HEIGHT, 1))] * 3)


def _noise(cells: int) -> NDArray[np.float64]:
    """Smooth noise of 0–1 with about `cells` bumps across."""
    small = np.random.default_rng(cells).random((cells, cells), dtype=np.float32)
    return cv2.resize(small, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 1).astype(np.float64)


def _texture() -> NDArray[np.float64]:
    """Something like a photograph: hues that wander, light that falls off, detail at every size."""
    detail = sum(_noise(cells) / weight for cells, weight in ((4, 1.0), (11, 2.0), (31, 4.0), (80, 6.0))) / 1.9
    colors = np.dstack([60 + 190 * _noise(6), 40 + 170 * _noise(7), 30 + 150 * _noise(8)])
    return colors * (0.35 + 0.8 * np.asarray(detail))[..., None]


def _ellipse(radius: float, softness: float) -> NDArray[np.float64]:
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    distance = np.hypot((x - 0.47 * _WIDTH) / (radius * _WIDTH), (y - 0.52 * _HEIGHT) / (radius * _HEIGHT))
    return ((1.0 - distance) * radius * _HEIGHT / softness + 0.5).clip(0, 1)


def _object_on_ground() -> Image.Image:
    image = _layer(_flat(110, 140, 120) + 40 * _noise(30)[..., None], np.ones((_HEIGHT, _WIDTH)))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 30, 120, 96), fill=(226, 92, 40, 255))
    draw.rectangle((76, 90, 104, _HEIGHT), fill=(46, 44, 84, 255))
    return image


def _thin_lines() -> Image.Image:
    image = Image.new("RGBA", (_WIDTH, _HEIGHT), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for step in range(9):
        draw.line((10 + 18 * step, 8, 40 + 12 * step, 136), fill=(70 + 15 * step, 60, 160 - 15 * step, 255), width=1)
    return image


def _text() -> Image.Image:
    image = Image.new("RGBA", (_WIDTH, _HEIGHT), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((14, 46), "Layer Ag", fill=(38, 92, 52, 255), font=ImageFont.load_default(40))
    return image

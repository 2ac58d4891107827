"""Scenes of known truth from free pictures: cut-out drawings and a line of type on photographs and paintings.

The pictures are those of two Debian packages, which `collect` downloads with APT: `openclipart-png` (8,121 drawings
with alpha, CC0) and `plasma-workspace-wallpapers`. A scene is drawn from its seed alone.
"""

import io
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

PACKAGES = ("openclipart-png", "plasma-workspace-wallpapers")
WIDTH, HEIGHT = 1024, 768
WORDS = ("Summer Sale", "HAPPY BIRTHDAY", "Grand Opening", "Hello World", "JAZZ NIGHT", "New Arrivals", "Thank You")
BLUR = 0.8
"""Pixels: the standard deviation of what is a little out of focus."""
HAIR = 24
"""Pixels that a hair is shorter than."""
Variant = Literal["plain", "blurred", "hairy"]
VARIANTS: tuple[Variant, ...] = ("plain", "blurred", "hairy")


@dataclass(frozen=True, eq=False)
class Piece:
    """A thing or a line of type: its name and what is seen of it, 0–1 of (height, width)."""

    name: str
    seen: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture, its ground without any thing, and its pieces from bottom to top."""

    image: Image.Image
    ground: NDArray[np.uint8]
    pieces: list[Piece]


def collect(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the drawings and the grounds, which are downloaded into `folder` if they are not there.

    Raises `SystemExit` where there is no APT.
    """
    root = folder / "root"
    if not root.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True)
            for package in sorted(folder.glob("*.deb")):
                subprocess.run(["dpkg-deb", "-x", package, folder / "new"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                "The scenes need APT of Debian or Ubuntu, and the network: " + ", ".join(PACKAGES)
            ) from error
        (folder / "new").replace(root)
    drawings = sorted((root / "usr/share/openclipart/png").rglob("*.png"))
    grounds = sorted(
        max(images.iterdir(), key=_pixels) for images in root.glob("usr/share/wallpapers/*/contents/images")
    )
    return drawings, grounds


def make_scene(seed: int, drawings: list[Path], grounds: list[Path], variant: Variant = "plain") -> Scene:
    """Return a scene of one or two things and a line of type over a crop of a ground.

    "blurred": a little out of focus and a JPEG file of quality 80. "hairy": a fringe of hairs around the things. All
    else is the same.
    """
    chance, hair = random.Random(seed), random.Random(f"hair {seed}")
    ground = _ground(chance, grounds)
    pieces: list[Piece] = []
    image = ground.copy()
    for _ in range(chance.choice([1, 1, 2])):
        name, drawing = _drawing(chance, drawings)
        left, top = chance.randint(0, WIDTH - drawing.width), chance.randint(0, HEIGHT - drawing.height)
        if variant == "hairy":
            drawing, left, top = with_hair(drawing, hair), left - HAIR, top - HAIR
        layer = Image.new("RGBA", image.size)
        layer.paste(drawing, (left, top))
        _put(image, layer, name, pieces)
    _put(image, _type(chance), "type", pieces)
    if variant == "blurred":
        # What is out of focus hides as little at its edge: the alpha of a layer that gives the picture is as blurred.
        pieces = [
            Piece(piece.name, np.asarray(cv2.GaussianBlur(piece.seen, (0, 0), BLUR), np.float32)) for piece in pieces
        ]
        image = image.filter(ImageFilter.GaussianBlur(BLUR))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=80)
        image = Image.open(buffer).convert("RGB")
    return Scene(image=image, ground=np.asarray(ground), pieces=pieces)


def with_hair(drawing: Image.Image, chance: random.Random) -> Image.Image:
    """Return `drawing` in a margin of `HAIR` with thin hairs of its own colors that stand out of its outline."""
    factor = 3
    padded = Image.new("RGBA", (drawing.width + 2 * HAIR, drawing.height + 2 * HAIR))
    padded.paste(drawing, (HAIR, HAIR))
    solid = (np.asarray(padded)[..., 3] > 200).astype(np.uint8)
    outlines = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    if not outlines:
        return padded
    outline = max(outlines, key=len)[:, 0, :]
    hairs = Image.new("RGBA", (padded.width * factor, padded.height * factor))
    pen = ImageDraw.Draw(hairs)
    color = tuple(
        int(value) for value in np.median(np.asarray(drawing)[np.asarray(drawing)[..., 3] > 200][:, :3], axis=0)
    )
    middle = outline.mean(axis=0)
    for _ in range(len(outline) // 3):
        x, y = outline[chance.randrange(len(outline))]
        away = np.array([x, y]) - middle
        away = away / (np.hypot(*away) + 1e-6)
        bend = np.array([-away[1], away[0]]) * chance.uniform(-0.6, 0.6)
        length = chance.uniform(8, HAIR - 2)
        points = [np.array([x, y]) + away * length * t + bend * length * t * t for t in np.linspace(-0.3, 1, 6)]
        tint = tuple(max(0, min(255, value + chance.randint(-25, 25))) for value in color)
        pen.line([tuple(point * factor) for point in points], fill=(*tint, 255), width=chance.choice([2, 3, 4]))
    return Image.alpha_composite(hairs.resize(padded.size, Image.Resampling.BOX), padded)


def _put(image: Image.Image, layer: Image.Image, name: str, pieces: list[Piece]) -> None:
    """Put a layer on the picture and hide what it covers of the pieces below."""
    image.paste(layer, (0, 0), layer)
    alpha = np.asarray(layer)[..., 3].astype(np.float32) / np.float32(255)
    pieces[:] = [Piece(piece.name, (piece.seen * (1 - alpha)).astype(np.float32)) for piece in pieces]
    pieces.append(Piece(name, alpha.astype(np.float32)))


def _ground(chance: random.Random, grounds: list[Path]) -> Image.Image:
    with Image.open(chance.choice(grounds)) as opened:
        whole = opened.convert("RGB")
    factor = chance.uniform(1, 1.6) * max(WIDTH / whole.width, HEIGHT / whole.height)
    whole = whole.resize((round(whole.width * factor) + 1, round(whole.height * factor) + 1), Image.Resampling.LANCZOS)
    left, top = chance.randint(0, whole.width - WIDTH), chance.randint(0, whole.height - HEIGHT)
    return whole.crop((left, top, left + WIDTH, top + HEIGHT))


def _drawing(chance: random.Random, drawings: list[Path]) -> tuple[str, Image.Image]:
    """Return the name of a drawing that is a thing, and the drawing at a size between a third and two thirds."""
    while True:
        path = chance.choice(drawings)
        with Image.open(path) as opened:
            drawing = opened.convert("RGBA")
        drawing = drawing.crop(drawing.getchannel("A").getbbox() or (0, 0, 1, 1))
        share = float((np.asarray(drawing)[..., 3] > 128).mean())
        if min(drawing.size) < 120 or not 0.25 < share < 0.95:
            continue
        factor = chance.uniform(0.35, 0.65) * HEIGHT / max(drawing.size)
        size = (max(1, round(drawing.width * factor)), max(1, round(drawing.height * factor)))
        return path.stem, drawing.resize(size, Image.Resampling.LANCZOS)


def _type(chance: random.Random) -> Image.Image:
    layer = Image.new("RGBA", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(layer)
    font = ImageFont.load_default(chance.randint(48, 92))
    text = chance.choice(WORDS)
    left, _, right, bottom = pen.textbbox((0, 0), text, font=font)
    x, y = chance.randint(10, max(10, WIDTH - int(right - left) - 10)), chance.randint(10, HEIGHT - int(bottom) - 10)
    color = chance.choice([(255, 255, 255), (20, 20, 20), (250, 210, 40), (200, 30, 40), (30, 70, 180)])
    stroke = chance.choice([0, 0, 3])
    edge = (0, 0, 0) if sum(color) > 300 else (255, 255, 255)
    pen.text((x - left, y), text, font=font, fill=color, stroke_width=stroke, stroke_fill=edge)
    return layer


def _pixels(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height

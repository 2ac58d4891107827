"""Pictures of lettering as they are found: compressed, or enlarged with a sharpening halo; what is behind is known."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tests.kit.scenes.outlines import SAMPLES, Mask, join, stroke
from tests.kit.scenes.textures import fractal

Floats = NDArray[np.floating]

WORDS = ("SALE 50% OFF", "Open Air", "BOARD", "PAPA Dog", "Quadrat 8", "egg & bread", "A B R 6 9", "Today")
SIZES = (12, 16, 24, 36, 60, 96, 140, 200)
FONTS = ("", "", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSans-ExtraLight.ttf", "LiberationMono-Regular.ttf")
"""Pillow's own font, and others where they are installed."""
STROKES = {
    "口": (((0.1, 0.1, 0.9, 0.9), "box"),),
    "日": (((0.2, 0.05, 0.8, 0.95), "box"), ((0.2, 0.5, 0.8, 0.5), "line")),
    "田": (((0.1, 0.1, 0.9, 0.9), "box"), ((0.1, 0.5, 0.9, 0.5), "line"), ((0.5, 0.1, 0.5, 0.9), "line")),
    "中": (((0.1, 0.25, 0.9, 0.65), "box"), ((0.5, 0, 0.5, 1), "line")),
    "王": tuple(((a, b, c, d), "line") for a, b, c, d in
                ((0.1, 0.1, 0.9, 0.1), (0.15, 0.5, 0.85, 0.5), (0.05, 0.95, 0.95, 0.95), (0.5, 0.1, 0.5, 0.95))),
    "回": (((0.05, 0.05, 0.95, 0.95), "box"), ((0.32, 0.32, 0.68, 0.68), "box")),
}  # fmt: skip
"""Han characters of straight strokes, drawn here because no font for them is on every machine."""
CODECS = ("png", "jpeg 4:4:4", "jpeg 4:2:0", "jpeg 4:2:0", "webp", "enlarged")
GROUNDS = ("flat", "flat", "gradient", "grain", "paper")


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A picture (`image`, RGB), the ground behind its lettering (height, width, 3) in levels, the lettering's coverage
    (height, width) 0–1, and where the ground is seen through a letter's `holes`."""

    name: str
    image: Image.Image
    ground: Floats
    mask: Floats
    holes: NDArray[np.bool_]


def make_printed(seed: int) -> Printed:
    """Return the picture of a seed."""
    rng = np.random.default_rng([seed, 12])
    size = int(SIZES[rng.integers(len(SIZES))])
    kind, codec = str(rng.choice(GROUNDS)), str(rng.choice(CODECS))
    mask = _text(rng, size)
    low, ink = _colors(rng)
    ground = _ground(rng, kind, (mask.shape[1], mask.shape[0]), low)
    picture = ground + (ink - ground) * mask[..., None]
    image, quality = _coded(rng, codec, np.rint(picture.clip(0, 255)).astype(np.uint8))
    if codec == "enlarged":
        shape = (image.width, image.height)
        ground = np.asarray(cv2.resize(ground, shape, interpolation=cv2.INTER_CUBIC), np.float32)
        mask = np.asarray(cv2.resize(mask, shape, interpolation=cv2.INTER_CUBIC), np.float32).clip(0, 1)
    name = f"{seed}: {size} px, {kind}, {codec}{quality}"
    return Printed(name=name, image=image, ground=ground, mask=mask, holes=_holes(mask))


def _text(rng: np.random.Generator, size: int) -> Mask:
    han = rng.random() < 0.3
    if han:
        glyphs = rng.choice(list(STROKES), max(2, min(6, 560 // size)))
        width, height = int(size * 1.15 * len(glyphs)) + 90, size + 110
        return _han((max(width, 320), max(height, 240)), glyphs.tolist(), size, rng.uniform(0.06, 0.14))
    words = str(rng.choice(WORDS))
    font, bold = _font(rng, size * SAMPLES), float(rng.choice([0, 0, 0.04]))
    words = words[: max(2, int(1100 / (0.6 * size)))].strip()
    left, top, right, bottom = (value / SAMPLES for value in font.getbbox(words))
    width, height = max(int(right - left) + 120, 320), max(int(bottom - top) + 110, 240)
    sheet = Image.new("L", (width * SAMPLES, height * SAMPLES))
    ImageDraw.Draw(sheet).text(
        (sheet.width / 2, sheet.height / 2), words, 255, font, "mm", stroke_width=bold * size * SAMPLES
    )
    return np.asarray(sheet.reduce(SAMPLES), np.float32) / np.float32(255)


def _font(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    name = FONTS[int(rng.integers(len(FONTS)))]
    try:
        return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return ImageFont.load_default(size)


def _han(shape: tuple[int, int], glyphs: list[str], size: int, pen: float) -> Mask:
    masks = []
    left = (shape[0] - size * 1.15 * len(glyphs)) / 2
    for number, glyph in enumerate(glyphs):
        origin = np.array([left + size * 1.15 * number, (shape[1] - size) / 2])
        for (a, b, c, d), kind in STROKES[glyph]:
            corners = [(a, b), (c, b), (c, d), (a, d), (a, b)] if kind == "box" else [(a, b), (c, d)]
            masks.append(stroke(shape, pen * size, origin + size * np.array(corners)))
    return join(*masks)


def _colors(rng: np.random.Generator) -> tuple[Floats, Floats]:
    while True:
        low, ink = rng.uniform(0, 255, (2, 3)).astype(np.float32)
        if rng.random() < 0.4:
            shades = (240, 20) if rng.random() < 0.5 else (18, 245)
            low, ink = (shade + rng.uniform(-15, 15, 3).astype(np.float32) for shade in shades)
        luma = np.array([0.3, 0.59, 0.11], np.float32)
        if abs(float((low - ink) @ luma)) > 45 and np.linalg.norm(low - ink) > 90:
            return low.clip(0, 255), ink.clip(0, 255)


def _ground(rng: np.random.Generator, kind: str, size: tuple[int, int], color: Floats) -> Floats:
    plain = np.broadcast_to(color, (size[1], size[0], 3)).astype(np.float32)
    if kind == "gradient":
        x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
        turn = rng.uniform(0, 2 * np.pi)
        along = (x * np.cos(turn) + y * np.sin(turn)).astype(np.float32)
        return (plain + along[..., None] * rng.uniform(-28, 28, 3).astype(np.float32)).clip(0, 255)
    if kind == "grain":
        return (plain + rng.normal(0, rng.uniform(1.5, 4), (*plain.shape[:2], 1))).clip(0, 255).astype(np.float32)
    if kind == "paper":
        uneven = (fractal(size, rng, 6) - 0.5) * 14 + rng.normal(0, 2, size[::-1])
        fibres = cv2.GaussianBlur(rng.normal(0, 1, size[::-1]), (0, 0), sigmaX=4, sigmaY=0.6) * 6
        return (plain + (uneven + fibres)[..., None]).clip(0, 255).astype(np.float32)
    return plain


def _coded(rng: np.random.Generator, codec: str, pixels: NDArray[np.uint8]) -> tuple[Image.Image, str]:
    image, file = Image.fromarray(pixels, "RGB"), io.BytesIO()
    quality = int(rng.integers(50, 96))
    if codec.startswith("jpeg"):
        image.save(file, "JPEG", quality=quality, subsampling=0 if codec.endswith("4:4:4") else 2)
    elif codec == "webp":
        image.save(file, "WEBP", quality=quality)
    elif codec == "enlarged":
        scale = rng.uniform(1.5, 2.5)
        large = (round(image.width * scale), round(image.height * scale))
        image = image.resize(large, Image.Resampling.LANCZOS)
        return image.filter(ImageFilter.UnsharpMask(1.5, int(rng.integers(0, 120)), 2)), f" {scale:.1f}×"
    else:
        return image, ""
    return Image.open(file).convert("RGB"), f" q{quality}"


def _holes(mask: Floats) -> NDArray[np.bool_]:
    """Return the ground inside letters, well clear of their soft edges."""
    _, parts = cv2.connectedComponents((mask < 0.02).astype(np.uint8), connectivity=4)
    clear = cv2.erode((mask < 0.02).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outside = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return clear & (parts > 0) & ~np.isin(parts, outside)

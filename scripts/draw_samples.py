"""Draw the sample pictures of the page: `python scripts/draw_samples.py [FOLDER]`.

Every picture is drawn three times as large as it is saved, which smooths its edges. The text is in the font that
comes with Pillow, so that the files are the same on every machine. POV-Ray renders the still life, in some minutes;
without it that one stays as it is.
"""

import math
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SCALE = 3
Point = tuple[float, float]


class Scene:
    """A picture of `width` × `height` pixels; every coordinate below is in those, whatever the drawing scale."""

    def __init__(self, width: int, height: int, stops: Sequence[str]) -> None:
        self.width, self.height = width, height
        self.image = gradient(width * SCALE, height * SCALE, stops)

    def shape(
        self, color: str, draw: Callable[[ImageDraw.ImageDraw], None], *, blur: float = 0, alpha: float = 255
    ) -> None:
        """Fill what `draw` paints white with a color; `blur` is a radius in pixels."""
        mask = Image.new("L", self.image.size)
        draw(ImageDraw.Draw(mask))
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * SCALE))
        self.image.paste(
            Image.new("RGB", self.image.size, color),
            mask=mask.point([int(value * alpha // 255) for value in range(256)]),
        )

    def polygon(self, color: str, points: Sequence[Point], **how: float) -> None:
        self.shape(color, lambda pen: pen.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=255), **how)

    def disc(self, color: str, x: float, y: float, radius: float, *, stretch: float = 1, **how: float) -> None:
        """Draw a circle, or an ellipse `stretch` times as high as it is wide."""
        box = [
            (x - radius) * SCALE,
            (y - radius * stretch) * SCALE,
            (x + radius) * SCALE,
            (y + radius * stretch) * SCALE,
        ]
        self.shape(color, lambda pen: pen.ellipse(box, fill=255), **how)

    def box(
        self, color: str, x: float, y: float, width: float, height: float, *, radius: float = 0, **how: float
    ) -> None:
        corners = [x * SCALE, y * SCALE, (x + width) * SCALE - 1, (y + height) * SCALE - 1]
        self.shape(color, lambda pen: pen.rounded_rectangle(corners, radius * SCALE, fill=255), **how)

    def line(self, color: str, points: Sequence[Point], width: float) -> None:
        path = [(x * SCALE, y * SCALE) for x, y in points]
        self.shape(color, lambda pen: pen.line(path, fill=255, width=round(width * SCALE), joint="curve"))

    def text(
        self, color: str, x: float, y: float, text: str, size: float, *, anchor: str = "la", weight: float = 0
    ) -> None:
        font = ImageFont.load_default(size * SCALE)
        place = (x * SCALE, y * SCALE)
        stroke = weight * SCALE
        self.shape(color, lambda pen: pen.text(place, text, fill=255, font=font, anchor=anchor, stroke_width=stroke))

    def save(self, path: Path) -> None:
        small = self.image.resize((self.width, self.height), Image.Resampling.LANCZOS)
        small.save(path, "WEBP", quality=92, method=6)


def gradient(width: int, height: int, stops: Sequence[str]) -> Image.Image:
    """Return a picture that runs through the colors from top to bottom."""
    colors = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], np.float64)
    where = np.linspace(0, len(stops) - 1, height)
    rows = np.stack([np.interp(where, range(len(stops)), channel) for channel in colors.T], axis=-1)
    return Image.fromarray(np.repeat(np.rint(rows).astype(np.uint8)[:, None], width, axis=1), "RGB")


def ridge(width: int, base: float, swing: float, waves: Sequence[tuple[float, float]]) -> list[Point]:
    """Return the outline of hills: `waves` are (periods over the width, phase) pairs, each half as high as the last."""
    points = []
    for x in range(-8, width + 9, 4):
        lift = sum(math.sin(2 * math.pi * n * x / width + phase) / 2**i for i, (n, phase) in enumerate(waves))
        points.append((x, base - swing * lift))
    return points


def below(points: Sequence[Point], height: float) -> list[Point]:
    return [*points, (points[-1][0], height + 8), (points[0][0], height + 8)]


def peaks(width: int, base: float, tops: Sequence[Point]) -> list[Point]:
    return [(-8, base), *tops, (width + 8, base)]


def house_and_garden() -> Scene:
    scene = Scene(1024, 768, ["#6ec3f4", "#bfe6fb", "#f6f3dc"])
    scene.disc("#ffe9a3", 838, 132, 110, blur=34, alpha=190)
    scene.disc("#ffd34d", 838, 132, 58)
    for x, y, size in ((180, 138, 1.0), (500, 88, 0.7)):
        for dx, dy, radius in ((-62, 12, 34), (-20, -8, 46), (34, 0, 38), (70, 16, 26)):
            scene.disc("#ffffff", x + dx * size, y + dy * size, radius * size)
        scene.box("#ffffff", x - 96 * size, y + 8 * size, 192 * size, 38 * size, radius=19 * size)
    scene.polygon("#9bcf86", below(ridge(1024, 470, 46, ((1.1, 0.4), (2.3, 1.2))), 768))
    scene.polygon("#74b864", below(ridge(1024, 540, 30, ((0.8, 3.0), (1.9, 0.1))), 768))
    _house(scene)
    _tree(scene)
    scene.polygon("#4f9d4c", below(ridge(1024, 664, 12, ((1.3, 0.9), (3.1, 2.0))), 768))
    scene.polygon("#ecd9b0", [(508, 648), (560, 648), (640, 776), (420, 776)])
    _fence(scene)
    _flowers(scene)
    return scene


def _house(scene: Scene) -> None:
    scene.box("#2f6f3a", 330, 632, 420, 36, blur=14, alpha=120)
    scene.box("#fff4e3", 356, 392, 360, 262)
    scene.box("#f1dfc4", 356, 392, 360, 26)
    scene.box("#8c3b2e", 622, 252, 46, 110)
    scene.box("#a64a39", 616, 246, 58, 18, radius=3)
    scene.polygon("#d8573f", [(312, 400), (536, 228), (760, 400)])
    scene.polygon("#b94631", [(312, 400), (760, 400), (744, 388), (328, 388)])
    scene.box("#7a4b2c", 492, 512, 86, 142, radius=6)
    scene.box("#94603b", 502, 522, 66, 122, radius=4)
    scene.disc("#f2c14e", 558, 586, 5)
    for x in (396, 610):
        scene.box("#7a4b2c", x - 7, 453, 84, 88, radius=5)
        scene.box("#bfe7f7", x, 460, 70, 74)
        scene.polygon("#e2f5fc", [(x, 460), (x + 42, 460), (x, 508)])
        scene.box("#ffffff", x + 32, 460, 6, 74)
        scene.box("#ffffff", x, 494, 70, 6)
    scene.disc("#7a4b2c", 536, 336, 33)
    scene.disc("#bfe7f7", 536, 336, 25)


def _tree(scene: Scene) -> None:
    scene.disc("#2f6f3a", 176, 664, 100, stretch=0.16, blur=10, alpha=130)
    scene.polygon("#7b5230", [(160, 664), (168, 470), (190, 470), (202, 664)])
    for dx, dy, radius, color in (
        (-52, 0, 72, "#357d3c"),
        (56, -6, 76, "#357d3c"),
        (0, -72, 88, "#3f8f46"),
        (-40, -44, 62, "#4a9f50"),
        (34, -84, 46, "#58b05c"),
    ):
        scene.disc(color, 180 + dx, 440 + dy, radius)
    for dx, dy in ((-70, 10), (-20, -40), (40, -10), (70, -52), (10, -110), (-58, -60), (28, 36)):
        scene.disc("#e6453c", 180 + dx, 440 + dy, 11)
        scene.disc("#ff8a70", 177 + dx, 436 + dy, 4)


def _fence(scene: Scene) -> None:
    for start, count in ((716, 8), (20, 9)):
        scene.box("#f7f2e8", start - 8, 640, count * 40 + 4, 10)
        scene.box("#f7f2e8", start - 8, 676, count * 40 + 4, 10)
        for i in range(count):
            x = start + i * 40
            scene.polygon("#ffffff", [(x, 706), (x, 622), (x + 11, 608), (x + 22, 622), (x + 22, 706)])


def _flowers(scene: Scene) -> None:
    chance = random.Random(7)
    for i in range(26):
        x = chance.uniform(16, 400) if i % 2 else chance.uniform(660, 1008)
        y = chance.uniform(716, 748)
        color = ("#ff5d8f", "#ffd23f", "#ffffff", "#8f6bff")[i % 4]
        scene.line("#2f7d3a", [(x, y), (x + 1, y + 30)], 3)
        for turn in range(5):
            angle = turn * 2 * math.pi / 5
            scene.disc(color, x + 8 * math.cos(angle), y + 8 * math.sin(angle), 6.5)
        scene.disc("#f29d38", x, y, 5)


def poster() -> Scene:
    scene = Scene(768, 1024, ["#f6ead2", "#f6ead2"])
    scene.disc("#f2683c", 384, 452, 268)
    for i in range(4):
        scene.box("#f6ead2", 0, 470 + i * 34, 768, 5 + i * 3)
    scene.polygon("#14505c", below(ridge(768, 640, 34, ((1.0, 0.3), (2.0, 1.4))), 806))
    scene.polygon("#0d3a45", below(ridge(768, 716, 22, ((1.4, 2.2), (2.6, 0.4))), 806))
    scene.box("#f6ead2", 0, 806, 768, 218)
    scene.polygon("#fffaf0", [(420, 690), (420, 360), (566, 690)])
    scene.polygon("#f3c33c", [(404, 690), (404, 420), (296, 690)])
    scene.box("#5b2b1d", 407, 344, 9, 376, radius=4)
    scene.polygon("#b3392a", [(272, 706), (590, 706), (540, 762), (322, 762)])
    scene.polygon("#8d2a20", [(290, 726), (573, 726), (540, 762), (322, 762)])
    for x, y in ((150, 190), (166, 262), (610, 168)):
        scene.line("#0d3a45", [(x - 26, y - 8), (x - 8, y - 14), (x, y), (x + 8, y - 14), (x + 26, y - 8)], 5)
    scene.text("#0d3a45", 384, 874, "OPEN WATER", 88, anchor="mm", weight=2)
    scene.text("#b3392a", 384, 950, "A SUMMER OF SMALL VOYAGES", 29, anchor="mm", weight=0.4)
    scene.box("#0d3a45", 60, 60, 648, 4)
    scene.text("#0d3a45", 60, 84, "No. 4", 30, weight=0.4)
    scene.text("#0d3a45", 708, 84, "July", 30, anchor="ra", weight=0.4)
    return scene


def night_camp() -> Scene:
    scene = Scene(1024, 704, ["#0b1036", "#27226b", "#6b3f93", "#e2789a"])
    chance = random.Random(3)
    for _ in range(120):
        x, y = chance.uniform(0, 1024), chance.uniform(0, 330)
        scene.disc("#fff6e0", x, y, chance.choice((0.9, 1.2, 1.7)), alpha=chance.randint(110, 255))
    scene.disc("#f8e7c3", 770, 138, 96, blur=30, alpha=110)
    scene.disc("#fdf1d3", 770, 138, 56)
    for dx, dy, radius in ((-18, -14, 11), (14, 10, 15), (20, -24, 7), (-12, 24, 6)):
        scene.disc("#ecd9ae", 770 + dx, 138 + dy, radius)
    far = ((90, 330), (180, 382), (300, 270), (410, 370), (520, 300), (640, 392), (760, 320), (880, 390), (980, 336))
    scene.polygon("#56398a", [*peaks(1024, 420, far), (1032, 712), (-8, 712)])
    near = ((60, 470), (190, 380), (330, 486), (470, 414), (600, 500), (740, 420), (900, 500))
    scene.polygon("#38276b", [*peaks(1024, 480, near), (1032, 712), (-8, 712)])
    for x, y in ((190, 380), (470, 414), (740, 420)):
        scene.polygon(
            "#e9d8f2", [(x, y), (x - 30, y + 25), (x - 12, y + 22), (x, y + 34), (x + 14, y + 20), (x + 34, y + 27)]
        )
    scene.polygon("#201a4c", below(ridge(1024, 560, 18, ((0.9, 0.6), (2.2, 1.8))), 704))
    for i in range(17):
        _pine(scene, 20 + i * 62 + chance.uniform(-14, 14), 590, chance.uniform(70, 132), "#17133b")
    scene.polygon("#100d2b", below(ridge(1024, 634, 10, ((1.2, 0.2), (2.9, 1.1))), 704))
    scene.disc("#ffb45c", 350, 624, 128, stretch=0.5, blur=36, alpha=150)
    scene.polygon("#f0813a", [(236, 642), (344, 512), (470, 642)])
    scene.polygon("#c75a22", [(344, 512), (470, 642), (404, 642)])
    scene.polygon("#ffe2a0", [(300, 642), (344, 540), (386, 642)])
    scene.polygon("#6e2d16", [(338, 642), (344, 540), (352, 642)])
    scene.line("#f7c9a0", [(344, 512), (344, 498)], 4)
    return scene


def _pine(scene: Scene, x: float, base: float, height: float, color: str) -> None:
    for i, share in enumerate((0.0, 0.26, 0.5)):
        half = height * (0.15 + 0.07 * i)
        top = base - height + share * height
        scene.polygon(color, [(x, top), (x - half, top + height * 0.44), (x + half, top + height * 0.44)])
    scene.box(color, x - 4, base - 12, 8, 40)


def still_life() -> Scene:
    """Render `still_life.pov`, and set a title on its wall."""
    scene = Scene(1024, 768, ["#000000", "#000000"])
    source = Path(__file__).with_name("still_life.pov")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rendered.png")
        options = [f"+W{scene.width}", f"+H{scene.height}", "+A0.2", "+AM2", "+R2", "-D", f"+O{path}"]
        subprocess.run(["povray", str(source), *options], check=True, capture_output=True)
        scene.image = Image.open(path).convert("RGB").resize(scene.image.size, Image.Resampling.LANCZOS)
    scene.text("#fbf3e2", 512, 118, "SLOW MORNING", 84, anchor="mm", weight=1.5)
    return scene


SAMPLES: dict[str, Callable[[], Scene]] = {
    "house": house_and_garden,
    "poster": poster,
    "night": night_camp,
    "still_life": still_life,
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "static" / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in SAMPLES.items():
        if draw is still_life and shutil.which("povray") is None:
            print("still_life needs povray, which is not installed")
            continue
        path = folder / f"{name}.webp"
        draw().save(path)
        print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

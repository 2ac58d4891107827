"""Make the pictures of docs/gallery.md: what the classical engine makes of the page's own samples.

usage: python -m scripts.gallery [FOLDER]   # default: docs/images/gallery; takes two minutes on two cores

Nothing is chosen by hand: every sample is there, with the default number of layers and one seed.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from llm_dit import ClassicalPipeline

ROOT = Path(__file__).parents[1]
SAMPLES = ("house", "poster", "still_life", "night")
SEED = 1
LAYERS = 4
HEIGHT, GAP = 240, 8
"""Pixels of each picture in a row, and between two."""
LIGHT, DARK, SQUARE = "#ffffff", "#dddde4", 8
EDITS = {
    "house": (4, ("Change the color to blue", "Make it look like night", "Add a warm glow", "Make it look vintage")),
    "poster": (
        2,
        ("Change the color to teal", "Make it look like gold", "Make it black and white", "Make it 50% darker"),
    ),
}
"""The layer of a sample that is edited, 1 at the bottom, and the instructions."""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    engine = ClassicalPipeline()
    for name in SAMPLES:
        picture = Image.open(ROOT / "static" / "samples" / f"{name}.webp").convert("RGBA")
        layers = engine.decompose(picture, layer_num=LAYERS, output_size="original", seed=SEED)
        save(row([picture, *layers[1:]]), folder / f"{name}.webp")
        if name in EDITS:
            index, instructions = EDITS[name]
            edited = [engine.edit_layer(layers[index], instruction, seed=SEED) for instruction in instructions]
            save(row([layers[index], *edited]), folder / f"{name}_edits.webp")
        print(name)


def row(pictures: list[Image.Image]) -> Image.Image:
    """Return pictures side by side on a checkerboard, all of the same height."""
    sizes = [(round(picture.width * HEIGHT / picture.height), HEIGHT) for picture in pictures]
    width = sum(size[0] for size in sizes) + GAP * (len(sizes) - 1)
    sheet = Image.new("RGBA", (width, HEIGHT))
    left = 0
    for picture, size in zip(pictures, sizes, strict=True):
        small = picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
        ground = checkerboard(size)
        ground.paste(small, mask=small.getchannel("A"))
        sheet.paste(ground, (left, 0))
        left += size[0] + GAP
    return sheet


def checkerboard(size: tuple[int, int]) -> Image.Image:
    ground = Image.new("RGB", size, LIGHT)
    draw = ImageDraw.Draw(ground)
    for top in range(0, size[1], SQUARE):
        for left in range(top // SQUARE % 2 * SQUARE, size[0], 2 * SQUARE):
            draw.rectangle((left, top, left + SQUARE - 1, top + SQUARE - 1), fill=DARK)
    return ground


def save(sheet: Image.Image, file: Path) -> None:
    sheet.save(file, quality=85, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "gallery")

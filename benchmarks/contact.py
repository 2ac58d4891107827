"""Contact sheets: rows of a picture and its layers, for looking at."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

CELL = 150
CAPTION = 14


def contact_sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Return one RGB sheet with a captioned row of thumbnails for each entry; transparency shows a checkerboard."""
    columns = max(len(images) for _, images in rows)
    sheet = Image.new("RGB", (columns * (CELL + 4), len(rows) * (CELL + CAPTION + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (caption, images) in enumerate(rows):
        top = row * (CELL + CAPTION + 4)
        draw.text((2, top), caption, fill="black")
        for column, image in enumerate(images):
            sheet.paste(_thumbnail(image), (column * (CELL + 4), top + CAPTION))
    return sheet


def _thumbnail(image: Image.Image) -> Image.Image:
    small = image.convert("RGBA")
    small.thumbnail((CELL, CELL))
    y, x = np.mgrid[0 : small.height, 0 : small.width]
    board = Image.fromarray(np.where((x // 8 + y // 8) % 2, 205, 245).astype(np.uint8)).convert("RGBA")
    return Image.alpha_composite(board, small).convert("RGB")

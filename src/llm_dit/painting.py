"""A picture of any number of layers, painted in bands: at no time is more than one layer in memory.

Layers come one after another. What each shows of the canvas goes into a temporary file as plain pixels, four bytes
each; a band of the picture is made of the rows that it needs of them. The arithmetic is that of `compositing.py`, in
32-bit floats from the first layer to the last, so the picture is that of `layers.composite`, to the byte.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from llm_dit.blending import BlendMode, Planes
from llm_dit.colour import Colour
from llm_dit.compositing import Pixels, bands, over, premultiply, to_pixels, to_planes
from llm_dit.layer import Box, Layer

CLEAR: Colour = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one layer shows of the canvas, and where its rows are in the file."""

    offset: int
    box: Box
    opacity: float
    blend: BlendMode


class Painting:
    """A canvas of `width` × `height` pixels over a background color; to be used as a context."""

    def __init__(self, width: int, height: int, background: Colour | None = None) -> None:
        self.width = width
        self.height = height
        self._ground = premultiply(to_planes(np.array([[background or CLEAR]], np.uint8)))
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the context
        self._parts: list[_Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, layer: Layer) -> None:
        """Put a layer over what is there; a hidden one shows nothing."""
        if layer.visible and layer.opacity > 0:
            self._add(layer.baked((0, 0, self.width, self.height)))

    def bands(self) -> Iterator[tuple[slice, Pixels]]:
        """Yield the picture from top to bottom: which rows, and their straight RGBA pixels (rows, width, 4)."""
        for rows in bands(self.width, self.height):
            yield rows, to_pixels(self._planes((0, rows.start, self.width, rows.stop)))

    def picture(self) -> Image.Image:
        """Return the whole of it as RGBA."""
        pixels = np.empty((self.height, self.width, 4), np.uint8)
        for rows, band in self.bands():
            pixels[rows] = band
        return Image.fromarray(pixels, "RGBA")

    def part(self, box: Box) -> Image.Image:
        """Return the part of the picture within a box of the canvas as RGBA."""
        left, top, right, bottom = box
        pixels = np.empty((bottom - top, right - left, 4), np.uint8)
        for rows in bands(right - left, bottom - top):
            pixels[rows] = to_pixels(self._planes((left, top + rows.start, right, top + rows.stop)))
        return Image.fromarray(pixels, "RGBA")

    def flatten(self) -> None:
        """Make one layer of all that is there, of 8 bits a channel, so that painting goes on from it."""
        if len(self._parts) > 1:
            flat = Layer(image=self.picture())
            self._parts.clear()
            self._file.seek(0)
            self._file.truncate()
            self._add(flat)

    def _add(self, plain: Layer) -> None:
        offset = self._file.seek(0, 2)
        for rows in bands(plain.width, plain.height):
            self._file.write(plain.image.crop((0, rows.start, plain.width, rows.stop)).tobytes())
        self._parts.append(_Part(offset=offset, box=plain.box, opacity=plain.opacity, blend=plain.blend))

    def _planes(self, box: Box) -> Planes:
        left, top, right, bottom = box
        planes = np.tile(self._ground, (1, bottom - top, right - left))
        for part in self._parts:
            self._paint(planes, box, part)
        return planes

    def _paint(self, planes: Planes, box: Box, part: _Part) -> None:
        """Put the pixels of a part that lie in a box of the canvas over the planes of that box, in place."""
        left, top, right, bottom = (
            max(box[0], part.box[0]),
            max(box[1], part.box[1]),
            min(box[2], part.box[2]),
            min(box[3], part.box[3]),
        )
        if left >= right or top >= bottom:
            return
        width = part.box[2] - part.box[0]
        self._file.seek(part.offset + 4 * width * (top - part.box[1]))
        rows = np.frombuffer(self._file.read(4 * width * (bottom - top)), np.uint8).reshape(bottom - top, width, 4)
        pixels = rows[:, left - part.box[0] : right - part.box[0]]
        band = planes[:, top - box[1] : bottom - box[1], left - box[0] : right - box[0]]
        over(band, pixels, part.opacity, part.blend)

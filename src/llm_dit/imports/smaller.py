"""Layers of a file that is larger than the limits, brought to the pixels of a smaller canvas."""

import math
from dataclasses import replace

from PIL import Image

from llm_dit.images import BAND_PIXELS, LANCZOS_REACH
from llm_dit.layer import Layer

NEARLY = 6
"""Decimals of a pixel to which two edges are compared."""


def smaller(layer: Layer, canvas: tuple[int, int], to: tuple[int, int]) -> Layer:
    """Return a layer of plain pixels on a canvas (width, height) as it is on a smaller one, and cut to that.

    Where its edges fall between two pixels they become soft. It works band by band, so that what is large is held once.
    """
    across = _Span(layer.x, layer.image.width, canvas[0], to[0])
    down = _Span(layer.y, layer.image.height, canvas[1], to[1])
    if min(across.count, down.count) < 1:
        return replace(layer, image=Image.new("RGBA", (1, 1)), x=0, y=0)
    shown = Image.new("RGBA", (across.count, down.count))
    left, right = across.needed(0, across.count)
    rows = max(1, int(BAND_PIXELS / (right - left) / down.step))
    for first in range(0, down.count, rows):
        last = min(first + rows, down.count)
        top, bottom = down.needed(first, last)
        # What lies outside of a picture is clear when it is cut.
        part = layer.image.crop((left, top, right, bottom))
        box = (
            max(across.at(0) - left, 0),
            max(down.at(first) - top, 0),
            min(across.at(across.count) - left, part.width),
            min(down.at(last) - top, part.height),
        )
        shown.paste(part.resize((across.count, last - first), Image.Resampling.LANCZOS, box), (0, first))
    return replace(layer, image=shown, x=across.first, y=down.first)


class _Span:
    """A layer along one side: the `count` pixels of the smaller canvas that it touches, from the `first` one on."""

    def __init__(self, start: int, length: int, canvas: int, to: int) -> None:
        self.step = canvas / to
        self.first = max(0, math.floor(round(start / self.step, NEARLY)))
        self.count = min(to, math.ceil(round((start + length) / self.step, NEARLY))) - self.first
        self._start = start
        self._length = length
        self._reach = math.ceil(LANCZOS_REACH * self.step) + 1

    def at(self, pixel: int) -> float:
        """Return where one of these pixels begins, counted in the layer's own from its edge."""
        return round((self.first + pixel) * self.step - self._start, NEARLY)

    def needed(self, first: int, last: int) -> tuple[int, int]:
        """Return the layer's own pixels, from and to, of which some of these are made; a few beyond it when it ends
        within a pixel."""
        begin, end = math.floor(self.at(first)), math.ceil(self.at(last))
        lowest, highest = min(0, math.floor(self.at(0))), max(self._length, math.ceil(self.at(self.count)))
        return max(lowest, begin - self._reach), min(highest, end + self._reach)

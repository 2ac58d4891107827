"""Stacks of layers, bottom first, and their compositing, at once or layer by layer."""

import functools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.color import BlendMode, Planes, Rgba, blend
from llm_dit.errors import InputError
from llm_dit.evaluation import Score, score_of
from llm_dit.layer import NO_GROUPS, Box, Group, Groups, GroupSteps, Layer, shows

# The arithmetic of compositing: straight 8-bit pixels over premultiplied planes.
#
# Planes are float32 arrays of (4, height, width), red, green, blue and alpha, all 0–1. The operator is "over" on
# premultiplied colors (Porter and Duff, "Compositing Digital Images", SIGGRAPH 1984), with the source's colors blended
# first, as W3C "Compositing and Blending Level 1" has it: https://www.w3.org/TR/compositing-1/#generalformula.

Pixels = NDArray[np.uint8]

BAND_PIXELS = 32_768
"""Pixels to process at a time, so that intermediate results stay in the CPU's cache."""

HALF_A_LEVEL = 0.5 / 255.0
INVISIBLE = 1e-6
"""An alpha so small that no stack makes it visible again."""


def bands(width: int, height: int) -> Iterator[slice]:
    """Yield the rows of a picture in bands of an efficient size."""
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def to_planes(pixels: Pixels) -> Planes:
    """Return RGBA pixels (height, width, 4) as planes with straight colors."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32) / np.float32(255.0)


def premultiply(planes: Planes) -> Planes:
    """Multiply the colors by alpha, in place."""
    planes[:3] *= planes[3]
    return planes


def to_pixels(planes: Planes) -> Pixels:
    """Return premultiplied planes as straight RGBA pixels; an alpha that rounds to 0 gives transparent black."""
    straight = np.empty_like(planes)
    _straighten(planes, HALF_A_LEVEL, out=straight[:3])
    straight[3] = planes[3]
    return np.rint(straight.clip(0.0, 1.0) * 255.0).astype(np.uint8).transpose(1, 2, 0)


def over(below: Planes, pixels: Pixels, opacity: float = 1.0, mode: BlendMode = "normal") -> None:
    """Composite straight RGBA pixels (height, width, 4) over the premultiplied planes `below`, in place."""
    _over(below, to_planes(pixels), opacity, mode)


def _over(below: Planes, source: Planes, opacity: float, mode: BlendMode) -> None:
    """Composite planes with straight colors over premultiplied ones, both in place."""
    if mode != "normal":
        _blend_in(mode, below, source)
    premultiply(source)
    source *= np.float32(opacity)
    below *= 1.0 - source[3]
    below += source


def over_white(pixels: Pixels) -> Pixels:
    """Return straight RGBA pixels over white, as RGB."""
    alpha = pixels[..., 3:].astype(np.float32) / 255.0
    return np.rint(pixels[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)


def blended(image: Image.Image, backdrop: Image.Image, mode: BlendMode) -> Image.Image:
    """Return the RGBA image whose normal blending over `backdrop`, of the same size, looks like `mode`; alpha stays."""
    below, result = np.asarray(backdrop), np.array(image)
    for rows in bands(image.width, image.height):
        source = to_planes(result[rows])
        _blend_in(mode, premultiply(to_planes(below[rows])), source)
        result[rows, :, :3] = np.rint(source[:3].clip(0.0, 1.0) * 255.0).transpose(1, 2, 0)
    return Image.fromarray(result, "RGBA")


def _blend_in(mode: BlendMode, below: Planes, source: Planes) -> None:
    """Replace straight colors Cs by (1 − αb)·Cs + αb·B(Cb, Cs), in place."""
    backdrop = _straighten(below, INVISIBLE, out=np.empty_like(below[:3]))
    source[:3] += below[3] * (blend(mode, backdrop, source[:3]) - source[:3])


def _straighten(planes: Planes, least: float, *, out: Planes) -> Planes:
    """Write the colors divided by alpha, at most 1; black if alpha is below `least`."""
    out[:] = 0
    np.divide(planes[:3], planes[3], out=out, where=planes[3] >= least)
    return np.minimum(out, 1.0, out=out)


class _Floors:
    """The premultiplied planes below the next layer: the picture's, and those of groups composited by themselves."""

    def __init__(self, ground: Planes, groups: Groups) -> None:
        self._ground = ground
        self._steps = GroupSteps(groups)
        self._open: list[tuple[Group, Planes | None]] = []

    def below(self, label: str) -> Planes:
        """Return the planes for the next layer, which is in the groups of this label; "" means none."""
        closed, begun = self._steps.step(label)
        for _ in range(closed):
            self._close(*self._open.pop())
        self._open += [(group, None if group.passes_through else np.zeros_like(self._ground)) for _, group in begun]
        return self._top

    @property
    def _top(self) -> Planes:
        return next((planes for _, planes in reversed(self._open) if planes is not None), self._ground)

    def _close(self, group: Group, planes: Planes | None) -> None:
        if planes is not None:
            planes[:3] = _straighten(planes, INVISIBLE, out=np.empty_like(planes[:3]))
            _over(self._top, planes, group.opacity, group.mode)


# A picture of any number of layers, painted in bands, with at most one layer in memory.
#
# Each layer's part of the canvas goes into a temporary file as plain pixels, four bytes each; a band of the picture
# reads the rows that it needs. The arithmetic is that of `composite`, in 32-bit floats throughout, so the bytes are the
# same.

CLEAR: Rgba = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A layer's part of the canvas, and the position of its rows in the file."""

    offset: int
    box: Box
    opacity: float
    blend: BlendMode
    group: str


HIDDEN = _Part(offset=0, box=(0, 0, 0, 0), opacity=0.0, blend="normal", group="")


class Painting:
    """A canvas of `width` × `height` pixels over a background color; use it as a context manager."""

    def __init__(self, width: int, height: int, background: Rgba | None = None, *, groups: Groups = NO_GROUPS) -> None:
        self.width = width
        self.height = height
        self._groups = groups
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
        """Add a layer on top; a hidden one is not painted, but can separate two groups with the same name."""
        if shows(layer, self._groups) and layer.opacity > 0:
            self._add(layer.baked((0, 0, self.width, self.height)))
        else:
            self._parts.append(replace(HIDDEN, group=layer.group))

    def bands(self) -> Iterator[tuple[slice, Pixels]]:
        """Yield the picture from top to bottom: row ranges and their straight RGBA pixels (rows, width, 4)."""
        for rows in bands(self.width, self.height):
            yield rows, to_pixels(self._planes((0, rows.start, self.width, rows.stop)))

    def picture(self) -> Image.Image:
        """Return the whole picture as RGBA."""
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
        """Merge everything so far into one layer of 8 bits per channel, and continue on it."""
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
        self._parts.append(
            _Part(offset=offset, box=plain.box, opacity=plain.opacity, blend=plain.blend, group=plain.group)
        )

    def _planes(self, box: Box) -> Planes:
        left, top, right, bottom = box
        planes = np.tile(self._ground, (1, bottom - top, right - left))
        floors = _Floors(planes, self._groups)
        for part in self._parts:
            self._paint(floors.below(part.group), box, part)
        return floors.below("")

    def _paint(self, planes: Planes, box: Box, part: _Part) -> None:
        """Composite the pixels of a part within a box of the canvas over the planes of that box, in place."""
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


COMPOSITE_NAME = "Composite"


class Decomposition(list[Image.Image]):
    """`[composite, bottom, …, top]`, RGBA images of one size, with the seed and prompt that made them.

    `names` has one name per image; `names[0]` is always "Composite". `picture` is the decomposed picture.
    """

    def __init__(
        self,
        layers: Sequence[Image.Image],
        *,
        seed: int,
        prompt: str,
        names: Sequence[str],
        picture: Image.Image | None = None,
    ) -> None:
        if len(names) != len(layers):
            raise ValueError(f"{len(layers)} layers need as many names, not {len(names)}")
        super().__init__([composite(Layer(image=layer) for layer in layers), *layers])
        self.seed = seed
        self.prompt = prompt
        self.names = [COMPOSITE_NAME, *names]
        self._picture = picture

    @functools.cached_property
    def score(self) -> Score | None:
        """How well the layers rebuild the picture, and the use of each; None without a `picture`."""
        return self._picture and score_of(self._picture, self[0], self[1:], self.names[1:])


def canvas_size(layers: Sequence[Layer], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return the canvas's width and height in pixels.

    By default it is the smallest canvas that starts at (0, 0) and contains every layer, including hidden ones, so that
    hiding a layer never changes the size. Raises `InputError` for an empty canvas.
    """
    return canvas_of([layer.box for layer in layers], width, height)


def canvas_of(boxes: Sequence[Box], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """Return `canvas_size` for layers with these boxes."""
    width = max((box[2] for box in boxes), default=0) if width is None else width
    height = max((box[3] for box in boxes), default=0) if height is None else height
    if width < 1 or height < 1:
        raise InputError(
            "No layer lies on the canvas: set a width and a height of at least 1 pixel, or move a layer.",
            param="layers",
        )
    return width, height


def composite(
    layers: Iterable[Layer],
    width: int | None = None,
    height: int | None = None,
    background: Rgba | None = None,
    groups: Groups = NO_GROUPS,
) -> Image.Image:
    """Composite layers, bottom first, and return one RGBA image.

    The canvas is `width` × `height` pixels, or that of `canvas_size`; parts outside are cropped. `background` is a
    color below everything; without one the canvas is transparent. `groups` has the appearance of groups, by label. The
    computation uses 32-bit floats throughout. Raises `InputError` if there is neither a layer nor a size.
    """
    stack = list(layers)
    width, height = canvas_size(stack, width, height)
    canvas = (0, 0, width, height)
    baked = [layer.baked(canvas) if shows(layer, groups) and layer.opacity > 0 else None for layer in stack]
    ground = premultiply(to_planes(np.array([[background or (0, 0, 0, 0)]], np.uint8)))
    pixels = np.empty((height, width, 4), np.uint8)
    for rows in bands(width, height):
        floors = _Floors(np.tile(ground, (1, rows.stop - rows.start, width)), groups)
        for layer, plain in zip(stack, baked, strict=True):
            below = floors.below(layer.group)
            if plain is not None:
                _paint(below, rows, plain)
        pixels[rows] = to_pixels(floors.below(""))
    return Image.fromarray(pixels, "RGBA")


def _paint(planes: Planes, rows: slice, layer: Layer) -> None:
    """Composite the rows of a rendered layer within a band of the canvas over that band, in place."""
    left, top, right, bottom = layer.box
    first, last = max(top, rows.start), min(bottom, rows.stop)
    if first < last:
        pixels = np.asarray(layer.image.crop((0, first - top, layer.width, last - top)))
        over(planes[:, first - rows.start : last - rows.start, left:right], pixels, layer.opacity, layer.blend)

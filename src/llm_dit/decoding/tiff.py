"""TIFF: the first directory goes to the decoder with the tags that make pixels; the others are passed by.

Numbers of any width are read by `Values`. Pillow reads what is compressed as a picture (JPEG, fax) and colors of
television; it warns about every damaged tag and follows every directory, and both are for the file's writer to choose.
Raw files of cameras begin as TIFF, with a small preview in front: they are named instead.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source, by_pillow
from llm_dit.decoding.tiff_numbers import (
    ASSOCIATED,
    CHANNELS,
    ICC_LAB,
    INDEXED,
    LAB,
    PACKED,
    PLAIN,
    WHITE_IS_ZERO,
    Directory,
    Layout,
    Numbers,
    Pixels,
    divided,
    eight_bits,
    layout_of,
    numbers_of,
)
from llm_dit.errors import ImageError

# TIFF whose pixels are numbers, row by row: of any width, whole or with a point, in strips or tiles, mixed or apart.
#
# What is packed goes to libtiff as if it were gray of 8 bits, a few strips at a time, so that all that is made of the
# bytes is made here: Pillow lacks most widths, and takes some for others.

AT_ONCE = 4_000_000
"""Bytes that are unpacked at a time, unless one strip or row of tiles has more."""
MAX_PIECE = 160_000_000
"""Unpacked bytes of a strip; the decoder has no use for more."""
CAMERA_RAW = "a camera's raw file: export it from the camera's program as JPEG or TIFF"


class Values:
    """Decodes a picture of numbers; raises `ValueError` or `OSError` for one that is damaged."""

    def __init__(self, directory: Directory, layout: Layout) -> None:
        self._layout, self._directory = layout, directory
        self._width, self._height = directory.number(256), directory.number(257)
        self._tiled = directory.number(322) > 0 and directory.number(323) > 0
        each = directory.number(278) or self._height
        self._piece = (
            (directory.number(322), directory.number(323)) if self._tiled else (self._width, min(each, self._height))
        )
        self._planes = CHANNELS[layout.kind] + (layout.alpha is not None) if layout.apart else 1
        self._row = (self._piece[0] * (1 if layout.apart else layout.samples) * layout.bits + 7) // 8
        self._cut = layout.compression == PLAIN and not self._tiled and self._piece[1] == self._height
        if self._cut:
            self._piece = (self._width, max(1, AT_ONCE // self._row))
        if self._row * self._piece[1] > MAX_PIECE:
            raise ImageError("This TIFF is one piece that is too large to unpack: save it again as PNG.")
        self._palette = _palette(directory, layout.bits) if layout.kind == INDEXED else None
        self._alpha: Image.Image | None = None

    def decode(self, _: tuple[int, int] | None) -> Image.Image:
        """Return the colors; alpha is left to `split`."""
        layout, size = self._layout, (self._width, self._height)
        colors = 3 if self._palette is not None else CHANNELS[layout.kind]
        pixels = np.empty((self._height, self._width, colors), np.uint8)
        alpha = np.empty((self._height, self._width), np.uint8) if layout.alpha else None
        for top, band in self._bands():
            bottom = top + len(band)
            if alpha is not None:
                alpha[top:bottom] = eight_bits(band[..., CHANNELS[layout.kind]], layout)
            pixels[top:bottom] = self._colors(band)
        self._alpha = Image.fromarray(alpha) if alpha is not None else None
        if layout.kind in {LAB, ICC_LAB}:
            image = Image.frombytes("LAB", size, pixels.tobytes())
            return image.convert("RGB")
        if colors == 4:
            return Image.frombuffer("CMYK", size, pixels, "raw", "CMYK", 0, 1)
        return Image.fromarray(pixels if colors == 3 else pixels[..., 0])

    def split(self, image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
        return image, self._alpha

    def _colors(self, band: Numbers) -> Pixels:
        layout = self._layout
        if self._palette is not None:
            return self._palette[band[..., 0]]
        count = CHANNELS[layout.kind]
        colors = divided(band, count, layout) if layout.alpha == ASSOCIATED else eight_bits(band[..., :count], layout)
        if layout.kind == WHITE_IS_ZERO:
            return 255 - colors
        if layout.kind == ICC_LAB:  # Pillow takes a and b for signed
            colors[..., 1:] ^= 128
        return colors

    def _bands(self) -> Iterator[tuple[int, Numbers]]:
        """Yield rows of numbers, height × width × samples, and which row is the first."""
        width, height = self._piece
        across, down = -(-self._width // width), -(-self._height // height)
        offsets, counts = self._pieces(across * down * self._planes)
        step = max(1, AT_ONCE // (self._row * height * across * self._planes))
        for first in range(0, down, step):
            last = min(first + step, down)
            top, bottom = first * height, min(last * height, self._height)
            rows = (last - first) * height if self._tiled else bottom - top
            planes: list[Numbers] = []
            for plane in range(self._planes):
                begin, end = (plane * down + first) * across, (plane * down + last) * across
                unpacked = self._unpacked(offsets[begin:end], counts[begin:end], rows * across)
                numbers = numbers_of(unpacked, self._layout, width, self._directory.order)
                if self._tiled:
                    numbers = numbers.reshape(last - first, across, height, width, -1).swapaxes(1, 2)
                    numbers = numbers.reshape(rows, across * width, -1)
                planes.append(numbers[: bottom - top, : self._width])
            yield top, np.concatenate(planes, axis=-1) if len(planes) > 1 else planes[0]

    def _pieces(self, count: int) -> tuple[list[int], list[int]]:
        """Return where pieces begin and how long they are."""
        offsets = self._directory.numbers(324) or self._directory.numbers(273)
        counts = self._directory.numbers(325) or self._directory.numbers(279)
        if self._cut:  # one piece that need not be unpacked is as good as many
            step = self._row * self._piece[1]
            each = count // self._planes
            offsets = [offset + step * number for offset in offsets[: self._planes] for number in range(each)]
            counts = [step] * len(offsets)
        if len(offsets) < count:
            raise ValueError("cut off")
        if len(counts) < count:  # old writers left them out
            end = len(self._directory.content)
            counts = [end - offset for offset in offsets] if count == 1 or self._layout.compression == PLAIN else []
        if sum(counts[:count]) > 4 * len(self._directory.content) and self._layout.compression != PLAIN:
            raise ValueError("pieces without end")
        if len(counts) < count:
            raise ValueError("cut off")
        return offsets[:count], counts[:count]

    def _unpacked(self, offsets: list[int], counts: list[int], rows: int) -> Pixels:
        """Return the bytes of pieces below one another, `rows` of them."""
        content, height = self._directory.content, self._piece[1]
        reversed_bits = self._directory.number(266) == 2
        if self._layout.compression == PLAIN:
            parts, left = [], rows
            for offset in offsets:
                length = self._row * min(height, left)
                parts.append(content[offset : offset + length])
                if len(parts[-1]) < length:
                    raise ValueError("cut off")
                left -= height
            data = np.frombuffer(b"".join(parts), np.uint8)
            if reversed_bits:
                data = np.packbits(np.unpackbits(data).reshape(-1, 8)[:, ::-1].ravel())
            return data.reshape(rows, self._row)
        file = _as_gray(
            [content[offset : offset + count] for offset, count in zip(offsets, counts, strict=True)],
            (self._row, rows),
            height,
            self._layout.compression,
            reversed_bits,
        )
        with TiffImageFile(io.BytesIO(file)) as image:
            return np.asarray(image).reshape(rows, self._row)


def _as_gray(parts: list[bytes], size: tuple[int, int], height: int, compression: int, reversed_bits: bool) -> bytes:
    """Return a TIFF file of 8-bit gray made of packed strips of `height` rows each."""
    data = b"".join(parts)
    data += bytes(len(data) % 2)
    lengths = [len(part) for part in parts]
    offsets = [8 + sum_ for sum_ in np.cumsum([0, *lengths[:-1]]).tolist()]
    table = 8 + len(data)
    lists = table + 8 * len(parts)
    entries = [
        (256, 4, 1, size[0]),
        (257, 4, 1, size[1]),
        (258, 4, 1, 8),
        (259, 4, 1, compression),
        (262, 4, 1, 1),
        (266, 4, 1, 2 if reversed_bits else 1),
        (273, 4, len(parts), table if len(parts) > 1 else offsets[0]),
        (277, 4, 1, 1),
        (278, 4, 1, height),
        (279, 4, len(parts), table + 4 * len(parts) if len(parts) > 1 else lengths[0]),
    ]
    arrays = np.array(offsets + lengths, "<u4").tobytes()
    fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", lists) + data + arrays + struct.pack("<H", len(entries)) + fields + bytes(4)


def _palette(directory: Directory, bits: int) -> Pixels:
    """Return the colors of an indexed picture; those of 8 bits, which some write, are told by having no more."""
    numbers, length = directory.numbers(320), 1 << bits
    if len(numbers) < 3 * length:
        raise ValueError("no palette")
    table = np.array(numbers[: 3 * length], np.uint16).reshape(3, length).T
    return np.ascontiguousarray(table >> 8 if table.max() > 255 else table).astype(np.uint8)


_WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 256, 257, 262, 274
_TILE_WIDTH, _TILE_HEIGHT, _SUBDIRECTORIES, _PROFILE, _DNG = 322, 323, 330, 34675, 50706
_KEPT = {
    *(254, _WIDTH, _HEIGHT, 258, 259, _PHOTOMETRIC, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293),
    *(317, 320, _TILE_WIDTH, _TILE_HEIGHT, 324, 325, 332, 338, 339, 347, *range(512, 522), *range(529, 533)),
}
"""Without orientation, by which Pillow would turn the picture itself."""
_BITS, _COMPRESSION, _PLANES, _SUBSAMPLING = 258, 259, 284, 530
_JPEG, _OLD_JPEG, _TELEVISION = 7, 6, 6
_FAX = {2, 3, 4}
_SENSOR = {32803, 34892}
"""Kinds of pixels that a sensor gives: a color filter's mosaic, linear raw."""
MAX_DIRECTORIES = 16
MAX_TILE = 4_194_304
"""Pixels of a tile in a picture that is smaller."""


def open_tiff(content: bytes) -> Source:
    """Return the first picture in a TIFF file; raises `ImageError` for a camera's raw file and kinds not read."""
    directory = Directory(content)
    _check_kind(content, directory)
    width, height = directory.number(_WIDTH), directory.number(_HEIGHT)
    if not width or not height:
        raise ValueError("no size")
    if directory.number(_TILE_WIDTH) * directory.number(_TILE_HEIGHT) > max(4 * width * height, MAX_TILE):
        raise ValueError("tiles without end")
    profile, turned = directory.data(_PROFILE), directory.number(_ORIENTATION)
    layout = layout_of(directory)
    values = Values(directory, layout) if layout else None
    return Source(
        size=(width, height),
        decode=values.decode if values else by_pillow(_by_pillow(directory)),
        orientation=turned if 1 <= turned <= 8 else 1,
        profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        split=values.split if values else None,
    )


def _by_pillow(directory: Directory) -> TiffImageFile:
    compression, kind, bits = directory.number(_COMPRESSION, 1), directory.number(_PHOTOMETRIC), directory.number(_BITS)
    known = (
        compression in _FAX
        or (compression == _JPEG and bits == 8)
        or (compression == _OLD_JPEG and kind in {2, _TELEVISION})
        or (kind == _TELEVISION and _is_known_television(directory, compression))
    )
    try:
        if known:
            return TiffImageFile(io.BytesIO(directory.alone(_KEPT)))
    except (SyntaxError, KeyError):
        pass
    raise ImageError(
        "This TIFF stores its pixels in a way that is not read here: save it as PNG, or as TIFF with LZW compression."
    )


def _is_known_television(directory: Directory, compression: int) -> bool:
    """Return whether Pillow reads luminance and two colors, which are of every second pixel unless told otherwise."""
    whole = (directory.numbers(_SUBSAMPLING, 2) or [2, 2]) == [1, 1]
    if directory.number(_PLANES) == 2:
        return whole and compression in PACKED
    return compression in PACKED or (compression == 1 and whole)


def _check_kind(content: bytes, directory: Directory) -> None:
    below: list[Directory] = []
    for at in directory.numbers(_SUBDIRECTORIES, MAX_DIRECTORIES):
        try:
            below.append(Directory(content, at))
        except (struct.error, ValueError):
            continue
    raw = any(part.number(_PHOTOMETRIC) in _SENSOR for part in (directory, *below))
    if raw or directory.data(_DNG):
        raise ImageError(f"This is {CAMERA_RAW}.")

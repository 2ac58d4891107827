"""TIFF: the first directory goes to the decoder with the tags that affect pixels; others are skipped.

`Values` reads numbers of any width. Pillow decodes JPEG, fax and YCbCr. It gets a reduced file, because it warns about
every damaged tag and follows every directory, however many the file has. Cameras' raw files begin as TIFF with a small
preview; they are refused by name.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from llm_dit.decoding.source import CAMERA_RAW, MAX_PROFILE_BYTES, Source, by_pillow
from llm_dit.errors import ImageError

# The tags of one picture, classic or BigTIFF, in either byte order.

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
MAX_ENTRIES = 4096
MAX_NUMBERS = 1_000_000
"""Limit of one tag: the strips or tiles of a large picture."""


class Directory:
    """The tags of one picture; raises `ValueError` or `struct.error` if they are incomplete."""

    def __init__(self, content: bytes, at: int | None = None) -> None:
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        self.big = content[2:4] in {b"+\0", b"\0+"}
        self._entry, self._word, self._count = ("HHQ8s", "Q", "Q") if self.big else ("HHI4s", "I", "H")
        begin: int = self._read(self._word, 8 if self.big else 4)[0] if at is None else at
        (length,) = self._read(self._count, begin)
        if length > MAX_ENTRIES:
            raise ValueError("tags without end")
        size, start = struct.calcsize("<" + self._entry), begin + struct.calcsize("<" + self._count)
        found = (self._read(self._entry, start + number * size) for number in range(length))
        self._entries = {tag: (kind, count, value) for tag, kind, count, value in found}

    def _read(self, layout: str, at: int) -> tuple:  # type: ignore[type-arg]
        return struct.unpack_from(self.order + layout, self.content, at)

    def number(self, tag: int, default: int = 0) -> int:
        """Return a tag's first number, or `default` if there is none."""
        return next(iter(self.numbers(tag, 1)), default)

    def numbers(self, tag: int, most: int = MAX_NUMBERS) -> list[int]:
        """Return the first `most` numbers of a tag; none if they are not within the file."""
        kind, count, value = self._entries.get(tag, (0, 0, b""))
        if kind not in _LETTERS:
            return []
        data, layout = self._data(kind, count, value), np.dtype(self.order + _LETTERS[kind])
        return np.frombuffer(data, layout, min(count, most, len(data) // layout.itemsize)).tolist()

    def data(self, tag: int) -> bytes:
        """Return a tag's bytes, of any type; none if they are not within the file."""
        return self._data(*self._entries.get(tag, (0, 0, b"")))

    def _data(self, kind: int, count: int, value: bytes) -> bytes:
        size = _BYTES.get(kind, 0) * count
        if size <= len(value):
            return value[:size]
        (at,) = struct.unpack(self.order + self._word, value)
        return self.content[at : at + size] if at + size <= len(self.content) else b""

    def alone(self, tags: Iterable[int]) -> bytes:
        """Return the file with a single directory of only those tags."""
        kept = [(tag, *entry) for tag, entry in sorted(self._entries.items()) if tag in tags and self._data(*entry)]
        start = len(self.content) + len(self.content) % 2
        table = struct.pack(self.order + self._count, len(kept))
        table += b"".join(struct.pack(self.order + self._entry, *entry) for entry in kept) + bytes(8)
        pointer, head = (8, 16) if self.big else (4, 8)
        address = struct.pack(self.order + self._word, start)
        return self.content[:pointer] + address + self.content[head:].ljust(start - head, b"\0") + table


# Converting numbers of any width to 8 bits.

WHITE_IS_ZERO, GRAY, COLOR, INDEXED, _CMYK, LAB, ICC_LAB = 0, 1, 2, 3, 5, 8, 9
CHANNELS = {WHITE_IS_ZERO: 1, GRAY: 1, COLOR: 3, INDEXED: 1, _CMYK: 4, LAB: 3, ICC_LAB: 3}
_WHOLE, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_WIDTHS = {INDEXED: {*range(1, 17)}, LAB: {8, 16}, ICC_LAB: {8, 16}}
"""The widths in bits that are valid for kinds with restrictions."""
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3
PLAIN = 1
PACKED = {5, 8, 32773, 32946, 34925, 50000}
"""LZW, deflate, PackBits, deflate with its old code, LZMA, Zstandard."""
ASSOCIATED, _UNASSOCIATED = 1, 2
MAX_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The storage layout of a picture's numbers."""

    kind: int
    """The color space (PhotometricInterpretation)."""
    bits: int
    has_point: bool
    samples: int
    """Numbers per pixel."""
    apart: bool
    """Whether channels are stored separately (planar)."""
    alpha: int | None
    """The kind of alpha, if the number after the colors is alpha."""
    compression: int
    differences: int


def layout_of(directory: Directory) -> Layout | None:
    """Return the layout of the pixels, or None for a picture that is not stored as numbers of one width.

    Signed numbers are read as unsigned, as in other decoders.
    """
    compression, samples = directory.number(259, PLAIN), directory.number(277, 1)
    kind = directory.number(262, {1: GRAY, 3: COLOR}.get(samples, -1))
    widths = set(directory.numbers(258, max(1, samples))) or {1}
    numbers, colors, bits = directory.number(339, _WHOLE), CHANNELS.get(kind, 0), min(widths)
    if not colors or compression not in {PLAIN, *PACKED} or len(widths) != 1 or not colors <= samples <= MAX_SAMPLES:
        return None
    known = _WIDTHS.get(kind, {*range(1, 33), 64})
    if numbers == _FLOAT:
        known = {16, 32, 64} if kind not in _WIDTHS else set()
    if bits not in known or numbers not in {_WHOLE, _SIGNED, _FLOAT, _UNDEFINED}:
        return None
    extra = directory.number(338, _UNASSOCIATED if samples == colors + 1 else 0)
    return Layout(
        kind=kind,
        bits=bits,
        has_point=numbers == _FLOAT,
        samples=samples,
        apart=directory.number(284, 1) == 2 and samples > 1,
        alpha=extra if samples > colors and extra in {ASSOCIATED, _UNASSOCIATED} else None,
        compression=compression,
        differences=directory.number(317, 1),
    )


Pixels = NDArray[np.uint8]
Numbers = NDArray[Any]


def numbers_of(rows: Pixels, layout: Layout, width: int, order: str) -> Numbers:
    """Return numbers, rows × width × samples, from bytes."""
    samples, bits = 1 if layout.apart else layout.samples, layout.bits
    count = width * samples
    if layout.differences == FLOAT_DIFFERENCES and layout.has_point:
        rows = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8).reshape(len(rows), -1)
        rows, order = rows.reshape(len(rows), bits // 8, count).swapaxes(1, 2).reshape(len(rows), -1), ">"
    if bits in {8, 16, 32, 64}:
        letter = "f" if layout.has_point and layout.differences != DIFFERENCES else "u"
        values: Numbers = np.ascontiguousarray(rows).view(f"{order}{letter}{bits // 8}")
    else:
        values = _odd(rows, bits, count, order)
    values = values.reshape(len(rows), width, samples)
    if layout.differences == DIFFERENCES:
        native = values.dtype.newbyteorder("=")
        values = np.cumsum(values, axis=1, dtype=native)
        if bits not in {8, 16, 32, 64}:
            values &= native.type((1 << bits) - 1)
        if layout.has_point:
            values = values.view(f"f{bits // 8}")
    return values


def _odd(rows: Pixels, bits: int, count: int, order: str) -> Numbers:
    """Return numbers of an unusual width; whole bytes have the file's byte order, others the highest bit first."""
    if bits == 24:
        parts = rows.reshape(len(rows), count, 3).astype(np.uint32)
        high, low = (2, 0) if order == "<" else (0, 2)
        return parts[..., high] << 16 | parts[..., 1] << 8 | parts[..., low]
    ones = np.unpackbits(rows, axis=1, count=count * bits).reshape(len(rows), count, bits)
    kind = np.uint8 if bits < 8 else np.uint16 if bits < 16 else np.uint32
    values = np.zeros((len(rows), count), kind)
    for bit in range(bits):
        values <<= kind(1)
        values |= ones[..., bit]
    return values


def eight_bits(values: Numbers, layout: Layout) -> Pixels:
    """Return 8-bit numbers: the upper bits of wider ones, as browsers do for 16, and narrower ones scaled up."""
    bits = layout.bits
    if layout.has_point:
        return (np.nan_to_num(values.astype(np.float32), posinf=1).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    if bits < 8:
        return (values.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)
    return (values >> (bits - 8)).astype(np.uint8) if bits > 8 else values.astype(np.uint8)


def divided(band: Numbers, count: int, layout: Layout) -> Pixels:
    """Return straight colors from premultiplied ones."""
    one = 1.0 if layout.has_point else float(2**layout.bits - 1)
    values = np.nan_to_num(band[..., : count + 1].astype(np.float32)) / one
    colors, alpha = values[..., :count], values[..., count:]
    shown = np.divide(colors, alpha, out=np.zeros_like(colors), where=alpha > 0)
    return (shown.clip(0, 1) * 255 + 0.5).astype(np.uint8)


# Pixels as numbers, row by row: of any width, integer or float, in strips or tiles, interleaved or planar.
#
# Compressed data goes to libtiff as if it were 8-bit gray, a few strips at a time, so that the bytes are interpreted
# here: Pillow lacks most widths, and confuses some.

AT_ONCE = 4_000_000
"""Bytes that are decompressed at a time, unless one strip or row of tiles has more."""
MAX_PIECE = 160_000_000
"""Limit of a strip's decompressed bytes; the decoder needs no more."""


class Values:
    """Decodes a picture of numbers; raises `ValueError` or `OSError` if it is damaged."""

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
            raise ImageError("This TIFF is a single strip that is too large to unpack: save it again as PNG.")
        self._palette = _palette(directory, layout.bits) if layout.kind == INDEXED else None
        self._alpha: Image.Image | None = None

    def decode(self, _: tuple[int, int] | None) -> Image.Image:
        """Return the colors; `split` returns alpha."""
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
        if layout.kind == ICC_LAB:  # Pillow expects signed a and b
            colors[..., 1:] ^= 128
        return colors

    def _bands(self) -> Iterator[tuple[int, Numbers]]:
        """Yield the first row's index and rows of numbers, height × width × samples."""
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
        """Return offsets and lengths of the strips or tiles."""
        offsets = self._directory.numbers(324) or self._directory.numbers(273)
        counts = self._directory.numbers(325) or self._directory.numbers(279)
        if self._cut:  # one uncompressed strip can be split into many
            step = self._row * self._piece[1]
            each = count // self._planes
            offsets = [offset + step * number for offset in offsets[: self._planes] for number in range(each)]
            counts = [step] * len(offsets)
        if len(offsets) < count:
            raise ValueError("cut off")
        if len(counts) < count:  # old writers omit them
            end = len(self._directory.content)
            counts = [end - offset for offset in offsets] if count == 1 or self._layout.compression == PLAIN else []
        if sum(counts[:count]) > 4 * len(self._directory.content) and self._layout.compression != PLAIN:
            raise ValueError("pieces without end")
        if len(counts) < count:
            raise ValueError("cut off")
        return offsets[:count], counts[:count]

    def _unpacked(self, offsets: list[int], counts: list[int], rows: int) -> Pixels:
        """Return the bytes of consecutive strips, `rows` rows."""
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
    """Return a TIFF file of 8-bit gray from compressed strips of `height` rows each."""
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
    """Return the palette of an indexed picture; an 8-bit one, as some write, has no value above 255."""
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
"""Without orientation, which Pillow would apply itself."""
_BITS, _COMPRESSION, _PLANES, _SUBSAMPLING = 258, 259, 284, 530
_JPEG, _OLD_JPEG, _TELEVISION = 7, 6, 6
_FAX = {2, 3, 4}
_SENSOR = {32803, 34892}
"""Kinds of sensor data: a color filter's mosaic, linear raw."""
MAX_DIRECTORIES = 16
MAX_TILE = 4_194_304
"""Limit of a tile's pixels if the picture is smaller than the tile."""


def open_tiff(content: bytes) -> Source:
    """Return the first picture in a TIFF file; raises `ImageError` for a camera's raw file and unsupported kinds."""
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
        "This TIFF stores its pixels in an unsupported way: save it as PNG, or as TIFF with LZW compression."
    )


def _is_known_television(directory: Directory, compression: int) -> bool:
    """Return whether Pillow can decode the YCbCr data, which is subsampled 2 × 2 by default."""
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

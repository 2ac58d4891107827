"""PNG and APNG: chunks that affect pixels go to the decoder, those that label colors are read here, others ignored.

So text, previews and other metadata may have any size or damage. Color labels have the precedence of the PNG
specification, third edition: cICP, iCCP, sRGB, gAMA with cHRM.
"""

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngImageFile

from llm_dit.decoding.labels import BT709, HighRange, coded_colors, power, rgb_profile
from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source, Split, by_pillow, orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 2_000_000
_LABELS = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cLLI", b"mDCV", b"eXIf", b"acTL", b"fcTL", b"PLTE", b"tRNS"}
_GRAY, _COLOR, _INDEXED, _GRAY_ALPHA = 0, 2, 3, 4
# A gamma within 5 % of 1/2.2 without primaries means sRGB, as in libpng and browsers.
_LIKE_SRGB = (43_182, 47_727)


@dataclass
class _Parts:
    header: bytes
    labels: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    """The first chunk of each kind before the pixels."""
    pixels: list[memoryview] = field(default_factory=list[memoryview])
    """Compressed data of the displayed picture."""
    frame: tuple[int, int, int, int] | None = None
    """Width, height, x and y of a first frame that is not the still picture."""


def open_png(content: bytes) -> Source:
    """Return the picture or the first frame in a PNG file; raises `SyntaxError` if there is none."""
    parts = _parts(content)
    width, height, depth, kind = struct.unpack_from(">IIBB", parts.header)
    header, offset = parts.header, (0, 0)
    if parts.frame:
        header, offset = struct.pack(">II", *parts.frame[:2]) + header[8:], parts.frame[2:]
    transparency = parts.labels.get(b"tRNS", b"")
    kept = [(b"IHDR", header)]
    if kind == _INDEXED:
        kept += _palette(parts.labels.get(b"PLTE", b""), transparency, 1 << depth)
    data = b"".join(parts.pixels)

    def of(data: bytes) -> bytes:
        return SIGNATURE + b"".join(_chunk(*it) for it in [*kept, (b"IDAT", data), (b"IEND", b"")])

    def decode(_: tuple[int, int] | None) -> Image.Image:
        try:
            image = by_pillow(PngImageFile(io.BytesIO(file)))(None)
        except OSError:
            return by_pillow(PngImageFile(io.BytesIO(of(whole(header, data)))))(None)
        # Pillow leaves missing rows empty.
        last = (image.crop((0, row, image.width, row + 1)) for row in range(max(0, image.height - 2), image.height))
        if not all(any(row.tobytes()) for row in last):
            whole(header, data)
        return image

    file = of(data)
    PngImageFile(io.BytesIO(file)).close()
    return Source(
        size=(width, height),
        decode=decode,
        offset=offset,
        orientation=orientation_of(parts.labels.get(b"eXIf", b"")),
        profile=_profile(parts.labels),
        split=_split(transparency, depth, kind, file),
        lower=(lambda: _lower(file)) if depth == 16 and kind & _COLOR else None,
        check=lambda: whole(header, data),
    )


def _parts(content: bytes) -> _Parts:
    chunks = _chunks(content)
    name, header = next(chunks, (b"", memoryview(b"")))
    if name != b"IHDR" or len(header) != 13:
        raise SyntaxError("no header")
    parts = _Parts(header=bytes(header))
    still: list[memoryview] = []
    controls = 0
    for name, data in chunks:
        if name == b"IDAT":
            still.append(data)
        elif name == b"fcTL":
            controls += 1
            if controls == 1 and still and _moves(parts.labels.get(b"acTL", b"")):
                parts.frame = _frame(data, parts.header)
            elif still:
                break
        elif name == b"fdAT" and parts.frame and controls == 1:
            parts.pixels.append(data[4:])
        elif name == b"IEND":
            break
        elif not still and name in _LABELS:
            parts.labels.setdefault(name, bytes(data))
    if not parts.pixels:
        parts.frame, parts.pixels = None, still
    return parts


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield names and data to the end of the file, complete or not, without labels that have a wrong checksum."""
    view, at = memoryview(content), len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(content):
            return
        length, name = struct.unpack_from(">I4s", content, at)
        if not name.isalpha():
            return
        data = view[at + 8 : at + 8 + length]
        at += 12 + length
        ancillary = name[0] & 0x20
        if ancillary and name in _LABELS and zlib.crc32(data, zlib.crc32(name)).to_bytes(4) != view[at - 4 : at]:
            continue
        yield name, data


def _moves(animation: bytes) -> bool:
    """Return whether an animation control chunk has a possible number of frames."""
    return len(animation) == 8 and 0 < int.from_bytes(animation[:4]) < 1 << 31


def _frame(control: memoryview, header: bytes) -> tuple[int, int, int, int] | None:
    """Return the box of an animation's frame, or None if it is not within the picture."""
    if len(control) != 26:
        return None
    width, height, x, y = struct.unpack_from(">IIII", control, 4)
    full = struct.unpack_from(">II", header)
    return (width, height, x, y) if 0 < width <= full[0] - x and 0 < height <= full[1] - y else None


def _palette(colors: bytes, alpha: bytes, count: int) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a palette of `count` colors; the last one is repeated for missing ones."""
    given = min(len(colors) // 3, count)
    if not given:
        return []
    colors, missing = colors[: 3 * given], count - given
    chunks = [(b"PLTE", colors + colors[-3:] * missing)]
    if alpha:
        alpha = alpha[:given].ljust(given, b"\xff")
        chunks.append((b"tRNS", alpha + alpha[-1:] * missing))
    return chunks


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def _split(transparency: bytes, depth: int, kind: int, file: bytes) -> Split | None:
    """Return a function that separates colors from alpha where Pillow does not: a transparent value, deep gray + alpha.

    16-bit values keep their upper 8 bits, as in browsers.
    """
    if (kind, depth) == (_GRAY_ALPHA, 16):
        return lambda image: (image.getchannel("R"), image.getchannel("A"))
    count = {_GRAY: 1, _COLOR: 3}.get(kind, 0)
    if not count or len(transparency) < 2 * count:
        return None
    # A value beyond the depth matches no pixel, as in browsers; only its upper byte is ignored.
    values = [value & (0xFFFF if depth == 16 else 0xFF) for value in struct.unpack_from(f">{count}H", transparency)]
    if depth < 16:
        steps = 255 // ((1 << depth) - 1)

        def shallow(image: Image.Image) -> tuple[Image.Image, Image.Image]:
            colors = image.convert("L") if depth == 1 else image
            return colors, _outside(colors, [value * steps for value in values])

        return shallow

    def deep(image: Image.Image) -> tuple[Image.Image, Image.Image]:
        if kind == _GRAY:
            grays = np.asarray(image)
            clear = Image.fromarray((grays != values[0]).astype(np.uint8) * 255)
            return Image.fromarray((grays >> 8).astype(np.uint8)), clear
        below = _outside(_lower(file), [value & 255 for value in values])
        return image, ImageChops.lighter(_outside(image, [value >> 8 for value in values]), below)

    return deep


def _lower(file: bytes) -> Image.Image:
    """Return the lower bytes of 16-bit colors, by decoding the file in the other byte order."""
    with PngImageFile(io.BytesIO(file)) as lower:
        lower.tile = [tile._replace(args=f"{lower.mode};16L") for tile in lower.tile]
        return lower.convert("RGB")


def _outside(image: Image.Image, color: list[int]) -> Image.Image:
    """Return alpha that is 0 where an 8-bit picture has this color, and 255 elsewhere."""
    bands = [
        band.point([0 if level == value else 255 for level in range(256)])
        for band, value in zip(image.split(), color, strict=True)
    ]
    return functools.reduce(ImageChops.lighter, bands)


def _profile(labels: dict[bytes, bytes]) -> bytes | HighRange | None:
    """Return the conversion of the label with the highest precedence, or None for sRGB."""
    coded = labels.get(b"cICP", b"")
    if len(coded) == 4 and coded[2] == 0 and (colors := coded_colors(coded[0], coded[1], _brightest(labels))):
        return colors
    if profile := _embedded(labels.get(b"iCCP", b"")):
        return profile
    gamma, corners = labels.get(b"gAMA", b""), labels.get(b"cHRM", b"")
    if b"sRGB" in labels or len(gamma) != 4:
        return None
    value = int.from_bytes(gamma)
    if not 1000 <= value <= 10_000_000 or (len(corners) != 32 and _LIKE_SRGB[0] <= value <= _LIKE_SRGB[1]):
        return None
    curve = power(100_000 / value)
    if len(corners) == 32:
        wx, wy, *rest = (corner / 100_000 for corner in struct.unpack(">8i", corners))
        try:
            return rgb_profile((wx, wy, *rest), curve)  # type: ignore[arg-type]
        except ValueError:
            pass
    return rgb_profile(BT709, curve)


def _brightest(labels: dict[bytes, bytes]) -> float:
    """Return the light of the brightest pixel in cd/m², or else the mastering display's maximum, or 0."""
    content, display = labels.get(b"cLLI", b""), labels.get(b"mDCV", b"")
    told = int.from_bytes(content[:4]) if len(content) == 8 else 0
    return (told or (int.from_bytes(display[16:20]) if len(display) == 24 else 0)) / 10_000


def _embedded(chunk: bytes) -> bytes | None:
    """Unpack a profile of at most `MAX_PROFILE_BYTES`."""
    name_end = chunk.find(b"\0", 0, 80)
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(chunk[name_end + 2 :], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacker.eof and profile[36:40] == b"acsp" else None


# Whether the compressed data of a PNG contain every pixel, which Pillow does not report.


_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, and steps between columns and between rows of Adam7."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_AT_ONCE = 1 << 20


def whole(header: bytes, data: bytes) -> bytes:
    """Return the data without their checksum; raises `ValueError` if a pixel is missing or data are damaged.

    `header` is that of the picture, `data` a zlib stream. Browsers, too, show a picture whose checksum is wrong.
    """
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", header)
    bits = _CHANNELS[kind] * depth
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    needed = 0
    for left, top, across, down in passes:
        columns, rows = -((left - width) // across), -((top - height) // down)
        needed += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    unpacker, at, piece = zlib.decompressobj(-15), 2, b""
    try:
        while needed > 0 and not unpacker.eof and (piece or at < len(data)):
            if not piece:
                piece, at = data[at : at + _AT_ONCE], min(at + _AT_ONCE, len(data))
            needed -= len(unpacker.decompress(piece, _AT_ONCE))
            piece = unpacker.unconsumed_tail
    except zlib.error:
        raise ValueError("damaged") from None
    if needed > 0:
        raise ValueError("cut off")
    return data[: at - len(unpacker.unused_data)] if unpacker.eof else data

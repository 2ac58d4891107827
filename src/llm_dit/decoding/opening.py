"""Opens picture files: JPEG, GIF, WebP and AVIF, which Pillow decodes, here, the others by one module each."""

import io
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.labels import HighRange, coded_colors
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import MAX_PROFILE_BYTES, REFUSALS, Source, by_pillow, kind_of, orientation_of
from llm_dit.decoding.tiff import open_tiff
from llm_dit.errors import ImageError


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """A supported format; the first of its suffixes and media types is the usual one."""

    name: str
    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]


PICTURE_FORMATS = (
    PictureFormat(name="PNG", suffixes=(".png", ".apng"), media_types=("image/png", "image/apng")),
    PictureFormat(name="JPEG", suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), media_types=("image/jpeg",)),
    PictureFormat(name="WebP", suffixes=(".webp",), media_types=("image/webp",)),
    PictureFormat(name="GIF", suffixes=(".gif",), media_types=("image/gif",)),
    PictureFormat(name="BMP", suffixes=(".bmp", ".dib"), media_types=("image/bmp",)),
    PictureFormat(name="TIFF", suffixes=(".tif", ".tiff"), media_types=("image/tiff",)),
    PictureFormat(name="AVIF", suffixes=(".avif",), media_types=("image/avif",)),
)
_NAMES = [format.name for format in PICTURE_FORMATS]
FORMAT_NAMES = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""The formats as a list in a sentence."""
NOT_A_PICTURE = f"This is not a readable picture: send a {FORMAT_NAMES} file."


# JPEG: segments that affect pixels go to the decoder; profiles and the camera's orientation are read here.
#
# Previews, comments, depth maps and further frames of phones are ignored. A file whose scans would take minutes is
# refused before the first scan is decoded.

MAX_SCANS = 100
"""Encoders write 10 to 20; each is a pass over the picture."""
MAX_SCANNED_PIXELS = 1_500_000_000
"""Pixels × scans."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_JFIF_BYTES = 14
"""A shorter segment is meaningless, and Pillow would fail on it."""
_EOI = b"\xff\xd9"
_MADE_UP = b"\xf5\x3a\xc6\x9d" * 100
"""Differs from the first bit on from the zeros with which the decoder pads missing data."""
_BARE = {0x01, *range(0xD0, 0xD8)}
"""Markers without a length."""
# In a scan, FF 00 is data and FF D0 to FF D7 are restart markers.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")


def open_jpeg(content: bytes) -> Source:
    """Return the picture in a JPEG file; raises `ImageError` if it has more scans than any encoder writes."""
    view = memoryview(content)
    kept: list[bytes | memoryview] = [b"\xff\xd8"]
    profiles: list[bytes] = []
    exif, size, scans = b"", (0, 0), 0
    for marker, start, end in _segments(content):
        data = view[start + 4 : end]
        if marker == _EXIF and not exif and data[:6] == b"Exif\0\0":
            exif = bytes(data)
        elif marker == _ICC and data[:12] == b"ICC_PROFILE\0":
            profiles.append(bytes(data[12:]))
        elif marker in _FRAMES and len(data) >= 5:
            height, width = struct.unpack_from(">HH", data, 1)
            size = (width, height)
        if marker == _SCAN:
            scans += 1
        if _is_kept(marker, data):
            kept.append(view[start:end])
    if scans > MAX_SCANS or scans * size[0] * size[1] > MAX_SCANNED_PIXELS:
        raise ImageError("The JPEG has more scans than any program writes: save it again as PNG or JPEG.")
    file = b"".join(kept)
    image = JpegImageFile(io.BytesIO(file))
    return Source(
        size=image.size,
        decode=by_pillow(image) if file.endswith(_EOI) else lambda enough: _unended(file, enough),
        orientation=orientation_of(exif),
        profile=_joined(profiles),
        shrinks=True,
    )


def _unended(file: bytes, enough: tuple[int, int] | None) -> Image.Image:
    """Decode a file that lacks its end; raises `ValueError` if pixels are missing, too.

    The decoder takes missing pixels from whatever follows: if that makes no difference, none are missing.
    """
    data = file.removesuffix(b"\xff")
    one, other = (by_pillow(JpegImageFile(io.BytesIO(data + more + _EOI)))(enough) for more in (b"", _MADE_UP))
    if one.tobytes() != other.tobytes():
        raise ValueError("cut off")
    return one


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every segment up to the end of the picture; a scan's segment includes its data."""
    at = 2
    while found := _MARKER.search(content, at):
        start, marker = found.start(), content[found.start() + 1]
        if marker == _END:
            yield marker, start, start + 2
            return
        if marker in _BARE:
            at = start + 2
            continue
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4])
        if marker == _SCAN:
            following = _AFTER_SCAN.search(content, end)
            end = following.start() if following else len(content)
        yield marker, start, end
        at = max(end, start + 4)


def _is_kept(marker: int, data: memoryview) -> bool:
    """Return whether a segment affects the pixels: not comments, and only two of the application segments."""
    if marker == _COMMENT:
        return False
    if 0xE0 <= marker <= 0xEF:
        return (marker == _JFIF and data[:5] == b"JFIF\0" and len(data) >= _JFIF_BYTES) or (
            marker == _ADOBE and data[:5] == b"Adobe"
        )
    return True


def _joined(segments: list[bytes]) -> bytes | None:
    """Return the profile from its numbered pieces, or None if one is missing."""
    pieces = {piece[0]: piece[2:] for piece in segments if len(piece) > 2}
    count = segments[0][1] if segments and len(segments[0]) > 2 else 0
    if not count or len(segments) != count or set(pieces) != set(range(1, count + 1)):
        return None
    profile = b"".join(pieces[number] for number in sorted(pieces))
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


# GIF: only the first frame is decoded, and placed on a clear canvas, as in browsers.

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL = 0xF9


def open_gif(content: bytes) -> Source:
    """Return the first frame in a GIF file; raises `SyntaxError` if there is none."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    at = 13 + _table_bytes(flags)
    tables, control = content[10:at], b""
    while at < len(content) and content[at] == _EXTENSION:
        end = _after_blocks(content, at + 2)
        if content[at + 1] == _CONTROL:
            control = content[at:end]
        at = end
    if content[at : at + 1] != bytes([_IMAGE]):
        raise SyntaxError("no frame")
    x, y, frame_width, frame_height, frame_flags = struct.unpack_from("<HHHHB", content, at + 1)
    data = at + 10 + _table_bytes(frame_flags)
    end = _after_blocks(content, data + 1)
    # Browsers enlarge a canvas that is smaller than its first frame.
    size = (max(width, x + frame_width), max(height, y + frame_height))
    place = struct.pack("<HHHH", 0, 0, frame_width, frame_height)
    file = content[:6] + place[4:] + tables + control + content[at : at + 1] + place + content[at + 9 : end] + b";"
    return Source(size=size, decode=by_pillow(GifImageFile(io.BytesIO(file))), offset=(x, y))


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    """Return the end of a chain of length-prefixed blocks."""
    while at < len(content) and content[at]:
        at += content[at] + 1
    return min(at + 1, len(content))


# WebP: the first frame, with its pixels' alpha.

_HAS_ALPHA = 0x10
_WEBP_HEAD = 8_000_000
"""Bytes within which the first picture must begin, after a profile."""


def _open_webp(content: bytes) -> Source:
    """Return the first frame in a WebP file; browsers do not apply its EXIF orientation.

    The alpha flag of a lossless picture is only a hint, which browsers ignore and Pillow does not.
    """
    image = WebPImageFile(io.BytesIO(_with_alpha(content)))
    return Source(size=image.size, decode=by_pillow(image), profile=image.info.get("icc_profile"))


def _with_alpha(content: bytes) -> bytes:
    """Return a WebP file with the alpha flag set if its first picture is lossless."""
    mended, at = bytearray(content[:_WEBP_HEAD]), 12
    while at + 13 <= len(mended):
        name, size = struct.unpack_from("<4sI", mended, at)
        if name == b"VP8X":
            mended[at + 8] |= _HAS_ALPHA
        elif name == b"VP8L":
            mended[at + 12] |= _HAS_ALPHA
            return bytes(mended) + content[_WEBP_HEAD:]
        elif name != b"ICCP":
            break
        at += 8 + size + size % 2
    return content


# AVIF: libavif decodes; the color label is read here from the boxes of the primary picture.


MAX_DEEP = 16_777_216
"""The largest picture, in pixels, of which all bits are decoded."""
_LIKE_SRGB = {1: 13, 6: 13, 14: 13, 15: 13}
"""Television curves that browsers treat as sRGB's in AVIF, because cameras and encoders name them by habit."""


def open_avif(content: bytes) -> Source:
    """Return the first frame in an AVIF file."""
    content = _with_one_table(content)
    image = AvifImageFile(io.BytesIO(content))
    properties = _properties(content)
    profile = image.info.get("icc_profile") or _coded(properties)
    bits = properties.get(b"pixi", b"").ljust(6, b"\0")[5]
    # Pillow reports irot and imir as EXIF; the orientation in the file's own EXIF does not count.
    orientation = orientation_of(image.info.get("exif", b""))
    deep = None
    if (
        isinstance(profile, HighRange)
        and bits in {10, 12}
        and orientation == 1
        and image.width * image.height <= MAX_DEEP
    ):
        deep = _Deep(content, image, bits)
    return Source(
        size=image.size,
        decode=deep.decode if deep else by_pillow(image),
        orientation=orientation,
        profile=profile,
        lower=deep.lower if deep else None,
    )


class _Deep:
    """Decodes all bits of high dynamic range; Pillow returns only the upper eight."""

    def __init__(self, content: bytes, image: AvifImageFile, bits: int) -> None:
        self._content, self._image, self._bits = content, image, bits
        self._lower: Image.Image | None = None

    def decode(self, enough: tuple[int, int] | None) -> Image.Image:
        """Return the upper eight bits."""
        import cv2  # a large import that the service itself does not need

        read = cv2.imdecode(np.frombuffer(self._content, np.uint8), cv2.IMREAD_UNCHANGED)
        if read is None or read.dtype != np.uint16 or read.shape[1::-1] != self._image.size or read.ndim != 3:
            return by_pillow(self._image)(enough)
        values = np.asarray(read, np.uint16)
        values = values << (16 - self._bits) | values >> (2 * self._bits - 16)
        order = [2, 1, 0, 3][: values.shape[2]]
        self._lower = Image.fromarray((values[..., order[:3]] & 255).astype(np.uint8))
        return Image.fromarray((values[..., order] >> 8).astype(np.uint8))

    def lower(self) -> Image.Image | None:
        return self._lower


def _with_one_table(content: bytes) -> bytes:
    """Return a file with one merged property table: some encoders write one per item, and libavif accepts only one."""
    try:
        start, end = _first(content, 0, len(content), b"meta")
        begin, stop = _first(content, start + 4, end, b"iprp")
        tables = [(at, to) for name, at, to in _boxes(content, begin, stop) if name == b"ipma"]
        (first, _), (_, last) = tables[0], tables[-1]
        body = b"".join(content[at + 8 : to] for at, to in tables)
        apart = last - first - len(body) - 8 != 16 * (len(tables) - 1) or last != stop
        if len(tables) < 2 or apart or len({content[at : at + 4] for at, _ in tables}) > 1:
            return content
        count = sum(struct.unpack_from(">I", content, at + 4)[0] for at, _ in tables)
        table = struct.pack(">I4s4sI", 16 + len(body), b"ipma", content[first : first + 4], count) + body
    except (struct.error, LookupError):
        return content
    properties = content[begin : first - 8] + table
    spare = stop - begin - len(properties)  # the file contains absolute offsets, so nothing may move
    head, free = struct.pack(">I4s", 8 + len(properties), b"iprp"), struct.pack(">I4s", spare, b"free")
    return content[: begin - 8] + head + properties + free + bytes(spare - 8) + content[stop:]


def _properties(content: bytes) -> dict[bytes, bytes]:
    """Return the contents of the primary picture's property boxes, by name; for colors, those by code points."""
    found: dict[bytes, bytes] = {}
    try:
        start, end = _first(content, 0, len(content), b"meta")
        properties = _first(content, start + 4, end, b"iprp")
        item = _first(content, start + 4, end, b"pitm")
        primary = struct.unpack_from(">I" if content[item[0]] else ">H", content, item[0] + 4)[0]
        known = list(_boxes(content, *_first(content, *properties, b"ipco")))
        for number in _associated(content, _first(content, *properties, b"ipma"), primary):
            name, start, end = known[number - 1]
            if name != b"colr" or content[start : start + 4] == b"nclx":
                found.setdefault(name, content[start:end])
    except (struct.error, LookupError):
        pass
    return found


def _coded(properties: dict[bytes, bytes]) -> bytes | HighRange | None:
    """Return the conversion for the code points, or None for sRGB."""
    codes = properties.get(b"colr", b"")
    if len(codes) < 11:
        return None
    primaries, transfer = struct.unpack_from(">HH", codes, 4)
    return coded_colors(primaries, _LIKE_SRGB.get(transfer, transfer), _brightest(properties))


def _brightest(properties: dict[bytes, bytes]) -> float:
    """Return the light of the brightest pixel in cd/m², or else the mastering display's maximum, or 0."""
    light, display = properties.get(b"clli", b""), properties.get(b"mdcv", b"")
    return int.from_bytes(light[:2]) or int.from_bytes(display[16:20]) / 10_000


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield names of boxes, and start and end of their content."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        stop = end if size == 0 else at + size
        if stop < start or stop > end:
            return
        yield name, start, stop
        at = stop


def _first(content: bytes, at: int, end: int, name: bytes) -> tuple[int, int]:
    for found, start, stop in _boxes(content, at, end):
        if found == name:
            return start, stop
    raise LookupError(name)


def _associated(content: bytes, box: tuple[int, int], item: int) -> list[int]:
    """Return the numbers, from 1, of an item's properties."""
    version, flags = content[box[0]], content[box[0] + 3]
    (count,) = struct.unpack_from(">I", content, box[0] + 4)
    at = box[0] + 8
    for _ in range(min(count, 65_535)):
        (found,) = struct.unpack_from(">I" if version else ">H", content, at)
        at += 4 if version else 2
        length = content[at]
        at += 1
        wide = flags & 1
        numbers = struct.unpack_from(f">{length}{'H' if wide else 'B'}", content, at)
        at += length * (2 if wide else 1)
        if found == item:
            return [number & (0x7FFF if wide else 0x7F) for number in numbers if number & (0x7FFF if wide else 0x7F)]
    raise LookupError(item)


# All formats with their openers.

_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "WebP": _open_webp,
    "GIF": open_gif,
    "BMP": open_bmp,
    "TIFF": open_tiff,
    "AVIF": open_avif,
}


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet; the first bytes alone decide on the format.

    Raises `ImageError`, which names the file's kind if that is known, and Pillow's errors for damaged files.
    """
    kind = kind_of(content)
    if kind in _OPENERS:
        return _OPENERS[kind](content)
    raise ImageError(f"This is {REFUSALS[kind]}." if kind in REFUSALS else NOT_A_PICTURE)

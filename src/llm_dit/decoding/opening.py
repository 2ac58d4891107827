"""Which module opens which format; JPEG, GIF and WebP, which need little, are opened here."""

import io
import re
import struct
from collections.abc import Callable, Iterator, Mapping

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source, by_pillow, orientation_of
from llm_dit.decoding.tiff import open_tiff
from llm_dit.errors import ImageError

# JPEG: the segments that make pixels go to the decoder; profiles and the camera's orientation are read here.
#
# Previews, comments, depth maps and the further frames of phones are thereby no matter. A file whose scans would take
# minutes is refused before the first of them is decoded.

MAX_SCANS = 100
"""Encoders write 10 to 20; each is a pass over the picture."""
MAX_SCANNED_PIXELS = 1_500_000_000
"""Pixels × scans."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_JFIF_BYTES = 14
"""A shorter segment says nothing, and Pillow would stumble over it."""
_EOI = b"\xff\xd9"
_MADE_UP = b"\xf5\x3a\xc6\x9d" * 100
"""Unlike the zeros that the decoder puts where data end, from the first bit on."""
_BARE = {0x01, *range(0xD0, 0xD8)}
"""Markers without a length."""
# In a scan, FF 00 is data and FF D0 to FF D7 are places to restart.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")


def open_jpeg(content: bytes) -> Source:
    """Return the picture in a JPEG file; raises `ImageError` when it has more scans than any encoder makes."""
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
        raise ImageError("The JPEG is built of more passes than any program writes: save it again as PNG or JPEG.")
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
    """Decode a file that lacks its end; raises `ValueError` when pixels are missing, too.

    The decoder makes up what is missing, of whatever follows: when that makes no difference, nothing is.
    """
    data = file.removesuffix(b"\xff")
    one, other = (by_pillow(JpegImageFile(io.BytesIO(data + more + _EOI)))(enough) for more in (b"", _MADE_UP))
    if one.tobytes() != other.tobytes():
        raise ValueError("cut off")
    return one


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every segment up to the end of the picture; a scan's data belong to it."""
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
    """Return whether a segment has a say in the pixels: no comment, and of the applications' ones those two."""
    if marker == _COMMENT:
        return False
    if 0xE0 <= marker <= 0xEF:
        return (marker == _JFIF and data[:5] == b"JFIF\0" and len(data) >= _JFIF_BYTES) or (
            marker == _ADOBE and data[:5] == b"Adobe"
        )
    return True


def _joined(segments: list[bytes]) -> bytes | None:
    """Return the profile whose numbered pieces these are, or None when one is missing."""
    pieces = {piece[0]: piece[2:] for piece in segments if len(piece) > 2}
    count = segments[0][1] if segments and len(segments[0]) > 2 else 0
    if not count or len(segments) != count or set(pieces) != set(range(1, count + 1)):
        return None
    profile = b"".join(pieces[number] for number in sorted(pieces))
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


# GIF: the first frame goes to the decoder alone, and is put on a clear canvas as browsers do.

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL = 0xF9


def open_gif(content: bytes) -> Source:
    """Return the first frame in a GIF file; raises `SyntaxError` when there is none."""
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
    """Return where a chain of blocks ends, of which each begins with its length."""
    while at < len(content) and content[at]:
        at += content[at] + 1
    return min(at + 1, len(content))


_HAS_ALPHA = 0x10
_WEBP_HEAD = 8_000_000
"""Bytes in which the first picture begins, behind a profile."""


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet; raises `ImageError`, and whatever Pillow raises on damage."""
    return _OPENERS[recognize(content)](content)


def _open_webp(content: bytes) -> Source:
    """Return the first frame in a WebP file; browsers do not turn it by EXIF.

    Whether a lossless picture uses alpha is only a hint, which browsers do not follow and Pillow does.
    """
    image = WebPImageFile(io.BytesIO(_with_alpha(content)))
    return Source(size=image.size, decode=by_pillow(image), profile=image.info.get("icc_profile"))


def _with_alpha(content: bytes) -> bytes:
    """Return a WebP file that says it has alpha, if its first picture is lossless."""
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


_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "WebP": _open_webp,
    "GIF": open_gif,
    "BMP": open_bmp,
    "TIFF": open_tiff,
    "AVIF": open_avif,
}

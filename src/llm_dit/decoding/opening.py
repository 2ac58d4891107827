"""Which module opens which format; the formats that need little are opened here."""

import io
import struct
from collections.abc import Callable, Mapping

from PIL.GifImagePlugin import GifImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.jpeg import open_jpeg
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import Source, by_pillow
from llm_dit.decoding.tiff import open_tiff

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

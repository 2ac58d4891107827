"""Which module opens which format."""

import io
import struct
from collections.abc import Callable, Mapping

from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.gif import open_gif
from llm_dit.decoding.jpeg import open_jpeg
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import Source, by_pillow
from llm_dit.decoding.tiff import open_tiff

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

"""JPEG: the segments that make pixels go to the decoder; profiles and the camera's orientation are read here.

Previews, comments, depth maps and the further frames of phones are thereby no matter. A file whose scans would take
minutes is refused before the first of them is decoded.
"""

import io
import re
import struct
from collections.abc import Iterator

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source, by_pillow, orientation_of
from llm_dit.errors import ImageError

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

"""TIFF: the first directory goes to the decoder with the tags that make pixels; the others are passed by.

Pillow warns about every damaged tag and follows every directory; both are for the file's writer to choose. Raw files
of cameras begin as TIFF, with a small preview in front: they are named instead.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from llm_dit.decoding.color import MAX_PROFILE_BYTES
from llm_dit.decoding.formats import refusal
from llm_dit.decoding.source import Source, by_pillow

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT = 256, 257, 258, 262, 274, 339
_TILE_WIDTH, _TILE_HEIGHT, _SUBDIRECTORIES, _PROFILE, _DNG = 322, 323, 330, 34675, 50706
_KEPT = {
    *(254, _WIDTH, _HEIGHT, 258, 259, _PHOTOMETRIC, 266, 273, _ORIENTATION, 277, 278, 279, 280, 281, 284, 292, 293),
    *(317, 320, _TILE_WIDTH, _TILE_HEIGHT, 324, 325, 332, 338, 339, 347, *range(512, 522), *range(529, 533), _PROFILE),
}
_SENSOR = {32803, 34892}
"""Kinds of pixels that a sensor gives: a color filter's mosaic, linear raw."""
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MAX_ENTRIES = 4096
MAX_DIRECTORIES = 16
MAX_TILE = 4_194_304
"""Pixels of a tile in a picture that is smaller."""


def open_tiff(content: bytes) -> Source:
    """Return the first picture in a TIFF file; raises `ImageError` for a camera's raw file."""
    directory = _Directory(content)
    _check_kind(content, directory)
    width, height = directory.number(_WIDTH), directory.number(_HEIGHT)
    if directory.number(_TILE_WIDTH) * directory.number(_TILE_HEIGHT) > max(4 * width * height, MAX_TILE):
        raise ValueError("tiles without end")
    image = TiffImageFile(io.BytesIO(directory.alone()))
    profile = image.info.get("icc_profile")
    turned = directory.number(_ORIENTATION)
    return Source(
        size=image.size,
        decode=by_pillow(image),
        orientation=turned if 1 <= turned <= 8 else 1,
        profile=profile if isinstance(profile, bytes) and len(profile) <= MAX_PROFILE_BYTES else None,
        split=_split_deep if image.mode == "I" and _is_unsigned(directory) else None,
    )


def _is_unsigned(directory: "_Directory") -> bool:
    return directory.number(_BITS) == 32 and directory.number(_SAMPLE_FORMAT) in {0, 1}


def _split_deep(image: Image.Image) -> tuple[Image.Image, None]:
    """Return the upper 8 of 32 bits, which Pillow takes for signed."""
    return Image.fromarray((np.asarray(image).view(np.uint32) >> 24).astype(np.uint8)), None


class _Directory:
    """The entries of one directory of a file, of classic TIFF or BigTIFF."""

    def __init__(self, content: bytes, at: int | None = None) -> None:
        self._content = content
        self._order = "<" if content[:2] == b"II" else ">"
        self._big = content[2:4] in {b"+\0", b"\0+"}
        self._entry, self._word, self._count = ("HHQ8s", "Q", "Q") if self._big else ("HHI4s", "I", "H")
        begin: int = self._read(self._word, 8 if self._big else 4)[0] if at is None else at
        (length,) = self._read(self._count, begin)
        if length > MAX_ENTRIES:
            raise ValueError("tags without end")
        size, start = struct.calcsize("<" + self._entry), begin + struct.calcsize("<" + self._count)
        found = (self._read(self._entry, start + number * size) for number in range(length))
        self._entries = {tag: (kind, count, value) for tag, kind, count, value in found}

    def _read(self, layout: str, at: int) -> tuple:  # type: ignore[type-arg]
        return struct.unpack_from(self._order + layout, self._content, at)

    def number(self, tag: int) -> int:
        """Return the first number under a tag, 0 when there is none."""
        return next(self.numbers(tag), 0)

    def numbers(self, tag: int) -> Iterator[int]:
        kind, count, value = self._entries.get(tag, (0, 0, b""))
        letter = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        if not letter:
            return
        size = _BYTES[kind]
        if count * size <= len(value):
            yield from struct.unpack_from(f"{self._order}{count}{letter}", value)
            return
        (at,) = struct.unpack(self._order + self._word, value)
        for number in range(min(count, MAX_DIRECTORIES)):
            yield self._read(letter, at + number * size)[0]

    def alone(self) -> bytes:
        """Return the file with a directory of those tags only that make pixels, and no other after it."""
        kept = [
            (tag, *entry) for tag, entry in sorted(self._entries.items()) if tag in _KEPT and self._is_inside(*entry)
        ]
        start = len(self._content) + len(self._content) % 2
        table = struct.pack(self._order + self._count, len(kept))
        table += b"".join(struct.pack(self._order + self._entry, *entry) for entry in kept) + bytes(8)
        pointer, head = (8, 16) if self._big else (4, 8)
        address = struct.pack(self._order + self._word, start)
        return self._content[:pointer] + address + self._content[head:].ljust(start - head, b"\0") + table

    def _is_inside(self, kind: int, count: int, value: bytes) -> bool:
        size = _BYTES.get(kind, 0) * count
        if size <= len(value):
            return size > 0
        (at,) = struct.unpack(self._order + self._word, value)
        return at + size <= len(self._content)


def _check_kind(content: bytes, directory: _Directory) -> None:
    below: list[_Directory] = []
    for at in list(directory.numbers(_SUBDIRECTORIES))[:MAX_DIRECTORIES]:
        try:
            below.append(_Directory(content, at))
        except (struct.error, ValueError):
            continue
    raw = any(part.number(_PHOTOMETRIC) in _SENSOR for part in (directory, *below))
    if raw or next(directory.numbers(_DNG), None) is not None:
        raise refusal("camera raw")

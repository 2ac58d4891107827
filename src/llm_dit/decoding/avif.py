"""AVIF: libavif decodes; the label of its colors is read here from the boxes of the picture that is shown."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile

from llm_dit.decoding.labels import HighRange, coded_colors
from llm_dit.decoding.source import Source, by_pillow, orientation_of

MAX_DEEP = 16_777_216
"""Pixels of which all bits are decoded."""
_LIKE_SRGB = {1: 13, 6: 13, 14: 13, 15: 13}
"""Curves of television that browsers take for sRGB's in AVIF, where cameras and encoders name them by habit."""


def open_avif(content: bytes) -> Source:
    """Return the first frame in an AVIF file."""
    content = _with_one_table(content)
    image = AvifImageFile(io.BytesIO(content))
    properties = _properties(content)
    profile = image.info.get("icc_profile") or _coded(properties)
    bits = properties.get(b"pixi", b"").ljust(6, b"\0")[5]
    # Pillow tells irot and imir as EXIF; an orientation in EXIF itself does not count.
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
    """Decodes all bits of high dynamic range, of which Pillow returns the upper eight."""

    def __init__(self, content: bytes, image: AvifImageFile, bits: int) -> None:
        self._content, self._image, self._bits = content, image, bits
        self._lower: Image.Image | None = None

    def decode(self, enough: tuple[int, int] | None) -> Image.Image:
        """Return the upper eight bits."""
        import cv2  # large, and the service itself does without it

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
    """Return a file with its tables of properties in one: some encoders write one an item, libavif takes no second."""
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
    spare = stop - begin - len(properties)  # places in the file are told by number, so nothing may move
    head, free = struct.pack(">I4s", 8 + len(properties), b"iprp"), struct.pack(">I4s", spare, b"free")
    return content[: begin - 8] + head + properties + free + bytes(spare - 8) + content[stop:]


def _properties(content: bytes) -> dict[bytes, bytes]:
    """Return what the boxes of the primary picture hold, by name; of its colors those by code points."""
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
    """Return what the box of code points says, or None for sRGB."""
    codes = properties.get(b"colr", b"")
    if len(codes) < 11:
        return None
    primaries, transfer = struct.unpack_from(">HH", codes, 4)
    return coded_colors(primaries, _LIKE_SRGB.get(transfer, transfer), _brightest(properties))


def _brightest(properties: dict[bytes, bytes]) -> float:
    """Return the light of the brightest pixel in cd/m², or else the most of the display that it was made on, or 0."""
    light, display = properties.get(b"clli", b""), properties.get(b"mdcv", b"")
    return int.from_bytes(light[:2]) or int.from_bytes(display[16:20]) / 10_000


def _boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield names of boxes and where their content starts and ends."""
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
    """Return the numbers, from 1, of the properties that an item has."""
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

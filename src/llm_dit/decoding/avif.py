"""AVIF: libavif decodes; the label of its colors is read here from the boxes of the picture that is shown."""

import io
import struct
from collections.abc import Iterator

from PIL.AvifImagePlugin import AvifImageFile

from llm_dit.decoding.coded import coded_colors
from llm_dit.decoding.exif import orientation_of
from llm_dit.decoding.hdr import HighRange
from llm_dit.decoding.source import Source, by_pillow

_LIKE_SRGB = {1: 13, 6: 13, 14: 13, 15: 13}
"""Curves of television that browsers take for sRGB's in AVIF, where cameras and encoders name them by habit."""


def open_avif(content: bytes) -> Source:
    """Return the first frame in an AVIF file."""
    content = _with_one_table(content)
    image = AvifImageFile(io.BytesIO(content))
    return Source(
        size=image.size,
        decode=by_pillow(image),
        # Pillow tells irot and imir as EXIF; an orientation in EXIF itself does not count.
        orientation=orientation_of(image.info.get("exif", b"")),
        profile=image.info.get("icc_profile") or _coded(content),
    )


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


def _coded(content: bytes) -> bytes | HighRange | None:
    """Return what the primary picture's box of code points says, or None for sRGB."""
    try:
        start, end = _first(content, 0, len(content), b"meta")
        properties = _first(content, start + 4, end, b"iprp")
        item = _first(content, start + 4, end, b"pitm")
        primary = struct.unpack_from(">I" if content[item[0]] else ">H", content, item[0] + 4)[0]
        container = _first(content, *properties, b"ipco")
        known = list(_boxes(content, *container))
        used = _associated(content, _first(content, *properties, b"ipma"), primary)
        for number in used:
            name, start, end = known[number - 1]
            if name == b"colr" and content[start : start + 4] == b"nclx" and end - start >= 11:
                primaries, transfer = struct.unpack_from(">HH", content, start + 4)
                return coded_colors(primaries, _LIKE_SRGB.get(transfer, transfer))
    except (struct.error, LookupError):
        pass
    return None


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

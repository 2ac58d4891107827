"""GIF: the first frame goes to the decoder alone, and is put on a clear canvas as browsers do."""

import io
import struct

from PIL.GifImagePlugin import GifImageFile

from llm_dit.decoding.source import Source, by_pillow

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

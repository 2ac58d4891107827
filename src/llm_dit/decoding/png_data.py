"""Whether the compressed data of a PNG hold every pixel, which Pillow does not tell."""

import struct
import zlib

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, and steps between columns and between rows of Adam7."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_AT_ONCE = 1 << 20


def whole(header: bytes, data: bytes) -> bytes:
    """Return the data without their checksum; raises `ValueError` when a pixel is missing or data are damaged.

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

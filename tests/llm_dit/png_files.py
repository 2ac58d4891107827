"""PNG files put together chunk by chunk, as no encoder at hand writes them."""

import struct
import zlib
from collections.abc import Sequence

from llm_dit.decoding.icc import BT709, PRIMARIES, power, rgb_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DISPLAY_P3 = rgb_profile(PRIMARIES[12], power(2.2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
GRAY, COLOR, INDEXED, GRAY_ALPHA, COLOR_ALPHA = CHANNELS


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, depth: int, kind: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))


def packed(rows: Sequence[bytes]) -> bytes:
    return zlib.compress(b"".join(b"\0" + row for row in rows))


def png_file(rows: Sequence[bytes], depth: int, kind: int, *chunks: bytes) -> bytes:
    """Return a PNG of the rows, as wide as they hold whole pixels of `depth` bits, with chunks ahead of the pixels."""
    width = len(rows[0]) * 8 // (depth * CHANNELS[kind])
    pixels = chunk(b"IDAT", packed(rows))
    return SIGNATURE + header(width, len(rows), depth, kind) + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def embedded(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"made up\0\0" + zlib.compress(profile))


def coded(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, 0, 1)))


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", value.to_bytes(4))


def gray_profile(exponent: float) -> bytes:
    """Return a profile of gray, made of one for colors by taking a curve of it."""
    colors = rgb_profile(BT709, power(exponent))
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1) + struct.pack(">H", round(exponent * 256)) + b"\0\0"
    white = colors[132 + 12 * 7 : 132 + 12 * 7 + 20]
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, len(curve))
    body = colors[4:16] + b"GRAY" + colors[20:128] + table + white + curve
    return struct.pack(">I", len(body) + 4) + body

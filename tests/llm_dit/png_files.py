"""PNG files put together chunk by chunk, as no common encoder writes them."""

import struct
import zlib
from collections.abc import Sequence

from llm_dit.decoding.labels import PRIMARIES, Chromaticities, colorants

SIGNATURE = b"\x89PNG\r\n\x1a\n"
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


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC profile of a color space named by four letters, made of tags."""
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data.ljust((len(data) + 3) // 4 * 4, b"\0")
    head = struct.pack(">8xI4s4s4s12s", 0x02400000, b"mntr", space, b"XYZ ", b"") + b"acsp" + bytes(28) + _WHITE[8:]
    whole = head.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def gray_profile(exponent: float) -> bytes:
    return profile(b"GRAY", {b"wtpt": _WHITE, b"kTRC": gamma_curve(exponent)})


def matrix_profile(chromaticities: Chromaticities, *curves: bytes) -> bytes:
    """Return a profile of curves for red, green and blue, and of a matrix."""
    tags = {b"wtpt": _WHITE}
    tags |= {letter + b"XYZ": _xyz(*column) for letter, column in zip(_RGB, colorants(chromaticities).T, strict=True)}
    tags |= {letter + b"TRC": curve for letter, curve in zip(_RGB, curves, strict=True)}
    return profile(b"RGB ", tags)


def gamma_curve(exponent: float) -> bytes:
    return b"curv" + struct.pack(">4xIH", 1, round(exponent * 256))


def function_curve(kind: int, *numbers: float) -> bytes:
    """Return a curve by one of ICC's five functions."""
    return b"para" + struct.pack(f">4xHxx{len(numbers)}i", kind, *(round(number * 65_536) for number in numbers))


def table_curve(levels: Sequence[int]) -> bytes:
    return b"curv" + struct.pack(f">4xI{len(levels)}H", len(levels), *levels)


def _xyz(*values: float) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(value * 65_536) for value in values))


_RGB = (b"r", b"g", b"b")
_WHITE = _xyz(0.9642, 1.0, 0.8249)
DISPLAY_P3 = matrix_profile(PRIMARIES[12], *[gamma_curve(2.2)] * 3)

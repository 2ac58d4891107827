"""Pictures of at most 1 MB that ask for as much work as they can: for `benchmarks/side_by_side.py`."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

MOST_BYTES = 1_000_000


def saved(kind: str, image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def progressive_again_and_again() -> bytes:
    """Return a JPEG of 16 megapixels whose last scan comes as often as 1 MB holds it."""
    content = saved("JPEG", Image.new("L", (4000, 4000), 128), progressive=True)
    at = content.rindex(b"\xff\xda")
    scan = content[at:-2]
    return content[:at] + scan * ((MOST_BYTES - at - 2) // len(scan)) + content[-2:]


def progressive_with_short_scans() -> bytes:
    """Return a JPEG of 64 megapixels with thousands of scans that end at once."""
    content = saved("JPEG", Image.new("L", (8000, 8000), 128), progressive=True)
    at = content.rindex(b"\xff\xda")
    scan = content[at : at + 12]
    return content[:-2] + scan * ((MOST_BYTES - len(content)) // len(scan)) + content[-2:]


def run_length_bmp() -> bytes:
    """Return a BMP of 64 megapixels that a run of 255 pixels fills again and again."""
    side, palette = 8000, bytes(1024)
    runs = (b"\xff\x07" * (side // 255) + bytes([side % 255, 7]) + b"\0\0") * side
    runs = runs[: MOST_BYTES - 2000] + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 14 + 40 + 1024 + len(runs), 0, 0, 1078) + head + palette + runs


def hdr_png(side: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"\0" + bytes(range(0, 250, 10)) * (side * 6 // 25 + 1)
    packed = zlib.compress(rows[: side * 6 + 1] * side, 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)) + chunk(b"cICP", bytes([9, 16, 0, 1]))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def noisy(kind: str, side: int, **options: Any) -> bytes:
    """Return a picture with detail, as much as 1 MB holds of it in the format."""
    chance = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return saved(kind, Image.fromarray(chance, "RGB"), **options)


def _plain(side: int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (side, side), 128 if mode == "L" else None)


ATTACKS: dict[str, Callable[[], bytes]] = {
    "PNG, 16 Mpx": lambda: saved("PNG", _plain(4000)),
    "PNG, 64 Mpx": lambda: saved("PNG", _plain(8000, "L")),
    "PNG, 64 Mpx, interlaced bits": lambda: saved("PNG", _plain(8000, "1")),
    "PNG, HDR, 4 Mpx": lambda: hdr_png(2000),
    "PNG, HDR, 16 Mpx": lambda: hdr_png(4000),
    "JPEG, 64 Mpx": lambda: saved("JPEG", _plain(8000, "L"), quality=20),
    "JPEG, 225 Mpx": lambda: saved("JPEG", _plain(15_000, "L"), quality=5, optimize=True)[:MOST_BYTES],
    "JPEG, repeated scans": progressive_again_and_again,
    "JPEG, short scans": progressive_with_short_scans,
    "JPEG, noise": lambda: noisy("JPEG", 1200, quality=40),
    "WebP, 64 Mpx, lossless": lambda: saved("WEBP", _plain(8000), lossless=True, quality=0, method=0),
    "WebP, 64 Mpx": lambda: saved("WEBP", _plain(8000), quality=10, method=0),
    "WebP, noise": lambda: noisy("WEBP", 1100, quality=50, method=0),
    "GIF, 64 Mpx": lambda: saved("GIF", _plain(8000, "L")),
    "BMP, run lengths": run_length_bmp,
    "TIFF, LZW": lambda: saved("TIFF", _plain(8000, "L"), compression="tiff_lzw"),
    "TIFF, deflate": lambda: saved("TIFF", _plain(8000), compression="tiff_adobe_deflate"),
    "TIFF, fax": lambda: saved("TIFF", _plain(8000, "1"), compression="group4"),
    "AVIF, 16 Mpx": lambda: saved("AVIF", _plain(4000), quality=10, speed=10),
    "AVIF, noise": lambda: noisy("AVIF", 900, quality=50, speed=10),
    "no picture": lambda: b"\x89PNG\r\n\x1a\n" + b"x" * 900_000,
}

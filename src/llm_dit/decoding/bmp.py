"""BMP: every header and depth that browsers show, decoded here, because Pillow does not support masks of any width."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source

Pixels = NDArray[np.uint8]
_CORE, _INFO = 12, 40
_RGB, _RLE8, _RLE4, _FIELDS, _RLE24, _ALPHA_FIELDS = 0, 1, 2, 3, 4, 6
_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_EMBEDDED = b"DEBM"
_NIBBLES = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
MAX_PIXELS = 1 << 28


@dataclass(frozen=True, kw_only=True)
class _Header:
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, ...]
    palette: Pixels
    data: int
    """The offset of the pixels."""
    profile: bytes | None = None


def open_bmp(content: bytes) -> Source:
    """Return the picture in a BMP file; raises `ValueError` or `struct.error` if it is damaged."""
    header = _header(content)

    def decode(_: tuple[int, int] | None) -> Image.Image:
        if header.compression in {_RLE4, _RLE8, _RLE24}:
            pixels = _from_runs(content, header)
        elif header.bits <= 8:
            pixels = header.palette[_indices(content, header)]
        elif header.bits == 24:
            pixels = _opaque(
                _rows(content, header, header.width * 3).reshape(header.height, header.width, 3)[..., ::-1]
            )
        else:
            pixels = _masked(content, header)
        return Image.fromarray(np.ascontiguousarray(pixels if header.top_down else pixels[::-1]))

    return Source(size=(header.width, header.height), decode=decode, profile=header.profile)


def _header(content: bytes) -> _Header:
    data, size = struct.unpack_from("<II", content, 10)
    compression, colors, masks, profile = _RGB, 0, (), None
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", content, 18)
        if size >= _INFO:
            compression, _, _, _, colors = struct.unpack_from("<IIiiI", content, 30)
        elif size >= 20:
            (compression,) = struct.unpack_from("<I", content, 30)
    top_down, height = height < 0, abs(height)
    if width <= 0 or height == 0 or bits not in {1, 2, 4, 8, 16, 24, 32} or width * height > MAX_PIXELS:
        raise ValueError("no such bitmap")
    known = {_RLE8: 8, _RLE4: 4, _RLE24: 24}
    if compression not in {_RGB, _FIELDS, _ALPHA_FIELDS, *known} or known.get(compression, bits) != bits:
        raise ValueError("no such compression")
    table = 14 + size
    if bits in _MASKS:
        masks = _MASKS[bits]
        # Without masks the fourth byte is alpha from version 4 on; in older files it is arbitrary.
        alpha = 0xFF000000 if size >= 108 and bits == 32 else 0
        if compression in {_FIELDS, _ALPHA_FIELDS}:
            masks = struct.unpack_from("<III", content, 54)
            told = compression == _ALPHA_FIELDS or (size >= 56 and size != 64)
            alpha = struct.unpack_from("<I", content, 66)[0] if told else 0
            if size == _INFO:
                table += 16 if told else 12
        masks = (*masks[:3], alpha)
    if size == 124 and content[70:74] == _EMBEDDED:
        start, length = struct.unpack_from("<II", content, 126)
        profile = content[14 + start : 14 + start + min(length, MAX_PROFILE_BYTES)]
    return _Header(
        width=width,
        height=height,
        top_down=top_down,
        bits=bits,
        compression=compression,
        masks=masks,
        palette=_palette(content, table, data, size, bits, colors),
        data=data,
        profile=profile or None,
    )


def _palette(content: bytes, table: int, data: int, size: int, bits: int, colors: int) -> Pixels:
    """Return the palette of an indexed bitmap, RGBA; missing colors are black."""
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 3] = 255
    if bits > 8:
        return palette
    width = 3 if size == _CORE else 4
    count = min(colors or 1 << bits, 256, max(0, min(data, len(content)) - table) // width)
    entries = np.frombuffer(content, np.uint8, count * width, table).reshape(count, width)
    palette[:count, :3] = entries[:, 2::-1]
    return palette


def _rows(content: bytes, header: _Header, length: int) -> Pixels:
    """Return the rows of uncompressed pixels, `length` bytes each, padded to four in the file."""
    padded = (length + 3) // 4 * 4
    needed = padded * (header.height - 1) + length
    data = content[header.data : header.data + padded * header.height]
    if len(data) < needed:
        raise ValueError("cut off")
    return np.frombuffer(data.ljust(padded * header.height, b"\0"), np.uint8).reshape(header.height, padded)[:, :length]


def _indices(content: bytes, header: _Header) -> Pixels:
    rows = _rows(content, header, (header.width * header.bits + 7) // 8)
    if header.bits == 8:
        return rows
    mask = (1 << header.bits) - 1
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    indices = ((rows[..., None] >> shifts) & mask).astype(np.uint8)
    return indices.reshape(header.height, -1)[:, : header.width]


def _opaque(colors: Pixels) -> Pixels:
    return np.concatenate([colors, np.full((*colors.shape[:2], 1), 255, np.uint8)], axis=-1)


def _masked(content: bytes, header: _Header) -> Pixels:
    """Return pixels whose channels are bit fields."""
    bytes_each = header.bits // 8
    rows = np.ascontiguousarray(_rows(content, header, header.width * bytes_each))
    values = rows.view("<u2" if bytes_each == 2 else "<u4")
    pixels = np.empty((header.height, header.width, 4), np.uint8)
    for channel, mask in enumerate(header.masks):
        pixels[..., channel] = _under(values, mask)
    if not header.masks[3]:
        pixels[..., 3] = 255
    return pixels


def _under(values: NDArray[np.unsignedinteger], mask: int) -> Pixels:
    """Return the bits under a mask, scaled to 8 bits."""
    if not mask:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    width = (mask >> shift).bit_length()
    found = (values & mask) >> shift
    if width >= 8:
        return (found >> (width - 8)).astype(np.uint8)
    most = (1 << width) - 1
    return ((np.arange(most + 1) * 255 + most // 2) // most).astype(np.uint8)[found]


def _from_runs(content: bytes, header: _Header) -> Pixels:
    """Return run-length encoded pixels; skipped ones are black, as in browsers."""
    width, height = header.width, header.height
    unit = 3 if header.compression == _RLE24 else 1
    values, seen = bytearray(width * height * unit), bytearray(width * height)
    at, x, y = header.data, 0, 0
    while y < height:
        if at + 2 > len(content):
            raise ValueError("cut off")
        count, value = content[at], content[at + 1]
        if count or value > 2:
            length = count or value
            run, at = _run(content, at, header.compression)
            if x < width:
                left, start = min(length, width - x), y * width + x
                values[start * unit : (start + left) * unit] = run[: left * unit].ljust(left * unit, b"\0")
                seen[start : start + left] = b"\xff" * left
            x += length
        elif value == 0:
            x, y, at = 0, y + 1, at + 2
        elif value == 1:
            break
        else:
            x, y, at = x + content[at + 2], y + content[at + 3], at + 4
    shape = (height, width)
    if unit == 3:
        pixels = _opaque(np.frombuffer(values, np.uint8).reshape(*shape, 3)[..., ::-1])
    else:
        pixels = header.palette[np.frombuffer(values, np.uint8).reshape(shape)]
        pixels[np.frombuffer(seen, np.uint8).reshape(shape) == 0] = (0, 0, 0, 255)
    return pixels


def _run(content: bytes, at: int, compression: int) -> tuple[bytes, int]:
    """Return the values of a run, repeated or literal, and the offset of the next."""
    count = content[at]
    if count:
        if compression == _RLE8:
            return content[at + 1 : at + 2] * count, at + 2
        if compression == _RLE24:
            return content[at + 1 : at + 4] * count, at + 4
        value = content[at + 1]
        return bytes((value >> 4, value & 15)) * count, at + 2
    count = content[at + 1]
    length = {_RLE4: (count + 1) // 2, _RLE8: count, _RLE24: count * 3}[compression]
    run = content[at + 2 : at + 2 + length]
    if compression == _RLE4:
        run = run.hex().encode().translate(_NIBBLES)
    return run, at + 2 + length + length % 2

"""TIFF's tags of one picture, classic or BigTIFF in either order of bytes; and its numbers, of any width, to 8 bits."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
MAX_ENTRIES = 4096
MAX_NUMBERS = 1_000_000
"""Of one tag: the pieces of a large picture."""


class Directory:
    """Raises `ValueError` or `struct.error` for one that is not whole."""

    def __init__(self, content: bytes, at: int | None = None) -> None:
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        self.big = content[2:4] in {b"+\0", b"\0+"}
        self._entry, self._word, self._count = ("HHQ8s", "Q", "Q") if self.big else ("HHI4s", "I", "H")
        begin: int = self._read(self._word, 8 if self.big else 4)[0] if at is None else at
        (length,) = self._read(self._count, begin)
        if length > MAX_ENTRIES:
            raise ValueError("tags without end")
        size, start = struct.calcsize("<" + self._entry), begin + struct.calcsize("<" + self._count)
        found = (self._read(self._entry, start + number * size) for number in range(length))
        self._entries = {tag: (kind, count, value) for tag, kind, count, value in found}

    def _read(self, layout: str, at: int) -> tuple:  # type: ignore[type-arg]
        return struct.unpack_from(self.order + layout, self.content, at)

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first number under a tag, or `default` when there is none."""
        return next(iter(self.numbers(tag, 1)), default)

    def numbers(self, tag: int, most: int = MAX_NUMBERS) -> list[int]:
        """Return the numbers under a tag, the first `most` of them; none where they are not within the file."""
        kind, count, value = self._entries.get(tag, (0, 0, b""))
        if kind not in _LETTERS:
            return []
        data, layout = self._data(kind, count, value), np.dtype(self.order + _LETTERS[kind])
        return np.frombuffer(data, layout, min(count, most, len(data) // layout.itemsize)).tolist()

    def data(self, tag: int) -> bytes:
        """Return the bytes under a tag, whatever they stand for; none where they are not within the file."""
        return self._data(*self._entries.get(tag, (0, 0, b"")))

    def _data(self, kind: int, count: int, value: bytes) -> bytes:
        size = _BYTES.get(kind, 0) * count
        if size <= len(value):
            return value[:size]
        (at,) = struct.unpack(self.order + self._word, value)
        return self.content[at : at + size] if at + size <= len(self.content) else b""

    def alone(self, tags: Iterable[int]) -> bytes:
        """Return the file with a directory of those tags only, and no other after it."""
        kept = [(tag, *entry) for tag, entry in sorted(self._entries.items()) if tag in tags and self._data(*entry)]
        start = len(self.content) + len(self.content) % 2
        table = struct.pack(self.order + self._count, len(kept))
        table += b"".join(struct.pack(self.order + self._entry, *entry) for entry in kept) + bytes(8)
        pointer, head = (8, 16) if self.big else (4, 8)
        address = struct.pack(self.order + self._word, start)
        return self.content[:pointer] + address + self.content[head:].ljust(start - head, b"\0") + table


WHITE_IS_ZERO, GRAY, COLOR, INDEXED, _CMYK, LAB, ICC_LAB = 0, 1, 2, 3, 5, 8, 9
CHANNELS = {WHITE_IS_ZERO: 1, GRAY: 1, COLOR: 3, INDEXED: 1, _CMYK: 4, LAB: 3, ICC_LAB: 3}
_WHOLE, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_WIDTHS = {INDEXED: {*range(1, 17)}, LAB: {8, 16}, ICC_LAB: {8, 16}}
"""Bits of numbers of which not every width stands for a color."""
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3
PLAIN = 1
PACKED = {5, 8, 32773, 32946, 34925, 50000}
"""LZW, deflate, PackBits, deflate by its old number, LZMA, Zstandard."""
ASSOCIATED, _UNASSOCIATED = 1, 2
MAX_SAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the numbers of a picture lie in its file."""

    kind: int
    """Which colors they are (PhotometricInterpretation)."""
    bits: int
    has_point: bool
    samples: int
    """Numbers of a pixel."""
    apart: bool
    """Whether each channel is stored on its own."""
    alpha: int | None
    """Its meaning, where the number after the colors is alpha."""
    compression: int
    differences: int


def layout_of(directory: Directory) -> Layout | None:
    """Return how the pixels lie, or None for a picture that is not stored as numbers of one width.

    Numbers with a sign are taken for such without, as other decoders do.
    """
    compression, samples = directory.number(259, PLAIN), directory.number(277, 1)
    kind = directory.number(262, {1: GRAY, 3: COLOR}.get(samples, -1))
    widths = set(directory.numbers(258, max(1, samples))) or {1}
    numbers, colors, bits = directory.number(339, _WHOLE), CHANNELS.get(kind, 0), min(widths)
    if not colors or compression not in {PLAIN, *PACKED} or len(widths) != 1 or not colors <= samples <= MAX_SAMPLES:
        return None
    known = _WIDTHS.get(kind, {*range(1, 33), 64})
    if numbers == _FLOAT:
        known = {16, 32, 64} if kind not in _WIDTHS else set()
    if bits not in known or numbers not in {_WHOLE, _SIGNED, _FLOAT, _UNDEFINED}:
        return None
    extra = directory.number(338, _UNASSOCIATED if samples == colors + 1 else 0)
    return Layout(
        kind=kind,
        bits=bits,
        has_point=numbers == _FLOAT,
        samples=samples,
        apart=directory.number(284, 1) == 2 and samples > 1,
        alpha=extra if samples > colors and extra in {ASSOCIATED, _UNASSOCIATED} else None,
        compression=compression,
        differences=directory.number(317, 1),
    )


Pixels = NDArray[np.uint8]
Numbers = NDArray[Any]


def numbers_of(rows: Pixels, layout: Layout, width: int, order: str) -> Numbers:
    """Return numbers, rows × width × samples, of bytes."""
    samples, bits = 1 if layout.apart else layout.samples, layout.bits
    count = width * samples
    if layout.differences == FLOAT_DIFFERENCES and layout.has_point:
        rows = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8).reshape(len(rows), -1)
        rows, order = rows.reshape(len(rows), bits // 8, count).swapaxes(1, 2).reshape(len(rows), -1), ">"
    if bits in {8, 16, 32, 64}:
        letter = "f" if layout.has_point and layout.differences != DIFFERENCES else "u"
        values: Numbers = np.ascontiguousarray(rows).view(f"{order}{letter}{bits // 8}")
    else:
        values = _odd(rows, bits, count, order)
    values = values.reshape(len(rows), width, samples)
    if layout.differences == DIFFERENCES:
        native = values.dtype.newbyteorder("=")
        values = np.cumsum(values, axis=1, dtype=native)
        if bits not in {8, 16, 32, 64}:
            values &= native.type((1 << bits) - 1)
        if layout.has_point:
            values = values.view(f"f{bits // 8}")
    return values


def _odd(rows: Pixels, bits: int, count: int, order: str) -> Numbers:
    """Return numbers of a width that no machine has; whole bytes follow the file's order, others the highest bit's."""
    if bits == 24:
        parts = rows.reshape(len(rows), count, 3).astype(np.uint32)
        high, low = (2, 0) if order == "<" else (0, 2)
        return parts[..., high] << 16 | parts[..., 1] << 8 | parts[..., low]
    ones = np.unpackbits(rows, axis=1, count=count * bits).reshape(len(rows), count, bits)
    kind = np.uint8 if bits < 8 else np.uint16 if bits < 16 else np.uint32
    values = np.zeros((len(rows), count), kind)
    for bit in range(bits):
        values <<= kind(1)
        values |= ones[..., bit]
    return values


def eight_bits(values: Numbers, layout: Layout) -> Pixels:
    """Return numbers of 8 bits: the upper ones of more, as browsers do of 16, and fewer spread over them."""
    bits = layout.bits
    if layout.has_point:
        return (np.nan_to_num(values.astype(np.float32), posinf=1).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    if bits < 8:
        return (values.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)
    return (values >> (bits - 8)).astype(np.uint8) if bits > 8 else values.astype(np.uint8)


def divided(band: Numbers, count: int, layout: Layout) -> Pixels:
    """Return colors that were stored multiplied by alpha."""
    one = 1.0 if layout.has_point else float(2**layout.bits - 1)
    values = np.nan_to_num(band[..., : count + 1].astype(np.float32)) / one
    colors, alpha = values[..., :count], values[..., count:]
    shown = np.divide(colors, alpha, out=np.zeros_like(colors), where=alpha > 0)
    return (shown.clip(0, 1) * 255 + 0.5).astype(np.uint8)

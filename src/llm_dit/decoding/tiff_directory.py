"""The tags of one picture in a TIFF file, of classic TIFF or BigTIFF in either order of bytes."""

import struct
from collections.abc import Iterable

import numpy as np

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

"""TIFF files of numbers of any width, written bit by bit."""

import struct
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GRAY, COLOR, INDEXED, CMYK = 1, 2, 3, 5
ORIENTATION, EXTRA, PALETTE, FORMAT = 274, 338, 320, 339


def tiff_file(
    values: NDArray[Any],
    bits: int,
    kind: int,
    *tags: tuple[int, list[int]],
    order: Literal["<", ">"] = "<",
    big: bool = False,
    apart: bool = False,
    tile: int = 0,
    packed: bool = False,
    differences: int = 1,
    rows: int = 3,
) -> bytes:
    """Return a file of values, height × width × channels, in strips of `rows` rows or in square tiles.

    `apart` stores channel after channel; `packed` deflates; `differences` is the predictor, 1 to 3.
    """
    height, width, count = values.shape
    planes = [values[..., channel : channel + 1] for channel in range(count)] if apart else [values]
    pieces: list[bytes] = []
    for plane in planes:
        if tile:
            full = np.zeros((-(-height // tile) * tile, -(-width // tile) * tile, plane.shape[2]), plane.dtype)
            full[:height, :width] = plane
            corners = [(y, x) for y in range(0, len(full), tile) for x in range(0, full.shape[1], tile)]
            blocks = [full[y : y + tile, x : x + tile] for y, x in corners]
        else:
            blocks = [plane[y : y + rows] for y in range(0, height, rows)]
        pieces += [b"".join(_row(row, bits, order, differences) for row in block) for block in blocks]
    if packed:
        pieces = [zlib.compress(piece) for piece in pieces]
    body, offsets, begin = b"", [], 16 if big else 8
    for piece in pieces:
        offsets.append(begin + len(body))
        body += piece + bytes(len(piece) % 2)
    places = [(322, [tile]), (323, [tile]), (324, offsets), (325, [len(it) for it in pieces])]
    if not tile:
        places = [(273, offsets), (278, [rows]), (279, [len(it) for it in pieces])]
    entries = [
        *((256, [width]), (257, [height]), (258, [bits] * count), (259, [8 if packed else 1]), (262, [kind])),
        *((277, [count]), (284, [2 if apart else 1]), (317, [differences]), *places, *tags),
    ]
    entry, word, number, code = ("HHQ", "Q", "Q", 8) if big else ("HHI", "I", "H", 4)
    table = b""
    for tag, numbers in sorted(entries):
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(data) > code:
            data, body = struct.pack(order + word, begin + len(body)), body + data
        table += struct.pack(order + entry, tag, 4, len(numbers)) + data.ljust(code, b"\0")
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + (struct.pack(order + "HHH", 43, 8, 0) if big else struct.pack(order + "H", 42))
    head += struct.pack(order + word, begin + len(body))
    return head + body + struct.pack(order + number, len(entries)) + table + bytes(code)


def _row(row: NDArray[Any], bits: int, order: Literal["<", ">"], differences: int) -> bytes:
    if differences == 2:
        row = np.concatenate([row[:1], np.diff(row, axis=0)])
    if row.dtype.kind == "f" and differences == 3:
        swapped = np.frombuffer(row.astype(row.dtype.newbyteorder(">")).tobytes(), np.uint8)
        mixed = swapped.reshape(-1, bits // 8).T.reshape(-1, row.shape[1])
        return np.concatenate([mixed[:1], np.diff(mixed, axis=0)]).tobytes()
    if bits in {8, 16, 32, 64}:
        return row.astype(row.dtype.newbyteorder(order)).tobytes()
    if bits == 24:
        return b"".join(
            (int(value) & 0xFFFFFF).to_bytes(3, "little" if order == "<" else "big") for value in row.ravel()
        )
    ones = "".join(f"{int(value) & ((1 << bits) - 1):0{bits}b}" for value in row.ravel())
    ones += "0" * (-len(ones) % 8)
    return int(ones, 2).to_bytes(len(ones) // 8, "big")

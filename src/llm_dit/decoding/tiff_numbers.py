"""From the unpacked bytes of a TIFF file to numbers of any width, and on to 8 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_dit.decoding.tiff_layout import DIFFERENCES, FLOAT_DIFFERENCES, Layout

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

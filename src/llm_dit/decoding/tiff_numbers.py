"""From the unpacked bytes of a TIFF file to numbers of any width, and on to 8 bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_dit.decoding.tiff_directory import Directory

# How the numbers lie that a TIFF file stores its pixels as: told by tags, before one of them is read.


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

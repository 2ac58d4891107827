"""How the numbers lie that a TIFF file stores its pixels as: told by tags, before one of them is read."""

from dataclasses import dataclass

from llm_dit.decoding.tiff_directory import Directory

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

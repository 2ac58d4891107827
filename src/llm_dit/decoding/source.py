"""A picture that is found but not decoded yet, whatever its format."""

import struct
from dataclasses import dataclass

from PIL.ImageFile import ImageFile

# What Pillow is known to raise on files that are damaged or made to harm.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    struct.error,
    MemoryError,
    RuntimeError,
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """`image` is Pillow's picture with only its header read.

    `size` is the canvas, width × height in pixels, before it is turned upright by `orientation` (EXIF's 1–8); a first
    frame that does not fill it lies at `offset`. `profile` is an ICC profile of its colors, `key` the color that is
    clear, in the picture's own 8-bit values.
    """

    image: ImageFile
    size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    orientation: int = 1
    profile: bytes | None = None
    key: tuple[int, ...] | None = None

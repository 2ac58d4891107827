"""A picture that is found but not decoded yet, whatever its format."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image
from PIL.ImageFile import ImageFile

from llm_dit.decoding.hdr import HighRange

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
    RuntimeError,
)


Split = Callable[[Image.Image], tuple[Image.Image, Image.Image | None]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """`decode` returns the pixels; it takes the size that is enough, or None for all of them.

    `size` is the canvas, width × height in pixels, before it is turned upright by `orientation` (EXIF's 1–8); a first
    frame that does not fill it lies at `offset`. `profile` says which colors its values are: an ICC profile, HDR by
    code points, or None for sRGB. `split` takes the decoded picture apart into colors (L, RGB or CMYK) and alpha,
    where its mode alone does not tell them, and `lower` decodes the lower bytes of colors of 16 bits a channel. A
    format that `shrinks` leaves out while decoding what scaling would throw away. `check`, where a format has it,
    raises what `decode` raises when pixels are missing, and keeps none of them.
    """

    size: tuple[int, int]
    decode: Callable[[tuple[int, int] | None], Image.Image]
    offset: tuple[int, int] = (0, 0)
    orientation: int = 1
    profile: bytes | HighRange | None = None
    split: Split | None = None
    lower: Callable[[], Image.Image | None] | None = None
    shrinks: bool = False
    check: Callable[[], object] | None = None


def by_pillow(image: ImageFile) -> Callable[[tuple[int, int] | None], Image.Image]:
    """Return what decodes a picture of which Pillow has read the header."""

    def decode(enough: tuple[int, int] | None) -> Image.Image:
        if enough:
            image.draft(None, enough)
        image.load()
        return image

    return decode


# Which way up a camera held a picture: the one tag of EXIF that changes what is seen.


_ORIENTATION = 0x0112
_SHORT = 3


def orientation_of(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8: 1 (upright) when it is missing, damaged or out of range."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, value = struct.unpack_from(order + "HHIH", exif, at)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and length == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1

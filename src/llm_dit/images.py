"""Pictures from outside, as bytes or text: checked before they are decoded, then 8-bit sRGB RGBA; and writing PNG."""

import base64
import binascii
import contextlib
import io
import math
import re
import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from PIL import Image

from llm_dit.decoding.opening import NOT_A_PICTURE, open_source
from llm_dit.decoding.source import DECODER_ERRORS, Source, to_srgb
from llm_dit.errors import ImageError

MAX_FIT_PIXELS = 64_000_000
"""What is decoded at most to be scaled down; JPEG is halved while it is decoded until it has no more than this."""
MAX_FIT_SIDE = 65_535
BAND_PIXELS = 4_000_000
"""Pixels of a large picture to convert to sRGB and scale at a time."""
LANCZOS_REACH = 3
"""Pixels of the result on each side that a pixel is made of."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is decoded: at most width × height in pixels, sides in pixels, and longer : shorter side (None: any)."""

    max_pixels: int = 16_777_216
    max_side: int = 8192
    min_side: int = 1
    max_aspect: int | None = None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """RGBA, 8 bits per channel, upright, in sRGB; `scaled_from` is its size in the file, if that exceeded limits."""

    image: Image.Image
    scaled_from: tuple[int, int] | None = None


def read_picture(content: bytes, limits: ImageLimits | None = None, *, fit: bool = False) -> Picture:
    """Return the picture of a file as a browser shows it; the first frame of an animation.

    The bytes determine the format: PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF in all their modes. Color profiles are
    converted, the camera's orientation is applied, and metadata is skipped. With `fit`, a picture beyond `limits` is
    scaled down to them. Otherwise it raises `ImageError`, from the header, before any pixel is decoded; so does any
    other file. Raises `MemoryError` if this process has too little memory.
    """
    limits = limits or ImageLimits()
    with _opened(content) as source:
        width, height = upright = _turned(source.size, source.orientation)
        size = fitted(upright, limits) if fit else upright
        if size != upright:
            if width * height > _most_pixels(source) or max(upright) > MAX_FIT_SIDE:
                raise _too_large(f"{width}×{height} pixels", replace(limits, max_pixels=_most_pixels(source)))
            check_dimensions(size, limits)
        else:
            check_dimensions(upright, limits)
        return Picture(
            image=_decoded(source, _turned(size, source.orientation)),
            scaled_from=upright if size != upright else None,
        )


def read_image(content: bytes, limits: ImageLimits | None = None) -> Image.Image:
    """Return the image of `read_picture`; a picture beyond `limits` is refused."""
    return read_picture(content, limits).image


def size_of(content: bytes) -> tuple[int, int]:
    """Return the width and height in pixels of the upright picture, from its header alone; raises `ImageError`."""
    with _opened(content) as source:
        return _turned(source.size, source.orientation)


def check_picture(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return `size_of` a picture; raises `ImageError` beyond the limits, and for a PNG without all pixels.

    The latter check unpacks the PNG; other formats are not checked.
    """
    with _opened(content) as source:
        size = _turned(source.size, source.orientation)
        check_dimensions(size, limits)
        if source.check:
            source.check()
        return size


@contextlib.contextmanager
def _opened(content: bytes) -> Generator[Source]:
    """Provide an undecoded picture; Pillow's exceptions in the block become an `ImageError`."""
    try:
        yield open_source(content)
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        raise ImageError(NOT_A_PICTURE) from None
    except Image.DecompressionBombError:  # some of Pillow's readers check the size before we can
        raise ImageError("The picture has too many pixels: scale it down.") from None
    except DECODER_ERRORS as error:
        if "out of memory" in str(error):  # Pillow reports its decoders' errors like this
            raise MemoryError from None
        raise ImageError("The picture is damaged or truncated: save it again as PNG, JPEG or WebP.") from None


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    width, height = size
    return (height, width) if orientation >= 5 else (width, height)


def fitted(size: tuple[int, int], limits: ImageLimits) -> tuple[int, int]:
    """Return the largest size with the same aspect ratio within the limits."""
    width, height = size
    scale = min(1.0, limits.max_side / max(size), math.sqrt(limits.max_pixels / (width * height)))
    if scale == 1:
        return size
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))


def _most_pixels(source: Source) -> int:
    return MAX_FIT_PIXELS * 4 if source.shrinks else MAX_FIT_PIXELS


def _decoded(source: Source, size: tuple[int, int]) -> Image.Image:
    """Return a picture in `size`, its width × height in the file or less, then turned upright."""
    enough = None
    if source.shrinks and size != source.size:
        half = (math.ceil(source.size[0] / 2), math.ceil(source.size[1] / 2))
        enough = half if source.size[0] * source.size[1] > MAX_FIT_PIXELS else size
    image = source.decode(enough)
    if source.offset != (0, 0) or (not source.shrinks and image.size != source.size):
        shown = Image.new("RGBA", source.size)
        shown.paste(to_srgb(image, source), source.offset)
        shown = shown.resize(size, Image.Resampling.LANCZOS) if shown.size != size else shown
    elif image.size != size:
        shown = _scaled(image, source, size)
    else:
        shown = to_srgb(image, source)
    return shown.transpose(_UPRIGHT[source.orientation]) if source.orientation != 1 else shown


def _scaled(image: Image.Image, source: Source, size: tuple[int, int]) -> Image.Image:
    """Return a decoded picture in sRGB at a smaller size, in bands, so that the full picture is in memory once."""
    parts = source.split(image) if source.split else None
    lower = source.lower() if source.lower else None
    (width, height), step = size, image.height / size[1]
    reach = math.ceil(LANCZOS_REACH * max(step, 1)) + 1
    rows = max(1, int(BAND_PIXELS / image.width / step))
    shown = Image.new("RGBA", size)
    for start in range(0, height, rows):
        end = min(start + rows, height)
        top, bottom = max(0, int(start * step) - reach), min(image.height, math.ceil(end * step) + reach)

        def cut(whole: Image.Image, top: int = top, bottom: int = bottom) -> Image.Image:
            return whole.crop((0, top, whole.width, bottom))

        here = replace(
            source,
            split=(lambda _, cut=cut: (cut(parts[0]), parts[1] and cut(parts[1]))) if parts else None,
            lower=(lambda cut=cut, lower=lower: cut(lower)) if lower else None,
        )
        band = to_srgb(cut(image), here)
        box = (0, start * step - top, image.width, min(end * step - top, band.height))
        shown.paste(band.resize((width, end - start), Image.Resampling.LANCZOS, box=box), (0, start))
    return shown


def check_dimensions(size: tuple[int, int], limits: ImageLimits) -> None:
    """Raise `ImageError` for a size beyond `limits`."""
    width, height = size
    if min(size) < 1:
        raise ImageError("The picture has no pixels: save it again as PNG, JPEG or WebP.")
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        raise _too_large(f"{width}×{height} pixels", limits)
    if min(size) < limits.min_side:
        raise ImageError(
            f"The picture has {width}×{height} pixels, which is too small: each side needs at least {limits.min_side}."
        )
    if limits.max_aspect is not None and max(size) > limits.max_aspect * min(size):
        raise ImageError(
            f"The picture is {width}×{height}: one side may be at most {limits.max_aspect} times the other: crop it."
        )


def _too_large(size: str, limits: ImageLimits) -> ImageError:
    return ImageError(
        f"The picture has {size}; at most {limits.max_pixels / 1e6:.1f} million pixels and {limits.max_side} on the "
        "longer side are allowed: scale it down."
    )


# Pictures as text: base64 and data URLs, in all forms that programs write.

# Programs write anything into the label before the data, so only the bytes count.
_BASE64_LABEL = re.compile(r"data:[^,]{0,1000}?;\s*base64\s*,", re.IGNORECASE)
_LABEL = re.compile(r"data:[^,]{0,1000},", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\f\v"


def bytes_of(source: str) -> bytes:
    """Return the content of base64 or a data URL; raises `ValueError`."""
    if label := _BASE64_LABEL.match(source):
        return _from_base64(_unescaped(source[label.end() :]))
    if label := _LABEL.match(source):
        return _unescaped(source[label.end() :])
    return _from_base64(source.encode("ascii"))


def _unescaped(text: str) -> bytes:
    """Undo percent-encoding by reading it as quoted-printable (the same with "="), which builds no list of pieces."""
    escaped = text.encode("ascii")
    return binascii.a2b_qp(escaped.replace(b"=", b"=3D").replace(b"%", b"=")) if b"%" in escaped else escaped


def _from_base64(encoded: bytes) -> bytes:
    """Accept both alphabets, lines of any length and missing padding; `base64 FILE` and many libraries write these."""
    digits = encoded.translate(_STANDARD, delete=_SPACE).rstrip(b"=")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)


# Writing PNG.


def encode_png(image: Image.Image) -> bytes:
    """Return `image` as PNG bytes; see `write_png`."""
    buffer = io.BytesIO()
    write_png(image, buffer)
    return buffer.getvalue()


def write_png(image: Image.Image, target: IO[bytes]) -> None:
    """Write `image` as PNG without any text chunk, so that prompts stay private.

    Level 1 with run-length matching is eight times faster than Pillow's default on layers and as small: flat
    color and transparency are runs, and photographs hardly compress beyond PNG's row filters.
    """
    image.save(target, "PNG", compress_level=1, compress_type=zlib.Z_RLE)


def png_size(path: Path) -> tuple[int, int]:
    """Return the width and height in pixels of a PNG file from `encode_png`; raises `ValueError`, `OSError`."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24:
        raise ValueError("the file is cut off")
    width, height = struct.unpack(">16x2I", head)
    return width, height

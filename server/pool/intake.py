"""What a process of the pool does with pictures that come from outside: decode, check, scale, re-encode them."""

import base64
import binascii
import contextlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from llm_dit.decoding.formats import FORMAT_NAMES
from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, encode_png, read_picture, size_of
from server.storage.images import ImageStore

SMALL_PIXELS = 1_048_576
"""A picture of so many pixels is decoded and re-encoded within a moment."""
WHAT_WILL_DO = (
    f"send a {FORMAT_NAMES} picture as base64 or as a data URL, or the address /api/images/….png of one "
    "that this server holds"
)
NOT_HELD = "This server holds no such picture: upload it again."


@dataclass(frozen=True, kw_only=True)
class GivenPicture:
    """A picture as a request gives it: one that the store holds, or a file with what was sent.

    Such a file holds bytes, or, `as_text`, base64 or a data URL. `param` is the request's field, for errors.
    """

    sha256: str | None = None
    file: Path | None = None
    as_text: bool = False
    param: str = "image"


@dataclass(frozen=True, kw_only=True)
class KeptPicture:
    """A picture in the store; `scaled_from` is the size in which it came, if that was beyond the limits."""

    sha256: str
    width: int
    height: int
    scaled_from: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Intake:
    """How pictures are taken in; with `only_small`, functions return None for larger ones, whatever they hold."""

    data_dir: Path
    limits: ImageLimits
    fit: bool = False
    only_small: bool = False


def keep_picture(given: GivenPicture, intake: Intake) -> KeptPicture | None:
    """Put a picture into the store, upright and as RGBA; raises `ImageError`, `DiskFullError`."""
    store = ImageStore(intake.data_dir)
    with named(given.param):
        content = content_of(given, store)
        if intake.only_small and pixels_in(content) > SMALL_PIXELS:
            return None
        picture = read_picture(content, intake.limits, fit=intake.fit)
        del content  # it may be large, and is not needed while the picture is written
        image = picture.image
        sha256 = store.put(encode_png(image))
        return KeptPicture(sha256=sha256, width=image.width, height=image.height, scaled_from=picture.scaled_from)


def read_given(given: GivenPicture, store: ImageStore, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `ImageError`."""
    with named(given.param):
        return read_picture(content_of(given, store), limits).image


def content_of(given: GivenPicture, store: ImageStore) -> bytes:
    """Return the bytes of a picture's file; raises `ImageError` when there are none."""
    if given.sha256 is not None:
        if not store.use(given.sha256):
            raise ImageError(NOT_HELD)
        return store.read(given.sha256)
    assert given.file is not None
    if not given.as_text:
        return given.file.read_bytes()
    try:
        content = bytes_of(given.file.read_text("utf-8").strip())
    except ValueError:
        raise ImageError(f"This is not a picture: {WHAT_WILL_DO}.") from None
    if not content:
        raise ImageError(f"The picture is empty: {WHAT_WILL_DO}.")
    return content


def pixels_in(content: bytes) -> int:
    """Return how many pixels a picture has, by its header alone; 0 for what is no picture, which is refused fast."""
    try:
        width, height = size_of(content)
    except ImageError:
        return 0
    return width * height


@contextlib.contextmanager
def named(param: str) -> Generator[None]:
    """Say in the errors of the block which field they are about."""
    try:
        yield
    except ImageError as error:
        raise ImageError(error.message, param=param) from None


# Pictures as text: base64 and data URLs, in whatever form people's programs write them.

# What stands before the data is a label: people's programs write anything there, so that only the bytes count.
_BASE64_LABEL = re.compile(r"data:[^,]{0,1000}?;\s*base64\s*,", re.IGNORECASE)
_LABEL = re.compile(r"data:[^,]{0,1000},", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\f\v"


def bytes_of(source: str) -> bytes:
    """Return what base64 or a data URL holds; raises `ValueError`."""
    if label := _BASE64_LABEL.match(source):
        return _from_base64(_unescaped(source[label.end() :]))
    if label := _LABEL.match(source):
        return _unescaped(source[label.end() :])
    return _from_base64(source.encode("ascii"))


def _unescaped(text: str) -> bytes:
    """Undo percent-encoding, read as quoted-printable (the same with "="): that makes no list of ten million pieces."""
    escaped = text.encode("ascii")
    return binascii.a2b_qp(escaped.replace(b"=", b"=3D").replace(b"%", b"=")) if b"%" in escaped else escaped


def _from_base64(encoded: bytes) -> bytes:
    """Take either alphabet, lines of any length and missing padding; `base64 FILE` and many libraries write these."""
    digits = encoded.translate(_STANDARD, delete=_SPACE).rstrip(b"=")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)

"""Pictures in requests and answers: base64, data URLs, and the addresses of those this server holds."""

import base64
import binascii
import contextlib
import dataclasses
import io
import re
from collections.abc import Generator
from dataclasses import dataclass

from PIL import Image

from llm_dit.decoding.formats import FORMAT_NAMES
from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, check_size, read_image
from llm_dit.png import encode_png
from server.engines import Engine
from server.projects import ADDRESS
from server.settings import ServerSettings
from server.store import ImageStore
from web.prefix import located
from web.sieve import LongText

# What stands before the data is a label: people's programs write anything there, so that only the bytes count.
_BASE64_LABEL = re.compile(r"data:[^,]{0,1000}?;\s*base64\s*,", re.IGNORECASE)
_LABEL = re.compile(r"data:[^,]{0,1000},", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\r\n\f\v"
WHAT_WILL_DO = (
    f"send a {FORMAT_NAMES} picture as base64 or as a data URL, or the address /api/images/….png of one "
    "that this server holds"
)
MIN_JOB_SIDE = 2
"""Pixels; a line or a dot has nothing to take apart and nothing to edit."""


@dataclass(frozen=True)
class Picture:
    """A picture as a request names it; `param` is the field that names it."""

    source: str | LongText
    param: str = "image"

    def load(self, store: ImageStore, limits: ImageLimits) -> Image.Image:
        """Return the picture as RGBA; raises `ImageError`."""
        address = self._address
        content = self._held(store, address[1]) if address else self._decoded()
        with self._named():
            return read_image(content, limits)

    def keep(self, store: ImageStore, limits: ImageLimits) -> str:
        """Return the SHA-256 under which the store holds the picture, after putting it there if need be.

        Raises `ImageError`, also for a picture that the store holds and that is beyond `limits`.
        """
        address = self._address
        if address is None:
            return store.put(encode_png(self.load(store, limits)))
        with self._named():
            check_size(self._held(store, address[1]), limits)
        return address[1]

    @property
    def _address(self) -> re.Match[str] | None:
        return None if isinstance(self.source, LongText) else ADDRESS.fullmatch(self.source)

    @contextlib.contextmanager
    def _named(self) -> Generator[None]:
        """Say in the errors of the block which field they are about."""
        try:
            yield
        except ImageError as error:
            raise ImageError(error.message, param=self.param) from None

    def _held(self, store: ImageStore, sha256: str) -> bytes:
        if not store.use(sha256):
            raise ImageError("This server holds no such picture: upload it again.", param=self.param)
        return store.read(sha256)

    def _decoded(self) -> bytes:
        try:
            content = _bytes_of((self.source.read() if isinstance(self.source, LongText) else self.source).strip())
        except ValueError:
            raise ImageError(f"This is not a picture: {WHAT_WILL_DO}.", param=self.param) from None
        if not content:
            raise ImageError(f"The picture is empty: {WHAT_WILL_DO}.", param=self.param)
        return content


def _bytes_of(source: str) -> bytes:
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


def image_limits(settings: ServerSettings) -> ImageLimits:
    return ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side)


def job_limits(settings: ServerSettings, engine: Engine, output_size: str) -> ImageLimits:
    """Return what the engine takes, so that what it would refuse is refused before it waits in the queue."""
    max_aspect = engine.max_model_aspect if output_size == "model" else engine.max_aspect
    return dataclasses.replace(image_limits(settings), min_side=MIN_JOB_SIDE, max_aspect=max_aspect)


def address_of(sha256: str) -> str:
    return located(f"/api/images/{sha256}.png")


def data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def sample_data_url() -> str:
    """Return a picture of a few bytes for the examples of the documentation."""
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "white").save(buffer, "PNG")
    return data_url(buffer.getvalue())

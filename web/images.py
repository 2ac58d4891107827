"""Pictures in requests and answers: base64, data URLs, and the addresses of those this server holds."""

import base64
import binascii
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, read_image
from llm_dit.png import encode_png
from server.settings import ServerSettings
from server.store import ImageStore

_DATA_URL = re.compile(r"data:image/(png|jpe?g|webp);base64,", re.IGNORECASE)
_ADDRESS = re.compile(r"/api/images/([0-9a-f]{64})\.png")
WHAT_WILL_DO = (
    "send a PNG, JPEG or WebP picture as base64 or as a data URL, or the address /api/images/….png of one "
    "that this server holds"
)


@dataclass(frozen=True)
class Picture:
    """A picture as a request names it; `param` is the field that names it."""

    source: str
    param: str = "image"

    def load(self, store: ImageStore, limits: ImageLimits) -> Image.Image:
        """Return the picture as RGBA; raises `ImageError`."""
        address = _ADDRESS.fullmatch(self.source)
        content = self._held(store, address[1]) if address else self._decoded()
        try:
            return read_image(content, limits)
        except ImageError as error:
            raise ImageError(error.message, param=self.param) from None

    def keep(self, store: ImageStore, limits: ImageLimits) -> str:
        """Return the SHA-256 under which the store holds the picture, after putting it there if need be."""
        address = _ADDRESS.fullmatch(self.source)
        if address and address[1] in store:
            return address[1]
        return store.put(encode_png(self.load(store, limits)))

    def _held(self, store: ImageStore, sha256: str) -> bytes:
        if sha256 not in store:
            raise ImageError("This server holds no such picture: upload it again.", param=self.param)
        return store.read(sha256)

    def _decoded(self) -> bytes:
        prefix = _DATA_URL.match(self.source)
        encoded = self.source[prefix.end() :] if prefix else self.source
        try:
            # `base64 FILE` and many libraries break the lines.
            content = base64.b64decode("".join(encoded.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ImageError(f"This is not a picture: {WHAT_WILL_DO}.", param=self.param) from None
        if not content:
            raise ImageError(f"The picture is empty: {WHAT_WILL_DO}.", param=self.param)
        return content


def image_limits(settings: ServerSettings) -> ImageLimits:
    return ImageLimits(max_pixels=settings.max_pixels, max_side=settings.max_side)


def load_stack(pictures: Iterable[Picture], store: ImageStore, settings: ServerSettings) -> list[Image.Image]:
    """Return the pictures of a stack; raises `ImageError` when one will not do, or all together are too large."""
    images: list[Image.Image] = []
    room = settings.max_stack_pixels
    for picture in pictures:
        image = picture.load(store, image_limits(settings))
        room -= image.width * image.height
        if room < 0:
            most = f"{settings.max_stack_pixels / 1e6:.1f} million pixels"
            raise ImageError(f"The layers together have more than {most}: crop them.", param="layers")
        images.append(image)
    return images


def address_of(sha256: str) -> str:
    return f"/api/images/{sha256}.png"


def data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def sample_data_url() -> str:
    """Return a picture of a few bytes for the examples of the documentation."""
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), "white").save(buffer, "PNG")
    return data_url(buffer.getvalue())

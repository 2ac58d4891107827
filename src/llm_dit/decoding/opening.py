"""Which module opens which format."""

import io
from collections.abc import Callable, Mapping

from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.gif import open_gif
from llm_dit.decoding.jpeg import open_jpeg
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import Source, by_pillow
from llm_dit.decoding.tiff import open_tiff


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet; raises `ImageError`, and whatever Pillow raises on damage."""
    return _OPENERS[recognize(content)](content)


def _open_webp(content: bytes) -> Source:
    """Return the first frame in a WebP file; browsers do not turn it by EXIF."""
    image = WebPImageFile(io.BytesIO(content))
    return Source(size=image.size, decode=by_pillow(image), profile=image.info.get("icc_profile"))


_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "WebP": _open_webp,
    "GIF": open_gif,
    "BMP": open_bmp,
    "TIFF": open_tiff,
    "AVIF": open_avif,
}

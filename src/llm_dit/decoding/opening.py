"""Which module opens which format."""

import io
from collections.abc import Callable, Mapping

from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.gif import open_gif
from llm_dit.decoding.jpeg import open_jpeg
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import Source, by_pillow

ORIENTATION = 0x0112


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet; raises `ImageError`, and whatever Pillow raises on damage."""
    return _OPENERS[recognize(content)](content)


def _plain(reader: Callable[[io.BytesIO], ImageFile]) -> Callable[[bytes], Source]:
    def opened(content: bytes) -> Source:
        image = reader(io.BytesIO(content))
        return Source(
            size=image.size,
            decode=by_pillow(image),
            orientation=_orientation(image),
            profile=image.info.get("icc_profile"),
        )

    return opened


def _orientation(image: ImageFile) -> int:
    """Return how a TIFF is to be turned; browsers turn none of the other formats that come here."""
    value = image.tag_v2.get(ORIENTATION) if isinstance(image, TiffImageFile) else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "WebP": _plain(WebPImageFile),
    "GIF": open_gif,
    "BMP": open_bmp,
    "TIFF": _plain(TiffImageFile),
    "AVIF": open_avif,
}

"""Which module opens which format."""

import io
from collections.abc import Callable, Mapping

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.exif import orientation_of
from llm_dit.decoding.formats import recognize
from llm_dit.decoding.source import Source

ORIENTATION = 0x0112


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet; raises `ImageError`, and whatever Pillow raises on damage."""
    return _OPENERS[recognize(content)](content)


def _plain(reader: Callable[[io.BytesIO], ImageFile]) -> Callable[[bytes], Source]:
    def opened(content: bytes) -> Source:
        image = reader(io.BytesIO(content))
        return Source(
            image=image,
            size=image.size,
            orientation=_orientation(image),
            profile=image.info.get("icc_profile"),
        )

    return opened


def _orientation(image: ImageFile) -> int:
    if isinstance(image, TiffImageFile):
        value = image.tag_v2.get(ORIENTATION)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1
    return orientation_of(image.info.get("exif", b""))


_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": _plain(PngImageFile),
    "JPEG": _plain(JpegImageFile),
    "WebP": _plain(WebPImageFile),
    "GIF": _plain(GifImageFile),
    "BMP": _plain(BmpImageFile),
    "TIFF": _plain(TiffImageFile),
    "AVIF": _plain(AvifImageFile),
}

"""Writing PNG: the one place that knows how."""

import io
import zlib

from PIL import Image


def encode_png(image: Image.Image) -> bytes:
    """Return `image` as PNG bytes without any text chunk: what was asked for stays private.

    Level 1 with run-length matching is eight times faster than Pillow's default on layers and as small: flat
    colour and transparency are runs, and photographs hardly compress beyond what PNG's row filters do.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()

"""Pictures within files: looked at before they are decoded, and decoded one at a time."""

import io

from PIL import Image

from llm_dit.errors import ImageError, LayerFileError
from llm_dit.images import ImageLimits, check_size, read_image


def picture_size(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return the width and height that a picture's header says; raises `LayerFileError` beyond the limits."""
    try:
        check_size(content, limits)
        with Image.open(io.BytesIO(content)) as image:
            return image.size
    except ImageError as error:
        raise LayerFileError(f"A picture of this file will not do. {error.message}") from None


def decoded(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `LayerFileError`."""
    try:
        return read_image(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture of this file will not do. {error.message}") from None

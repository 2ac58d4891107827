"""Pictures within files: looked at before they are decoded, and decoded one at a time."""

from PIL import Image

from llm_dit.errors import ImageError, LayerFileError
from llm_dit.images import ImageLimits, check_dimensions, read_image, size_of


def picture_size(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return the width and height that a picture's header says; raises `LayerFileError` beyond the limits."""
    try:
        size = size_of(content)
        check_dimensions(size, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture of this file will not do. {error.message}") from None
    return size


def decoded(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `LayerFileError`."""
    try:
        return read_image(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture of this file will not do. {error.message}") from None

"""Pictures within files: looked at before they are decoded, and decoded one at a time."""

from PIL import Image

from llm_dit.errors import ImageError, LayerFileError
from llm_dit.images import ImageLimits, check_dimensions, check_whole, read_image, size_of


def picture_size(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return the width and height that a picture's header says.

    Raises `LayerFileError` beyond the limits, and for a PNG that is cut off or damaged: so no picture of a broken file
    is decoded or kept.
    """
    try:
        size = size_of(content)
        check_dimensions(size, limits)
        check_whole(content)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None
    return size


def decoded(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `LayerFileError`."""
    try:
        return read_image(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None

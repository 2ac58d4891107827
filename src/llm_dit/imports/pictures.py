"""Pictures within files: looked at before they are decoded, and decoded one at a time."""

from PIL import Image

from llm_dit.errors import ImageError, LayerFileError
from llm_dit.images import ImageLimits, check_picture, read_image


def picture_size(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return the width and height that a picture's header says.

    Raises `LayerFileError` beyond the limits, and for a PNG that is cut off or damaged: so no picture of a broken file
    is decoded or kept.
    """
    try:
        return check_picture(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None


def decoded(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `LayerFileError`."""
    try:
        return read_image(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None

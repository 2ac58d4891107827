"""The picture of a run, checked before anything is loaded or computed; the same for every pipeline."""

from PIL import Image

from llm_dit.errors import ImageError

EDIT_RESOLUTION = 1024
"""An edit at the model's size covers this many pixels squared."""
MULTIPLE = 32
CLASSICAL_MAX_ASPECT = 20
"""Longer side : shorter side of what is resized for a model; at its own size a picture may have any shape."""
QWEN_MAX_ASPECT = 8
"""Longer side : shorter side; beyond it the shorter side has less than 230 of 640 pixels, too few to see much."""


def model_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Return width and height of about `resolution`² pixels, the aspect of `size` kept, multiples of 32.

    As diffusers' `calculate_dimensions` for the Qwen-Image pipelines does; no side is less than 32.
    """
    ratio = size[0] / size[1]
    width = (resolution * resolution * ratio) ** 0.5
    return (
        max(MULTIPLE, round(width / MULTIPLE) * MULTIPLE),
        max(MULTIPLE, round(width / ratio / MULTIPLE) * MULTIPLE),
    )


def check_image(image: object, param: str) -> None:
    """Raise `ImageError` for what is no picture, has no pixels, or has pixels that are not bytes."""
    if not isinstance(image, Image.Image):
        raise ImageError(f"{param} must be a picture, such as PIL's Image.open(path) returns.", param=param)
    if image.width < 1 or image.height < 1:
        raise ImageError("The image is empty: it needs at least 1 × 1 pixels.", param=param)
    if image.mode[:2] in ("I;", "I", "F"):
        raise ImageError("The image must have 8 bits per channel: convert it first.", param=param)


def check_aspect(image: Image.Image, at_most: int, advice: str, param: str) -> None:
    """Raise `ImageError` when one side is more than `at_most` times the other; `advice` says what to do."""
    if max(image.size) > at_most * min(image.size):
        raise ImageError(
            f"The image is {image.width}×{image.height}: one side may be at most {at_most} times the other; {advice}.",
            param=param,
        )

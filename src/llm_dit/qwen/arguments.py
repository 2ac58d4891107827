"""The arguments of a run, checked once, before anything is loaded."""

import secrets
from collections.abc import Sequence

from PIL import Image

from llm_dit.errors import ImageError, InputError, InstructionError

RESOLUTIONS = (640, 1024)
EDIT_RESOLUTION = 1024
MAX_SEED = 2**53 - 1
MAX_ASPECT = 8
"""Longer side : shorter side; beyond it the shorter side has less than 230 of 640 pixels, too few to see much."""
MULTIPLE = 32


def bucket(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Return the width and height that the model works at: `resolution`² pixels, the aspect of `size`, multiples of 32.

    The arithmetic of diffusers' `calculate_dimensions`.
    """
    ratio = size[0] / size[1]
    width = (resolution * resolution * ratio) ** 0.5
    return round(width / MULTIPLE) * MULTIPLE, round(width / ratio / MULTIPLE) * MULTIPLE


def check_image(image: Image.Image, param: str) -> None:
    """Raise `ImageError` for a picture that is far from square: the model would see a few rows of pixels."""
    longer, shorter = max(image.size), min(image.size)
    if shorter < 1:
        raise ImageError("The image is empty: it needs at least one pixel.", param=param)
    if longer > MAX_ASPECT * shorter:
        raise ImageError(
            f"The image is {image.width}×{image.height}: the model works at a fixed area, so one side may be at most "
            f"{MAX_ASPECT} times the other; crop it.",
            param=param,
        )


def check_sampling(num_inference_steps: int, cfg_scale: float, seed: int | None) -> None:
    """Raise `InputError` naming the one that is out of range."""
    check_range(num_inference_steps, 1, 100, "num_inference_steps")
    check_range(cfg_scale, 1, 20, "cfg_scale")
    if seed is not None:
        check_range(seed, 0, MAX_SEED, "seed")


def check_range(value: float, low: float, high: float, param: str) -> None:
    if not low <= value <= high:
        raise InputError(f"{param} is a number from {low} to {high}.", param=param)


def check_choice(value: object, choices: Sequence[object], param: str) -> None:
    if value not in choices:
        raise InputError(f"{param} is {' or '.join(map(str, choices))}.", param=param)


def check_instruction(instruction: str) -> None:
    if not instruction.strip():
        raise InstructionError("The instruction is empty: say what to change, such as “make the house blue”.")


def used_seed(seed: int | None) -> int:
    """Return the seed, or draw one, 0 to 2^53 − 1."""
    return secrets.randbelow(MAX_SEED + 1) if seed is None else seed

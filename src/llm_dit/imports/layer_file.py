"""What every reader of a file of layers returns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from llm_dit.errors import LayerFileError
from llm_dit.images import ImageLimits
from llm_dit.layer import MAX_LAYERS, Layer

FileKind = Literal["zip", "project", "ora", "psd"]

MAX_WARNINGS = 20


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """What is read of a file: the canvas and each layer within `image`, so many layers, and pixels of them in all."""

    image: ImageLimits = field(default_factory=ImageLimits)
    image_bytes: int = 64 << 20
    layers: int = MAX_LAYERS
    pixels: int = 1 << 30


@dataclass(frozen=True, kw_only=True)
class LayerFile:
    """A stack on a canvas of `width` × `height` pixels.

    `layers` yields the layers once, bottom first, and decodes each when it comes to it. `warnings` says in sentences
    what does not come along; it is complete when all layers have been read. `about` is what else the file says, such as
    the seed.
    """

    kind: FileKind
    width: int
    height: int
    layers: Iterator[Layer]
    warnings: list[str] = field(default_factory=list)
    about: Mapping[str, object] = field(default_factory=dict)


def check_sizes(sizes: list[tuple[int, int]], canvas: tuple[int, int], limits: FileLimits) -> None:
    """Raise `LayerFileError` for a canvas or layers beyond the limits, before a pixel of them is decoded."""
    most, side = limits.image.max_pixels, limits.image.max_side
    for what, (width, height) in [("The picture", canvas), *(("A layer", size) for size in sizes)]:
        if width * height > most or max(width, height) > side:
            raise LayerFileError(
                f"{what} of this file has {width}×{height} pixels; at most {most / 1e6:.1f} million and {side} on the "
                "longer side are allowed: scale it down."
            )
    if min(canvas) < 1:
        raise LayerFileError("The picture of this file has no size: save it again.")
    if len(sizes) > limits.layers:
        raise LayerFileError(f"This file has {len(sizes)} layers; at most {limits.layers} are read: merge some.")
    if sum(width * height for width, height in sizes) > limits.pixels:
        raise LayerFileError(
            f"The layers of this file have more than {limits.pixels / 1e6:.0f} million pixels together: merge some, or "
            "scale it down."
        )


def warn(warnings: list[str], words: str) -> None:
    """Say something once; of a file that gives cause for more than anybody reads, only the first."""
    if words not in warnings and len(warnings) < MAX_WARNINGS:
        warnings.append(words)

"""What a process of the pool does with stacks of layers: put them together, and write them as files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_dit.color import Rgba
from llm_dit.errors import InputError
from llm_dit.exports.formats import ExportName
from llm_dit.exports.formats import write_export as export_to
from llm_dit.images import ImageLimits, write_png
from llm_dit.layer import Layer, pixels_within
from llm_dit.layers import Painting, canvas_of
from server.pool.intake import SMALL_PIXELS, GivenPicture, content_of, named, pixels_in, read_given
from server.storage.images import ImageStore, disk_full_told


@dataclass(frozen=True, kw_only=True)
class GivenLayer:
    """A layer as a request gives it; `placing` is what `Layer` takes beside the picture."""

    picture: GivenPicture
    placing: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StackLimits:
    """The largest picture, the largest canvas, and what all layers may show of it, in pixels."""

    image: ImageLimits
    total_pixels: int


@dataclass(frozen=True, kw_only=True)
class GivenStack:
    """A stack, bottom first, and where it is to be written; with `only_small`, larger ones are left alone."""

    layers: tuple[GivenLayer, ...]
    width: int | None
    height: int | None
    background: Rgba | None
    data_dir: Path
    limits: StackLimits
    target: Path
    only_small: bool = False


def write_composite(stack: GivenStack) -> tuple[int, int] | None:
    """Write the stack as one PNG picture and return its size; None when it is not small. Raises `InputError`."""
    size = sized_canvas(stack)
    if size is None:
        return None
    with Painting(*size, stack.background) as painting:
        for layer in layers_of(stack):
            painting.add(layer)
        picture = painting.picture()
    with disk_full_told(), stack.target.open("wb") as file:
        write_png(picture, file)
    return size


def write_export(stack: GivenStack, format: ExportName, title: str) -> bool:
    """Write the stack as a file; False when it is not small. Raises `InputError`."""
    size = sized_canvas(stack)
    if size is None:
        return False
    width, height = size
    with disk_full_told(), stack.target.open("w+b") as file:
        export_to(layers_of(stack), format, file, width=width, height=height, background=stack.background, title=title)
    return True


def layers_of(stack: GivenStack) -> Iterator[Layer]:
    """Yield the layers, each decoded when its turn comes."""
    store = ImageStore(stack.data_dir)
    for layer in stack.layers:
        yield Layer(image=read_given(layer.picture, store, stack.limits.image), **layer.placing)


def sized_canvas(stack: GivenStack) -> tuple[int, int] | None:
    """Return the canvas's size, None when the stack is not small and was to be.

    Raises `InputError` when there is nothing of the canvas, or too much, before any work.
    """
    store = ImageStore(stack.data_dir)
    if stack.only_small and sum(_pixels(layer.picture, store) for layer in stack.layers) > SMALL_PIXELS:
        return None
    most = stack.limits.image
    boxes = [(layer.box, layer.shown_box) for layer in layers_of(stack)]
    width, height = canvas_of([box for box, _ in boxes], stack.width, stack.height)
    if max(width, height) > most.max_side or width * height > most.max_pixels:
        raise InputError(
            f"The canvas would be {width}×{height} pixels; at most {most.max_pixels / 1e6:.1f} million and "
            f"{most.max_side} on the longer side are allowed: give a smaller width and height.",
            param="width",
        )
    if sum(pixels_within(shown, (0, 0, width, height)) for _, shown in boxes if shown) > stack.limits.total_pixels:
        raise InputError(
            f"At their scale the layers together show more than {stack.limits.total_pixels / 1e6:.1f} million pixels "
            "of the canvas: scale them down, merge some, or give a smaller width and height.",
            param="layers",
        )
    return None if stack.only_small and width * height > SMALL_PIXELS else (width, height)


def _pixels(given: GivenPicture, store: ImageStore) -> int:
    with named(given.param):
        return pixels_in(content_of(given, store))

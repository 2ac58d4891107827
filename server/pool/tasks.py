"""The tasks of pool processes: uploaded pictures, stacks of layers, and selections in them.

`pictures.py` runs these functions, each in a lane and within a budget.
"""

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from llm_dit.color import Rgba
from llm_dit.decoding.opening import FORMAT_NAMES
from llm_dit.errors import ImageError, InputError
from llm_dit.evaluation import coverage
from llm_dit.exports.formats import ExportName, FlatFormat, TextForm, export_flat
from llm_dit.exports.formats import write_export as export_to
from llm_dit.images import ImageLimits, bytes_of, encode_png, read_picture, size_of, write_png
from llm_dit.layer import Box, Groups, KeptLayer, Layer, kept_fields, pixels_within
from llm_dit.layers import Painting, canvas_of
from llm_dit.surroundings import surroundings_of
from server.storage.images import ImageStore, disk_full_told

SMALL_PIXELS = 1_048_576
"""Most pixels of a picture that the quick lane decodes and re-encodes."""
WHAT_WILL_DO = (
    f"send a {FORMAT_NAMES} picture as base64 or as a data URL, or the address /api/images/….png of one on this server"
)
NOT_HELD = "This server does not have this picture: upload it again."


@dataclass(frozen=True, kw_only=True)
class GivenPicture:
    """A picture of a request: a stored one, or a file with the uploaded data.

    The file contains bytes, or, with `as_text`, base64 or a data URL. `param` is the request's field, for errors.
    """

    sha256: str | None = None
    file: Path | None = None
    as_text: bool = False
    clear_is_white: bool = False
    """Whether it is a mask in OpenAI's way: where it is transparent, the store gets white, elsewhere black."""
    param: str = "image"


@dataclass(frozen=True, kw_only=True)
class KeptPicture:
    """A stored picture; `scaled_from` is its original size, if that exceeded the limits."""

    sha256: str
    width: int
    height: int
    scaled_from: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Intake:
    """How to accept pictures; with `only_small`, functions return None for larger ones without decoding them."""

    data_dir: Path
    limits: ImageLimits
    fit: bool = False
    only_small: bool = False


def keep_picture(given: GivenPicture, intake: Intake) -> KeptPicture | None:
    """Store a picture, upright and as RGBA; raises `ImageError`, `DiskFullError`."""
    store = ImageStore(intake.data_dir)
    with named(given.param):
        content = content_of(given, store)
        if intake.only_small and pixels_in(content) > SMALL_PIXELS:
            return None
        picture = read_picture(content, intake.limits, fit=intake.fit)
        del content  # it may be large, and is no longer needed
        image = picture.image
        if given.clear_is_white and (alpha := image.getchannel("A")).histogram()[255] < image.width * image.height:
            image = ImageChops.invert(alpha).convert("RGBA")
        sha256 = store.put(encode_png(image))
        return KeptPicture(sha256=sha256, width=image.width, height=image.height, scaled_from=picture.scaled_from)


def read_given(given: GivenPicture, store: ImageStore, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `ImageError`."""
    with named(given.param):
        return read_picture(content_of(given, store), limits).image


def content_of(given: GivenPicture, store: ImageStore) -> bytes:
    """Return the bytes of a picture's file; raises `ImageError` if it is missing."""
    if given.sha256 is not None:
        if not store.use(given.sha256):
            raise ImageError(NOT_HELD)
        return store.read(given.sha256)
    assert given.file is not None
    if not given.as_text:
        return given.file.read_bytes()
    try:
        content = bytes_of(given.file.read_text("utf-8").strip())
    except ValueError:
        raise ImageError(f"This is not a picture: {WHAT_WILL_DO}.") from None
    if not content:
        raise ImageError(f"The picture is empty: {WHAT_WILL_DO}.")
    return content


def pixels_in(content: bytes) -> int:
    """Return the number of pixels from a picture's header; 0 for other data, which is refused fast."""
    try:
        width, height = size_of(content)
    except ImageError:
        return 0
    return width * height


@contextlib.contextmanager
def named(param: str) -> Generator[None]:
    """Add the field to the errors of the block."""
    try:
        yield
    except ImageError as error:
        raise ImageError(error.message, param=param) from None


# Stacks of layers: compositing and export.


@dataclass(frozen=True, kw_only=True)
class GivenLayer:
    """A layer of a request; `placing` are the arguments of `Layer` besides the picture."""

    picture: GivenPicture
    placing: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class StackLimits:
    """The limits in pixels: the largest picture, the largest canvas, and all layers together."""

    image: ImageLimits
    total_pixels: int


@dataclass(frozen=True, kw_only=True)
class GivenStack:
    """A stack, bottom first, and the target file; with `only_small`, larger stacks are not processed."""

    layers: tuple[GivenLayer, ...]
    width: int | None
    height: int | None
    background: Rgba | None
    groups: Groups
    data_dir: Path
    limits: StackLimits
    target: Path
    only_small: bool = False


def write_composite(stack: GivenStack) -> tuple[int, int] | None:
    """Write the stack as one PNG and return its size, or None if it is not small; raises `InputError`."""
    size = sized_canvas(stack)
    if size is None:
        return None
    with Painting(*size, stack.background, groups=stack.groups) as painting:
        for layer in layers_of(stack):
            painting.add(layer)
        picture = painting.picture()
    with disk_full_told(), stack.target.open("wb") as file:
        write_png(picture, file)
    return size


def write_export(stack: GivenStack, format: ExportName, title: str, text: TextForm) -> bool:
    """Write the stack as a file, or return False if it is not small; raises `InputError`."""
    size = sized_canvas(stack)
    if size is None:
        return False
    width, height = size
    with disk_full_told(), stack.target.open("w+b") as file:
        export_to(
            layers_of(stack),
            format,
            file,
            width=width,
            height=height,
            background=stack.background,
            groups=stack.groups,
            title=title,
            text=text,
        )
    return True


@dataclass(frozen=True, kw_only=True)
class Flat:
    """How to write a stored picture as a file: its format, its size (None: its own), and its background."""

    format: FlatFormat
    limits: ImageLimits
    size: tuple[int, int] | None = None
    background: Rgba | None = None


def write_flat(sha256: str, how: Flat, data_dir: Path, target: Path) -> None:
    """Write a stored picture as a file; raises `InputError` if it does not fit the format."""
    image = read_given(GivenPicture(sha256=sha256), ImageStore(data_dir), how.limits)
    if how.size is not None:
        image = image.resize(how.size, Image.Resampling.LANCZOS)
    with disk_full_told(), target.open("w+b") as file:
        export_flat(
            [Layer(image=image)],
            file,
            how.format,
            width=image.width,
            height=image.height,
            background=how.background,
        )


def layers_of(stack: GivenStack) -> Iterator[Layer]:
    """Yield the layers, each decoded in its turn."""
    store = ImageStore(stack.data_dir)
    for layer in stack.layers:
        yield Layer(image=read_given(layer.picture, store, stack.limits.image), **layer.placing)


def sized_canvas(stack: GivenStack) -> tuple[int, int] | None:
    """Return the canvas's size, or None if `only_small` and the stack is not.

    Raises `InputError` before any work if the canvas is empty or too large.
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
            f"At their scale the layers together cover more than {stack.limits.total_pixels / 1e6:.1f} million pixels "
            "of the canvas: scale them down, merge some, or give a smaller width and height.",
            param="layers",
        )
    return None if stack.only_small and width * height > SMALL_PIXELS else (width, height)


def _pixels(given: GivenPicture, store: ImageStore) -> int:
    with named(given.param):
        return pixels_in(content_of(given, store))


class StoredLayer(KeptLayer, frozen=True):
    """A layer with a stored picture; `coverage` is its mean alpha, 0–1."""

    sha256: str
    width: int
    height: int
    coverage: float


def kept_layer(layer: Layer, store: ImageStore) -> StoredLayer:
    """Store the picture of a layer; raises `DiskFullError`."""
    return StoredLayer(
        sha256=store.put(encode_png(layer.image)),
        width=layer.image.width,
        height=layer.image.height,
        coverage=round(coverage(layer.image), 4),
        **kept_fields(layer),
    )


# A layer of a stack among the others.


def placed_layer(stack: GivenStack, index: int, param: str) -> Layer:
    """Return the layer at `index`, which the field `param` of a request has; raises `InputError`."""
    if not 0 <= index < len(stack.layers):
        raise InputError(f"The stack has {len(stack.layers)} layers, counted from 0, and none at {index}.", param=param)
    given = stack.layers[index]
    return Layer(image=read_given(given.picture, ImageStore(stack.data_dir), stack.limits.image), **given.placing)


def keep_surroundings(stack: GivenStack, index: int, size: tuple[int, int]) -> tuple[str, Box]:
    """Put what the other layers show around the one at `index` into the store, whose picture must have that size.

    Returns the picture, and the box of the layer's pixels that it lies on. Raises `InputError`, `DiskFullError`.
    """
    canvas, param = sized_canvas(stack), "surroundings.index"
    assert canvas is not None
    layer = placed_layer(stack, index, param)
    if layer.image.size != size:
        raise InputError(
            f"The layer at index {index} must have the image's size, {size[0]}×{size[1]} pixels, and has "
            f"{layer.image.width}×{layer.image.height}.",
            param=param,
        )
    around = surroundings_of(layers_of(stack), index, *canvas, groups=stack.groups)
    return ImageStore(stack.data_dir).put(encode_png(around.image)), around.box


# Selections in a stack: the mask, and a layer of it.


@dataclass(frozen=True, kw_only=True)
class Hints:
    """The arguments of `llm_dit.classical.selecting.select`."""

    points: Sequence[tuple[float, float]]
    without: Sequence[tuple[float, float]]
    box: tuple[float, float, float, float] | None
    line: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The size of a mask, and the box (left, top, right, bottom) of its content; None if it is empty."""

    width: int
    height: int
    box: tuple[int, int, int, int] | None
    coverage: float


@dataclass(frozen=True, kw_only=True)
class ChangedLayer:
    """A layer, by its index in the stack, with a new picture of the same size."""

    index: int
    sha256: str
    coverage: float


@dataclass(frozen=True, kw_only=True)
class CutStack:
    """The new layer, its index in the new stack, and the layers from which it was cut, by old indices."""

    index: int
    layer: StoredLayer
    changed: list[ChangedLayer]


@dataclass(frozen=True, kw_only=True)
class HarmonizedStack:
    """The harmonized picture of a layer, how much was changed (0–1), and the layer with its shadow, if there is one."""

    sha256: str
    coverage: float
    strength: float
    shadow: StoredLayer | None


def keep_harmonized(stack: GivenStack, index: int, name: str | None) -> HarmonizedStack:
    """Store the layer at `index` with the colors of what is around it, and a shadow with a `name`, None for no shadow.

    Raises `InputError`, `DiskFullError`.
    """
    from llm_dit.classical.harmonizing import contact_shadow, harmonize_layer

    size = sized_canvas(stack)
    assert size is not None
    store, layer = ImageStore(stack.data_dir), placed_layer(stack, index, "index")
    around = surroundings_of(layers_of(stack), index, *size, groups=stack.groups, whole=True)
    harmony = harmonize_layer(layer.image, around)
    shadow = None if name is None else contact_shadow(layer, around, *size)
    return HarmonizedStack(
        sha256=store.put(encode_png(harmony.image)),
        coverage=round(coverage(harmony.image), 4),
        strength=round(harmony.strength, 3),
        shadow=shadow and kept_layer(replace(shadow, name=name or ""), store),
    )


def write_selection(stack: GivenStack, hints: Hints) -> Selection:
    """Write the mask of a selection in a stack as a gray PNG to its target; raises `InputError`."""
    from llm_dit.classical.selecting import select

    picture = _shown(stack)
    size = picture.size
    mask = select(picture, points=hints.points, without=hints.without, box=hints.box, line=hints.line)
    with disk_full_told(), stack.target.open("wb") as file:
        write_png(mask, file)
    share = sum(level * count for level, count in enumerate(mask.histogram())) / 255 / (size[0] * size[1])
    return Selection(width=size[0], height=size[1], box=mask.getbbox(), coverage=round(share, 4))


_last_shown: list[tuple[GivenStack, Image.Image]] = []
"""The composite of the last stack with a selection, so that the next click needs no decoding."""
SHOWN_PIXELS = 4_194_304
"""Most pixels of a composite that is kept: 16 MB."""


def _shown(stack: GivenStack) -> Image.Image:
    """Return the composite of a stack; raises `InputError`."""
    store = ImageStore(stack.data_dir)
    # Uploaded files have new names each time, so they cannot be compared.
    named = replace(stack, target=Path())
    held = all(one.picture.sha256 is not None and store.use(one.picture.sha256) for one in stack.layers)
    if held and _last_shown and _last_shown[0][0] == named:
        return _last_shown[0][1]
    _last_shown.clear()
    size = sized_canvas(stack)
    assert size is not None
    with Painting(*size, groups=stack.groups) as painting:
        for layer in layers_of(stack):
            painting.add(layer)
        picture = painting.picture()
    if held and size[0] * size[1] <= SHOWN_PIXELS:
        _last_shown.append((named, picture))
    return picture


def keep_cut(stack: GivenStack, mask: GivenPicture, name: str) -> CutStack:
    """Store a layer of the masked part of a stack, and the changed pictures of the layers below it.

    White selects a pixel; black and transparent do not. Raises `InputError`, `DiskFullError`.
    """
    from llm_dit.classical.cutting import cut_out

    size = sized_canvas(stack)
    assert size is not None
    store = ImageStore(stack.data_dir)
    given = read_given(mask, store, stack.limits.image)
    layers = list(layers_of(stack))
    made = cut_out(layers, *size, ImageChops.multiply(given.convert("L"), given.getchannel("A")), name, stack.groups)
    changed = [
        ChangedLayer(index=number, sha256=kept.sha256, coverage=kept.coverage)
        for number, (before, after) in enumerate(zip(layers[: made.place], made, strict=False))
        if before.image is not after.image
        for kept in [kept_layer(after, store)]
    ]
    return CutStack(index=made.place, layer=kept_layer(made[made.place], store), changed=changed)

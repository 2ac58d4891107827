"""What a process of the pool does when something is pointed at: its mask, and a layer of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops

from llm_dit.images import write_png
from llm_dit.layers import Painting
from server.pool.intake import GivenPicture, read_given
from server.pool.layer_files import StoredLayer, kept_layer
from server.pool.stacks import GivenStack, layers_of, sized_canvas
from server.storage.images import ImageStore, disk_full_told


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What is pointed at, as `llm_dit.classical.selecting.select` takes it."""

    points: Sequence[tuple[float, float]]
    without: Sequence[tuple[float, float]]
    box: tuple[float, float, float, float] | None
    line: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How large a mask is, and the box (left, top, right, bottom) that it fills; None for an empty one."""

    width: int
    height: int
    box: tuple[int, int, int, int] | None
    coverage: float


@dataclass(frozen=True, kw_only=True)
class ChangedLayer:
    """A layer, by its place in the stack, that has another picture of the same size now."""

    index: int
    sha256: str
    coverage: float


@dataclass(frozen=True, kw_only=True)
class CutStack:
    """The new layer, its place in the new stack, and the layers that it was cut from, by their places in the old."""

    index: int
    layer: StoredLayer
    changed: list[ChangedLayer]


def write_selection(stack: GivenStack, hints: Hints) -> Selection:
    """Write the mask of what is pointed at in a stack as a gray PNG to its target; raises `InputError`."""
    from llm_dit.classical.selecting import select

    size = sized_canvas(stack)
    assert size is not None
    with Painting(*size) as painting:
        for layer in layers_of(stack):
            painting.add(layer)
        picture = painting.picture()
    mask = select(picture, points=hints.points, without=hints.without, box=hints.box, line=hints.line)
    with disk_full_told(), stack.target.open("wb") as file:
        write_png(mask, file)
    share = sum(level * count for level, count in enumerate(mask.histogram())) / 255 / (size[0] * size[1])
    return Selection(width=size[0], height=size[1], box=mask.getbbox(), coverage=round(share, 4))


def keep_cut(stack: GivenStack, mask: GivenPicture, name: str) -> CutStack:
    """Put a layer of what a stack shows where a mask is into the store, and the changed pictures of those below it.

    White is all of a pixel, black and what is clear nothing of it. Raises `InputError`, `DiskFullError`.
    """
    from llm_dit.classical.cutting import cut_out

    size = sized_canvas(stack)
    assert size is not None
    store = ImageStore(stack.data_dir)
    given = read_given(mask, store, stack.limits.image)
    layers = list(layers_of(stack))
    made = cut_out(layers, *size, _gray(given), name)
    changed = [
        ChangedLayer(index=number, sha256=kept.sha256, coverage=kept.coverage)
        for number, (before, after) in enumerate(zip(layers[: made.place], made, strict=False))
        if before.image is not after.image
        for kept in [kept_layer(after, store)]
    ]
    return CutStack(index=made.place, layer=kept_layer(made[made.place], store), changed=changed)


def _gray(mask: Image.Image) -> Image.Image:
    return ImageChops.multiply(mask.convert("L"), mask.getchannel("A"))

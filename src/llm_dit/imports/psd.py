"""Reads Photoshop files, as Photoshop, Photopea, Krita, GIMP, Affinity and `exports/psd.py` write them.

Layers are imported as pixels if the file has those, including text, shapes and smart objects. Groups nest; masks and
clipping are applied to the layers. Warnings name what is not imported (adjustments, effects).
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import IO

import numpy as np
from PIL import Image

from llm_dit.color import BlendMode
from llm_dit.errors import LayerFileError
from llm_dit.images import BAND_PIXELS, LANCZOS_REACH, MAX_FIT_PIXELS, MAX_FIT_SIDE, ImageLimits, fitted
from llm_dit.imports.layer_file import FileLimits, Folder, LayerFile, Nesting, check_sizes, grouped, warn
from llm_dit.imports.psd_pixels import Colors, Entry, LayerPixels, is_fill
from llm_dit.imports.psd_records import Record, read_structure
from llm_dit.layer import PASS_THROUGH, Group, GroupBlend, Groups, Layer
from llm_dit.layers import composite
from llm_dit.names import shortened

BLENDS: dict[bytes, BlendMode] = {
    b"norm": "normal",
    b"mul ": "multiply",
    b"scrn": "screen",
    b"over": "overlay",
    b"dark": "darken",
    b"lite": "lighten",
    b"div ": "color-dodge",
    b"idiv": "color-burn",
    b"hLit": "hard-light",
    b"sLit": "soft-light",
    b"diff": "difference",
    b"smud": "exclusion",
    b"hue ": "hue",
    b"sat ": "saturation",
    b"colr": "color",
    b"lum ": "luminosity",
}
GROUP_BLENDS: dict[bytes, GroupBlend] = {b"pass": PASS_THROUGH, **BLENDS}
ADJUSTMENTS = {
    b"levl", b"curv", b"brit", b"CgEd", b"blnc", b"blwh", b"hue2", b"hue ", b"selc", b"mixr", b"grdm", b"phfl", b"post",
    b"thrs", b"nvrt", b"vibA", b"expA", b"clrL",
}  # fmt: skip
FILLS = {b"GdFl", b"PtFl", b"vscg", b"vstk"}
EFFECTS = {b"lfx2", b"lfxs", b"lmfx"}
ARTBOARDS = {b"artb", b"artd"}

ADJUSTED = "“{name}” is an adjustment layer without pixels and is left out."
FILLED = "“{name}” is a shape or fill that is not stored as pixels and is left out."
STYLED = "The effects of “{name}”, such as shadows or strokes, are left out."
BLENDED = "“{name}” has an unknown blend mode and is shown as normal."
SCALED = (
    "The picture is {0}×{1} pixels, beyond the limits, and was scaled to {2}×{3}, without the parts off the canvas."
)
ARTBOARD = "“{name}” is an artboard, and comes in as a group, without its background and its bounds."
GROUP_CLIPPED = "The group “{name}” was clipped to what lies below it, and is not any more."
CLIPPED_TO_GROUP = "“{name}” was clipped to a group; the clipping is lost."
DIFFERS = (
    "The layers look different here than in the program that saved them: they use one of its features that layers here "
    "do not have."
)
COMPARED_SIDE = 256
"""Pixels of the longer side at which the layers are compared with the file's merged picture."""
DIFFERENT, DIFFERENT_SHARE = 32, 0.015
"""Levels by which a pixel looks different, and the share of such pixels from which the picture does."""
NEARLY_OPAQUE = 250


def read_psd(file: IO[bytes], limits: FileLimits) -> LayerFile:
    """Return the stack of a PSD or PSB; without layers, its merged picture is the only layer.

    If the canvas exceeds the limits, up to `MAX_FIT_PIXELS`, the stack is scaled down and cropped to the canvas.
    """
    psd = read_structure(file)
    warnings: list[str] = []
    colors = Colors(psd)
    entries = [entry for entry in _entries(psd.records, warnings) if _has_pixels(entry.record, warnings)]
    sizes = [(psd.width, psd.height) if is_fill(entry.record) else entry.record.size for entry in entries]
    masks = [mask.box for record in psd.records if (mask := record.mask)]
    sizes_of_masks = [(right - left, bottom - top) for left, top, right, bottom in masks]
    canvas = (psd.width, psd.height)
    size = fitted(canvas, limits.image) if min(canvas) > 0 else canvas
    if size != canvas:
        warn(warnings, SCALED.format(*canvas, *size))
        limits = replace(limits, image=ImageLimits(max_pixels=MAX_FIT_PIXELS, max_side=MAX_FIT_SIDE))
    check_sizes(sizes, canvas, limits)
    check_sizes(sizes_of_masks[: limits.layers], canvas, limits)
    reader = LayerPixels(file, psd, colors)
    labels, groups = grouped(entry.path for entry in entries)

    def layers() -> Iterator[Layer]:
        if not psd.records:
            yield Layer(image=reader.merged(), name="Background")
        # A warning says already that the layers may look different.
        comparison = _Comparison(canvas) if psd.records and psd.has_merged else None
        for entry, label in zip(entries, labels, strict=True):
            layer = _layer(entry, label, reader, warnings)
            if comparison and not warnings:
                comparison.add(layer)
            yield layer
            del layer
        if comparison and not warnings and comparison.differs(reader, groups):
            warn(warnings, DIFFERS)

    # A loop's variable would keep a large layer until the next one is ready.
    shown = layers() if size == canvas else map(partial(smaller, canvas=canvas, to=size), layers())
    return LayerFile(kind="psd", width=size[0], height=size[1], layers=shown, groups=groups, warnings=warnings)


class _Comparison:
    """Compares the layers, as they are shown here, with the merged picture of the file, both at a small size."""

    def __init__(self, canvas: tuple[int, int]) -> None:
        scale = max(1.0, max(canvas) / COMPARED_SIDE)
        self._canvas = canvas
        self._size = (max(1, round(canvas[0] / scale)), max(1, round(canvas[1] / scale)))
        self._layers: list[Layer] = []

    def add(self, layer: Layer) -> None:
        if layer.visible:
            self._layers.append(smaller(layer, self._canvas, self._size))

    def differs(self, reader: LayerPixels, groups: Groups) -> bool:
        """Return whether much of the picture looks different where the layers are opaque.

        Elsewhere the merged picture's colors depend on the background that its program chose. A merged picture of one
        color was left empty, and a damaged one tells nothing.
        """
        try:
            merged = reader.merged()
        except LayerFileError:
            return False
        shown = np.asarray(composite(self._layers, *self._size, groups=groups), np.int16)
        other = np.asarray(merged.convert("RGB").resize(self._size, Image.Resampling.LANCZOS), np.int16)
        different = (np.abs(shown[..., :3] - other).max(axis=2) > DIFFERENT) & (shown[..., 3] > NEARLY_OPAQUE)
        return bool(different.mean() > DIFFERENT_SHARE and other.min() < other.max())


def _entries(records: list[Record], warnings: list[str]) -> list[Entry]:
    """Return the layers, bottom first, with their groups; in the records a group is above its layers."""
    found: list[Entry] = []
    path: Nesting = ()
    masks: tuple[Record, ...] = ()
    outer: list[tuple[Nesting, tuple[Record, ...]]] = []
    for record in reversed(records):
        if record.section in {1, 2}:
            outer.append((path, masks))
            blend = (record.blocks.get(b"lsct", b"")[8:12]) or record.blend
            if blend not in GROUP_BLENDS:
                warn(warnings, BLENDED.format(name=shortened(record.name)))
            group = Group(opacity=_opacity(record), visible=record.visible, blend=GROUP_BLENDS.get(blend, "normal"))
            path = (*path, Folder(name=record.name, group=group))
            masks = (*masks, record)
            if any(_has_effects(record.blocks.get(key, b"")) for key in EFFECTS):
                warn(warnings, STYLED.format(name=shortened(record.name)))
            if record.clipped:
                warn(warnings, GROUP_CLIPPED.format(name=shortened(record.name)))
            if not record.blocks.keys().isdisjoint(ARTBOARDS):
                warn(warnings, ARTBOARD.format(name=shortened(record.name)))
        elif record.section == 3:
            path, masks = outer.pop() if outer else ((), ())
        else:
            found.append(Entry(record=record, path=path, masks=masks, base=None))
    return _with_bases(found[::-1], records, warnings)


def _with_bases(entries: list[Entry], records: list[Record], warnings: list[str]) -> list[Entry]:
    """Find the base of each clipped layer: the next layer below it in the same group that is not clipped."""
    based: list[Entry] = []
    base: Entry | None = None
    below = {id(record): records[index - 1] for index, record in enumerate(records) if index}
    for entry in entries:
        under = below.get(id(entry.record))
        if not entry.record.clipped:
            base = entry
        elif base is None or base.path != entry.path or (under is not None and under.section in {1, 2}):
            warn(warnings, CLIPPED_TO_GROUP.format(name=shortened(entry.record.name)))
            base = None
        linked = base if entry.record.clipped else None
        based.append(Entry(record=entry.record, path=entry.path, masks=entry.masks, base=linked))
    return based


def _layer(entry: Entry, label: str, reader: LayerPixels, warnings: list[str]) -> Layer:
    record, base = entry.record, entry.base
    name = shortened(record.name)
    if record.blend not in GROUP_BLENDS:
        warn(warnings, BLENDED.format(name=name))
    if any(_has_effects(record.blocks.get(key, b"")) for key in EFFECTS):
        warn(warnings, STYLED.format(name=name))
    around = [record, *([base.record] if base else [])]
    image, box = reader.layer(entry)
    return Layer(
        image=image,
        name=name,
        x=box[0],
        y=box[1],
        opacity=math.prod(map(_opacity, around)),
        visible=all(one.visible for one in around),
        blend=BLENDS.get(record.blend, "normal"),
        group=label,
    )


def _has_pixels(record: Record, warnings: list[str]) -> bool:
    """Return whether a layer has pixels; one that only adjusts others or only describes a drawing is skipped."""
    name = shortened(record.name)
    if not record.blocks.keys().isdisjoint(ADJUSTMENTS):
        warn(warnings, ADJUSTED.format(name=name))
        return False
    if 0 in record.size and not is_fill(record) and not record.blocks.keys().isdisjoint(FILLS):
        warn(warnings, FILLED.format(name=name))
        return False
    return True


def _has_effects(block: bytes) -> bool:
    return b"enabbool\x01" in block and b"masterFXSwitchbool\x00" not in block


def _opacity(record: Record) -> float:
    fill = record.blocks.get(b"iOpa", b"\xff")[:1] or b"\xff"
    return record.opacity / 255 * fill[0] / 255


# Scaling layers of a file that exceeds the limits to a smaller canvas.


NEARLY = 6
"""Decimals of a pixel to which edges are compared."""


def smaller(layer: Layer, canvas: tuple[int, int], to: tuple[int, int]) -> Layer:
    """Return a layer of plain pixels on a canvas (width, height), scaled and cropped to a smaller one.

    Edges between two pixels become soft. It works band by band, so that a large image is held in memory only once.
    """
    across = _Span(layer.x, layer.image.width, canvas[0], to[0])
    down = _Span(layer.y, layer.image.height, canvas[1], to[1])
    if min(across.count, down.count) < 1:
        return replace(layer, image=Image.new("RGBA", (1, 1)), x=0, y=0)
    shown = Image.new("RGBA", (across.count, down.count))
    left, right = across.needed(0, across.count)
    rows = max(1, int(BAND_PIXELS / (right - left) / down.step))
    for first in range(0, down.count, rows):
        last = min(first + rows, down.count)
        top, bottom = down.needed(first, last)
        # Cropping beyond a picture gives transparent pixels.
        part = layer.image.crop((left, top, right, bottom))
        box = (
            max(across.at(0) - left, 0),
            max(down.at(first) - top, 0),
            min(across.at(across.count) - left, part.width),
            min(down.at(last) - top, part.height),
        )
        shown.paste(part.resize((across.count, last - first), Image.Resampling.LANCZOS, box), (0, first))
    return replace(layer, image=shown, x=across.first, y=down.first)


class _Span:
    """A layer along one axis: the `count` pixels of the smaller canvas that it touches, from `first` on."""

    def __init__(self, start: int, length: int, canvas: int, to: int) -> None:
        self.step = canvas / to
        self.first = max(0, math.floor(round(start / self.step, NEARLY)))
        self.count = min(to, math.ceil(round((start + length) / self.step, NEARLY))) - self.first
        self._start = start
        self._length = length
        self._reach = math.ceil(LANCZOS_REACH * self.step) + 1

    def at(self, pixel: int) -> float:
        """Return the start of such a pixel in the layer's own pixels, from its edge."""
        return round((self.first + pixel) * self.step - self._start, NEARLY)

    def needed(self, first: int, last: int) -> tuple[int, int]:
        """Return the range of the layer's own pixels that give pixels `first` to `last`; it extends slightly beyond the
        layer if that ends within a pixel."""
        begin, end = math.floor(self.at(first)), math.ceil(self.at(last))
        lowest, highest = min(0, math.floor(self.at(0))), max(self._length, math.ceil(self.at(self.count)))
        return max(lowest, begin - self._reach), min(highest, end + self._reach)

"""Reading Photoshop files, as Photoshop, Photopea, Krita, GIMP, Affinity and `exports/psd.py` write them.

Layers come as pixels where the file has them: text, shapes and smart objects too. Groups nest; what a group, a mask or
a clipping does is done to the layers. What cannot come along (adjustments, effects) is said in warnings.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image

from llm_dit.color import BlendMode
from llm_dit.errors import LayerFileError
from llm_dit.imports.layer_file import FileLimits, Folder, LayerFile, Path, check_sizes, labels, warn
from llm_dit.imports.psd_pixels import Colors, Plane, read_plane, to_plane
from llm_dit.imports.psd_records import DAMAGED, Channel, PsdFile, Record, read_structure
from llm_dit.layer import Box, Layer
from llm_dit.names import shortened

ALPHA, MASK = -1, -2
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
PASS_THROUGH = b"pass"
ADJUSTMENTS = {
    b"levl", b"curv", b"brit", b"CgEd", b"blnc", b"blwh", b"hue2", b"hue ", b"selc", b"mixr", b"grdm", b"phfl", b"post",
    b"thrs", b"nvrt", b"vibA", b"expA", b"clrL",
}  # fmt: skip
FILLS = {b"GdFl", b"PtFl", b"vscg", b"vstk"}
EFFECTS = {b"lfx2", b"lmfx"}

ADJUSTED = "“{name}” adjusts what lies below it instead of having pixels, and is left out."
FILLED = "“{name}” is a shape or fill that the file does not store as pixels, and is left out."
STYLED = "The effects of “{name}”, such as shadows or strokes, are left out."
BLENDED = "“{name}” has a blend mode that is not known here, and is shown as normal."
GROUP_BLENDED = "The group “{name}” blends as a whole; its layers are kept and blend one by one."
CLIPPED_TO_GROUP = "“{name}” was clipped to a group, and is not any more."


@dataclass(frozen=True, kw_only=True)
class _Entry:
    record: Record
    path: Path
    masks: tuple[Record, ...]
    """The groups around the layer that have a mask."""
    base: "_Entry | None"
    """The layer that this one is clipped to."""


def read_psd(file: IO[bytes], limits: FileLimits) -> LayerFile:
    """Return the stack of a PSD or PSB; a file without layers has its merged picture as the only one."""
    psd = read_structure(file)
    warnings: list[str] = []
    colors = Colors(psd)
    entries = [entry for entry in _entries(psd.records, warnings) if _has_pixels(entry.record, warnings)]
    sizes = [(psd.width, psd.height) if _is_fill(entry.record) else entry.record.size for entry in entries]
    masks = [mask.box for record in psd.records if (mask := record.mask)]
    sizes_of_masks = [(right - left, bottom - top) for left, top, right, bottom in masks]
    check_sizes(sizes, (psd.width, psd.height), limits)
    check_sizes(sizes_of_masks[: limits.layers], (psd.width, psd.height), limits)
    reader = _Pixels(file, psd, colors)

    def layers() -> Iterator[Layer]:
        if not psd.records:
            yield Layer(image=reader.merged(), name="Background")
        for entry, label in zip(entries, labels(entry.path for entry in entries), strict=True):
            yield _layer(entry, label, reader, warnings)

    return LayerFile(kind="psd", width=psd.width, height=psd.height, layers=layers(), warnings=warnings)


def _entries(records: list[Record], warnings: list[str]) -> list[_Entry]:
    """Return the layers, bottom first, with the groups that they are in; the records have a group above its layers."""
    found: list[_Entry] = []
    path: Path = ()
    masks: tuple[Record, ...] = ()
    outer: list[tuple[Path, tuple[Record, ...]]] = []
    for record in reversed(records):
        if record.section in {1, 2}:
            outer.append((path, masks))
            name = shortened(record.name)
            blend = (record.blocks.get(b"lsct", b"")[8:12]) or record.blend
            if blend not in {PASS_THROUGH, b"norm"}:
                warn(warnings, GROUP_BLENDED.format(name=name))
            path = (*path, Folder(name=record.name, opacity=_opacity(record), visible=record.visible))
            masks = (*masks, record) if record.mask and not record.mask.disabled else masks
        elif record.section == 3:
            path, masks = outer.pop() if outer else ((), ())
        else:
            found.append(_Entry(record=record, path=path, masks=masks, base=None))
    return _with_bases(found[::-1], records, warnings)


def _with_bases(entries: list[_Entry], records: list[Record], warnings: list[str]) -> list[_Entry]:
    """Find out which layer each clipped one is clipped to: the next one below it, in the same group, that is not."""
    based: list[_Entry] = []
    base: _Entry | None = None
    below = {id(record): records[index - 1] for index, record in enumerate(records) if index}
    for entry in entries:
        under = below.get(id(entry.record))
        if not entry.record.clipped:
            base = entry
        elif base is None or base.path != entry.path or (under is not None and under.section in {1, 2}):
            warn(warnings, CLIPPED_TO_GROUP.format(name=shortened(entry.record.name)))
            base = None
        linked = base if entry.record.clipped else None
        based.append(_Entry(record=entry.record, path=entry.path, masks=entry.masks, base=linked))
    return based


def _layer(entry: _Entry, label: str, reader: "_Pixels", warnings: list[str]) -> Layer:
    record, base = entry.record, entry.base
    name = shortened(record.name)
    if record.blend not in BLENDS and record.blend != PASS_THROUGH:
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
        opacity=math.prod([*map(_opacity, around), *(folder.opacity for folder in entry.path)]),
        visible=all(one.visible for one in [*around, *entry.path]),
        blend=BLENDS.get(record.blend, "normal"),
        group=label,
    )


def _has_pixels(record: Record, warnings: list[str]) -> bool:
    """Return whether a layer can be read; one that only says what to do with others or what to draw is left out."""
    name = shortened(record.name)
    if not record.blocks.keys().isdisjoint(ADJUSTMENTS):
        warn(warnings, ADJUSTED.format(name=name))
        return False
    if 0 in record.size and not _is_fill(record) and not record.blocks.keys().isdisjoint(FILLS):
        warn(warnings, FILLED.format(name=name))
        return False
    return True


def _is_fill(record: Record) -> bool:
    """Return whether a layer is one color all over, or as far as its mask goes."""
    drawn = record.mask is not None or record.blocks.keys().isdisjoint({b"vmsk", b"vsms"})
    return 0 in record.size and b"SoCo" in record.blocks and drawn


def _has_effects(block: bytes) -> bool:
    return b"enabbool\x01" in block and b"masterFXSwitchbool\x00" not in block


def _opacity(record: Record) -> float:
    fill = record.blocks.get(b"iOpa", b"\xff")[:1] or b"\xff"
    return record.opacity / 255 * fill[0] / 255


class _Pixels:
    """Reads one layer at a time; of what others are clipped to, the latest alpha is kept."""

    def __init__(self, file: IO[bytes], psd: PsdFile, colors: Colors) -> None:
        self._file = file
        self._psd = psd
        self._colors = colors
        self._base: tuple[_Entry, Plane, Box] | None = None

    def layer(self, entry: _Entry) -> tuple[Image.Image, Box]:
        """Return the pixels of a layer, with all masks applied, and where they lie."""
        record = entry.record
        if _is_fill(record):
            box = (0, 0, self._psd.width, self._psd.height)
            image = Image.new("RGBA", (self._psd.width, self._psd.height), self._fill_color(record))
        elif 0 in record.size:
            return Image.new("RGBA", (1, 1)), (record.box[0], record.box[1], record.box[0] + 1, record.box[1] + 1)
        else:
            box, image = record.box, self._colored(record)
        alpha = self._alpha(entry, box)
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha, "L"))
        return image, box

    def merged(self) -> Image.Image:
        """Return the picture that the file has beside its layers; for one without, it is all there is."""
        size = (self._psd.width, self._psd.height)
        self._file.seek(self._psd.merged_offset)
        compression = int.from_bytes(self._file.read(2), "big")
        # All planes are compressed as one, so that those of the colors come first.
        count = self._colors.count
        content = self._file.read()
        if compression == 1:
            content = self._first_rows(content, size[1] * count)
        planes = to_plane(content, compression, (size[0], size[1] * count), self._psd)
        return self._colors.to_rgb(list(planes.reshape(count, size[1], size[0]))).convert("RGBA")

    def _first_rows(self, content: bytes, rows: int) -> bytes:
        """Return the run-length encoded rows of the first planes, without those of the others."""
        width = 4 if self._psd.version == 2 else 2
        every = self._psd.height * self._psd.channels
        if len(content) < every * width:
            raise LayerFileError(DAMAGED)
        counts = np.frombuffer(content, f">u{width}", count=every)
        start = every * width
        return counts[:rows].tobytes() + content[start : start + int(counts[:rows].sum())]

    def _colored(self, record: Record) -> Image.Image:
        planes: list[Plane] = []
        for number in range(self._colors.count):
            channel = _channel(record, number)
            if channel is None:
                raise LayerFileError(DAMAGED)
            planes.append(read_plane(self._file, channel, record.size, self._psd))
        return self._colors.to_rgb(planes).convert("RGBA")

    def _alpha(self, entry: _Entry, box: Box) -> Plane | None:
        """Return the alpha of a layer on `box` with its masks, its groups' masks and what it is clipped to."""
        own = self._own_alpha(entry, box)
        if entry.base is None:
            return own
        if self._base is None or self._base[0].record is not entry.base.record:
            base_box = entry.base.record.box
            if _is_fill(entry.base.record):
                base_box = (0, 0, self._psd.width, self._psd.height)
            alpha = self._own_alpha(entry.base, base_box)
            if alpha is None:
                alpha = np.full((base_box[3] - base_box[1], base_box[2] - base_box[0]), 255, np.uint8)
            self._base = (entry.base, alpha, base_box)
        return _multiplied(own, _on(box, self._base[1], self._base[2], 0))

    def _own_alpha(self, entry: _Entry, box: Box) -> Plane | None:
        record = entry.record
        channel = _channel(record, ALPHA)
        alpha = None
        if channel is not None and 0 not in record.size:
            alpha = read_plane(self._file, channel, record.size, self._psd)
        for owner in [record, *entry.masks]:
            mask = self._mask(owner, box)
            alpha = alpha if mask is None else _multiplied(alpha, mask)
        return alpha

    def _mask(self, record: Record, box: Box) -> Plane | None:
        mask, channel = record.mask, _channel(record, MASK)
        if mask is None or mask.disabled or channel is None:
            return None
        size = (mask.box[2] - mask.box[0], mask.box[3] - mask.box[1])
        empty = np.empty((0, 0), np.uint8)
        plane = empty if 0 in size else read_plane(self._file, channel, size, self._psd)
        on_layer = _on(box, plane, mask.box, mask.outside)
        return 255 - on_layer if mask.inverted else on_layer

    def _fill_color(self, record: Record) -> tuple[int, int, int, int]:
        from psd_tools.psd.descriptor import DescriptorBlock
        from psd_tools.psd.parse_limits import ParseLimits, parse_context

        try:
            with parse_context(ParseLimits(max_total_bytes=100_000, max_objects=1000)):
                color = DescriptorBlock.frombytes(record.blocks[b"SoCo"])[b"Clr "]
            values = [float(color[key]) for key in (b"Rd  ", b"Grn ", b"Bl  ")]
        except (KeyError, ValueError, TypeError, EOFError, OSError, AttributeError):
            values = [0.0, 0.0, 0.0]
        red, green, blue = (min(max(round(value), 0), 255) for value in values)
        return red, green, blue, 255


def _channel(record: Record, identity: int) -> Channel | None:
    return next((channel for channel in record.channels if channel.id == identity), None)


def _multiplied(alpha: Plane | None, mask: Plane) -> Plane:
    if alpha is None:
        return mask
    return ((alpha.astype(np.uint16) * mask + 127) // 255).astype(np.uint8)


def _on(box: Box, plane: Plane, plane_box: Box, outside: int) -> Plane:
    """Return the part of a plane that lies on `box` of the canvas; where it does not reach there is `outside`."""
    left, top, right, bottom = box
    placed = np.full((bottom - top, right - left), outside, np.uint8)
    x, y = max(left, plane_box[0]), max(top, plane_box[1])
    x_end, y_end = min(right, plane_box[2]), min(bottom, plane_box[3])
    if x < x_end and y < y_end:
        part = plane[y - plane_box[1] : y_end - plane_box[1], x - plane_box[0] : x_end - plane_box[0]]
        placed[y - top : y_end - top, x - left : x_end - left] = part
    return placed

"""The pixels of a Photoshop file as 8-bit sRGB RGBA, from planes of any depth and color mode, with masks applied."""

import io
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFilter

from llm_dit.errors import LayerFileError
from llm_dit.imports.layer_file import Nesting
from llm_dit.imports.psd_records import DAMAGED, Channel, PsdFile, Record, read_paths
from llm_dit.layer import Box

BITMAP, GRAY, INDEXED, RGB, CMYK, DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
COLORS = {GRAY: 1, RGB: 3, CMYK: 4, DUOTONE: 1, LAB: 3}
"""Color planes of the modes that have layers."""
SHAPES = {b"SoCo", b"GdFl", b"PtFl", b"vscg"}
"""Blocks of layers that are a color, gradient or pattern within an outline."""
OUTLINES = {b"vmsk", b"vsms"}
"""Blocks of vector masks."""
ALPHA = -1
"""The number of the alpha channel."""
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
RAW, RLE, ZIP, ZIP_PREDICTED = range(4)
MOST_GROWTH = {RLE: 66, ZIP: 1040, ZIP_PREDICTED: 1040}
"""The largest expansion of a compressed byte; a plane that would need more is invalid."""

MOST_FEATHER = 1000.0
"""Pixels; Photoshop's own limit."""

Plane = NDArray[np.uint8]


def read_plane(file: IO[bytes], channel: Channel, size: tuple[int, int], psd: PsdFile) -> Plane:
    """Return one channel of `size` (width, height) as 8 bits; raises `LayerFileError` if its bytes are damaged."""
    file.seek(channel.offset)
    head = file.read(2)
    if channel.length < 2 or len(head) < 2:
        raise LayerFileError(DAMAGED)
    content = file.read(channel.length - 2)
    return to_plane(content, int.from_bytes(head, "big"), size, psd)


def to_plane(content: bytes, compression: int, size: tuple[int, int], psd: PsdFile) -> Plane:
    """Return compressed bytes as a plane of 8 bits."""
    from psd_tools.compression import decompress  # the import takes a quarter of a second
    from psd_tools.constants import Compression

    width, height = size
    expected = (width * psd.depth + 7) // 8 * height
    least = expected if compression == RAW else expected // MOST_GROWTH.get(compression, 1)
    if compression not in {RAW, *MOST_GROWTH} or len(content) < least:
        raise LayerFileError(DAMAGED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an unreadable plane would become black
            plain = decompress(content, Compression(compression), width, height, psd.depth, psd.version)
    except (ValueError, IndexError, EOFError, OSError, UserWarning):
        raise LayerFileError(DAMAGED) from None
    if len(plain) < expected:
        raise LayerFileError(DAMAGED)
    return _to_8_bits(plain, width, height, psd.depth)


def _to_8_bits(plain: bytes, width: int, height: int, depth: int) -> Plane:
    match depth:
        case 8:
            values = np.frombuffer(plain, np.uint8)
        case 16:
            deep = np.frombuffer(plain, ">u2").astype(np.uint32)
            values = ((deep * 255 + 32767) // 65535).astype(np.uint8)
        case 32:
            linear = np.nan_to_num(np.frombuffer(plain, ">f4").astype(np.float32), posinf=1.0).clip(0.0, 1.0)
            values = np.rint(_to_srgb(linear) * 255).astype(np.uint8)
        case _:
            bits = np.unpackbits(np.frombuffer(plain, np.uint8).reshape(height, -1), axis=1)
            values = np.where(bits[:, :width] > 0, np.uint8(0), np.uint8(255))
    return values[: width * height].reshape(height, width) if depth != 1 else values


def _to_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return linear light, 0–1, in sRGB encoding."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


class Colors:
    """Converts the color planes of a file to sRGB, by its profile if it has one."""

    def __init__(self, psd: PsdFile) -> None:
        if psd.mode not in COLORS and psd.mode not in {BITMAP, INDEXED}:
            raise LayerFileError("This Photoshop file has an unsupported color mode: convert it to RGB.")
        self._psd = psd
        self.count = COLORS.get(psd.mode, 1)
        self._transform = self._find_transform()

    def to_rgb(self, planes: list[Plane]) -> Image.Image:
        """Return an RGB image of one file's color planes."""
        if self._psd.mode == CMYK:
            planes = [255 - plane for plane in planes]  # Photoshop stores inverted ink
        images = [Image.fromarray(np.ascontiguousarray(plane), "L") for plane in planes]
        if self._psd.mode == INDEXED:
            image = images[0]
            entries = self._psd.palette[:768].ljust(768, b"\0")
            image.putpalette(bytes(entries[color + 256 * part] for color in range(256) for part in range(3)))
            return image.convert("RGB")
        mode = "LAB" if self._psd.mode == LAB else MODES[self.count]
        image = images[0] if self.count == 1 else Image.merge(mode, images)
        if self._transform is not None:
            return ImageCms.applyTransform(image, self._transform) or image
        return image if image.mode == "RGB" else image.convert("RGB")

    def _find_transform(self) -> Any:
        profile: Any = None
        mode = "LAB" if self._psd.mode == LAB else MODES[self.count]
        try:
            if self._psd.mode == LAB:
                profile = ImageCms.createProfile("LAB")
            elif self._psd.profile and self._psd.mode in COLORS and self._psd.depth != 32:
                profile = ImageCms.ImageCmsProfile(io.BytesIO(self._psd.profile))
                if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(profile):
                    return None
            if profile is None:
                return None
            return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            return None


# Whole layers, with their own masks, those of their groups, and that of their clipping base.


@dataclass(frozen=True, kw_only=True)
class Entry:
    record: Record
    path: Nesting
    masks: tuple[Record, ...]
    """The groups around the layer that have a mask."""
    base: "Entry | None"
    """The layer to which this one is clipped."""


def is_fill(record: Record) -> bool:
    """Return whether a layer is a single color, everywhere or within its masks.

    A shape's stored pixels end at its outline, so they lack what a soft or partly transparent outline shows beyond.
    """
    mask = record.mask
    soft = mask is not None and (mask.vector_density < 255 or mask.vector_feather > 0)
    beyond = soft and not record.blocks.keys().isdisjoint(OUTLINES)
    return b"SoCo" in record.blocks and (0 in record.size or beyond)


class LayerPixels:
    """Reads one layer at a time; caches the latest alpha of a clipping base."""

    def __init__(self, file: IO[bytes], psd: PsdFile, colors: Colors) -> None:
        self._file = file
        self._psd = psd
        self._colors = colors
        self._base: tuple[Entry, Plane, Box] | None = None

    def layer(self, entry: Entry) -> tuple[Image.Image, Box]:
        """Return the pixels of a layer, with all masks applied, and their box."""
        record = entry.record
        if is_fill(record):
            box = (0, 0, self._psd.width, self._psd.height)
            image = Image.new("RGBA", (self._psd.width, self._psd.height), self._fill_color(record))
        elif 0 in record.size:
            return Image.new("RGBA", (1, 1)), (record.box[0], record.box[1], record.box[0] + 1, record.box[1] + 1)
        else:
            box, image = record.box, self._colored(record)
        alpha = self._alpha(entry, box)
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha, "L"))
        # A shape is usually far smaller than the canvas.
        shown = image.getbbox() if is_fill(record) else None
        if shown is not None:
            return image.crop(shown), shown
        return image, box

    def merged(self) -> Image.Image:
        """Return the merged picture, which is all that a file without layers has."""
        size = (self._psd.width, self._psd.height)
        self._file.seek(self._psd.merged_offset)
        compression = int.from_bytes(self._file.read(2), "big")
        # All planes are compressed as one, with the colors first.
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
        colored = self._colors.to_rgb(planes)
        planes.clear()  # a large layer is held twice at most
        return colored.convert("RGBA")

    def _alpha(self, entry: Entry, box: Box) -> Plane | None:
        """Return the alpha of a layer on `box` with its masks, its groups' masks and its clipping base."""
        own = self._own_alpha(entry, box)
        if entry.base is None:
            return own
        if self._base is None or self._base[0].record is not entry.base.record:
            base_box = entry.base.record.box
            if is_fill(entry.base.record):
                base_box = (0, 0, self._psd.width, self._psd.height)
            alpha = self._own_alpha(entry.base, base_box)
            if alpha is None:
                alpha = np.full((base_box[3] - base_box[1], base_box[2] - base_box[0]), 255, np.uint8)
            self._base = (entry.base, alpha, base_box)
        return _multiplied(own, _on(box, self._base[1], self._base[2], 0))

    def _own_alpha(self, entry: Entry, box: Box) -> Plane | None:
        record = entry.record
        channel = _channel(record, ALPHA)
        alpha = None
        if channel is not None and 0 not in record.size and not is_fill(record):
            alpha = read_plane(self._file, channel, record.size, self._psd)
        for owner in [record, *entry.masks]:
            for mask in (self._mask(owner, box), self._vector_mask(owner, box)):
                alpha = alpha if mask is None else _multiplied(alpha, mask)
        return alpha

    def _mask(self, record: Record, box: Box) -> Plane | None:
        mask = record.mask
        channel = None if mask is None or mask.channel is None else _channel(record, mask.channel)
        if mask is None or mask.disabled or channel is None:
            return None
        size = (mask.box[2] - mask.box[0], mask.box[3] - mask.box[1])
        empty = np.empty((0, 0), np.uint8)
        plane = empty if 0 in size else read_plane(self._file, channel, size, self._psd)
        on_layer = _on(box, plane, mask.box, mask.outside)
        return _softened(255 - on_layer if mask.inverted else on_layer, mask.density, mask.feather)

    def _vector_mask(self, record: Record, box: Box) -> Plane | None:
        block = record.blocks.get(b"vmsk") or record.blocks.get(b"vsms")
        mask = record.mask
        # The stored pixels of a shape already have its outline.
        if not block or (0 not in record.size and not is_fill(record) and not record.blocks.keys().isdisjoint(SHAPES)):
            return None
        paths = read_paths(block, self._psd.width, self._psd.height)
        if paths is None:
            return None
        drawn = paths.drawn(box)
        return drawn if mask is None else _softened(drawn, mask.vector_density, mask.vector_feather)

    def _fill_color(self, record: Record) -> tuple[int, int, int, int]:
        from psd_tools.psd.descriptor import DescriptorBlock
        from psd_tools.psd.parse_limits import ParseLimits, parse_context

        try:
            with parse_context(ParseLimits(max_total_bytes=100_000, max_objects=1000)):
                color = DescriptorBlock.frombytes(record.blocks[b"SoCo"])[b"Clr "]
            values = [float(color[key]) for key in (b"Rd  ", b"Grn ", b"Bl  ")]
        except (KeyError, ValueError, TypeError, EOFError, OSError, AttributeError):
            values = [0.0, 0.0, 0.0]
        if self._psd.depth == 32:
            values = [float(value) for value in 255 * _to_srgb(np.array(values, np.float32) / np.float32(255))]
        red, green, blue = (min(max(round(value), 0), 255) for value in values)
        return red, green, blue, 255


def _channel(record: Record, identity: int) -> Channel | None:
    return next((channel for channel in record.channels if channel.id == identity), None)


def _softened(mask: Plane, density: int, feather: float) -> Plane:
    """Return a feathered mask that hides only as much as its density, 0–255, allows."""
    if 0 < feather < MOST_FEATHER:
        blurred = Image.fromarray(mask, "L").filter(ImageFilter.GaussianBlur(feather))
        mask = np.asarray(blurred, np.uint8)
    return mask if density == 255 else 255 - _multiplied(255 - mask, np.full_like(mask, density))


def _multiplied(alpha: Plane | None, mask: Plane) -> Plane:
    if alpha is None:
        return mask
    return ((alpha.astype(np.uint16) * mask + 127) // 255).astype(np.uint8)


def _on(box: Box, plane: Plane, plane_box: Box, outside: int) -> Plane:
    """Return the part of a plane on `box` of the canvas, filled with `outside` beyond the plane."""
    left, top, right, bottom = box
    placed = np.full((bottom - top, right - left), outside, np.uint8)
    x, y = max(left, plane_box[0]), max(top, plane_box[1])
    x_end, y_end = min(right, plane_box[2]), min(bottom, plane_box[3])
    if x < x_end and y < y_end:
        part = plane[y - plane_box[1] : y_end - plane_box[1], x - plane_box[0] : x_end - plane_box[0]]
        placed[y - top : y_end - top, x - left : x_end - left] = part
    return placed

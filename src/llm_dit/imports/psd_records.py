"""The structure of a Photoshop file without its pixels, and the vector masks of its layers.

https://www.adobe.com/devnet-apps/photoshop/fileformatashtml/. Only what a reader of layers needs is read into memory;
the rest is skipped, and stated lengths are not trusted. Both PSD and PSB (version 2, with longer lengths).
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from llm_dit.errors import LayerFileError
from llm_dit.layer import Box

DAMAGED = "This Photoshop file is damaged or truncated: save it again."
SIGNATURES = {b"8BIM", b"8B64"}
LONG_KEYS = {
    b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid", b"FXid", b"PxSD",
}  # fmt: skip
"""Blocks with an eight-byte length in a PSB."""
VERSION, PROFILE = 1057, 1039
"""Image resources: who wrote the file, which also says if it has a merged picture, and the color profile."""
MAX_BLOCK_BYTES = 4 << 20
MAX_RECORDS = 4096
MAX_CHANNELS = 64
MASK_FROM_LAYER, MASK_DISABLED, MASK_INVERTED, MASK_DRAWN, HAS_PARAMETERS = 1, 2, 4, 8, 16
HIDDEN = 2
MASK, REAL_MASK = -2, -3
"""Mask channels: the effective mask, and the user's own if the effective one combines it with a vector mask."""
KEPT_BLOCKS = {b"luni", b"lsct", b"lsdk", b"iOpa", b"SoCo", b"lfx2", b"lfxs", b"lmfx", b"vmsk", b"vsms"}


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A layer mask's box on the canvas, and its value outside of that, 0 or 255.

    `channel` has its pixels, None for a pure vector mask. `density`, 0–255, is the mask's strength, and `feather` the
    softness of its edges in pixels; `vector_density` and `vector_feather` are those of the vector mask.
    """

    box: Box
    outside: int
    disabled: bool
    inverted: bool
    channel: int | None
    density: int = 255
    feather: float = 0.0
    vector_density: int = 255
    vector_feather: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One plane of a layer: 0, 1, 2… colors, -1 alpha, -2 mask; and the offset of its compressed bytes."""

    id: int
    offset: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """The file's record of a layer, or of a group's start or end."""

    box: Box
    channels: list[Channel]
    blend: bytes
    opacity: int
    clipped: bool
    visible: bool
    mask: Mask | None
    name: str
    blocks: Mapping[bytes, bytes]
    """The contents of KEPT_BLOCKS, and b"" for other blocks."""

    @property
    def size(self) -> tuple[int, int]:
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    @property
    def section(self) -> int:
        """0: a layer; 1 or 2: a group, above its layers; 3: the end of a group, below its layers."""
        block = self.blocks.get(b"lsct") or self.blocks.get(b"lsdk") or b""
        return int.from_bytes(block[:4], "big")


@dataclass(frozen=True, kw_only=True)
class PsdFile:
    """A file's header, color profile, layers (bottom first), and the offset of the merged picture."""

    version: int
    channels: int
    width: int
    height: int
    depth: int
    mode: int
    palette: bytes
    profile: bytes
    records: list[Record] = field(default_factory=list)
    merged_offset: int = 0
    merged_alpha: bool = False
    has_merged: bool = True
    """False if the program that wrote the file left the merged picture empty."""


def read_structure(file: IO[bytes]) -> PsdFile:
    """Return the structure of a PSD or PSB; raises `LayerFileError` if it is damaged."""
    try:
        return _Reader(file).read()
    except (struct.error, EOFError, ValueError, OverflowError, OSError):
        raise LayerFileError(DAMAGED) from None


class _Reader:
    """Reads numbers and blocks from the file, never beyond its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._version = 1
        file.seek(0)

    def read(self) -> PsdFile:
        signature, self._version, channels, height, width, depth, mode = self._numbers("4sH6xHIIHH")
        if signature != b"8BPS" or self._version not in {1, 2}:
            raise ValueError
        palette = self._block(self._numbers("I")[0])
        profile, has_merged = self._resources(self._numbers("I")[0])
        layers_end = self._end_of(self._long())
        records, alpha = self._layers(layers_end) if layers_end > self._file.tell() else ([], False)
        return PsdFile(
            version=self._version,
            channels=channels,
            width=width,
            height=height,
            depth=depth,
            mode=mode,
            palette=palette,
            profile=profile,
            records=records,
            merged_offset=layers_end,
            merged_alpha=alpha,
            has_merged=has_merged,
        )

    def _numbers(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(">" + form)
        return struct.unpack(">" + form, self._file.read(size))

    def _long(self) -> int:
        """Return a length of four bytes, or eight in a PSB."""
        return int(self._numbers("Q" if self._version == 2 else "I")[0])

    def _end_of(self, length: int) -> int:
        end = self._file.tell() + length
        if end > self._size:
            raise EOFError
        return end

    def _block(self, length: int) -> bytes:
        """Return the content of a block; only the beginning of a long one."""
        end = self._end_of(length)
        content = self._file.read(min(length, MAX_BLOCK_BYTES))
        self._file.seek(end)
        return content

    def _resources(self, length: int) -> tuple[bytes, bool]:
        """Read the image resources and return the color profile, b"" if there is none, and if a picture is merged."""
        end, profile, has_merged = self._end_of(length), b"", True
        while self._file.tell() + 12 <= end and self._file.read(4) in {b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"}:
            identity, name_length = self._numbers("HB")
            self._file.seek(name_length + (name_length + 1) % 2, io.SEEK_CUR)
            size = int(self._numbers("I")[0])
            start = self._file.tell()
            if identity == PROFILE and size <= MAX_BLOCK_BYTES:
                profile = self._file.read(size)
            elif identity == VERSION and size > 4:
                has_merged = self._file.read(5)[4] != 0
            self._file.seek(start + size + size % 2)
        self._file.seek(end)
        return profile, has_merged

    def _layers(self, end: int) -> tuple[list[Record], bool]:
        length = self._long()
        if length:
            return self._records()
        # Deep pictures store their layers in a block at the end.
        mask_length = self._numbers("I")[0] if self._file.tell() + 4 <= end else 0
        self._file.seek(self._end_of(mask_length))
        while self._file.tell() + 12 <= end:
            signature, key = self._numbers("4s4s")
            if signature not in SIGNATURES:
                break
            size = int(self._numbers("Q" if self._version == 2 and key in LONG_KEYS else "I")[0])
            if key in {b"Lr16", b"Lr32"}:
                return self._records()
            self._file.seek(self._end_of(size) + -size % 4)
        return [], False

    def _records(self) -> tuple[list[Record], bool]:
        (count,) = self._numbers("h")
        if abs(count) > MAX_RECORDS:
            raise LayerFileError(f"This Photoshop file has {abs(count)} layers: merge some.")
        heads = [self._record() for _ in range(abs(count))]
        # The pixels of all layers follow in the same order.
        records: list[Record] = []
        offset = self._file.tell()
        for about, lengths in heads:
            channels: list[Channel] = []
            for identity, length in lengths:
                channels.append(Channel(id=identity, offset=offset, length=length))
                offset += length
            if offset > self._size:
                raise EOFError
            records.append(Record(**about, channels=channels))
        return records, count < 0

    def _record(self) -> tuple[dict[str, Any], list[tuple[int, int]]]:
        top, left, bottom, right, count = self._numbers("4iH")
        if count > MAX_CHANNELS or bottom < top or right < left:
            raise ValueError
        lengths = [self._numbers("hQ" if self._version == 2 else "hI") for _ in range(count)]
        signature, blend, opacity, clipping, flags, extra = self._numbers("4s4sBBBxI")
        if signature != b"8BIM":
            raise ValueError
        end = self._end_of(extra)
        mask = self._mask()
        self._file.seek(self._end_of(self._numbers("I")[0]))  # blending ranges
        name = self._pascal_string()
        blocks = self._blocks(end)
        self._file.seek(end)
        about: dict[str, Any] = {
            "box": (left, top, right, bottom),
            "blend": blend,
            "opacity": opacity,
            "clipped": bool(clipping),
            "visible": not flags & HIDDEN,
            "mask": mask,
            "name": _unicode(blocks.get(b"luni", b"")) or name,
            "blocks": blocks,
        }
        return about, [(int(identity), int(length)) for identity, length in lengths]

    def _mask(self) -> Mask | None:
        length = self._numbers("I")[0]
        end = self._end_of(length)
        if length < 18:
            self._file.seek(end)
            return None
        top, left, bottom, right, outside, flags = self._numbers("4iBB")
        channel, both = MASK, flags
        if length >= 36:
            # The previous mask combines the vector mask and this one.
            flags, outside, top, left, bottom, right = self._numbers("BB4i")
            channel = REAL_MASK
        elif flags & MASK_DRAWN:
            channel = None
        more = self._parameters(end) if both & HAS_PARAMETERS else {}
        self._file.seek(end)
        if bottom < top or right < left:
            raise ValueError
        return Mask(
            box=(left, top, right, bottom),
            outside=outside,
            disabled=bool(flags & MASK_DISABLED),
            inverted=bool(flags & MASK_INVERTED),
            channel=channel,
            **more,
        )

    def _parameters(self, end: int) -> dict[str, Any]:
        """Return the given densities and feathers of masks."""
        if self._file.tell() >= end:
            return {}
        (said,) = self._numbers("B")
        forms = (("density", "B"), ("feather", "d"), ("vector_density", "B"), ("vector_feather", "d"))
        return {name: self._numbers(form)[0] for bit, (name, form) in enumerate(forms) if said & 1 << bit}

    def _pascal_string(self) -> str:
        (length,) = self._numbers("B")
        content = self._file.read(length + -(length + 1) % 4)[:length]
        try:
            return content.decode()  # psd-tools and others; other encodings are hardly ever valid UTF-8
        except UnicodeDecodeError:
            return content.decode("mac_roman", errors="replace")

    def _blocks(self, end: int) -> dict[bytes, bytes]:
        blocks: dict[bytes, bytes] = {}
        while self._file.tell() + 12 <= end:
            signature, key = self._numbers("4s4s")
            if signature not in SIGNATURES:
                break
            size = int(self._numbers("Q" if self._version == 2 and key in LONG_KEYS else "I")[0])
            stop = self._end_of(size)
            if stop > end:
                break
            blocks[key] = self._file.read(min(size, MAX_BLOCK_BYTES)) if key in KEPT_BLOCKS else b""
            self._file.seek(stop)
        return blocks


def _unicode(block: bytes) -> str:
    length = int.from_bytes(block[:4], "big")
    return block[4 : 4 + 2 * length].decode("utf-16-be", errors="replace").rstrip("\0")


# Vector masks, which also give fills their shape: Bézier paths, drawn by resvg.

PATHS_INVERTED, PATHS_DISABLED = 1, 4
CLOSED, CLOSED_KNOTS, OPEN, OPEN_KNOTS = 0, (1, 2), 3, (4, 5)
"""Kinds of the 26-byte records: the start of a path with its number of knots, or a knot."""
EXCLUDE, COMBINE, SUBTRACT, INTERSECT = range(4)
"""A shape's operation on those before it; a path with any other number continues the previous shape."""
MOST_SHAPES = 200
RECORD = 26
UNIT = 1 << 24
"""Coordinates are in this fraction of the canvas's sides."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """A vector mask: `shapes`, each an operation and an SVG path, applied to nothing, or if `full` to everything."""

    shapes: list[tuple[int, str]]
    full: bool
    inverted: bool

    def drawn(self, box: Box) -> NDArray[np.uint8]:
        """Return the mask (height, width) on a `box` of the canvas, 0–255."""
        mask = np.full((box[3] - box[1], box[2] - box[0]), 255.0 if self.full else 0.0, np.float32)
        for operation, outline in self.shapes:
            shape = _drawn(outline, box)
            both = mask * shape / 255
            if operation == EXCLUDE:
                mask = mask + shape - 2 * both
            elif operation == SUBTRACT:
                mask = mask - both
            elif operation == INTERSECT:
                mask = both
            else:
                mask = mask + shape - both
        return np.rint(255 - mask if self.inverted else mask).astype(np.uint8)


def read_paths(block: bytes, width: int, height: int) -> Paths | None:
    """Return the mask in a layer's block, for a canvas of that size; None if it masks nothing.

    A block that is truncated or has more than `MOST_SHAPES` shapes masks nothing.
    """
    if len(block) < 8 or int.from_bytes(block[4:8], "big") & PATHS_DISABLED:
        return None
    shapes: list[tuple[int, str]] = []
    knots: list[tuple[float, ...]] = []
    left = 0
    for selector, content in _path_records(block[8:]):
        if selector in (CLOSED, OPEN):
            left, operation = struct.unpack(">Hh", content[:4])
            knots = []
            if operation in range(4) or not shapes:
                shapes.append((operation if operation in range(4) else COMBINE, ""))
        elif selector in (*CLOSED_KNOTS, *OPEN_KNOTS) and left > 0 and shapes:
            sides = (height, width) * 3
            knots.append(
                tuple(place / UNIT * side for place, side in zip(struct.unpack(">6i", content), sides, strict=True))
            )
            left -= 1
            if left == 0:
                operation, outline = shapes[-1]
                shapes[-1] = (operation, outline + _outline(knots))
    if not shapes or left > 0 or len(shapes) > MOST_SHAPES:
        return None
    # A first shape that subtracts or intersects starts from everything.
    full = shapes[0][0] in (SUBTRACT, INTERSECT)
    return Paths(shapes=shapes, full=full, inverted=bool(block[7] & PATHS_INVERTED))


def _path_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(content) - RECORD + 1, RECORD):
        yield int.from_bytes(content[start : start + 2], "big"), content[start + 2 : start + RECORD]


def _outline(knots: list[tuple[float, ...]]) -> str:
    """Return the path of knots, each with incoming control point, anchor and outgoing control point, y before x."""
    (_, _, y, x, _, _), *_ = knots
    steps = [f"M{x:.3f} {y:.3f}"]
    for (_, _, _, _, out_y, out_x), (in_y, in_x, y, x, _, _) in zip(knots, [*knots[1:], knots[0]], strict=True):
        steps.append(f"C{out_x:.3f} {out_y:.3f} {in_x:.3f} {in_y:.3f} {x:.3f} {y:.3f}")
    return "".join(steps) + "Z"


def _drawn(outline: str, box: Box) -> NDArray[np.float32]:
    import resvg_py

    width, height = box[2] - box[0], box[3] - box[1]
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="{box[0]} {box[1]} {width} {height}"><path fill-rule="evenodd" d="{outline}"/></svg>'
    )
    picture = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=drawing))))
    return np.asarray(picture.convert("RGBA").getchannel("A"), np.float32)

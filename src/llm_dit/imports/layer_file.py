"""The common result and checks of all readers of layered files, and safe reading of ZIP archives."""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Literal

from PIL import Image

from llm_dit.errors import ImageError, LayerFileError
from llm_dit.images import ImageLimits, check_picture, read_image
from llm_dit.layer import MAX_LAYERS, SEPARATOR, Group, Groups, Layer, label_of, names_of
from llm_dit.names import shortened

FileKind = Literal["zip", "project", "ora", "psd", "svg"]

MAX_WARNINGS = 20


@dataclass(frozen=True, kw_only=True)
class FileLimits:
    """Limits of a file: `image` for the canvas and each layer, the number of layers, and their pixels in total."""

    image: ImageLimits = field(default_factory=ImageLimits)
    image_bytes: int = 64 << 20
    layers: int = MAX_LAYERS
    pixels: int = 1 << 30


@dataclass(frozen=True, kw_only=True)
class LayerFile:
    """A stack on a canvas of `width` × `height` pixels.

    `layers` yields the layers once, bottom first, and decodes each on demand. `warnings` has a sentence for everything
    that is not imported; it is complete after all layers have been read. `about` has further values of the file, such
    as the seed.
    """

    kind: FileKind
    width: int
    height: int
    layers: Iterator[Layer]
    groups: Groups = field(default_factory=dict[str, Group])
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
    """Add a warning once; of very many, only the first ones are kept."""
    if words not in warnings and len(warnings) < MAX_WARNINGS:
        warnings.append(words)


# Pictures within files: checked before they are decoded, and decoded one at a time.


def picture_size(content: bytes, limits: ImageLimits) -> tuple[int, int]:
    """Return the width and height in a picture's header.

    Raises `LayerFileError` beyond the limits, and for a PNG that is truncated or damaged, so that no picture of a
    broken file is decoded or kept.
    """
    try:
        return check_picture(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None


def decoded(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return a picture as RGBA; raises `LayerFileError`."""
    try:
        return read_image(content, limits)
    except ImageError as error:
        raise LayerFileError(f"A picture in this file cannot be used. {error.message}") from None


# Nested groups of other programs' files, as labels of layers.


@dataclass(frozen=True, eq=False)
class Folder:
    """A group: its name and appearance."""

    name: str
    group: Group


Nesting = tuple[Folder, ...]
"""The groups around a layer, the outermost first."""


def grouped(paths: Iterable[Sequence[Folder]]) -> tuple[list[str], dict[str, Group]]:
    """Return the label of each layer's group, in the layers' order, and the appearance of groups by label.

    Sibling groups with the same name would merge, so the second gets a number.
    """
    names: dict[Folder, str] = {}
    taken: set[tuple[Folder | None, str]] = set()
    found: list[str] = []
    groups: dict[str, Group] = {}
    for path in paths:
        for parent, folder in zip((None, *path), path, strict=False):
            if folder not in names:
                names[folder] = _free_name(folder, parent, taken)
        label = shortened(label_of(names[folder] for folder in path))
        inner = names_of(label)
        for depth, folder in enumerate(path[: len(inner)]):
            groups[SEPARATOR.join(inner[: depth + 1])] = folder.group
        found.append(label)
    return found, {label: group for label, group in groups.items() if group != Group()}


def _free_name(folder: Folder, parent: Folder | None, taken: set[tuple[Folder | None, str]]) -> str:
    name = folder.name.strip() or "Group"
    free, count = name, 2
    while (parent, free) in taken:
        free = f"{name} {count}"
        count += 1
    taken.add((parent, free))
    return free


# Untrusted ZIP archives: read in bounded pieces, and refused if they are inconsistent.
#
# A member's stated size is not trusted. Members must be stored or deflated: ZIP's other methods can expand a few bytes
# to gigabytes within one piece. Nothing is ever extracted to a path.


END_RECORD = b"PK\x05\x06"
END_RECORD_BYTES = 22
END_64_LOCATOR, END_64_RECORD = b"PK\x06\x07", b"PK\x06\x06"
MAX_COMMENT_BYTES = 65_535
MAX_DIRECTORY_BYTES = 2_000_000
"""Limit of the central directory: about ten thousand pictures."""
LOCAL_HEADER_BYTES = 30
ENCRYPTED = 0x1
PIECE_BYTES = 262_144
DISHONEST = "The file is damaged or inconsistent: export it again."

DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
"""Errors that Python's archive reader raises on damaged or malicious files."""


class Archive:
    """The members of a ZIP archive by name. Raises `LayerFileError` for an inconsistent archive."""

    def __init__(self, file: IO[bytes]) -> None:
        _check_directory(file)
        try:
            self._archive = zipfile.ZipFile(file)
        except DAMAGED:
            raise LayerFileError(DISHONEST) from None
        members = self._archive.infolist()
        if not all(map(_is_plain, members)) or _overlap(members, self._archive.start_dir):
            raise LayerFileError(DISHONEST)
        self._members = {member.filename: member for member in members if not member.is_dir()}
        if len({member.filename for member in members}) < len(members):
            raise LayerFileError(DISHONEST)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str, most: int) -> bytes:
        """Return a member of at most `most` bytes; raises `LayerFileError` if it is larger, damaged or missing."""
        member = self._members.get(name)
        if member is None or member.file_size > most:
            raise LayerFileError(DISHONEST)
        content = io.BytesIO()
        try:
            with self._archive.open(member) as stream:
                while piece := stream.read(PIECE_BYTES):
                    content.write(piece)
                    if content.tell() > most:
                        raise LayerFileError(DISHONEST)
        except DAMAGED:
            raise LayerFileError(DISHONEST) from None
        return content.getvalue()


def _check_directory(file: IO[bytes]) -> None:
    """Refuse an oversized central directory before it is read into memory (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_RECORD_BYTES - MAX_COMMENT_BYTES))
    end = file.read()
    at = end.rfind(END_RECORD)
    if at < 0 or len(end) < at + END_RECORD_BYTES:
        raise LayerFileError(DISHONEST)
    directory_bytes = int.from_bytes(end[at + 12 : at + 16], "little")
    if at >= 20 and end[at - 20 : at - 16] == END_64_LOCATOR:
        file.seek(min(int.from_bytes(end[at - 12 : at - 4], "little"), size))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(END_64_RECORD):
            raise LayerFileError(DISHONEST)
        directory_bytes = int.from_bytes(record[40:48], "little")
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise LayerFileError(DISHONEST)
    file.seek(0)


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is a file or folder with a path inside the archive, and can be read in pieces."""
    path = PurePosixPath(member.filename)
    return (
        member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        and not member.flag_bits & ENCRYPTED
        and not path.is_absolute()
        and ".." not in path.parts
        and "\\" not in member.filename
        and not stat.S_ISLNK(member.external_attr >> 16)
    )


def _overlap(members: list[zipfile.ZipInfo], end: int) -> bool:
    """Return whether two members share bytes, by which a small archive can contain any number of large members."""
    for member in sorted(members, key=lambda one: one.header_offset, reverse=True):
        if member.header_offset + LOCAL_HEADER_BYTES + member.compress_size > end:
            return True
        end = member.header_offset
    return False

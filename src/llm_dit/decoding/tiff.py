"""TIFF: the first directory goes to the decoder with the tags that make pixels; the others are passed by.

Numbers of any width are read by `tiff_values`. Pillow reads what is compressed as a picture (JPEG, fax) and colors of
television; it warns about every damaged tag and follows every directory, and both are for the file's writer to choose.
Raw files of cameras begin as TIFF, with a small preview in front: they are named instead.
"""

import io
import struct

from PIL.TiffImagePlugin import TiffImageFile

from llm_dit.decoding.color import MAX_PROFILE_BYTES
from llm_dit.decoding.formats import refusal
from llm_dit.decoding.source import Source, by_pillow
from llm_dit.decoding.tiff_numbers import PACKED, Directory, layout_of
from llm_dit.decoding.tiff_values import Values
from llm_dit.errors import ImageError

_WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION = 256, 257, 262, 274
_TILE_WIDTH, _TILE_HEIGHT, _SUBDIRECTORIES, _PROFILE, _DNG = 322, 323, 330, 34675, 50706
_KEPT = {
    *(254, _WIDTH, _HEIGHT, 258, 259, _PHOTOMETRIC, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293),
    *(317, 320, _TILE_WIDTH, _TILE_HEIGHT, 324, 325, 332, 338, 339, 347, *range(512, 522), *range(529, 533)),
}
"""Without orientation, by which Pillow would turn the picture itself."""
_BITS, _COMPRESSION, _PLANES, _SUBSAMPLING = 258, 259, 284, 530
_JPEG, _OLD_JPEG, _TELEVISION = 7, 6, 6
_FAX = {2, 3, 4}
_SENSOR = {32803, 34892}
"""Kinds of pixels that a sensor gives: a color filter's mosaic, linear raw."""
MAX_DIRECTORIES = 16
MAX_TILE = 4_194_304
"""Pixels of a tile in a picture that is smaller."""


def open_tiff(content: bytes) -> Source:
    """Return the first picture in a TIFF file; raises `ImageError` for a camera's raw file and kinds not read."""
    directory = Directory(content)
    _check_kind(content, directory)
    width, height = directory.number(_WIDTH), directory.number(_HEIGHT)
    if not width or not height:
        raise ValueError("no size")
    if directory.number(_TILE_WIDTH) * directory.number(_TILE_HEIGHT) > max(4 * width * height, MAX_TILE):
        raise ValueError("tiles without end")
    profile, turned = directory.data(_PROFILE), directory.number(_ORIENTATION)
    layout = layout_of(directory)
    values = Values(directory, layout) if layout else None
    return Source(
        size=(width, height),
        decode=values.decode if values else by_pillow(_by_pillow(directory)),
        orientation=turned if 1 <= turned <= 8 else 1,
        profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        split=values.split if values else None,
    )


def _by_pillow(directory: Directory) -> TiffImageFile:
    compression, kind, bits = directory.number(_COMPRESSION, 1), directory.number(_PHOTOMETRIC), directory.number(_BITS)
    known = (
        compression in _FAX
        or (compression == _JPEG and bits == 8)
        or (compression == _OLD_JPEG and kind in {2, _TELEVISION})
        or (kind == _TELEVISION and _is_known_television(directory, compression))
    )
    try:
        if known:
            return TiffImageFile(io.BytesIO(directory.alone(_KEPT)))
    except (SyntaxError, KeyError):
        pass
    raise ImageError(
        "This TIFF stores its pixels in a way that is not read here: save it as PNG, or as TIFF with LZW compression."
    )


def _is_known_television(directory: Directory, compression: int) -> bool:
    """Return whether Pillow reads luminance and two colors, which are of every second pixel unless told otherwise."""
    whole = (directory.numbers(_SUBSAMPLING, 2) or [2, 2]) == [1, 1]
    if directory.number(_PLANES) == 2:
        return whole and compression in PACKED
    return compression in PACKED or (compression == 1 and whole)


def _check_kind(content: bytes, directory: Directory) -> None:
    below: list[Directory] = []
    for at in directory.numbers(_SUBDIRECTORIES, MAX_DIRECTORIES):
        try:
            below.append(Directory(content, at))
        except (struct.error, ValueError):
            continue
    raw = any(part.number(_PHOTOMETRIC) in _SENSOR for part in (directory, *below))
    if raw or directory.data(_DNG):
        raise refusal("camera raw")

"""What a file is, by its first bytes alone, and what opens it; JPEG, GIF and WebP, which need little, here."""

import io
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from llm_dit.decoding.avif import open_avif
from llm_dit.decoding.bmp import open_bmp
from llm_dit.decoding.png import open_png
from llm_dit.decoding.source import MAX_PROFILE_BYTES, Source, by_pillow, orientation_of
from llm_dit.decoding.tiff import CAMERA_RAW, open_tiff
from llm_dit.errors import ImageError


@dataclass(frozen=True, kw_only=True)
class PictureFormat:
    """A format that is read; the first of its suffixes and media types is the usual one."""

    name: str
    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]


PICTURE_FORMATS = (
    PictureFormat(name="PNG", suffixes=(".png", ".apng"), media_types=("image/png", "image/apng")),
    PictureFormat(name="JPEG", suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), media_types=("image/jpeg",)),
    PictureFormat(name="WebP", suffixes=(".webp",), media_types=("image/webp",)),
    PictureFormat(name="GIF", suffixes=(".gif",), media_types=("image/gif",)),
    PictureFormat(name="BMP", suffixes=(".bmp", ".dib"), media_types=("image/bmp",)),
    PictureFormat(name="TIFF", suffixes=(".tif", ".tiff"), media_types=("image/tiff",)),
    PictureFormat(name="AVIF", suffixes=(".avif",), media_types=("image/avif",)),
)
_NAMES = [format.name for format in PICTURE_FORMATS]
FORMAT_NAMES = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""The formats as a sentence lists them."""
NOT_A_PICTURE = f"This is not a picture that can be read: send a {FORMAT_NAMES} file."

_SAVE = "save it as PNG or JPEG"
_VIDEO = "send one frame of it as PNG or JPEG"
_SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (8, b"CR\x02", "camera raw"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (0, b"IIU\0", "camera raw"),
    (0, b"IIRO", "camera raw"),
    (0, b"IIRS", "camera raw"),
    (0, b"MMOR", "camera raw"),
    (0, b"FOVb", "camera raw"),
    (0, b"\0MRM", "camera raw"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\xff\xd8", "JPEG"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"\0\0\2\0", "icon"),
    (0, b"icns", "icon"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"DDS ", "DirectDraw"),
    (0, b"qoif", "QOI"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"FLIF", "FLIF"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"PK\3\4", "archive"),
    (0, b"\x1f\x8b", "archive"),
    (0, b"Rar!", "archive"),
    (0, b"7z\xbc\xaf", "archive"),
    (8, b"AVI ", "video"),
    (0, b"\x1a\x45\xdf\xa3", "video"),
    (0, b"\0\0\1\xba", "video"),
    (0, b"FLV\1", "video"),
)
_PORTABLE = re.compile(rb"P[1-7][\s#]")
_PDF = re.compile(rb"%PDF-")
_SVG = re.compile(rb"<(?:svg\b|[\w-]+:svg\b)", re.IGNORECASE)
_HTML = re.compile(rb"<(?:!doctype html|html\b)", re.IGNORECASE)
# Brands of ISO base media files.
_BRANDS = (
    ("AVIF", {b"avif", b"avis"}),
    ("HEIC", {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}),
    ("camera raw", {b"crx "}),
    ("HEIF", {b"mif1", b"mif2", b"msf1", b"miaf", b"jpeg", b"avci", b"j2ki", b"vvic"}),
)
_REFUSALS = {
    "HEIC": "a HEIC picture: save it as JPEG (iPhone: Settings, Camera, Formats, Most Compatible)",
    "HEIF": f"a HEIF picture: {_SAVE}",
    "camera raw": CAMERA_RAW,
    "JPEG XL": f"a JPEG XL picture: {_SAVE}",
    "JPEG XR": f"a JPEG XR picture: {_SAVE}",
    "JPEG 2000": f"a JPEG 2000 picture: {_SAVE}",
    "Photoshop": "a Photoshop file, not a flat picture: export it as PNG",
    "GIMP": "a GIMP file, not a flat picture: export it as PNG",
    "PostScript": "a PostScript file: export it as PNG",
    "PDF": "a PDF document: export the page as PNG",
    "SVG": "an SVG drawing: drop it on the page, which draws it, or export it as PNG",
    "HTML": "a web page: save the picture on it and send that",
    "icon": "an icon file: save one of its pictures as PNG",
    "OpenEXR": f"an OpenEXR picture: {_SAVE}",
    "Radiance HDR": f"a Radiance HDR picture: {_SAVE}",
    "DirectDraw": f"a DDS texture: {_SAVE}",
    "QOI": f"a QOI picture: {_SAVE}",
    "MNG": f"an MNG animation: {_VIDEO}",
    "FLIF": f"a FLIF picture: {_SAVE}",
    "BPG": f"a BPG picture: {_SAVE}",
    "PNM": f"a PNM picture: {_SAVE}",
    "archive": "an archive: unpack it and send the picture in it",
    "video": f"a video: {_VIDEO}",
}


def _kind(content: bytes) -> str:
    for at, sign, kind in _SIGNS:
        if content.startswith(sign, at):
            return kind
    if content[4:8] == b"ftyp":
        return _base_media(content)
    head = content[:4096]
    if _PORTABLE.match(head):
        return "PNM"
    if _PDF.search(head, 0, 1024):
        return "PDF"
    head = head.replace(b"\0", b"")  # UTF-16
    if _HTML.search(head):
        return "HTML"
    return "SVG" if _SVG.search(head) else ""


def _base_media(content: bytes) -> str:
    """Tell stills from videos in the container that AVIF, HEIC and MP4 share, by the brands at its head."""
    head = content[8 : min(int.from_bytes(content[:4]), 1024)]
    brands = [head[:4], *(head[at : at + 4] for at in range(8, len(head) - 3, 4))]
    for kind, names in _BRANDS:
        if names.intersection(brands):
            return kind
    return "video"


# JPEG: the segments that make pixels go to the decoder; profiles and the camera's orientation are read here.
#
# Previews, comments, depth maps and the further frames of phones are thereby no matter. A file whose scans would take
# minutes is refused before the first of them is decoded.

MAX_SCANS = 100
"""Encoders write 10 to 20; each is a pass over the picture."""
MAX_SCANNED_PIXELS = 1_500_000_000
"""Pixels × scans."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_JFIF_BYTES = 14
"""A shorter segment says nothing, and Pillow would stumble over it."""
_EOI = b"\xff\xd9"
_MADE_UP = b"\xf5\x3a\xc6\x9d" * 100
"""Unlike the zeros that the decoder puts where data end, from the first bit on."""
_BARE = {0x01, *range(0xD0, 0xD8)}
"""Markers without a length."""
# In a scan, FF 00 is data and FF D0 to FF D7 are places to restart.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")


def open_jpeg(content: bytes) -> Source:
    """Return the picture in a JPEG file; raises `ImageError` when it has more scans than any encoder makes."""
    view = memoryview(content)
    kept: list[bytes | memoryview] = [b"\xff\xd8"]
    profiles: list[bytes] = []
    exif, size, scans = b"", (0, 0), 0
    for marker, start, end in _segments(content):
        data = view[start + 4 : end]
        if marker == _EXIF and not exif and data[:6] == b"Exif\0\0":
            exif = bytes(data)
        elif marker == _ICC and data[:12] == b"ICC_PROFILE\0":
            profiles.append(bytes(data[12:]))
        elif marker in _FRAMES and len(data) >= 5:
            height, width = struct.unpack_from(">HH", data, 1)
            size = (width, height)
        if marker == _SCAN:
            scans += 1
        if _is_kept(marker, data):
            kept.append(view[start:end])
    if scans > MAX_SCANS or scans * size[0] * size[1] > MAX_SCANNED_PIXELS:
        raise ImageError("The JPEG is built of more passes than any program writes: save it again as PNG or JPEG.")
    file = b"".join(kept)
    image = JpegImageFile(io.BytesIO(file))
    return Source(
        size=image.size,
        decode=by_pillow(image) if file.endswith(_EOI) else lambda enough: _unended(file, enough),
        orientation=orientation_of(exif),
        profile=_joined(profiles),
        shrinks=True,
    )


def _unended(file: bytes, enough: tuple[int, int] | None) -> Image.Image:
    """Decode a file that lacks its end; raises `ValueError` when pixels are missing, too.

    The decoder makes up what is missing, of whatever follows: when that makes no difference, nothing is.
    """
    data = file.removesuffix(b"\xff")
    one, other = (by_pillow(JpegImageFile(io.BytesIO(data + more + _EOI)))(enough) for more in (b"", _MADE_UP))
    if one.tobytes() != other.tobytes():
        raise ValueError("cut off")
    return one


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of every segment up to the end of the picture; a scan's data belong to it."""
    at = 2
    while found := _MARKER.search(content, at):
        start, marker = found.start(), content[found.start() + 1]
        if marker == _END:
            yield marker, start, start + 2
            return
        if marker in _BARE:
            at = start + 2
            continue
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4])
        if marker == _SCAN:
            following = _AFTER_SCAN.search(content, end)
            end = following.start() if following else len(content)
        yield marker, start, end
        at = max(end, start + 4)


def _is_kept(marker: int, data: memoryview) -> bool:
    """Return whether a segment has a say in the pixels: no comment, and of the applications' ones those two."""
    if marker == _COMMENT:
        return False
    if 0xE0 <= marker <= 0xEF:
        return (marker == _JFIF and data[:5] == b"JFIF\0" and len(data) >= _JFIF_BYTES) or (
            marker == _ADOBE and data[:5] == b"Adobe"
        )
    return True


def _joined(segments: list[bytes]) -> bytes | None:
    """Return the profile whose numbered pieces these are, or None when one is missing."""
    pieces = {piece[0]: piece[2:] for piece in segments if len(piece) > 2}
    count = segments[0][1] if segments and len(segments[0]) > 2 else 0
    if not count or len(segments) != count or set(pieces) != set(range(1, count + 1)):
        return None
    profile = b"".join(pieces[number] for number in sorted(pieces))
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


# GIF: the first frame goes to the decoder alone, and is put on a clear canvas as browsers do.

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL = 0xF9


def open_gif(content: bytes) -> Source:
    """Return the first frame in a GIF file; raises `SyntaxError` when there is none."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    at = 13 + _table_bytes(flags)
    tables, control = content[10:at], b""
    while at < len(content) and content[at] == _EXTENSION:
        end = _after_blocks(content, at + 2)
        if content[at + 1] == _CONTROL:
            control = content[at:end]
        at = end
    if content[at : at + 1] != bytes([_IMAGE]):
        raise SyntaxError("no frame")
    x, y, frame_width, frame_height, frame_flags = struct.unpack_from("<HHHHB", content, at + 1)
    data = at + 10 + _table_bytes(frame_flags)
    end = _after_blocks(content, data + 1)
    # Browsers enlarge a canvas that is smaller than its first frame.
    size = (max(width, x + frame_width), max(height, y + frame_height))
    place = struct.pack("<HHHH", 0, 0, frame_width, frame_height)
    file = content[:6] + place[4:] + tables + control + content[at : at + 1] + place + content[at + 9 : end] + b";"
    return Source(size=size, decode=by_pillow(GifImageFile(io.BytesIO(file))), offset=(x, y))


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(content: bytes, at: int) -> int:
    """Return where a chain of blocks ends, of which each begins with its length."""
    while at < len(content) and content[at]:
        at += content[at] + 1
    return min(at + 1, len(content))


# WebP: the first frame, with the alpha that its pixels have.

_HAS_ALPHA = 0x10
_WEBP_HEAD = 8_000_000
"""Bytes in which the first picture begins, behind a profile."""


def _open_webp(content: bytes) -> Source:
    """Return the first frame in a WebP file; browsers do not turn it by EXIF.

    Whether a lossless picture uses alpha is only a hint, which browsers do not follow and Pillow does.
    """
    image = WebPImageFile(io.BytesIO(_with_alpha(content)))
    return Source(size=image.size, decode=by_pillow(image), profile=image.info.get("icc_profile"))


def _with_alpha(content: bytes) -> bytes:
    """Return a WebP file that says it has alpha, if its first picture is lossless."""
    mended, at = bytearray(content[:_WEBP_HEAD]), 12
    while at + 13 <= len(mended):
        name, size = struct.unpack_from("<4sI", mended, at)
        if name == b"VP8X":
            mended[at + 8] |= _HAS_ALPHA
        elif name == b"VP8L":
            mended[at + 12] |= _HAS_ALPHA
            return bytes(mended) + content[_WEBP_HEAD:]
        elif name != b"ICCP":
            break
        at += 8 + size + size % 2
    return content


_OPENERS: Mapping[str, Callable[[bytes], Source]] = {
    "PNG": open_png,
    "JPEG": open_jpeg,
    "WebP": _open_webp,
    "GIF": open_gif,
    "BMP": open_bmp,
    "TIFF": open_tiff,
    "AVIF": open_avif,
}


def open_source(content: bytes) -> Source:
    """Return the picture in `content`, not decoded yet, by what it begins as, whatever it was called.

    Raises `ImageError`, which says what the file is where that can be told, and whatever Pillow raises on damage.
    """
    kind = _kind(content)
    if kind in _OPENERS:
        return _OPENERS[kind](content)
    raise ImageError(f"This is {_REFUSALS[kind]}." if kind in _REFUSALS else NOT_A_PICTURE)

"""What a file is, by its first bytes alone: the formats that are read, and names for what is not."""

import re
from dataclasses import dataclass

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
_RAW = "export it from the camera's program as JPEG or TIFF"
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
    "camera raw": f"a camera's raw file: {_RAW}",
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


def recognize(content: bytes) -> str:
    """Return the name of the picture format that `content` begins as, whatever it was called.

    Raises `ImageError`, which says what the file is where that can be told.
    """
    kind = _kind(content)
    if kind in _NAMES:
        return kind
    raise refusal(kind)


def refusal(kind: str) -> ImageError:
    """Return the error that says what a file is and what to do; an unknown kind is not a picture."""
    return ImageError(f"This is {_REFUSALS[kind]}." if kind in _REFUSALS else NOT_A_PICTURE)


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

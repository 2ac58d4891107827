"""Detects a file's kind by its first bytes, describes an undecoded picture, and converts colors as browsers do."""

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile

from llm_dit.decoding.labels import HighRange

# A file's kind, and why other kinds than pictures are refused.

CAMERA_RAW = "a camera's raw file: export it from the camera's program as JPEG or TIFF"
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
REFUSALS = {
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


def kind_of(content: bytes) -> str:
    """Return a file's kind by its first bytes alone: the name of a format, a key of `REFUSALS`, or "" for neither."""
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
    """Distinguish stills from videos in the container of AVIF, HEIC and MP4 by the brands in its header."""
    head = content[8 : min(int.from_bytes(content[:4]), 1024)]
    brands = [head[:4], *(head[at : at + 4] for at in range(8, len(head) - 3, 4))]
    for kind, names in _BRANDS:
        if names.intersection(brands):
            return kind
    return "video"


# A picture in a file of a known format.

# Errors that Pillow raises on damaged or malicious files.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    struct.error,
    RuntimeError,
)


Split = Callable[[Image.Image], tuple[Image.Image, Image.Image | None]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """`decode` returns the pixels; it takes a sufficient size, or None for full size.

    `size` is the canvas, width × height in pixels, before `orientation` (EXIF's 1–8); a first frame that does not fill
    it lies at `offset`. `profile` is the color space: an ICC profile, HDR by code points, or None for sRGB. `split`
    separates the decoded picture into colors (L, RGB or CMYK) and alpha, if its mode alone does not, and `lower`
    decodes the lower bytes of 16-bit colors. A format that `shrinks` can decode at a reduced size. `check`, if a format
    has it, raises the errors of `decode` for missing pixels without keeping any pixels.
    """

    size: tuple[int, int]
    decode: Callable[[tuple[int, int] | None], Image.Image]
    offset: tuple[int, int] = (0, 0)
    orientation: int = 1
    profile: bytes | HighRange | None = None
    split: Split | None = None
    lower: Callable[[], Image.Image | None] | None = None
    shrinks: bool = False
    check: Callable[[], object] | None = None


def by_pillow(image: ImageFile) -> Callable[[tuple[int, int] | None], Image.Image]:
    """Return the `decode` of a picture whose header Pillow has read."""

    def decode(enough: tuple[int, int] | None) -> Image.Image:
        if enough:
            image.draft(None, enough)
        image.load()
        return image

    return decode


# The camera's orientation, the only EXIF tag that changes how a picture looks.

_ORIENTATION = 0x0112
_SHORT = 3


def orientation_of(exif: bytes) -> int:
    """Return EXIF's orientation, 1 to 8: 1 (upright) if it is missing, damaged or out of range."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length, value = struct.unpack_from(order + "HHIH", exif, at)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and length == 1 and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# Colors as a browser shows them: 8-bit sRGB with alpha, from any mode and any ICC profile.

MAX_PROFILE_BYTES = 8_000_000
"""Limit of an ICC profile; those of printing presses have up to 3 MB."""
_SPACES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}
_OPAQUE = {"L", "RGB", "CMYK"}


def to_srgb(image: Image.Image, source: Source) -> Image.Image:
    """Return the decoded picture of a source as 8-bit sRGB RGBA, without metadata.

    An ICC profile that is damaged, or for other channels, is ignored, as in browsers. Alpha is never converted.
    """
    if image.mode == "RGBA" and not source.split and not source.profile and "transparency" not in image.info:
        image.info.clear()
        return image  # conversion would only copy a large picture
    colors, alpha = (source.split or _split)(image)
    shown = (_labeled(colors, source) or colors).convert("RGBA")
    if alpha is not None:
        shown.putalpha(alpha)
    shown.info.clear()
    return shown


def _labeled(colors: Image.Image, source: Source) -> Image.Image | None:
    """Return the colors as RGB in sRGB, or None if they are unlabeled or the label has no effect.

    As in browsers, high dynamic range is converted from 16 bits if available, everything else from 8.
    """
    if isinstance(source.profile, HighRange):
        return source.profile.to_srgb(colors, source.lower and source.lower())
    return _converted(colors, source.profile) if source.profile else None


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colors as L, RGB or CMYK, and alpha if there is any."""
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode.startswith("I") or image.mode == "F":
        image = _from_deep(image)
    elif image.mode == "1":
        image = image.convert("L")
    if image.mode in _OPAQUE:
        return image, None
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    return image.convert("RGB"), image.getchannel("A")


def _from_deep(image: Image.Image) -> Image.Image:
    """Keep the upper byte of 16-bit gray, as browsers do; Pillow's own conversion clips values above 255 to white."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        return Image.fromarray((np.nan_to_num(values).clip(0, 1) * 255 + 0.5).astype(np.uint8))
    return Image.fromarray((values.clip(0, 65535) >> 8).astype(np.uint8))


def _converted(colors: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the colors as RGB in sRGB, or None if the profile does not fit or has no effect."""
    mode = _SPACES.get(profile[16:20])
    if (
        mode is None
        or len(profile) > MAX_PROFILE_BYTES
        or (mode != colors.mode and (colors.mode, mode) != ("L", "RGB"))
    ):
        return None
    try:
        # By default grays are converted by a coarse table, which loses dark tones.
        flags = ImageCms.Flags.NOOPTIMIZE if colors.mode == "L" else ImageCms.Flags.NONE
        transform = _transform(profile, mode, flags)
        if colors.mode == "L":
            levels = Image.frombytes("L", (256, 1), bytes(range(256))).convert(mode)
            shown = ImageCms.applyTransform(levels, transform)
            return shown and Image.merge("RGB", [colors.point(list(band.tobytes())) for band in shown.split()])
        return ImageCms.applyTransform(colors, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


@lru_cache(maxsize=1)
def _transform(profile: bytes, mode: str, flags: ImageCms.Flags) -> ImageCms.ImageCmsTransform:
    """Return the cached conversion of a mode's values to sRGB; a large picture needs it for each of its bands."""
    given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)

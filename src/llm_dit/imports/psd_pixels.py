"""The pixels of a Photoshop file: its planes, of whatever depth and color mode, as 8-bit sRGB RGBA."""

import io
import warnings
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from llm_dit.errors import LayerFileError
from llm_dit.imports.psd_records import DAMAGED, Channel, PsdFile

BITMAP, GRAY, INDEXED, RGB, CMYK, DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
COLORS = {GRAY: 1, RGB: 3, CMYK: 4, DUOTONE: 1, LAB: 3}
"""Color planes of the modes that have layers."""
MODES = {1: "L", 3: "RGB", 4: "CMYK"}
RAW, RLE, ZIP, ZIP_PREDICTED = range(4)
MOST_GROWTH = {RLE: 66, ZIP: 1040, ZIP_PREDICTED: 1040}
"""How many bytes one compressed byte can become; a plane that would take more is none."""

Plane = NDArray[np.uint8]


def read_plane(file: IO[bytes], channel: Channel, size: tuple[int, int], psd: PsdFile) -> Plane:
    """Return one channel of `size` (width, height) as 8 bits; raises `LayerFileError` when its bytes are damaged."""
    file.seek(channel.offset)
    head = file.read(2)
    if channel.length < 2 or len(head) < 2:
        raise LayerFileError(DAMAGED)
    content = file.read(channel.length - 2)
    return to_plane(content, int.from_bytes(head, "big"), size, psd)


def to_plane(content: bytes, compression: int, size: tuple[int, int], psd: PsdFile) -> Plane:
    """Return compressed bytes as a plane of 8 bits."""
    from psd_tools.compression import decompress  # a quarter of a second
    from psd_tools.constants import Compression

    width, height = size
    expected = (width * psd.depth + 7) // 8 * height
    least = expected if compression == RAW else expected // MOST_GROWTH.get(compression, 1)
    if compression not in {RAW, *MOST_GROWTH} or len(content) < least:
        raise LayerFileError(DAMAGED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a plane that cannot be read would come out black
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
            curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
            values = np.rint(curve * 255).astype(np.uint8)
        case _:
            bits = np.unpackbits(np.frombuffer(plain, np.uint8).reshape(height, -1), axis=1)
            values = np.where(bits[:, :width] > 0, np.uint8(0), np.uint8(255))
    return values[: width * height].reshape(height, width) if depth != 1 else values


class Colors:
    """Turns the color planes of a file into sRGB, by its profile where it has one."""

    def __init__(self, psd: PsdFile) -> None:
        if psd.mode not in COLORS and psd.mode not in {BITMAP, INDEXED}:
            raise LayerFileError("This Photoshop file has a color mode that is not read: convert it to RGB.")
        self._psd = psd
        self.count = COLORS.get(psd.mode, 1)
        self._transform = self._find_transform()

    def to_rgb(self, planes: list[Plane]) -> Image.Image:
        """Return an RGB image of one file's color planes."""
        if self._psd.mode == CMYK:
            planes = [255 - plane for plane in planes]  # Photoshop stores how much light is left
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
        return image.convert("RGB")

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

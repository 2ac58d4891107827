"""Reading pictures that come from outside: checked before they are decoded, 8-bit sRGB RGBA afterwards."""

import contextlib
import io
import struct
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageOps

from llm_dit.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow is known to raise on files that are damaged or made to harm.
DECODER_ERRORS = (OSError, ValueError, SyntaxError, IndexError, struct.error, MemoryError)


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is decoded: at most width × height in pixels, sides in pixels, and longer : shorter side (None: any)."""

    max_pixels: int = 16_777_216
    max_side: int = 8192
    min_side: int = 1
    max_aspect: int | None = None


def read_image(content: bytes, limits: ImageLimits | None = None) -> Image.Image:
    """Return a PNG, JPEG or WebP picture as RGBA, 8 bits a channel, upright and in sRGB.

    Camera rotation (EXIF) is applied, an embedded colour profile converted, 16-bit grey scaled, and palettes, CMYK and
    transparent colours turned into RGBA. Raises `ImageError` for anything else, for animations, and for pictures beyond
    `limits`, whose size is read from the header before a single pixel is decoded.
    """
    with _opened(content, limits or ImageLimits()) as image:
        image.load()
        return _to_rgba(image)


def check_size(content: bytes, limits: ImageLimits) -> None:
    """Raise `ImageError` for a picture beyond `limits`, by its header alone."""
    with _opened(content, limits):
        pass


@contextlib.contextmanager
def _opened(content: bytes, limits: ImageLimits) -> Generator[Image.Image]:
    """Lend a picture that is not decoded yet; what Pillow raises inside becomes an `ImageError`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_header(image, limits)
            yield image
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        raise ImageError("This is not a picture that can be read: send a PNG, JPEG or WebP file.") from None
    except Image.DecompressionBombError:  # Pillow's own, higher bound, met before the header can be looked at
        raise _too_large("more pixels than can be right", limits) from None
    except DECODER_ERRORS:
        raise ImageError("The picture is damaged or cut off: save it again as PNG, JPEG or WebP.") from None


def _check_header(image: Image.Image, limits: ImageLimits) -> None:
    width, height = image.size
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise _too_large(f"{width}×{height} pixels", limits)
    if min(width, height) < limits.min_side:
        raise ImageError(
            f"The picture has {width}×{height} pixels, too few to see anything: each side needs at least "
            f"{limits.min_side}."
        )
    if limits.max_aspect is not None and max(width, height) > limits.max_aspect * min(width, height):
        raise ImageError(
            f"The picture is {width}×{height}: one side may be at most {limits.max_aspect} times the other: crop it."
        )
    # Phones write JPEGs (MPO) whose further frames are previews and depth maps, not an animation.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise ImageError("The picture is animated: send one frame of it.")


def _too_large(size: str, limits: ImageLimits) -> ImageError:
    return ImageError(
        f"The picture has {size}; at most {limits.max_pixels / 1e6:.1f} million pixels and {limits.max_side} on the "
        "longer side will do: scale it down."
    )


def _to_rgba(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return _from_16_bit(upright).convert("RGBA")
    rgba = _to_srgb(upright).convert("RGBA")
    rgba.info.clear()
    return rgba


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips everything above 255 to white."""
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(values.clip(0, 65535) / 257.0).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert the colours by the embedded profile, alpha untouched; a profile that does not fit is ignored."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        return image
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if image.mode == "RGBA" else image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    if converted is None:
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    elif "transparency" in image.info and image.mode == "RGB":
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted

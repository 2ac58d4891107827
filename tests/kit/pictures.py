"""Pictures made for the tests."""

# pyright: reportArgumentType=false

import base64
import io

import numpy as np
from PIL import Image


def png(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "PNG", **options)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def as_data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def from_data_url(url: str) -> Image.Image:
    head, _, content = url.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    image.load()
    return image


def difference(first: Image.Image, second: Image.Image) -> int:
    """Return by how much two pictures differ at most, in levels of 255; a color counts by how much of it shows."""
    one, other = (np.asarray(image.convert("RGBA")).astype(int) for image in (first, second))
    shown = np.maximum(one[..., 3:], other[..., 3:]) / 255
    colors = np.abs(one - other)[..., :3] * shown
    return max(int(np.ceil(colors.max(initial=0))), int(np.abs(one - other)[..., 3].max()))


def disc(size: int = 48) -> Image.Image:
    """A red disc with a soft edge on transparency."""
    alpha = Image.radial_gradient("L").resize((size, size)).point(lambda value: max(0, min(255, (120 - value) * 8)))
    image = Image.new("RGBA", (size, size), (200, 30, 20, 0))
    image.putalpha(alpha)
    return image


def square(size: int = 48, color: tuple[int, int, int] = (20, 120, 220)) -> Image.Image:
    return Image.new("RGB", (size, size), color)


SQUARE_URL = as_data_url(png(square()))
DISC_URL = as_data_url(png(disc()))


def flatten(layer: Image.Image, matte: tuple[int, int, int]) -> Image.Image:
    """Return a layer over a ground of one color, as RGB."""
    values = np.asarray(layer.convert("RGBA"), np.float32) / np.float32(255)
    colors, alpha = values[..., :3], values[..., 3:]
    over = colors * alpha + np.array(matte, np.float32) / np.float32(255) * (1 - alpha)
    return Image.fromarray(np.rint(over.clip(0, 1) * 255).astype(np.uint8), "RGB")

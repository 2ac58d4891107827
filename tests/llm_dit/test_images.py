"""The gate for pictures: right pixels for every kind that is taken, a sentence for every kind that is not."""

import io
import struct
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, check_size, read_image


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str, size: tuple[int, int] = (6, 5)) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels, mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_pictures_keep_their_pixels(mode: str, kind: str) -> None:
    image = noise(mode)
    shown = read_image(saved(image, kind, lossless=True, exact=True))
    assert shown.mode == "RGBA" and shown.tobytes() == image.convert("RGBA").tobytes()


def test_palettes_and_transparent_colours_become_alpha() -> None:
    palette = noise("RGB").quantize(8)
    assert read_image(saved(palette)).tobytes() == palette.convert("RGBA").tobytes()
    clear = read_image(saved(palette, transparency=palette.getpixel((0, 0))))
    assert clear.getpixel((0, 0))[3] == 0 and clear.getextrema()[3] == (0, 255)
    keyed = read_image(saved(Image.new("RGB", (2, 2), (9, 8, 7)), transparency=(9, 8, 7)))
    assert keyed.getextrema()[3] == (0, 0)


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert [p[0] for p in read_image(saved(Image.fromarray(ramp))).get_flattened_data()] == [0, 1, 128, 255]


def test_cmyk_becomes_rgb() -> None:
    red = read_image(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(np.array(red.getpixel((8, 8))) - (255, 0, 0, 255)).max() <= 4


def test_camera_rotation_is_applied() -> None:
    image = Image.new("RGB", (4, 2), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(saved(image, "JPEG", exif=exif)).size == (2, 4)


def test_a_colour_profile_is_converted_and_dropped() -> None:
    lab_free = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = noise("RGBA")
    shown = read_image(saved(image, icc_profile=lab_free))
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(image)).max() <= 1
    assert "icc_profile" not in shown.info
    assert read_image(saved(image, icc_profile=b"rubbish")).tobytes() == image.tobytes()


def png_of_size(width: int, height: int) -> bytes:
    """Return a few bytes whose header promises many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(30000, 30000), (20000, 10), (10, 20000), (8000, 8000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_unread(size: tuple[int, int]) -> None:
    # The file holds hardly any pixels: had they been decoded, it would be called cut off.
    with pytest.raises(ImageError, match="scale it down"):
        read_image(png_of_size(*size))


def test_limits_are_inclusive() -> None:
    limits = ImageLimits(max_pixels=30, max_side=6)
    assert read_image(saved(noise("RGB")), limits).size == (6, 5)
    for size in [(7, 1), (6, 6)]:
        with pytest.raises(ImageError, match="at most"):
            read_image(saved(noise("RGB", size)), limits)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    with pytest.raises(ImageError, match="animated"):
        read_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize(
    "content",
    [b"", b"not a picture", b"GIF89a" + b"\0" * 40, saved(noise("RGB"), "BMP"), saved(noise("RGB"), "TIFF")],
    ids=["nothing", "text", "gif", "bmp", "tiff"],
)
def test_other_kinds_are_named(content: bytes) -> None:
    with pytest.raises(ImageError, match="PNG, JPEG or WebP"):
        read_image(content)


@pytest.mark.parametrize("encode", [partial(saved, kind=kind) for kind in ("PNG", "JPEG", "WEBP")])
@given(cut=st.floats(0.05, 0.95))
def test_a_picture_cut_off_is_refused_or_whole(encode: "partial[bytes]", cut: float) -> None:
    whole = encode(noise("RGB", (40, 40)))
    try:
        assert read_image(whole[: int(len(whole) * cut)]).size == (40, 40)
    except ImageError as error:
        assert "PNG, JPEG or WebP" in error.message


@given(st.data())
def test_damage_anywhere_gives_pixels_or_one_of_our_errors(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    content = bytearray(saved(noise("RGB", (12, 9)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_image(bytes(content)).mode == "RGBA"
    except ImageError as error:
        assert "0x" not in error.message and "BytesIO" not in error.message


@pytest.mark.parametrize(
    ("size", "says"),
    [((1, 9), "too few"), ((9, 1), "too few"), ((2, 17), "8 times"), ((17, 2), "8 times"), ((2, 16), None)],
)
def test_shapes_that_nothing_can_be_made_of_are_refused(size: tuple[int, int], says: str | None) -> None:
    content, limits = saved(noise("RGB", size)), ImageLimits(min_side=2, max_aspect=8)
    for check in (read_image, check_size):
        if says is None:
            check(content, limits)
        else:
            with pytest.raises(ImageError, match=says):
                check(content, limits)


def test_the_size_is_checked_without_decoding() -> None:
    whole = saved(noise("RGB", (40, 40)))
    check_size(whole[:60], ImageLimits())
    with pytest.raises(ImageError, match="damaged"):
        read_image(whole[:60])
    with pytest.raises(ImageError, match="scale it down"):
        check_size(whole[:60], ImageLimits(max_side=39))

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
from llm_dit.images import ImageLimits, read_image, read_picture, size_of


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def near(seen: object, wanted: tuple[int, ...], by: int) -> bool:
    return bool(np.abs(np.array(seen, int) - wanted).max() <= by)


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


def test_palettes_and_transparent_colors_become_alpha() -> None:
    palette = noise("RGB").quantize(8)
    assert read_image(saved(palette)).tobytes() == palette.convert("RGBA").tobytes()
    clear = read_image(saved(palette, transparency=palette.getpixel((0, 0))))
    assert np.asarray(clear)[0, 0, 3] == 0 and clear.getchannel("A").getextrema() == (0, 255)
    keyed = read_image(saved(Image.new("RGB", (2, 2), (9, 8, 7)), transparency=(9, 8, 7)))
    assert keyed.getchannel("A").getextrema() == (0, 0)


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert np.asarray(read_image(saved(Image.fromarray(ramp))))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk_becomes_rgb() -> None:
    red = read_image(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(np.array(red.getpixel((8, 8))) - (255, 0, 0, 255)).max() <= 4


def test_camera_rotation_is_applied() -> None:
    image = Image.new("RGB", (4, 2), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(saved(image, "JPEG", exif=exif)).size == (2, 4)


def test_a_color_profile_is_converted_and_dropped() -> None:
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


def test_a_canvas_that_a_reader_refuses_by_itself_is_too_large_too() -> None:
    lossless = bytearray(saved(noise("RGBA", (8, 8)), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"))
    at = lossless.index(b"VP8X") + 12
    lossless[at : at + 6] = (16_383).to_bytes(3, "little") * 2
    with pytest.raises(ImageError, match="scale it down"):
        read_image(bytes(lossless))


def test_limits_are_inclusive() -> None:
    limits = ImageLimits(max_pixels=30, max_side=6)
    assert read_image(saved(noise("RGB")), limits).size == (6, 5)
    for size in [(7, 1), (6, 6)]:
        with pytest.raises(ImageError, match="at most"):
            read_image(saved(noise("RGB", size)), limits)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF"])
def test_an_animation_shows_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ((200, 60, 20), (20, 60, 200))]
    shown = read_image(saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100))
    assert near(shown.getpixel((8, 8)), (200, 60, 20, 255), 12)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "PNG", "WEBP"])
def test_bytes_decide_what_a_file_is(kind: str) -> None:
    image = noise("RGB").quantize(16)
    assert read_image(saved(image.convert("RGB"), kind, lossless=True)).tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"),
        (b"not a picture", "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC picture: save it as JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heix", "HEIC picture: save it as JPEG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "camera's raw"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera's raw"),
        (b"\xff\x0a" + bytes(9), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\3\4", "archive"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        ("<?xml version='1.0' encoding='utf-16'?><svg/>".encode("utf-16"), "SVG"),
        (b"<!DOCTYPE html><html><svg>", "web page"),
        (b"P6 2 2 255\n", "PNM"),
    ],
)
def test_what_is_not_read_is_named(content: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
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
    [((1, 9), "too small"), ((9, 1), "too small"), ((2, 17), "8 times"), ((17, 2), "8 times"), ((2, 16), None)],
)
def test_shapes_that_nothing_can_be_made_of_are_refused(size: tuple[int, int], says: str | None) -> None:
    content, limits = saved(noise("RGB", size)), ImageLimits(min_side=2, max_aspect=8)
    if says is None:
        read_image(content, limits)
    else:
        with pytest.raises(ImageError, match=says):
            read_image(content, limits)


def test_the_size_is_checked_without_decoding() -> None:
    whole = saved(noise("RGB", (40, 40)))
    assert size_of(whole[:60]) == (40, 40)
    with pytest.raises(ImageError, match="damaged"):
        read_image(whole[:60])
    with pytest.raises(ImageError, match="scale it down"):
        read_image(whole[:60], ImageLimits(max_side=39))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_picture_beyond_the_limits_is_scaled_where_that_is_asked_for(kind: str) -> None:
    limits = ImageLimits(max_pixels=1200, max_side=50)
    image = Image.linear_gradient("L").resize((120, 60)).convert("RGB")
    fitted = read_picture(saved(image, kind), limits, fit=True)
    assert fitted.scaled_from == (120, 60) and fitted.image.size == (48, 24)
    assert near(fitted.image.getpixel((24, 12)), (*np.asarray(image)[30, 60].tolist(), 255), 8)
    small = read_picture(saved(image.resize((40, 20)), kind), limits, fit=True)
    assert small.scaled_from is None and small.image.size == (40, 20)


def test_a_turned_picture_is_scaled_by_what_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    fitted = read_picture(saved(noise("RGB", (400, 100)), "JPEG", exif=exif), ImageLimits(max_side=80), fit=True)
    assert fitted.scaled_from == (100, 400) and fitted.image.size == (20, 80)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_large_picture_is_scaled_in_bands_that_show_no_seams(kind: str) -> None:
    mode = "RGBA" if kind == "PNG" else "CMYK"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if kind == "PNG" else None
    content = saved(noise(mode, (2001, 2203)), kind, icc_profile=profile, compress_level=0)
    whole = read_image(content).resize((908, 1000), Image.Resampling.LANCZOS)
    fitted = read_picture(content, ImageLimits(max_side=1000), fit=True).image
    assert fitted.size == whole.size
    # Where next to nothing is seen, the colors are left to chance; the rest is rounded twice.
    bands = [np.frombuffer(image.convert("RGBa").tobytes(), np.uint8).astype(int) for image in (fitted, whole)]
    assert np.abs(bands[0] - bands[1]).max() <= 2


def test_what_is_too_much_to_scale_is_refused_unread() -> None:
    with pytest.raises(ImageError, match=r"64\.0 million pixels"):
        read_picture(png_of_size(30_000, 30_000), fit=True)

"""What is read of a file, and what is passed by: pixels and alpha, never metadata."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import read_image
from tests.llm_dit.png_files import (
    COLOR,
    GRAY,
    SIGNATURE,
    chunk,
    embedded,
    header,
    packed,
    png_file,
)

ORANGE, BLUE = bytes((200, 100, 50)), bytes((20, 60, 250))
END = chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "junk",
    [
        chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
        chunk(b"tEXt", b"x" * 3_000_000),
        embedded(bytes(40_000_000)),
        chunk(b"iCCP", b"no name"),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"tEXt", b"x")[:-1] + b"?",
        chunk(b"tIME", b"") + chunk(b"gAMA", b"1") + chunk(b"cHRM", bytes(32)) + chunk(b"pHYs", b"12"),
        chunk(b"cHRM", bytes(32)) + chunk(b"gAMA", bytes(4)),
    ],
    ids=["zTXt", "iTXt", "tEXt", "iCCP bomb", "iCCP cut", "eXIf", "checksum", "lengths", "zeros"],
)
def test_metadata_is_passed_by(junk: bytes) -> None:
    assert read_image(png_file([ORANGE], 8, COLOR, junk)).getpixel((0, 0)) == (200, 100, 50, 255)


@given(data=st.data())
def test_no_metadata_of_jpeg_is_judged(data: st.DataObject) -> None:
    whole = saved(Image.new("RGB", (8, 8), (200, 100, 50)), "JPEG", quality=100)
    heads = [b"", b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"]
    for _ in range(data.draw(st.integers(1, 4))):
        body = data.draw(st.sampled_from(heads)) + data.draw(st.binary(max_size=60))
        marker = data.draw(st.sampled_from([0xE1, 0xE2, 0xE3, 0xED, 0xFE]))
        whole = whole[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + whole[2:]
    assert read_image(whole).getpixel((4, 4))[:3] == read_image(saved_plain()).getpixel((4, 4))[:3]  # type: ignore[index]


def saved_plain() -> bytes:
    return saved(Image.new("RGB", (8, 8), (200, 100, 50)), "JPEG", quality=100)


@pytest.mark.parametrize(
    ("depth", "row", "key", "alphas"),
    [
        (1, b"\x40", 0, [0, 255]),
        (2, b"\x1b", 2, [255, 255, 0, 255]),
        (4, b"\x3a", 3, [0, 255]),
        (8, bytes((10, 100)), 10, [0, 255]),
        (16, bytes((16, 128, 16, 129)), 0x1080, [0, 255]),
    ],
)
def test_a_clear_gray_is_clear_at_every_depth(depth: int, row: bytes, key: int, alphas: list[int]) -> None:
    content = png_file([row], depth, GRAY, chunk(b"tRNS", struct.pack(">H", key)))
    assert np.asarray(read_image(content))[0, : len(alphas), 3].tolist() == alphas


def test_a_clear_color_of_16_bits_is_compared_whole() -> None:
    pixels = struct.pack(">6H", 0x1010, 0x2020, 0x3030, 0x1010, 0x2020, 0x3031)
    content = png_file([pixels], 16, COLOR, chunk(b"tRNS", struct.pack(">3H", 0x1010, 0x2020, 0x3030)))
    assert np.asarray(read_image(content))[0, :, 3].tolist() == [0, 255]


def control(number: int, width: int, height: int, x: int = 0, y: int = 0) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, x, y, 1, 10, 0, 0))


def test_an_apng_shows_its_first_frame_and_not_a_still_before_it() -> None:
    still = chunk(b"IDAT", packed([ORANGE * 3] * 3))
    frame = chunk(b"fdAT", struct.pack(">I", 1) + packed([BLUE]))
    start = SIGNATURE + header(3, 3, 8, COLOR) + chunk(b"acTL", struct.pack(">II", 1, 0))
    apart = read_image(start + still + control(0, 1, 1, 1, 1) + frame + END)
    assert apart.getpixel((1, 1)) == (20, 60, 250, 255) and apart.getpixel((0, 0)) == (0, 0, 0, 0)
    first = read_image(start + control(0, 3, 3) + still + control(1, 1, 1) + frame + END)
    assert first.getpixel((1, 1)) == (200, 100, 50, 255)


@pytest.mark.parametrize("cut", [0, 4, 8, 12, 16], ids=str)
def test_a_png_whose_pixels_are_there_is_whole(cut: int) -> None:
    content = png_file([ORANGE], 8, COLOR)
    assert read_image(content[: len(content) - cut]).getpixel((0, 0)) == (200, 100, 50, 255)


def test_a_gif_whose_frame_is_smaller_is_clear_around_it() -> None:
    plain = bytearray(saved(Image.new("P", (4, 4), 3), "GIF"))
    plain[6:10] = struct.pack("<HH", 8, 6)
    shown = read_image(bytes(plain))
    assert shown.size == (8, 6) and shown.getpixel((7, 5)) == (0, 0, 0, 0) and shown.getpixel((0, 0))[3] == 255  # type: ignore[index]


def test_a_jpeg_of_endless_scans_is_refused_undecoded() -> None:
    whole = saved(Image.effect_noise((64, 64), 90), "JPEG", progressive=True)
    scan = whole[whole.rfind(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="passes"):
        read_image(whole[:-2] + scan * 200 + b"\xff\xd9")
    assert read_image(whole[:-2] + scan * 3 + b"\xff\xd9").size == (64, 64)

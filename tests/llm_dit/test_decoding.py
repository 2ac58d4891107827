"""What is read of a file, and what is passed by: pixels and alpha, never metadata."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import read_image
from tests.llm_dit.png_files import (
    COLOR,
    GRAY,
    INDEXED,
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


@settings(max_examples=30)
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


def test_a_wrong_checksum_of_pixels_is_no_matter_but_a_missing_row_is() -> None:
    rows = [ORANGE * 5] * 4
    start, data = SIGNATURE + header(5, 4, 8, COLOR), packed(rows)
    wrong = start + chunk(b"IDAT", data[:-1] + bytes([data[-1] ^ 1])) + END
    assert read_image(wrong).getpixel((4, 3)) == (200, 100, 50, 255)
    black = start + chunk(b"IDAT", packed([bytes(15)] * 4)) + END
    assert read_image(black).getpixel((4, 3)) == (0, 0, 0, 255)
    for lost in (packed(rows[:3]), packed([bytes(15)] * 3), packed([*rows[:3], ORANGE * 4])):
        with pytest.raises(ImageError, match="truncated"):
            read_image(start + chunk(b"IDAT", lost) + END)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_needs_its_pixels_but_not_its_end(progressive: bool) -> None:
    content = saved(Image.effect_noise((40, 40), 60), "JPEG", quality=90, progressive=progressive)
    for cut in (1, 2):
        assert read_image(content[:-cut]).tobytes() == read_image(content).tobytes()
    for cut in (4, 10, 60):
        with pytest.raises(ImageError, match="truncated"):
            read_image(content[:-cut])


def test_a_gif_whose_frame_is_smaller_is_clear_around_it() -> None:
    plain = bytearray(saved(Image.new("P", (4, 4), 3), "GIF"))
    plain[6:10] = struct.pack("<HH", 8, 6)
    shown = read_image(bytes(plain))
    assert shown.size == (8, 6) and shown.getpixel((7, 5)) == (0, 0, 0, 0) and shown.getpixel((0, 0))[3] == 255  # type: ignore[index]


def bitmap(
    size: int, compression: int, bits: int, masks: tuple[int, ...], pixels: bytes, palette: bytes = b""
) -> bytes:
    """Return a BMP of 2 × 1 pixels with a header of `size` bytes."""
    head = struct.pack("<IiiHHIIiiII", size, 2, 1, 1, bits, compression, len(pixels), 0, 0, len(palette) // 4, 0)
    fields = struct.pack("<4I", *masks)
    if size > 40:
        head = (head + fields + b"BGRs").ljust(size, b"\0")[:size]
    elif compression in {3, 6}:
        head += fields[: 12 if compression == 3 else 16]
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + palette + pixels


BYTES, THIN = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xF00, 0xF0, 0xF, 0xF000)
HALF_CLEAR = bytes((50, 100, 200, 128, 50, 100, 200, 0))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (bitmap(40, 0, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 255)] * 2),
        (bitmap(40, 3, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 255)] * 2),
        (bitmap(40, 6, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 128), (200, 100, 50, 0)]),
        (bitmap(56, 3, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 128), (200, 100, 50, 0)]),
        (bitmap(56, 0, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 255)] * 2),
        (bitmap(108, 0, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 128), (200, 100, 50, 0)]),
        (bitmap(124, 3, 32, BYTES, HALF_CLEAR), [(200, 100, 50, 128), (200, 100, 50, 0)]),
        (bitmap(56, 3, 16, THIN, struct.pack("<2H", 0x8F80, 0x0123)), [(255, 136, 0, 136), (17, 34, 51, 0)]),
        (bitmap(40, 0, 16, BYTES, struct.pack("<2H", 0x7FFF, 0x001F)), [(255, 255, 255, 255), (0, 0, 255, 255)]),
        (bitmap(40, 0, 2, BYTES, b"\x60\0\0\0", bytes(8) + bytes((1, 2, 3, 0))), [(0, 0, 0, 255), (3, 2, 1, 255)]),
        (
            bitmap(40, 1, 8, BYTES, bytes((1, 1, 0, 1)), bytes(4) + bytes((1, 2, 3, 0))),
            [(3, 2, 1, 255), (0, 0, 0, 255)],
        ),
        (
            bitmap(40, 2, 4, BYTES, bytes((2, 0x10, 0, 1)), bytes(4) + bytes((1, 2, 3, 0))),
            [(3, 2, 1, 255), (0, 0, 0, 255)],
        ),
    ],
)
def test_bitmaps_of_every_header(content: bytes, wanted: list[tuple[int, ...]]) -> None:
    assert [tuple(pixel) for pixel in np.asarray(read_image(content))[0].tolist()] == wanted


def test_a_jpeg_of_endless_scans_is_refused_undecoded() -> None:
    whole = saved(Image.effect_noise((64, 64), 90), "JPEG", progressive=True)
    scan = whole[whole.rfind(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="more scans"):
        read_image(whole[:-2] + scan * 200 + b"\xff\xd9")
    assert read_image(whole[:-2] + scan * 3 + b"\xff\xd9").size == (64, 64)


def tiff(*entries: tuple[int, int, int], following: int = 0) -> bytes:
    """Return a gray TIFF of 2 × 1 pixels with more tags, each of one number of 16 (3) or 32 bits (4)."""
    plain = [(256, 3, 2), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 2)]
    tags = sorted({**{tag: (kind, value) for tag, kind, value in plain}, **{t: (k, v) for t, k, v in entries}}.items())
    table = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I" if kind == 4 else "<Hxx", value)
        for tag, (kind, value) in tags
    )
    return (
        b"II*\0"
        + struct.pack("<I", 10)
        + b"\x20\x80"
        + struct.pack("<H", len(tags))
        + table
        + struct.pack("<I", following)
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "content",
    [tiff(), tiff(following=10), tiff((700, 4, 2**31), (34665, 4, 2**31), (270, 3, 1)), tiff((330, 4, 2**31))],
    ids=["plain", "a circle of directories", "damaged tags", "no such directory"],
)
def test_tags_that_make_no_pixels_are_passed_by(content: bytes) -> None:
    assert np.asarray(read_image(content))[0, :, 0].tolist() == [0x20, 0x80]


def test_gray_of_32_bits_keeps_its_upper_eight() -> None:
    # The four bytes up to the end of the two pixels of 8 bits.
    assert read_image(tiff((256, 3, 1), (258, 3, 32), (273, 4, 6), (279, 4, 4))).getpixel((0, 0)) == (
        128,
        128,
        128,
        255,
    )


@pytest.mark.parametrize("tag", [(50706, 4, 1), (262, 3, 32803)])
def test_raw_files_of_cameras_are_named(tag: tuple[int, int, int]) -> None:
    with pytest.raises(ImageError, match="camera's raw"):
        read_image(tiff(tag))


def test_tiles_that_take_all_memory_are_refused() -> None:
    with pytest.raises(ImageError, match="damaged"):
        read_image(tiff((322, 4, 60_000), (323, 4, 60_000)))


def indexed(rows: bytes, depth: int, colors: bytes, alpha: bytes | None = None) -> bytes:
    chunks = [chunk(b"PLTE", colors), *([] if alpha is None else [chunk(b"tRNS", alpha)])]
    return png_file([rows], depth, INDEXED, b"", *chunks)


@pytest.mark.parametrize("depth", [2, 4, 8])
@pytest.mark.parametrize(
    ("alpha", "wanted"), [(None, 255), (b"\x09", 255), (b"\x09\x4d", 77), (b"\x09\x4d\x05\x06", 77)]
)
def test_the_last_color_stands_for_missing_ones(depth: int, alpha: bytes | None, wanted: int) -> None:
    row = {2: b"\x1b", 4: b"\x01\x23", 8: b"\x00\x01\x02\x03"}[depth]
    picture = read_image(indexed(row, depth, ORANGE + BLUE, alpha))
    assert [picture.getpixel((x, 0)) for x in (1, 2, 3)] == [(*BLUE, wanted)] * 3


@pytest.mark.parametrize(
    ("depth", "value", "clear"),
    [(1, 1, 1), (1, 2, None), (1, 255, None), (1, 256, 0), (2, 3, 3), (2, 7, None), (4, 15, 15), (4, 31, None)],
)
def test_a_clear_value_beyond_the_depth_is_no_pixels(depth: int, value: int, clear: int | None) -> None:
    row = {1: b"\x40", 2: b"\x1b", 4: bytes(range(0x01, 0xFF, 0x22))}[depth]
    picture = read_image(png_file([row], depth, GRAY, b"", chunk(b"tRNS", struct.pack(">H", value))))
    values = [int(digit, 2) for digit in re.findall("." * depth, "".join(f"{byte:08b}" for byte in row))]
    assert list(picture.getchannel("A").tobytes()) == [0 if it == clear else 255 for it in values]


@pytest.mark.parametrize(("frames", "color"), [(0, ORANGE), (1, BLUE), (1 << 31, ORANGE)])
def test_an_animation_of_a_number_of_frames_that_cannot_be_stands_still(frames: int, color: bytes) -> None:
    still = png_file([ORANGE], 8, COLOR, chunk(b"acTL", struct.pack(">II", frames, 0)))
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 1, 0, 0))
    frame = chunk(b"fdAT", struct.pack(">I", 1) + packed([BLUE]))
    content = still.removesuffix(END) + control + frame + END
    assert read_image(content).getpixel((0, 0)) == (*color, 255)


@pytest.mark.parametrize("length", range(5, 14))
def test_an_empty_jfif_segment_is_passed_by(length: int) -> None:
    whole = saved(Image.new("RGB", (8, 8), (200, 100, 50)), "JPEG", quality=100)
    assert whole[2:4] == b"\xff\xe0"
    rest = whole[4 + int.from_bytes(whole[4:6]) :]
    segment = b"\xff\xe0" + struct.pack(">H", 2 + length) + b"JFIF\0".ljust(length, b"\0")
    assert read_image(whole[:2] + segment + rest).size == (8, 8)


@pytest.mark.parametrize("profile", [b"", b"rubbish"])
def test_a_lossless_webp_that_says_it_has_no_alpha_has_it(profile: bytes) -> None:
    picture = Image.new("RGBA", (4, 3), (200, 100, 50, 77))
    content = saved(picture, "WEBP", lossless=True, exact=True, icc_profile=profile)
    for at in (content.index(b"VP8L") + 12, *([content.index(b"VP8X") + 8] if profile else [])):
        assert content[at] & 0x10
        content = content[:at] + bytes([content[at] & ~0x10]) + content[at + 1 :]
    assert read_image(content).getpixel((0, 0)) == (200, 100, 50, 77)


def test_an_avif_of_a_table_for_each_item() -> None:
    picture = Image.linear_gradient("L").resize((64, 48)).convert("RGBA")
    picture.putalpha(Image.radial_gradient("L").resize((64, 48)))
    whole = saved(picture, "AVIF", quality=100, subsampling="4:4:4")
    assert read_image(apart(whole)).tobytes() == read_image(whole).tobytes()


def apart(content: bytes) -> bytes:
    """Return an AVIF file with its table of two items in two tables, and its places written again."""
    at = content.index(b"ipma") - 4
    end = at + int.from_bytes(content[at : at + 4])
    head, body = content[at + 8 : at + 12], content[at + 16 : end]
    first = 3 + body[2]
    tables = b""
    for item in (body[:first], body[first:]):
        tables += struct.pack(">I4s4sI", 16 + len(item), b"ipma", head, 1) + item
    content = content[:at] + tables + content[end:]
    for name in (b"meta", b"iprp"):
        box = content.index(name) - 4
        content = content[:box] + (int.from_bytes(content[box : box + 4]) + 16).to_bytes(4) + content[box + 4 :]
    places = content.index(b"iloc") + 4
    assert content[places : places + 8] == bytes.fromhex("0000000044000002")
    for item in range(2):
        start = places + 8 + item * 14 + 6
        content = content[:start] + (int.from_bytes(content[start : start + 4]) + 16).to_bytes(4) + content[start + 4 :]
    return content

"""TIFF of every width of numbers, order of bytes and arrangement comes out as what was written."""

import io
import struct
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, read_image, read_picture, size_of
from tests.llm_dit.png_files import DISPLAY_P3
from tests.llm_dit.tiff_files import CMYK, COLOR, EXTRA, FORMAT, GRAY, INDEXED, ORIENTATION, PALETTE, tiff_file

TURNED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}


def numbers(shape: tuple[int, int, int], bits: int, seed: int = 3) -> NDArray[Any]:
    kind = np.dtype(f"u{next(size for size in (1, 2, 4, 8) if size * 8 >= bits)}")
    return np.random.default_rng(seed).integers(0, 1 << bits, shape, kind, endpoint=False)


def eight(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits < 8:
        return (values.astype(int) * 255 // ((1 << bits) - 1)).astype(np.uint8)
    return (values >> values.dtype.type(bits - 8)).astype(np.uint8)


def shown(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(read_image(content))


@settings(max_examples=120, deadline=None)
@given(
    bits=st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 64]),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    color=st.booleans(),
    order=st.sampled_from("<>"),
    big=st.booleans(),
    apart=st.booleans(),
    tile=st.sampled_from([0, 16, 32]),
    packed=st.booleans(),
    differences=st.sampled_from([1, 2]),
)
def test_numbers_of_any_width(
    bits: int,
    size: tuple[int, int],
    color: bool,
    order: Literal["<", ">"],
    big: bool,
    apart: bool,
    tile: int,
    packed: bool,
    differences: int,
) -> None:
    values = numbers((*size, 3 if color else 1), bits)
    content = tiff_file(
        values,
        bits,
        COLOR if color else GRAY,
        order=order,
        big=big,
        apart=apart,
        tile=tile,
        packed=packed,
        differences=differences,
    )
    pixels = shown(content)
    assert (pixels[..., :3] == eight(values, bits)).all()
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("packed", "differences"), [(False, 1), (True, 1), (True, 2), (True, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_with_a_point_from_0_to_1(
    kind: str, order: Literal["<", ">"], packed: bool, differences: int, channels: int
) -> None:
    values = np.linspace(-0.2, 1.2, 7 * 9 * channels).reshape(7, 9, channels).astype(kind)
    written = values
    if differences == 2:
        written = values.view(kind.replace("f", "u"))
    content = tiff_file(
        written,
        values.itemsize * 8,
        GRAY if channels == 1 else COLOR,
        (FORMAT, [3] * channels),
        order=order,
        packed=packed,
        differences=differences,
    )
    assert np.abs(shown(content)[..., :3] - values.clip(0, 1).astype(float) * 255).max() <= 1


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_is_turned_once(turned: int, packed: bool) -> None:
    values = numbers((5, 7, 3), 8)
    content = tiff_file(values, 8, COLOR, (ORIENTATION, [turned]), packed=packed)
    wanted = TURNED[turned](values)
    assert size_of(content) == wanted.shape[1::-1]
    assert (shown(content)[..., :3] == wanted).all()


def test_a_fax_is_turned_once() -> None:
    page = Image.fromarray(numbers((16, 24, 1), 1)[..., 0] * 255).convert("1")
    buffer = io.BytesIO()
    page.save(buffer, "TIFF", compression="group4", tiffinfo={ORIENTATION: 6})
    wanted = TURNED[6](np.asarray(page.convert("L")))
    assert (shown(buffer.getvalue())[..., 0] == wanted).all()


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_alpha_by_its_meaning(bits: int) -> None:
    most = (1 << bits) - 1
    values = np.array([[[most // 2, most // 4, 0, most // 2], [9, 9, 9, 0]]], np.uint16 if bits > 8 else np.uint8)
    apart = shown(tiff_file(values, bits, COLOR, (EXTRA, [2])))
    multiplied = shown(tiff_file(values, bits, COLOR, (EXTRA, [1])))
    neither = shown(tiff_file(values, bits, COLOR, (EXTRA, [0])))
    half = eight(values[0, 0], bits)[3]
    assert apart[0, 0, 3] == multiplied[0, 0, 3] == half
    assert (apart[0, 0, :3] == eight(values[0, 0, :3], bits)).all()
    assert np.abs(multiplied[0, 0, :3].astype(int) - [255, 255 * (most // 4) // (most // 2), 0]).max() <= 2
    assert multiplied[0, 1, 3] == apart[0, 1, 3] == 0
    assert (neither[..., 3] == 255).all()


def test_colors_by_number() -> None:
    table = [0, 60_000, 300, 65_535, 0, 0, 30_000, 1, 65_535, 1, 2, 3]
    values = numbers((6, 9, 1), 2)
    wanted = np.array(table).reshape(3, 4).T >> 8
    assert (shown(tiff_file(values, 2, INDEXED, (PALETTE, table)))[..., :3] == wanted[values[..., 0]]).all()


def test_colors_by_number_of_writers_that_take_8_bits() -> None:
    table = [0, 200, 100, 255, 0, 0, 30, 1, 255, 1, 2, 3]
    values = numbers((6, 9, 1), 2)
    wanted = np.array(table).reshape(3, 4).T
    assert (shown(tiff_file(values, 2, INDEXED, (PALETTE, table)))[..., :3] == wanted[values[..., 0]]).all()


def test_printing_colors_with_alpha() -> None:
    values = numbers((5, 6, 5), 8)
    pixels = shown(tiff_file(values, 8, CMYK, (EXTRA, [2]), packed=True))
    inks = Image.frombytes("CMYK", (6, 5), values[..., :4].tobytes())
    assert (pixels[..., :3] == np.asarray(inks.convert("RGB"))).all()
    assert (pixels[..., 3] == values[..., 4]).all()


def test_a_profile_counts() -> None:
    values = np.full((2, 2, 3), (200, 100, 50), np.uint8)
    profile = DISPLAY_P3 + bytes(-len(DISPLAY_P3) % 4)
    plain = shown(tiff_file(values, 8, COLOR))
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF", icc_profile=profile)
    assert not (shown(buffer.getvalue()) == plain).all()


@pytest.mark.parametrize("bits", [4, 12, 16])
def test_a_large_picture_is_scaled_down(bits: int) -> None:
    content = tiff_file(np.full((90, 120, 4), (1 << bits) * 3 // 4, np.uint16), bits, COLOR, packed=True, rows=7)
    picture = read_picture(content, ImageLimits(max_side=40), fit=True)
    assert picture.image.size == (40, 30)
    assert picture.scaled_from == (120, 90)
    wanted = eight(np.array((1 << bits) * 3 // 4, np.uint16), bits)
    assert np.abs(np.asarray(picture.image).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_cut_off_is_refused(packed: bool) -> None:
    values = numbers((6, 5, 3), 12)
    content = tiff_file(values, 12, COLOR, packed=packed, rows=6)
    begin = struct.pack("<HHII", 273, 4, 1, 8)
    assert begin in content
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(content.replace(begin, begin[:8] + struct.pack("<I", len(content) - 5)))


@pytest.mark.parametrize("kind", [50001, 50013, 34676, 34712])
def test_a_way_of_storing_that_is_not_read_is_named(kind: int) -> None:
    content = tiff_file(numbers((6, 5, 3), 8), 8, COLOR)
    entry = struct.pack("<HHII", 259, 4, 1, 1)
    assert entry in content
    with pytest.raises(ImageError, match="stores its pixels in an unsupported way: save it as PNG"):
        read_image(content.replace(entry, struct.pack("<HHII", 259, 4, 1, kind)))


def test_numbers_of_several_widths_are_named() -> None:
    content = tiff_file(numbers((6, 5, 3), 8), 8, COLOR)
    widths = struct.pack("<3I", 8, 8, 8)
    assert content.count(widths) == 1
    with pytest.raises(ImageError, match="save it as PNG"):
        read_image(content.replace(widths, struct.pack("<3I", 5, 6, 5)))


def test_pieces_that_are_one_and_the_same_end() -> None:
    content = tiff_file(np.zeros((3000, 1, 1), np.uint8), 8, GRAY, packed=True, rows=1)
    content += bytes(100_000)
    lengths = struct.pack("<I", 9) * 3000
    assert lengths in content
    with pytest.raises(ImageError, match="damaged"):
        read_image(content.replace(lengths, struct.pack("<I", 90_000) * 3000))


def test_a_single_piece_has_a_largest_size() -> None:
    content = tiff_file(np.zeros((1, 1, 3), np.uint64), 64, COLOR, rows=1)
    side = struct.pack("<HHII", 256, 4, 1, 1)
    tall = struct.pack("<HHII", 257, 4, 1, 1)
    rows = struct.pack("<HHII", 278, 4, 1, 1)
    for entry in (side, tall, rows):
        content = content.replace(entry, entry[:8] + struct.pack("<I", 4000))
    with pytest.raises(ImageError, match="save it again as PNG"):
        read_image(content)

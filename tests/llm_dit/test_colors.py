"""Colors as Chromium shows them: the wanted values are what it drew of the same bytes."""

import functools
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from llm_dit.images import read_image
from tests.llm_dit.png_files import (
    COLOR,
    DISPLAY_P3,
    GRAY,
    GRAY_ALPHA,
    chunk,
    coded,
    embedded,
    gamma,
    gray_profile,
    png_file,
)

ORANGE = bytes((200, 100, 50))
AS_P3 = (216, 93, 24)
LINEAR_GRAY = gray_profile(1.0)
PLAIN_CORNERS = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
P3_CORNERS = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
SRGB = chunk(b"sRGB", b"\0")


def shown(content: bytes) -> tuple[int, ...]:
    return read_image(content).getpixel((0, 0))  # type: ignore[return-value]


def near(seen: tuple[int, ...], wanted: tuple[int, ...], by: int = 2) -> bool:
    return all(abs(one - other) <= by for one, other in zip(seen, (*wanted, 255), strict=False))


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ([], (200, 100, 50)),
        ([embedded(DISPLAY_P3)], AS_P3),
        ([embedded(LINEAR_GRAY)], (200, 100, 50)),
        ([embedded(b"rubbish"), gamma(100_000)], (229, 168, 122)),
        ([embedded(DISPLAY_P3), embedded(LINEAR_GRAY)], AS_P3),
        ([SRGB, embedded(DISPLAY_P3)], AS_P3),
        ([SRGB, gamma(100_000)], (200, 100, 50)),
        ([embedded(DISPLAY_P3), coded(1, 8)], (229, 168, 122)),
        ([coded(1, 13), embedded(DISPLAY_P3)], (200, 100, 50)),
        ([coded(2, 8), embedded(DISPLAY_P3)], AS_P3),
        ([coded(12, 2), gamma(100_000)], (229, 168, 122)),
        ([gamma(100_000)], (229, 168, 122)),
        ([gamma(100_000)[:-1] + b"?"], (200, 100, 50)),
        ([gamma(45_455)], (200, 100, 50)),
        ([gamma(55_000)], (210, 118, 64)),
        ([gamma(45_455), PLAIN_CORNERS], (201, 100, 46)),
        ([gamma(45_455), P3_CORNERS], AS_P3),
        ([P3_CORNERS], (200, 100, 50)),
    ],
)
def test_labels_of_png_count_in_the_specifications_order(chunks: list[bytes], wanted: tuple[int, ...]) -> None:
    assert near(shown(png_file([ORANGE], 8, COLOR, *chunks)), wanted)


@pytest.mark.parametrize(
    ("primaries", "transfer", "wanted"),
    [
        (12, 13, (215, 93, 31)),
        (9, 14, (239, 63, 5)),
        (6, 6, (192, 94, 37)),
        (1, 4, (201, 100, 46)),
        (1, 5, (189, 76, 26)),
        (1, 7, (206, 115, 68)),
        (1, 17, (200, 87, 34)),
        (4, 13, (232, 93, 30)),
        (8, 13, (222, 92, 32)),
        (10, 13, (255, 0, 61)),
        (11, 13, (211, 93, 32)),
        (22, 13, (202, 102, 49)),
        (1, 16, (255, 51, 8)),
        (1, 18, (187, 80, 39)),
        (9, 18, (230, 48, 17)),
    ],
)
def test_code_points_are_converted(primaries: int, transfer: int, wanted: tuple[int, ...]) -> None:
    assert near(shown(png_file([ORANGE], 8, COLOR, coded(primaries, transfer))), wanted)


def test_high_range_is_bent_into_the_screens() -> None:
    ramp = png_file([bytes(level for level in range(0, 256, 16) for _ in range(3))], 8, COLOR, coded(9, 16))
    grays = np.asarray(read_image(ramp))[0, :, 0].astype(int)
    wanted = [0, 1, 5, 15, 30, 48, 70, 98, 132, 175, 213, 237, 255, 255, 255, 255]
    assert np.abs(grays - wanted).max() <= 2


def test_high_range_of_16_bits_is_bent_from_16_bits() -> None:
    values = struct.pack(">6H", 0xC4A9, 0xDE02, 0xD3BA, 0x9B09, 0xB56D, 0x91E3)
    seen = np.asarray(read_image(png_file([values], 16, COLOR, coded(9, 16))))[0].astype(int)
    # The upper bytes alone make 32 and 50 of the reds.
    assert np.abs(seen - [(49, 255, 213, 255), (43, 251, 116, 255)]).max() <= 2


@pytest.mark.parametrize("label", [embedded(DISPLAY_P3), coded(12, 13), gamma(100_000)], ids=["iCCP", "cICP", "gAMA"])
def test_a_label_means_the_same_in_every_mode(label: bytes) -> None:
    wanted = shown(png_file([ORANGE], 8, COLOR, label))
    palette = chunk(b"PLTE", bytes(3) + ORANGE)
    clear = chunk(b"tRNS", bytes((0, 255)))
    deep = b"".join(bytes((value, value)) for value in ORANGE)
    same = [
        png_file([b"\1"], 8, 3, label, palette),
        png_file([b"\x80"], 1, 3, label, palette, clear),
        png_file([deep], 16, COLOR, label),
        png_file([ORANGE + b"\xff"], 8, 6, label),
        png_file([deep + b"\xff\xff"], 16, 6, label),
        png_file([ORANGE], 8, COLOR, label, chunk(b"tRNS", bytes(6))),
    ]
    assert all(near(shown(content), wanted[:3], 1) for content in same)


@pytest.mark.parametrize(
    ("label", "wanted"),
    [(embedded(LINEAR_GRAY), 168), (coded(1, 8), 168), (gamma(100_000), 168), (embedded(DISPLAY_P3), 100)],
)
def test_grays_are_converted_in_every_mode(label: bytes, wanted: int) -> None:
    for content in (
        png_file([bytes((100,))], 8, GRAY, label),
        png_file([bytes((100, 7))], 16, GRAY, label),
        png_file([bytes((100, 255))], 8, GRAY_ALPHA, label),
        png_file([bytes((100, 7, 255, 255))], 16, GRAY_ALPHA, label),
    ):
        assert near(shown(content), (wanted,) * 3)


def test_dark_linear_grays_do_not_drown() -> None:
    assert near(shown(png_file([bytes((1, 128))], 16, GRAY, gamma(100_000))), (13, 13, 13))


def test_alpha_is_not_converted() -> None:
    content = png_file([bytes((100, 77))], 8, GRAY_ALPHA, embedded(LINEAR_GRAY))
    assert shown(content)[3] == 77


@functools.cache
def saved(kind: str, mode: str, profile: bytes | None) -> bytes:
    buffer = io.BytesIO()
    color: object = {"L": 100, "CMYK": (50, 155, 205, 20)}.get(mode, (200, 100, 50))
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    Image.new(mode, (16, 16), color).save(buffer, kind, icc_profile=profile or b"", **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "profile", "wanted"),
    [
        ("JPEG", "RGB", DISPLAY_P3, AS_P3),
        ("JPEG", "L", LINEAR_GRAY, (168, 168, 168)),
        ("JPEG", "L", DISPLAY_P3, (100, 100, 100)),
        ("JPEG", "RGB", LINEAR_GRAY, (200, 100, 50)),
        ("JPEG", "CMYK", None, (188, 92, 46)),
        ("JPEG", "CMYK", DISPLAY_P3, (188, 92, 46)),
        ("WEBP", "RGB", DISPLAY_P3, AS_P3),
        ("AVIF", "RGB", DISPLAY_P3, AS_P3),
        ("TIFF", "RGB", DISPLAY_P3, AS_P3),
    ],
)
def test_profiles_count_in_every_format(kind: str, mode: str, profile: bytes | None, wanted: tuple[int, ...]) -> None:
    assert near(shown(saved(kind, mode, profile)), wanted, 3)


def test_a_profile_in_several_segments_counts_when_none_is_missing() -> None:
    padded = DISPLAY_P3 + bytes(150_000)
    whole = saved("JPEG", "RGB", struct.pack(">I", len(padded)) + padded[4:])
    assert whole.count(b"ICC_PROFILE\0") == 3 and near(shown(whole), AS_P3, 3)
    assert near(shown(whole.replace(b"ICC_PROFILE\0\2", b"ICC_PROFILE\0\7")), (200, 100, 50), 3)


@pytest.mark.parametrize(
    ("primaries", "transfer", "wanted"),
    [(12, 13, (215, 93, 31)), (9, 14, (241, 76, 29)), (1, 1, (200, 100, 50)), (1, 8, (229, 168, 122))],
)
def test_code_points_of_avif_are_converted(primaries: int, transfer: int, wanted: tuple[int, ...]) -> None:
    content = bytearray(saved("AVIF", "RGB", None))
    at = content.find(b"nclx") + 4
    content[at : at + 4] = struct.pack(">HH", primaries, transfer)
    assert near(shown(bytes(content)), wanted, 3)


WHITE = 148
"""PQ's value of graphics white, 203 cd/m², in 8 bits."""


def light_of(brightest: int) -> bytes:
    return chunk(b"cLLI", struct.pack(">II", brightest * 10_000, 0))


def display_of(brightest: int) -> bytes:
    return chunk(b"mDCV", struct.pack(">8HII", *[0] * 8, brightest * 10_000, 50))


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (b"", 188),
        (light_of(1000), 188),
        (light_of(4000), 188),
        (light_of(486), 221),
        (light_of(203), 255),
        (display_of(486), 221),
        (display_of(4000) + light_of(486), 221),
        (display_of(486) + light_of(0), 221),
        (chunk(b"cLLI", b"1"), 188),
    ],
)
def test_the_brighter_a_picture_is_the_darker_is_its_white(label: bytes, shown: int) -> None:
    picture = read_image(png_file([bytes([WHITE] * 3)], 8, COLOR, coded(9, 16) + label))
    assert np.abs(np.asarray(picture)[0, 0, :3].astype(int) - shown).max() <= 2


def test_the_light_of_an_avif_counts() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (WHITE, WHITE, WHITE)).save(buffer, "AVIF", quality=100, subsampling="4:4:4")
    content = labeled(buffer.getvalue())
    at = content.index(b"pixi")
    bright = content[:at] + b"clli" + struct.pack(">HHI", 203, 0, 0) + content[at + 12 :]
    assert abs(int(np.asarray(read_image(content))[8, 8, 1]) - 188) <= 2
    assert abs(int(np.asarray(read_image(bright))[8, 8, 1]) - 255) <= 2


@pytest.mark.parametrize("bits", [10, 12])
def test_all_bits_of_an_avif_count(bits: int) -> None:
    values = np.tile(np.linspace(0.4, 0.5, 64) * ((1 << bits) - 1), (16, 1)).round().astype(np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    done, written = cv2.imencode(".avif", np.stack([values] * 3, axis=-1), options)
    assert done
    shown = np.asarray(read_image(labeled(written.tobytes())))[8, :, 1].astype(int)
    deep = (values[0] * (65_535 / ((1 << bits) - 1))).round()
    row = np.stack([deep] * 3, axis=-1).astype(">u2").tobytes()
    wanted = np.asarray(read_image(png_file([row], 16, COLOR, coded(9, 16))))[0, :, 1].astype(int)
    assert np.abs(shown - wanted).max() <= 2
    assert len(set(shown)) > 40


def labeled(avif: bytes) -> bytes:
    """Return an AVIF file as PQ in the primaries of BT.2020."""
    at = avif.index(b"nclx") + 4
    return avif[:at] + struct.pack(">HH", 9, 16) + avif[at + 4 :]

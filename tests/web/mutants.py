"""Pictures damaged in every way that is cheap to think of: bytes, cuts, splices, chunks, and headers that lie."""

import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from llm_dit.errors import ImageError
from llm_dit.images import ImageLimits, bytes_of, read_image
from server.pool.tasks import named
from tests.kit.pictures import as_data_url, disc, encoded, png, square
from tests.web.corpus import LEAK

TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
FRAMES = [square(16, (n * 80, 0, 0)) for n in range(2)]
BASES = (
    png(disc()),
    png(square().quantize(4)),
    png(Image.radial_gradient("L").resize((24, 24))),
    png(Image.new("I;16", (16, 16), 300)),
    png(square(16), transparency=(20, 120, 220)),
    png(FRAMES[0], save_all=True, append_images=FRAMES[1:]),
    encoded(square(), "JPEG"),
    encoded(
        square(),
        "JPEG",
        progressive=True,
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    ),
    encoded(Image.new("CMYK", (16, 16)), "JPEG"),
    encoded(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:]),
    encoded(disc(), "WEBP"),
    encoded(square(), "WEBP", lossless=True),
    encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
    encoded(square(16), "GIF"),
    encoded(square(16), "TIFF"),
    encoded(square(16), "BMP"),
    encoded(square(16), "ICO"),
)
SIDES = (0, 1, 2, 8192, 8193, 10_000, 65_535, 2**31 - 1, 2**32 - 1)
KINDS = (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"acTL", b"fdAT", b"eXIf", b"zTXt", b"IEND", b"IDAT")
SEEMING = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"II*\0", b"MM\0*", b"BM")


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` damaged pictures, the same ones for the same seed."""
    chance = random.Random(seed)
    changes = (_bytes, _bits, _cut, _splice, _repeat, _chunk, _size, _sign)
    for _ in range(count):
        content = bytearray(chance.choice(BASES))
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choice(changes)(content, chance)
        yield bytes(content)


def try_gate(content: bytes) -> str | None:
    """Return what the gate makes of a picture: the size it has when it is taken, or None for one that is refused.

    Raises whatever else happens: another error than `ImageError`, words that give something away, other pixels than
    RGBA.
    """
    try:
        image = read_image(content, ImageLimits())
    except ImageError as error:
        _check_words(error)
    else:
        assert image.mode == "RGBA" and not image.info
    try:
        with named("layers.0.image"):
            image = read_image(bytes_of(as_data_url(content)), ImageLimits())
    except ImageError as error:
        assert error.param == "layers.0.image"
        _check_words(error)
        return None
    return f"{image.width}×{image.height}"


def _check_words(error: ImageError) -> None:
    assert LEAK.search(error.message) is None, error.message
    assert len(error.message) < 300


def _bytes(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 12)):
        content[chance.randrange(len(content))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _bits(content: bytearray, chance: random.Random) -> None:
    # Where the header is.
    content[chance.randrange(min(64, len(content)))] ^= 1 << chance.randrange(8)


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randint(1, len(content)) :]


def _splice(content: bytearray, chance: random.Random) -> None:
    other = chance.choice(BASES)
    at = chance.randrange(len(content))
    content[at:] = other[chance.randrange(len(other)) :]
    content += b"\0"


def _repeat(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    content[start:start] = content[start : start + chance.randint(1, 200)] * chance.randint(1, 20)


def _chunk(content: bytearray, chance: random.Random) -> None:
    """Put a PNG chunk in that is valid by its checksum, and nonsense."""
    kind = chance.choice(
        (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"acTL", b"fdAT", b"eXIf", b"zTXt", b"IEND", b"IDAT")
    )
    body = chance.choice((b"", chance.randbytes(20), b"x\0\0" + zlib.compress(b"\0" * 100_000)))
    at = chance.choice((8, min(33, len(content)), chance.randrange(len(content))))
    content[at:at] = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _size(content: bytearray, chance: random.Random) -> None:
    """Let a header claim another size; a PNG's checksum is made to fit."""
    width, height = chance.choice(SIDES), chance.choice(SIDES)
    if content[:4] == b"\x89PNG" and len(content) > 33:
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    elif (start := content.find(b"\xff\xc0")) >= 0:
        content[start + 5 : start + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif content[:4] == b"RIFF" and len(content) > 30:
        content[24:30] = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
    else:
        content[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
        content += b"\0"


def _sign(content: bytearray, chance: random.Random) -> None:
    """Let a file begin like one of another kind."""
    sign = chance.choice(SEEMING)
    content[: len(sign)] = sign

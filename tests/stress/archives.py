"""Archives and layer files that lie, nest or never end, at most 2 MB each, sent to a running service.

`python -m tests.stress.archives` starts a service, sends each file to both addresses that take files, and prints what
came and by how much the memory grew: the summed PSS of all processes but the engine's, against after a good import.
Exit code 1 when one was not refused with a 4xx, or took more than 64 MB.
"""

# pyright: reportArgumentType=false

import io
import json
import os
import random
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from llm_dit.exports.formats import export
from llm_dit.images import encode_png
from llm_dit.layer import Layer
from tests.kit.report import write_report
from tests.kit.running import Memory, Running, running

ROOT = Path(__file__).parents[2]
ADDRESSES = ("/api/qwen-image/import", "/api/projects/import")
MOST_BYTES, MOST_GROWTH_MB = 2_000_000, 64
SHA = "a" * 64
GOOD = encode_png(Image.new("RGBA", (8, 8), "red"))


def bundle(edit: Callable[[zipfile.ZipFile], None], method: int = zipfile.ZIP_DEFLATED, layers: int = 1) -> bytes:
    """Return a ZIP of layers whose pictures, 0.png and so on, `edit` writes."""
    file = io.BytesIO()
    manifest = {"width": 8, "height": 8, "layers": [{"file": f"{number}.png"} for number in range(layers)]}
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        edit(archive)
    return file.getvalue()


def project(content: bytes, method: int) -> bytes:
    file = io.BytesIO()
    document = {"width": 8, "height": 8, "layers": [{"image": f"/api/images/{SHA}.png"}]}
    about = {"format": "llm-dit project", "version": 1, "name": "x", "document": document}
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("project.json", json.dumps(about))
        archive.writestr(f"images/{SHA}.png", content)
    return file.getvalue()


def with_size(content: bytes, size: int) -> bytes:
    """Return an archive whose last member says another size than it has."""
    changed = bytearray(content)
    at = changed.rindex(b"PK\1\2")
    changed[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(changed)


def overlapping(count: int) -> bytes:
    """Return an archive with one member of 20 MB under many names (D. Fifield, "A better zip bomb", WOOT 2019)."""
    content = bytearray(bundle(lambda archive: archive.writestr("0.png", b"\0" * 20_000_000)))
    start = content.rindex(b"PK\1\2")
    end = content.rindex(b"PK\5\6")
    entry = bytes(content[start:end])
    copies = b"".join(entry.replace(b"0.png", f"{number % 10}.png".encode()) for number in range(count))
    directory = bytes(content[content.index(b"PK\1\2") : start]) + copies
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count + 1, count + 1, len(directory), content.index(b"PK\1\2"), 0)
    return bytes(content[: content.index(b"PK\1\2")]) + directory + tail


def nested(depth: int) -> bytes:
    content = GOOD
    for _ in range(depth):
        content = bundle(lambda archive, inner=content: archive.writestr("0.png", inner))
    return content


def png_of(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def psd(width: int, height: int, layers: bytes) -> bytes:
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 4, height, width, 8, 3) + struct.pack(">II", 0, 0)
    return head + struct.pack(">I", len(layers)) + layers


def psd_layers(count: int, side: int, compression: int, data: bytes) -> bytes:
    records, pixels = b"", b""
    for _ in range(count):
        records += struct.pack(">4iH", 0, 0, side, side, 4)
        records += b"".join(struct.pack(">hI", channel, 2 + len(data)) for channel in (-1, 0, 1, 2))
        records += b"8BIMnorm" + struct.pack(">BBBxI", 255, 0, 0, 12) + b"\0" * 12
        pixels += (struct.pack(">H", compression) + data) * 4
    body = struct.pack(">h", count) + records + pixels
    return struct.pack(">I", len(body)) + body


def ora(stack: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr("stack.xml", stack)
        archive.writestr("data/a.png", GOOD)
    return file.getvalue()


def attacks() -> Iterator[tuple[str, bytes]]:
    endless = b"\0" * 300_000_000
    for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        content = bundle(lambda archive: archive.writestr("0.png", endless[:100_000_000]), method)
        yield f"{name}, 100 MB", content
        yield f"{name}, 100 MB, says 100 bytes", with_size(content, 100)
        yield f"{name}, 100 MB, project", project(endless[:100_000_000], method)
    deflated = bundle(lambda archive: archive.writestr("0.png", endless))
    yield "deflate, 300 MB", deflated
    yield "deflate, 300 MB, says 100 bytes", with_size(deflated, 100)
    yield "deflate, 300 MB, says 30 MB", with_size(deflated, 30_000_000)
    yield "deflate, 300 MB, project", with_size(project(endless, zipfile.ZIP_DEFLATED), 100)
    yield "one member under 9 names", overlapping(9)
    yield "one member under 20,000 names", overlapping(20_000)
    yield "nested 100 deep", nested(100)
    yield "60,000 members", bundle(lambda archive: [archive.writestr(f"{n}", b"") for n in range(12_000)] and None)
    yield "manifest of 200 MB", with_manifest(b" " * 200_000_000)
    yield "manifest of many layers", bundle(lambda archive: archive.writestr("0.png", GOOD), layers=60_000)
    yield "picture says 60,000²", bundle(lambda archive: archive.writestr("0.png", png_of(60_000, 60_000, b"")))
    large = png_of(4096, 4096, b"\0" * (4096 * 4 + 1) * 4096)
    ten = {f"{n}.png": large for n in range(20)}
    broken = {**ten, "19.png": large[:-300]}
    yield "19 large pictures and a broken one", bundle(lambda archive: write_all(archive, broken), layers=20)
    many = {f"{n}.png": large for n in range(25)}
    yield "25 large pictures, more layers than are taken", bundle(lambda archive: write_all(archive, many), layers=300)
    yield "up", bundle(lambda archive: write_all(archive, {"../0.png": GOOD, "0.png": GOOD}))
    yield "PSD says 300,000²", psd(300_000, 300_000, b"")
    yield "PSD of 30,000²", psd(30_000, 30_000, psd_layers(1, 30_000, 1, b"\0" * 100))
    yield "PSD with large layers of nothing", psd(4096, 4096, psd_layers(100, 4096, 1, b"\0" * 100))
    squeezed = zlib.compress(b"\0" * 4096 * 4096, 9)
    yield "PSD with 25 large deflated layers, cut", psd(4096, 4096, psd_layers(25, 4096, 2, squeezed[:-9]))
    yield "PSD says it has 4 GB", psd(8, 8, b"")[:-4] + b"\xff\xff\xff\xff"
    chance = random.Random(1)
    yield "PSD of noise", b"8BPS\0\1" + b"\0" * 6 + chance.randbytes(1_000_000)
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 50}">' for n in range(9))
    stack = '<image w="8" h="8"><stack><layer name="&e9;" src="data/a.png"/></stack></image>'
    yield "ORA with entities", ora(f'<!DOCTYPE x [<!ENTITY e0 "{"x" * 99}">{entities}]>{stack}')
    yield "ORA 200,000 deep", ora('<image w="8" h="8">' + "<stack>" * 200_000 + "</stack>" * 200_000 + "</image>")
    layers = '<layer src="data/a.png"/>' * 100_000
    yield "ORA with 100,000 layers", ora(f'<image w="8" h="8"><stack>{layers}</stack></image>')
    good = bytearray(export([Layer(image=Image.new("RGBA", (9, 9), "red"))], "zip", width=9, height=9))
    yield "half of a good one", bytes(good[: len(good) // 2])


def with_manifest(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", content)
    return file.getvalue()


def write_all(archive: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, content in members.items():
        archive.writestr(name, content)


def send(service: Running, address: str, content: bytes) -> int:
    url = f"http://127.0.0.1:{service.port}{address}"
    request = urllib.request.Request(url, content, {"Content-Type": "application/octet-stream"})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def main() -> int:
    figures: dict[str, object] = {}
    misses = 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        good = export([Layer(image=Image.new("RGBA", (2000, 2000), "red"))], "zip", width=2000, height=2000)
        assert [send(service, address, good) for address in ADDRESSES] == [200, 201]
        for name, content in attacks():
            assert len(content) <= MOST_BYTES, f"{name}: {len(content)} bytes"
            for address in ADDRESSES:
                time.sleep(0.2)
                before, started = service.memory_mb, time.perf_counter()
                with Memory(service) as memory:
                    status = send(service, address, content)
                seconds, growth = time.perf_counter() - started, memory.most_mb - before
                missed = not 400 <= status < 500 or growth > MOST_GROWTH_MB
                misses += missed
                figures[f"{name} {address}"] = {"status": status, "s": round(seconds, 2), "mb": round(growth, 1)}
                mark = "MISSED" if missed else ""
                print(f"{name:<40}{address:<26}{status:>5}{seconds:7.2f} s{growth:8.1f} MB {mark}", flush=True)
    write_report(ROOT / "tests/stress/out/archives.json", {"figures": figures, "passed": misses == 0})
    print("passed" if misses == 0 else f"{misses} MISSED", "on", os.cpu_count(), "cores")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())

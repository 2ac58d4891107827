"""Does a picture of any format, mode and color label come out as Chromium shows the same file?

    python -m benchmarks.picture_formats [--browser /usr/bin/chromium] [--json benchmarks/out/picture_formats.json]

Every file is made here, from a few rows of ramps. PNG, JPEG, WebP, GIF, BMP and AVIF are drawn by Chromium on a canvas
in sRGB; premultiplied colors and alpha have to agree within 2 of 255, within 4 where a label is converted. TIFF, which
Chromium does not read, is held against the pixels that were written and against OpenCV. The exit code is 0 when all do.
"""

import argparse
import base64
import io
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.machine import write_report
from llm_dit.errors import ImageError
from llm_dit.images import read_image
from tests.llm_dit.png_files import (
    CHANNELS,
    COLOR,
    DISPLAY_P3,
    GRAY,
    INDEXED,
    chunk,
    coded,
    embedded,
    gamma,
    gray_profile,
    png_file,
)

ROOT = Path(__file__).resolve().parent.parent
PLAIN, MANAGED = 2, 4
BATCH = 40
SIZE = (32, 16)
DRAW = """async (files) => {
  const drawn = [];
  for (const file of files) {
    const image = new Image();
    image.src = "data:application/octet-stream;base64," + file;
    try { await image.decode(); } catch { drawn.push(null); continue; }
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { colorSpace: "srgb", willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    drawn.push([canvas.width, canvas.height, btoa(Array.from(data, (value) => String.fromCharCode(value)).join(""))]);
  }
  return drawn;
}"""
CORNERS = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))
PNG_LABELS = {
    "none": b"",
    "sRGB": chunk(b"sRGB", b"\0"),
    "iCCP": embedded(DISPLAY_P3),
    "iCCP of gray": embedded(gray_profile(1.0)),
    "damaged iCCP": embedded(b"rubbish"),
    "gAMA": gamma(100_000),
    "gAMA, cHRM": gamma(45_455) + CORNERS,
    "cICP": coded(12, 13),
    "cICP over iCCP": coded(9, 14) + embedded(DISPLAY_P3),
    "PQ": coded(9, 16),
    "HLG": coded(9, 18),
    "metadata": chunk(b"zTXt", b"w\0\0" + zlib.compress(b"x" * 2_000_000)) + chunk(b"tEXt", b"x")[:-1] + b"?",
}
PROFILES = {"none": b"", "iCCP": DISPLAY_P3, "iCCP of gray": gray_profile(1.0), "damaged iCCP": b"rubbish"}
CODES = ((1, 13), (12, 13), (9, 14), (9, 16), (9, 18), (1, 8), (2, 2))


@dataclass(frozen=True, kw_only=True)
class Case:
    format: str
    mode: str
    label: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`difference` is the largest of premultiplied colors and alpha; None where either side shows nothing."""

    format: str
    mode: str
    label: str
    difference: float | None
    passed: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/out/picture_formats.json")
    arguments = parser.parse_args()
    cases = [*png_cases(), *jpeg_cases(), *other_cases()]
    drawn = in_browser(arguments.browser, [case.content for case in cases])
    outcomes = [judged(case, pixels) for case, pixels in zip(cases, drawn, strict=True)] + list(tiff_outcomes())
    print_table(outcomes)
    passed = all(outcome.passed for outcome in outcomes)
    write_report(arguments.json, {"passed": passed, "outcomes": [asdict(outcome) for outcome in outcomes]})
    return 0 if passed else 1


def ramps(mode: str) -> Image.Image:
    """Return a picture in which all channels vary, smoothly enough for any encoder."""
    width, height = SIZE
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    bands = [across, down, (across + down) / 2, 255 - across]
    pixels = np.stack(bands, axis=-1).round().astype(np.uint8)
    if mode in {"1", "L"}:
        return Image.fromarray(pixels[..., 0]).convert(mode)
    if mode == "LA":
        return Image.merge("LA", [Image.fromarray(pixels[..., 0]), Image.fromarray(pixels[..., 1])])
    if mode == "P":
        return Image.fromarray(pixels[..., :3]).quantize(16)
    return Image.fromarray(pixels[..., : len(mode)], mode) if mode == "CMYK" else Image.fromarray(pixels).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_cases() -> Iterator[Case]:
    depths = {GRAY: (1, 2, 4, 8, 16), COLOR: (8, 16), INDEXED: (1, 2, 4, 8)}
    random = np.random.default_rng(5)
    for kind in CHANNELS:
        for depth in depths.get(kind, (8, 16)):
            length = SIZE[0] * CHANNELS[kind] * depth // 8
            rows = [random.integers(0, 256, length, dtype=np.uint8).tobytes() for _ in range(SIZE[1])]
            palette = random.integers(0, 256, 3 << min(depth, 8), dtype=np.uint8).tobytes() if kind == INDEXED else b""
            for clear in (False, True) if kind in depths else (False,):
                chunks = [chunk(b"PLTE", palette)] if palette else []
                if clear:
                    chunks.append(chunk(b"tRNS", _clear(kind, depth, rows)))
                for label, data in PNG_LABELS.items():
                    mode = f"kind {kind}, {depth} bit{', tRNS' if clear else ''}"
                    yield Case(format="PNG", mode=mode, label=label, content=png_file(rows, depth, kind, data, *chunks))


def _clear(kind: int, depth: int, rows: Sequence[bytes]) -> bytes:
    """Return a tRNS chunk that makes the first pixel of the first row clear."""
    if kind == INDEXED:
        return bytes(min(200, index * 20) for index in range(min(1 << depth, 16)))
    if depth == 16:
        return rows[0][: 2 * CHANNELS[kind]]
    first = [rows[0][0] >> (8 - depth)] if kind == GRAY else list(rows[0][:3])
    return b"".join(struct.pack(">H", value) for value in first)


def jpeg_cases() -> Iterator[Case]:
    for mode in ("L", "RGB", "CMYK"):
        for label, profile in PROFILES.items():
            for progressive in (False, True):
                content = saved(ramps(mode), "JPEG", quality=98, icc_profile=profile, progressive=progressive)
                name = f"{mode}{', progressive' if progressive else ''}"
                yield Case(format="JPEG", mode=name, label=label, content=content)
    for turned in range(1, 9):
        exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, turned, 0, 0)
        content = saved(ramps("RGB"), "JPEG", quality=98, exif=exif)
        yield Case(format="JPEG", mode="RGB", label=f"orientation {turned}", content=content)
        content = png_file([bytes(range(24))] * 2, 8, COLOR, chunk(b"eXIf", exif[6:]))
        yield Case(format="PNG", mode="RGB", label=f"orientation {turned}", content=content)


def other_cases() -> Iterator[Case]:
    for mode in ("L", "RGB", "RGBA"):
        for label, profile in PROFILES.items():
            for quality in ("lossless", "lossy"):
                options = {"lossless": True, "exact": True} if quality == "lossless" else {"quality": 100}
                content = saved(ramps(mode), "WEBP", icc_profile=profile, **options)
                yield Case(format="WebP", mode=f"{mode}, {quality}", label=label, content=content)
            if mode == "RGBA":  # Chromium takes the alpha that libavif writes for one of limited range
                continue
            content = saved(ramps(mode), "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile)
            yield Case(format="AVIF", mode=mode, label=label, content=content)
        for primaries, transfer in CODES if mode != "RGBA" else ():
            named = bytearray(saved(ramps(mode), "AVIF", quality=100, subsampling="4:4:4"))
            at = named.find(b"nclx") + 4
            named[at : at + 4] = struct.pack(">HH", primaries, transfer)
            yield Case(format="AVIF", mode=mode, label=f"nclx {primaries}/{transfer}", content=bytes(named))
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield Case(format="BMP", mode=mode, label="none", content=saved(ramps(mode), "BMP"))
    for interlace in (0, 1):
        for clear in ({}, {"transparency": 3}):
            content = saved(ramps("P"), "GIF", interlace=interlace, **clear)
            yield Case(format="GIF", mode=f"interlace {interlace}, {clear or 'opaque'}", label="none", content=content)
    frames = [ramps("RGB"), Image.new("RGB", SIZE, "navy")]
    for kind in ("PNG", "GIF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=80, **options)
        yield Case(format={"WEBP": "WebP"}.get(kind, kind), mode="animated", label="none", content=content)


def in_browser(browser: str, files: Sequence[bytes]) -> list[NDArray[np.uint8] | None]:
    """Return what Chromium draws of each file, height × width × RGBA, or None where it shows nothing."""
    drawn: list[NDArray[np.uint8] | None] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--force-color-profile=srgb"]
        )
        page = chromium.new_page()
        for start in range(0, len(files), BATCH):
            batch = [base64.b64encode(content).decode() for content in files[start : start + BATCH]]
            for answer in page.evaluate(DRAW, batch):
                if answer is None:
                    drawn.append(None)
                else:
                    width, height, data = answer
                    drawn.append(np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4))
        chromium.close()
    return drawn


def judged(case: Case, wanted: NDArray[np.uint8] | None) -> Outcome:
    difference = None
    try:
        seen = np.asarray(read_image(case.content))
    except ImageError:
        seen = None
    if seen is not None and wanted is not None:
        difference = far(seen, wanted) if seen.shape == wanted.shape else 255.0
    bound = PLAIN if case.label in {"none", "metadata", "sRGB"} else MANAGED
    # Where a browser shows nothing, anything may come, but no crash.
    passed = wanted is None or (difference is not None and difference <= bound)
    return Outcome(format=case.format, mode=case.mode, label=case.label, difference=difference, passed=passed)


def far(seen: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    one, other = seen.astype(float), wanted.astype(float)
    for pixels in (one, other):
        pixels[..., :3] *= pixels[..., 3:] / 255
    return float(np.abs(one - other).max())


def tiff_outcomes() -> Iterator[Outcome]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        image = ramps(mode)
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            content = saved(image, "TIFF", compression=compression)
            seen = np.asarray(read_image(content))
            difference = far(seen, np.asarray(image.convert("RGBA")))
            other = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if other is not None and mode in {"1", "L", "RGB"}:
                difference = max(difference, float(np.abs(seen[..., 2::-1].astype(int) - other).max()))
            yield Outcome(
                format="TIFF", mode=mode, label=compression, difference=difference, passed=difference <= PLAIN
            )


def print_table(outcomes: Sequence[Outcome]) -> None:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.format].append(outcome)
    print(f"{'format':8}{'files':>7}{'failed':>8}{'largest difference':>20}")
    for name, group in groups.items():
        most = max((outcome.difference for outcome in group if outcome.difference is not None), default=0.0)
        print(f"{name:8}{len(group):7}{sum(not outcome.passed for outcome in group):8}{most:20.1f}")
    for outcome in outcomes:
        if not outcome.passed:
            print(f"FAILED {outcome.format}, {outcome.mode}, {outcome.label}: {outcome.difference}")
    print(dict(Counter("passed" if outcome.passed else "failed" for outcome in outcomes)))


if __name__ == "__main__":
    raise SystemExit(main())

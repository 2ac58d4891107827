"""Does a picture of any format, mode and color label come out as Chromium shows the same file?

    python -m benchmarks.picture_formats [--browser /usr/bin/chromium] [--json benchmarks/out/picture_formats.json]

Every file is made here, from a few rows of ramps. PNG, JPEG, WebP, GIF, BMP and AVIF are drawn by Chromium on a canvas
in sRGB; premultiplied colors and alpha have to agree within 2 of 255, within 4 where a label is converted. Three things
are allowed for, since they are Chromium's own: its powers and curves are approximate, which makes up to 8 of 255 of the
darkest values of the most saturated colors; it brings high dynamic range into sRGB after multiplying colors by
alpha, so those are held against the same file without alpha; and it takes the alpha of still AVIF files for one of
limited range whatever the file says, against the AVIF specification, so there alpha is held against what was written.
TIFF, which Chromium does not read, is held against the pixels that were written and against OpenCV. The exit code is 0
when all agree.
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

from llm_dit.decoding.labels import PRIMARIES, SRGB
from llm_dit.errors import ImageError
from llm_dit.images import read_image
from tests.kit.report import write_report
from tests.llm_dit.png_files import (
    CHANNELS,
    COLOR,
    COLOR_ALPHA,
    DISPLAY_P3,
    GRAY,
    GRAY_ALPHA,
    INDEXED,
    chunk,
    coded,
    embedded,
    function_curve,
    gamma,
    gray_profile,
    matrix_profile,
    png_file,
    table_curve,
)

ROOT = Path(__file__).resolve().parent.parent
PLAIN, MANAGED, EDGE = 2, 4, 8
DARK, BRIGHT = 32, 200
"""Of the smallest and the largest channel of the most saturated colors."""
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
SRGB_CURVE = function_curve(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_LEVELS = [round(float(SRGB(np.array(step / 1023))) * 65_535) for step in range(1024)]
PROFILES = {
    "none": b"",
    "ICC": DISPLAY_P3,
    "ICC with functions": matrix_profile(PRIMARIES[9], *[SRGB_CURVE] * 3),
    "ICC with tables": matrix_profile(PRIMARIES[12], *[table_curve(SRGB_LEVELS)] * 3),
    "ICC of gray": gray_profile(1.0),
    "damaged ICC": b"rubbish",
}
PNG_LABELS = {
    **{name: embedded(profile) if profile else b"" for name, profile in PROFILES.items()},
    "sRGB": chunk(b"sRGB", b"\0"),
    "gAMA": gamma(100_000),
    "gAMA, cHRM": gamma(45_455) + CORNERS,
    "cICP": coded(12, 13),
    "cICP over ICC": coded(9, 14) + embedded(DISPLAY_P3),
    "PQ": coded(9, 16),
    "HLG": coded(9, 18),
    "metadata": chunk(b"zTXt", b"w\0\0" + zlib.compress(b"x" * 2_000_000)) + chunk(b"tEXt", b"x")[:-1] + b"?",
}
CODES = ((1, 13), (12, 13), (9, 14), (9, 16), (9, 18), (1, 8), (2, 2))


@dataclass(frozen=True, kw_only=True)
class Case:
    format: str
    mode: str
    label: str
    content: bytes
    opaque: bytes | None = None
    """The same colors without alpha, where they are held against those."""
    alpha: bytes | None = None
    """The alpha that was written, row by row, where it is held against that."""


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
    opaque = in_browser(arguments.browser, [case.opaque or case.content for case in cases])
    outcomes = [judged(*it) for it in zip(cases, drawn, opaque, strict=True)] + list(tiff_outcomes())
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
                    content = png_file(rows, depth, kind, data, *chunks)
                    opaque = _opaque(rows, depth, kind, data) if label in {"PQ", "HLG"} else None
                    yield Case(format="PNG", mode=mode, label=label, content=content, opaque=opaque)


def _opaque(rows: Sequence[bytes], depth: int, kind: int, label: bytes) -> bytes | None:
    """Return a file of the same colors without alpha, if there is any."""
    count = {COLOR_ALPHA: 3, GRAY_ALPHA: 1}.get(kind)
    if not count:
        return None
    pixels = np.array([list(row) for row in rows], np.uint8).reshape(len(rows), SIZE[0], count + 1, depth // 8)
    return png_file([row[:, :count].tobytes() for row in pixels], depth, COLOR if count == 3 else GRAY, label)


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
            yield avif_case(mode, label, profile)
        for primaries, transfer in CODES:
            yield avif_case(mode, f"nclx {primaries}/{transfer}", b"", struct.pack(">HH", primaries, transfer))
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


def avif_case(mode: str, label: str, profile: bytes, codes: bytes = b"") -> Case:
    content = saved(ramps(mode), "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile)
    if codes:
        at = content.find(b"nclx") + 4
        content = content[:at] + codes + content[at + 4 :]
    opaque, alpha = None, None
    if mode == "RGBA":
        opaque, alpha = content.replace(b"auxiliary:alpha", b"auxiliary:depth"), ramps(mode).getchannel("A").tobytes()
    return Case(format="AVIF", mode=mode, label=label, content=content, opaque=opaque, alpha=alpha)


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


def judged(case: Case, drawn: NDArray[np.uint8] | None, opaque: NDArray[np.uint8] | None) -> Outcome:
    wanted = None if drawn is None or opaque is None else np.concatenate([opaque[..., :3], drawn[..., 3:]], axis=-1)
    if wanted is not None and case.alpha is not None:
        wanted[..., 3] = np.frombuffer(case.alpha, np.uint8).reshape(wanted.shape[:2])
    bound = PLAIN if case.label in {"none", "metadata", "sRGB"} else MANAGED
    try:
        seen = np.asarray(read_image(case.content))
    except ImageError:
        seen = None
    difference, passed = None, wanted is None  # Where a browser shows nothing, anything may come, but no crash.
    if seen is not None and wanted is not None and seen.shape == wanted.shape:
        far = distances(seen, wanted)
        difference = float(far.max())
        colors = wanted[..., :3]
        edge = (colors.max(axis=-1, keepdims=True) >= BRIGHT) & (colors <= DARK) & (bound == MANAGED)
        passed = bool((far[..., :3] <= np.where(edge, EDGE, bound)).all() and far[..., 3].max() <= PLAIN)
    return Outcome(format=case.format, mode=case.mode, label=case.label, difference=difference, passed=passed)


def distances(seen: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how far premultiplied colors and alpha are apart."""
    one, other = seen.astype(float), wanted.astype(float)
    for pixels in (one, other):
        pixels[..., :3] *= pixels[..., 3:] / 255
    return np.abs(one - other)


def tiff_outcomes() -> Iterator[Outcome]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        image = ramps(mode)
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            content = saved(image, "TIFF", compression=compression)
            seen = np.asarray(read_image(content))
            difference = float(distances(seen, np.asarray(image.convert("RGBA"))).max())
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

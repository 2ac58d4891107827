"""Pictures on disk, named by their content."""

import contextlib
import errno
import hashlib
import os
import re
import tempfile
from pathlib import Path

from llm_dit.errors import DiskFullError
from server.errors import NotFoundError

_SHA256 = re.compile(r"[0-9a-f]{64}")
DISK_FULL = "The server's disk is full: nothing more can be kept until there is room."


class ImageStore:
    """PNG files under `data_dir`/images, named by the SHA-256 of their bytes.

    Any number of processes may use one folder: a file appears whole or not at all, and never changes.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "images"

    def put(self, png: bytes) -> str:
        """Keep the bytes of a PNG file and return their SHA-256; raises `DiskFullError`.

        What is there already is not written again.
        """
        sha256 = hashlib.sha256(png).hexdigest()
        path = self._path(sha256)
        if not path.exists():
            _write_atomically(path, png)
        return sha256

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a PNG file; raises `NotFoundError`."""
        if _SHA256.fullmatch(sha256):
            with contextlib.suppress(FileNotFoundError):
                return self._path(sha256).read_bytes()
        raise NotFoundError("This server holds no such image: send it again with POST /api/images.")

    def __contains__(self, sha256: str) -> bool:
        return _SHA256.fullmatch(sha256) is not None and self._path(sha256).is_file()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.png"


def _write_atomically(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(DISK_FULL) from None
        raise

"""Pictures on disk, named by their content."""

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_dit.errors import DiskFullError
from server.errors import NotFoundError

SHA256 = re.compile(r"[0-9a-f]{64}")
DISK_FULL = "The server's disk is full: nothing more can be kept until there is room."
TOUCH_AFTER_S = 600
"""A picture that is read counts as used anew, but not for every reading. Far below the clean-up's grace."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A picture's file: its size in bytes, and when it was last put or read, in seconds since 1970."""

    sha256: str
    size: int
    used_at: float


class ImageStore:
    """PNG files under `data_dir`/images, named by the SHA-256 of their bytes.

    Any number of processes may use one folder: a file appears whole or not at all, and never changes.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._folder = data_dir / "images"

    def put(self, png: bytes) -> str:
        """Keep the bytes of a PNG file and return their SHA-256; raises `DiskFullError`.

        What is there already is not written again, but counts as used now.
        """
        sha256 = hashlib.sha256(png).hexdigest()
        if not self.use(sha256):
            with disk_full_told():
                _write_atomically(self._path(sha256), png)
        return sha256

    def use(self, sha256: str) -> bool:
        """Count a picture as used now, which keeps the clean-up from it for a while; return whether it is here."""
        try:
            os.utime(self._path(sha256))
        except FileNotFoundError:
            return False
        return True

    def size(self, sha256: str) -> int:
        """Return how many bytes a picture has; one that is not here has none."""
        try:
            return self._path(sha256).stat().st_size
        except OSError:
            return 0

    def release(self, images: Iterable[str]) -> None:
        """Have the next clean-up remove pictures that nothing uses, however new they are."""
        for sha256 in images:
            with contextlib.suppress(OSError):
                os.utime(self._path(sha256), (0, 0))

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a PNG file; raises `NotFoundError`."""
        if SHA256.fullmatch(sha256):
            path = self._path(sha256)
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > TOUCH_AFTER_S:
                    os.utime(path)
                return path.read_bytes()
        raise NotFoundError("This server holds no such image: send it again with POST /api/images.")

    def files(self) -> Iterator[StoredFile]:
        """Yield every picture that is held."""
        for path in self._folder.glob("??/*.png"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                yield StoredFile(sha256=path.stem, size=about.st_size, used_at=about.st_mtime)

    def remove(self, file: StoredFile) -> bool:
        """Remove a picture, unless it was used since `file` was seen; return whether it is gone."""
        path = self._path(file.sha256)
        aside = path.with_suffix(".gone")
        try:
            path.rename(aside)  # whoever puts it again from here on writes it anew
            if aside.stat().st_mtime > file.used_at:
                aside.rename(path)
                return False
            aside.unlink()
        except FileNotFoundError:
            return False
        return True

    def remove_leftovers(self, before: float) -> None:
        """Remove what a process left that ended in the middle of a change, before a time in seconds since 1970."""
        for path in (*self._folder.glob("??/*.part"), *self._folder.glob("??/*.gone")):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def __contains__(self, sha256: str) -> bool:
        return SHA256.fullmatch(sha256) is not None and self._path(sha256).is_file()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.png"


def _write_atomically(path: Path, content: bytes) -> None:
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


@contextlib.contextmanager
def disk_full_told() -> Generator[None]:
    """Turn what a full disk raises into `DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(DISK_FULL) from None
        raise

"""Pictures on disk, named by their content, and temporary files between the service and its pool."""

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_dit.errors import DiskFullError, LLMDiTError
from llm_dit.images import png_size
from server.errors import NotFoundError, StorageError

logger = logging.getLogger("llm_dit.server")

SHA256 = re.compile(r"[0-9a-f]{64}")
DISK_FULL = "The server's disk is full: nothing can be stored until there is space."
CANNOT_WRITE = "The server cannot write pictures to its data folder: its log has the reason."
CANNOT_READ = "The server cannot read this picture from its data folder: its log has the reason."
NOT_HERE = "This server does not have this image: send it again with POST /api/images."
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last bytes of every PNG file: an empty chunk and its checksum."""
FOLDER_RIGHTS, FILE_RIGHTS = 0o700, 0o600
TOUCH_AFTER_S = 600
"""Reading a picture marks it as used, at most once in this time, which is far below the clean-up's grace."""


def address_of(sha256: str) -> str:
    """Return the address of a picture over HTTP, without a proxy's prefix."""
    return f"/api/images/{sha256}.png"


MOST_CHECKED = 10_000
"""Most pictures that a process remembers as intact."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A picture's file: its size in bytes, and the time of its last use, in seconds since 1970."""

    sha256: str
    size: int
    used_at: float


class ImageStore:
    """PNG files under `data_dir`/images, named by the SHA-256 of their bytes.

    Any number of processes may use one folder: a file appears complete or not at all, and never changes. A damaged
    picture is removed when it is read, and can be stored again.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.problem: LLMDiTError | None = None
        """Why this process cannot write pictures, until a write succeeds again."""
        self._folder = data_dir / "images"
        self._checked: dict[str, tuple[int, ...]] = {}

    def put(self, png: bytes) -> str:
        """Store the bytes of a PNG file and return their SHA-256; raises `DiskFullError` or `StorageError`.

        An intact existing file is not written again, but marked as used.
        """
        sha256 = hashlib.sha256(png).hexdigest()
        with self._writing():
            path = self.path(sha256)
            if not (self.use(sha256) and path.read_bytes() == png):
                _write_atomically(path, png)
        return sha256

    def use(self, sha256: str) -> bool:
        """Mark a picture as used, which protects it from the clean-up for a while; return whether it exists.

        A truncated file, which its last bytes reveal, does not count.
        """
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                file.seek(-len(PNG_END), os.SEEK_END)
                whole = file.read() == PNG_END
            os.utime(path)
        except OSError:
            return False
        return whole

    def look(self) -> LLMDiTError | None:
        """Return why pictures cannot be written, or None; retries if the reason may be temporary."""
        if self.problem is not None:
            self.try_out()
        return self.problem

    def try_out(self) -> None:
        """Write and remove a test picture, to see whether writing works."""
        path = self._folder / "00" / "trial.png"
        with contextlib.suppress(LLMDiTError), self._writing():
            _write_atomically(path, PNG_END)
            path.unlink()

    @contextlib.contextmanager
    def _writing(self) -> Generator[None]:
        try:
            with disk_full_told():
                yield
        except OSError as error:
            logger.error("a picture cannot be written: %s", error.strerror)
            self.problem = StorageError(CANNOT_WRITE)
            raise StorageError(CANNOT_WRITE) from None
        self.problem = None

    def size(self, sha256: str) -> int:
        """Return the size of a picture in bytes; 0 if it is missing."""
        try:
            return self.path(sha256).stat().st_size
        except OSError:
            return 0

    def release(self, images: Iterable[str]) -> None:
        """Let the next clean-up remove unused pictures, even new ones."""
        for sha256 in images:
            with contextlib.suppress(OSError):
                os.utime(self.path(sha256), (0, 0))

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a PNG file; raises `NotFoundError`, also if it is damaged."""
        with contextlib.suppress(FileNotFoundError):
            return self.checked_path(sha256).read_bytes()
        raise NotFoundError(NOT_HERE)

    def checked_path(self, sha256: str) -> Path:
        """Return the file of a picture, for reading in pieces; raises `NotFoundError` like `read`."""
        if SHA256.fullmatch(sha256):
            path = self.path(sha256)
            try:
                if time.time() - path.stat().st_mtime > TOUCH_AFTER_S:
                    os.utime(path)
                whole = self._is_whole(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                logger.error("a picture cannot be read: %s", error.strerror)
                raise StorageError(CANNOT_READ) from None
            else:
                if whole:
                    return path
                self._remove_damaged(path)
        raise NotFoundError(NOT_HERE)

    def _is_whole(self, path: Path) -> bool:
        """Return whether a file's content matches its name; an unchanged file is not read again."""
        about = path.stat()
        state = (about.st_ino, about.st_mtime_ns, about.st_ctime_ns, about.st_size)
        if self._checked.get(path.stem) == state:
            return True
        whole = _digest(path) == path.stem
        if whole:
            if len(self._checked) >= MOST_CHECKED:
                self._checked.clear()
            self._checked[path.stem] = state
        return whole

    def dimensions(self, sha256: str) -> tuple[int, int]:
        """Return the width and height of a picture in pixels; raises `NotFoundError`."""
        try:
            return png_size(self.path(sha256))
        except (OSError, ValueError):
            raise NotFoundError(NOT_HERE) from None

    @staticmethod
    def _remove_damaged(path: Path) -> None:
        with contextlib.suppress(OSError):
            if _digest(path) != path.stem:  # and was not stored again meanwhile
                path.unlink()
                logger.error("a picture was damaged on the disk and is removed: %s", path.name)

    def files(self) -> Iterator[StoredFile]:
        """Yield every stored picture."""
        for path in self._folder.glob("??/*.png"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                yield StoredFile(sha256=path.stem, size=about.st_size, used_at=about.st_mtime)

    def remove(self, file: StoredFile) -> bool:
        """Remove a picture, unless it was used after `file` was listed; return whether it is gone."""
        path = self.path(file.sha256)
        aside = path.with_suffix(".gone")
        try:
            path.replace(aside)  # the next upload writes it again
            if aside.stat().st_mtime > file.used_at:
                aside.replace(path)
                return False
            aside.unlink()
        except (FileNotFoundError, PermissionError):  # Windows keeps a file that somebody reads
            return False
        return True

    def remove_leftovers(self, before: float) -> None:
        """Remove leftovers of interrupted writes from before a time in seconds since 1970."""
        for path in (*self._folder.glob("??/*.part"), *self._folder.glob("??/*.gone")):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def __contains__(self, sha256: str) -> bool:
        return SHA256.fullmatch(sha256) is not None and self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Return the path of a picture, which may not exist."""
        return self._folder / sha256[:2] / f"{sha256}.png"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(mode=FOLDER_RIGHTS, parents=True, exist_ok=True)
        path.parent.parent.chmod(FOLDER_RIGHTS)  # `mkdir` applies its mode to the last folder only
        sync_folder(path.parent.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")  # with mode 600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, if the OS can, so that a renamed file survives a crash."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def disk_full_told() -> Generator[None]:
    """Turn the error of a full disk into `DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(DISK_FULL) from None
        raise


# Temporary files: the pool gets paths, not pixels.


class Transit:
    """A folder in the data folder, with a subfolder for each current request.

    Its files pass between the service and its pool, which gets paths, not pixels.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "transit"

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncGenerator[Path]:
        """Provide a temporary folder, removed with its contents; raises `DiskFullError`, also for the block."""
        with disk_full_told():
            path = await asyncio.to_thread(self._new)
            try:
                yield path
            finally:
                # Windows keeps open files; `clean` removes them later.
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    def clean(self, before: float) -> None:
        """Remove leftovers of interrupted requests from before a time in seconds since 1970."""
        for path in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path)

    def _new(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._folder))


def take_out(path: Path) -> BinaryIO:
    """Open a file that outlives its folder: on POSIX, an open file stays readable after its removal."""
    file = path.open("rb")
    with contextlib.suppress(OSError):
        path.unlink()
    return file

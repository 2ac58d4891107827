"""The data folder: for one service at a time, for nobody else's eyes, and with room for files in transit."""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import BinaryIO

from server.errors import SettingsError
from server.storage.images import FILE_RIGHTS, FOLDER_RIGHTS, disk_full_told

logger = logging.getLogger("llm_dit.server")

LOCK_NAME = "studio.lock"
SECRET_NAME, SECRET_BYTES = "studio.secret", 32
IN_USE = "{folder}: another service keeps its jobs here: stop it, or choose another data_dir."


class FolderLock:
    """Held for as long as a service, or a restore, works in a folder; the system frees that of a dead process.

    It is a lock on a database of its own, as SQLite has a way to lock on every system. The jobs' own database stays
    open for who reads it, such as a backup.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises `SettingsError` when another process has it."""
        self._connection = sqlite3.connect(folder / LOCK_NAME, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise SettingsError(IN_USE.format(folder=folder)) from None
            raise

    def release(self) -> None:
        self._connection.close()


def prepare(folder: Path) -> None:
    """Make the folder, and keep other users of this computer out of it; raises `OSError`."""
    folder.mkdir(mode=FOLDER_RIGHTS, parents=True, exist_ok=True)
    if os.name == "posix":
        _make_private(folder)


def require_free(folder: Path) -> None:
    """Raise `SettingsError` when a service runs in the folder, before another one is started to find that out.

    What else may be wrong with it is left to the start, which knows more to say.
    """
    with contextlib.suppress(OSError, sqlite3.DatabaseError):
        if folder.is_dir():
            FolderLock(folder).release()


def secret_in(folder: Path) -> bytes:
    """Return random bytes that stay the same for a folder; where they cannot be kept, they are new each time."""
    path = folder / SECRET_NAME
    with contextlib.suppress(OSError):
        if len(kept := path.read_bytes()) == SECRET_BYTES:
            return kept
    secret = secrets.token_bytes(SECRET_BYTES)
    with contextlib.suppress(OSError):
        path.touch(FILE_RIGHTS)
        path.write_bytes(secret)
    return secret


def _make_private(folder: Path) -> None:
    """Set the rights of what is the service's own; where they cannot be set, as in some volumes, warn and go on."""
    failed: OSError | None = None
    for path in _own(folder):
        try:
            wanted = FOLDER_RIGHTS if path.is_dir() else FILE_RIGHTS
            if path.stat().st_mode & 0o777 != wanted:
                path.chmod(wanted)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed = error
    if failed is not None:
        logger.warning("other users of this computer may read the data folder: its rights cannot be set (%s)", failed)


def _own(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.glob("studio.*")
    images = folder / "images"
    for path in (images, *images.glob("*"), *images.glob("*/*")):
        with contextlib.suppress(OSError):
            if path.exists() and not path.is_symlink():
                yield path


class Transit:
    """A folder below the data folder with one folder for each request that is being worked on.

    Its files are on their way between the service and its pool, which gets paths and no pixels.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "transit"

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncGenerator[Path]:
        """Lend a folder that is removed with all that is in it; raises `DiskFullError`, also for the block."""
        with disk_full_told():
            path = await asyncio.to_thread(self._new)
            try:
                yield path
            finally:
                # Windows keeps what is still open; `clean` has it then.
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    def clean(self, before: float) -> None:
        """Remove what a process left that ended in the middle of a request, before a time in seconds since 1970."""
        for path in self._folder.glob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path)

    def _new(self) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._folder))


def take_out(path: Path) -> BinaryIO:
    """Open a file that outlives its folder: on POSIX a file lives as long as it is open."""
    file = path.open("rb")
    with contextlib.suppress(OSError):
        path.unlink()
    return file

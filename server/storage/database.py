"""The private data folder of one service at a time, and its database: one SQLite file, one connection, one thread."""

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from llm_dit.errors import DiskFullError, LLMDiTError
from server.errors import DamagedError, SettingsError, StorageError
from server.storage.images import DISK_FULL, FILE_RIGHTS, FOLDER_RIGHTS, ImageStore
from server.storage.tables import NewerVersionError, Rescued, SizeOf, migrate, readable, rescue

logger = logging.getLogger("llm_dit.server")

LOCK_NAME = "studio.lock"
SECRET_NAME, SECRET_BYTES = "studio.secret", 32
IN_USE = "{folder}: another service uses this folder: stop it, or choose another data_dir."


class FolderLock:
    """The lock of a service, or of a restore, on its folder; the OS releases it when the process dies.

    It locks a separate SQLite file, because SQLite's locks work on every system. The jobs' database stays open to
    readers such as a backup.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; raises `SettingsError` if another process has it."""
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
    """Create the folder, private to this user; raises `OSError`."""
    folder.mkdir(mode=FOLDER_RIGHTS, parents=True, exist_ok=True)
    if os.name == "posix":
        _make_private(folder)


def require_free(folder: Path) -> None:
    """Raise `SettingsError` early if a service already runs in the folder.

    The start reports other problems, with more details.
    """
    with contextlib.suppress(OSError, sqlite3.DatabaseError):
        if folder.is_dir():
            FolderLock(folder).release()


def secret_in(folder: Path) -> bytes:
    """Return the random bytes of a folder; if they cannot be stored, they are new each time."""
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
    """Make a path private to the service; if the file system does not support that, as some volumes, warn."""
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
        logger.warning(
            "other users of this computer may read the data folder: its permissions cannot be set (%s)", failed
        )


def _own(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.glob("studio.*")
    images = folder / "images"
    for path in (images, *images.glob("*"), *images.glob("*/*")):
        with contextlib.suppress(OSError):
            if path.exists() and not path.is_symlink():
                yield path


# The database.


T = TypeVar("T")

NEWER = "{folder}: a newer version of llm-dit wrote the database: start that version. Nothing was changed."
CANNOT_WRITE = "{folder}: cannot be written ({reason}): set its permissions, or choose another data_dir."
CANNOT_OPEN = "{folder}: the database cannot be opened ({reason}): check studio.db and its permissions."
DAMAGED = "The server's database is damaged: restart the service, which saves what can be read, or restore a backup."
FAILED = "The server cannot write to its data folder: its log has the reason."
DAMAGE = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_FORMAT")
NOT_OURS = ("SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_CONSTRAINT")
"""Errors at the start for tables that do not match their version."""
FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
NO_SHARED_MEMORY = ("SQLITE_IOERR_SHM", "SQLITE_PROTOCOL", "SQLITE_CANTOPEN")
BUSY_S = 5.0
"""Seconds to wait for another program that has the file open."""


class Database:
    """Every change is one transaction, on the disk when `change` returns (WAL, `synchronous=FULL`).

    The folder is locked while it is open, so that no two services run the same jobs. `starts` counts earlier openings
    of the file, and `rescued` describes what was saved if it was damaged.
    """

    def __init__(self, data_dir: Path, size_of: SizeOf) -> None:
        """Open `data_dir`/studio.db, and upgrade its tables to the newest version.

        A damaged file is kept aside, and its readable rows are copied to a new one. Raises `SettingsError` if it cannot
        be opened, another service has it, or a newer version wrote it.
        """
        self.problem: LLMDiTError | None = None
        """Why the database is unusable; cleared when a change succeeds again, except for damage."""
        self.rescued: Rescued | None = None
        with contextlib.ExitStack() as undo, _told(data_dir):
            prepare(data_dir)
            self._lock = FolderLock(data_dir)
            undo.callback(self._lock.release)
            self._connection = self._open(data_dir / "studio.db", size_of)
            undo.callback(self._connection.close)
            self.starts: int = self._connection.execute("SELECT count(*) FROM starts").fetchone()[0]
            self._count_start()
            undo.pop_all()
        self._thread = ThreadPoolExecutor(1, "database")

    async def change(self, statement: str, parameters: object = ()) -> int:
        """Run a statement and return the number of changed rows.

        Raises `DiskFullError`, `StorageError` or `DamagedError` if they cannot be stored.
        """

        def run() -> int:
            with self._connection:
                return self._connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]

        changed = await self._in_thread(run)
        if isinstance(self.problem, StorageError):
            self.problem = None
        return changed

    async def rows(self, query: str, parameters: object = ()) -> list[sqlite3.Row]:
        """Return the rows of a query; raises `StorageError` or `DamagedError`."""
        return await self._in_thread(lambda: self._connection.execute(query, parameters).fetchall())  # type: ignore[arg-type]

    async def look(self) -> LLMDiTError | None:
        """Return why the database is unusable, or None; retries if the reason may be temporary."""
        if isinstance(self.problem, StorageError):
            with contextlib.suppress(LLMDiTError):
                await self.change("UPDATE starts SET at = at WHERE rowid = (SELECT max(rowid) FROM starts)")
        return self.problem

    def close(self) -> None:
        """Wait for pending writes, and release the folder."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()
        self._lock.release()

    def _open(self, file: Path, size_of: SizeOf) -> sqlite3.Connection:
        try:
            return _connect(file, size_of)
        except sqlite3.DatabaseError as error:
            if not _name_of(error).startswith(DAMAGE + NOT_OURS) or not file.is_file():
                raise
        self.rescued = rescue(file, size_of)
        logger.error("%s is kept as %s: %s", file.name, self.rescued.aside, self.rescued)
        return _connect(file, size_of)

    def _count_start(self) -> None:
        try:
            with self._connection:
                self._connection.execute("INSERT INTO starts VALUES (?)", [time.time()])
        except sqlite3.OperationalError as error:
            # The service must start on a full disk, so that it can clean up.
            if _name_of(error) not in FULL:
                raise

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            name = _name_of(error)
            logger.error("the database: %s (%s)", error, name)
            if name in FULL:
                raise DiskFullError(DISK_FULL) from None
            if name.startswith(DAMAGE):
                self.problem = DamagedError(DAMAGED)
                raise DamagedError(DAMAGED) from None
            self.problem = self.problem or StorageError(FAILED)
            raise StorageError(FAILED) from None


@contextlib.contextmanager
def _told(folder: Path) -> Generator[None]:
    """Turn an error while opening the database into a `SettingsError` that says what to do."""
    try:
        yield
    except NewerVersionError:
        raise SettingsError(NEWER.format(folder=folder)) from None
    except OSError as error:
        raise SettingsError(CANNOT_WRITE.format(folder=folder, reason=error.strerror)) from None
    except sqlite3.Error as error:
        if _name_of(error).startswith("SQLITE_BUSY"):
            raise SettingsError(IN_USE.format(folder=folder)) from None
        raise SettingsError(CANNOT_OPEN.format(folder=folder, reason=error)) from None


def _name_of(error: sqlite3.Error) -> str:
    """Return SQLite's name of an error; errors of Python's module have none."""
    return getattr(error, "sqlite_errorname", "")


def _connect(file: Path, size_of: SizeOf) -> sqlite3.Connection:
    """Return a connection to an intact database of the newest version."""
    file.touch(mode=0o600)
    connection = sqlite3.connect(file, timeout=BUSY_S, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.text_factory = readable
    try:
        _keep_a_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, size_of, check=_check)
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_a_log(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if not _name_of(error).startswith(NO_SHARED_MEMORY):
            raise
        # Some network folders have no shared memory: then only this connection can read the database.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")


def _check(connection: sqlite3.Connection) -> None:
    """Raise `DatabaseError` if any part of the file is damaged."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorname = "SQLITE_CORRUPT"
        raise error


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Whether data can be stored: the database and the pictures together."""

    database: Database
    store: ImageStore

    @property
    def problem(self) -> LLMDiTError | None:
        """Why data cannot be stored, as far as known."""
        return self.database.problem or self.store.problem

    @property
    def warnings(self) -> list[str]:
        """What happened to the data earlier, one sentence each."""
        return [str(self.database.rescued)] if self.database.rescued else []

    async def look(self) -> LLMDiTError | None:
        """Return why data cannot be stored, or None; retries if the reason may be temporary."""
        return await self.database.look() or await asyncio.to_thread(self.store.look)

"""The service's database: one SQLite file, one connection, one thread that uses it."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from llm_dit.errors import DiskFullError, LLMDiTError
from server.errors import SettingsError
from server.migrations import NewerVersionError, SizeOf, migrate
from server.store import DISK_FULL

T = TypeVar("T")
logger = logging.getLogger("llm_dit.server")

NEWER = "{folder}: a newer version of llm-dit has written the database: start that version. Nothing was changed."
IN_USE = "{folder}: another service keeps its jobs here: stop it, or choose another data_dir."


class Database:
    """Every change is one transaction, on the disk when `change` returns (WAL, `synchronous=FULL`).

    The file is locked for as long as it is open, so that no two services run one set of jobs; the system frees the lock
    of a process that has died. `starts` counts how often the file was opened before.
    """

    def __init__(self, data_dir: Path, size_of: SizeOf) -> None:
        """Open `data_dir`/studio.db, in the newest version of its tables.

        Raises `SettingsError` when that cannot be, another service has it, or a newer version has written it.
        """
        self._thread = ThreadPoolExecutor(1, "database")
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._connection = _open(data_dir / "studio.db", size_of)
            self.starts: int = self._connection.execute("SELECT count(*) FROM starts").fetchone()[0]
        except OSError as error:
            raise SettingsError(f"{data_dir}: cannot be written ({error.strerror}): choose another data_dir.") from None
        except NewerVersionError:
            raise SettingsError(NEWER.format(folder=data_dir)) from None
        except sqlite3.OperationalError as error:
            if _name_of(error).startswith("SQLITE_BUSY"):
                raise SettingsError(IN_USE.format(folder=data_dir)) from None
            raise SettingsError(f"{data_dir}: the database cannot be opened ({error}).") from None
        # A disk that is full must not keep the service from starting, and cleaning up.
        with contextlib.suppress(sqlite3.OperationalError), self._connection:
            self._connection.execute("INSERT INTO starts VALUES (?)", [time.time()])

    async def change(self, statement: str, parameters: object = ()) -> int:
        """Run a statement and return how many rows it changed; raises `DiskFullError` when they cannot be kept."""

        def run() -> int:
            with self._connection:
                return self._connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]

        return await self._in_thread(run)

    async def rows(self, query: str, parameters: object = ()) -> list[sqlite3.Row]:
        """Return what a query finds."""
        return await self._in_thread(lambda: self._connection.execute(query, parameters).fetchall())  # type: ignore[arg-type]

    def close(self) -> None:
        """Wait for what is being written, and give the file free."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            logger.error("the database: %s", error)
            if _name_of(error) in {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}:
                raise DiskFullError(DISK_FULL) from None
            raise LLMDiTError("The server cannot keep this: its log says why.") from None


def _name_of(error: sqlite3.Error) -> str:
    """Return SQLite's name of an error; those of Python's own module have none."""
    return getattr(error, "sqlite_errorname", "")


def _open(file: Path, size_of: SizeOf) -> sqlite3.Connection:
    try:
        return _connect(file, size_of)
    except sqlite3.DatabaseError as error:
        if _name_of(error) not in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            raise
        aside = file.with_suffix(f".damaged-{int(time.time())}")
        logger.error("%s is damaged: it is kept as %s, and a new one is begun", file.name, aside.name)
        for suffix in ("", "-wal", "-shm"):
            part = file.with_name(file.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return _connect(file, size_of)


def _connect(file: Path, size_of: SizeOf) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=0, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        # In this order: an exclusive lock that is taken before the first use of the log needs no shared memory.
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, size_of)
    except BaseException:
        connection.close()
        raise
    return connection

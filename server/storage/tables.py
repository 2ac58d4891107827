"""The tables of the database by version, upgrades of older files, and the rescue of damaged ones.

`PRAGMA user_version` is the version. That of 0.1.0 is 0, and its tables are those of version 1.
"""

import contextlib
import json
import logging
import math
import os
import shutil
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.storage.images import sync_folder

JOBS = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    kind TEXT NOT NULL,
    input TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    key TEXT,
    status TEXT NOT NULL,
    runs INTEGER NOT NULL,
    created_at REAL NOT NULL,
    started_at REAL,
    finished_at REAL,
    progress TEXT,
    result TEXT,
    error TEXT
) STRICT
"""
PROJECTS_1 = """
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    thumbnail TEXT,
    layer_count INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    deleted_at REAL
) STRICT
"""
# The document is the last column: SQLite reads a row up to the columns it needs, and lists need the others.
PROJECTS_2 = """
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    thumbnail TEXT,
    layer_count INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    deleted_at REAL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT
"""
SizeOf = Callable[[str], int]
"""Returns the size in bytes of a project with this document, including its pictures."""


class NewerVersionError(Exception):
    """A newer version of the product wrote the file."""


def checksum_of(document: str) -> int:
    """Return the CRC-32 that detects damage to a document which SQLite does not detect."""
    return zlib.crc32(document.encode())


def first_checksum_of(document: str) -> int:
    """Return the checksum of a document without one; if it is no longer a JSON object, an impossible value."""
    try:
        return checksum_of(document) if isinstance(json.loads(document), dict) else -1
    except (ValueError, RecursionError):
        return -1


def migrate(
    connection: sqlite3.Connection,
    size_of: SizeOf,
    check: Callable[[sqlite3.Connection], None] = lambda connection: None,
) -> None:
    """Upgrade an intact database to the newest version, each step in its own transaction.

    Raises `NewerVersionError` before any change.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise NewerVersionError
    check(connection)
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            step(connection, size_of)
            connection.execute(f"PRAGMA user_version = {number}")


def _begin(connection: sqlite3.Connection, size_of: SizeOf) -> None:
    for table in ("CREATE TABLE IF NOT EXISTS starts (at REAL NOT NULL) STRICT", JOBS, PROJECTS_1):
        connection.execute(table)


def _put_documents_last(connection: sqlite3.Connection, size_of: SizeOf) -> None:
    """Add the size of each project and the checksum of its document."""
    connection.create_function("bytes_of", 1, size_of)
    connection.create_function("checksum_of", 1, first_checksum_of, deterministic=True)
    connection.execute("ALTER TABLE projects RENAME TO older")
    connection.execute(PROJECTS_2)
    connection.execute(
        """INSERT INTO projects SELECT id, name, version, thumbnail, layer_count, created_at, updated_at, deleted_at,
        bytes_of(document), checksum_of(document), document FROM older ORDER BY rowid"""
    )
    connection.execute("DROP TABLE older")


STEPS = (_begin, _put_documents_last)
VERSION = len(STEPS)


# Rescuing the rows of a damaged file.


logger = logging.getLogger("llm_dit.server")

KEPT = ("jobs", "projects")
SIDE_FILES = ("-wal", "-shm")
PROBED_BEYOND = 1000
"""Row numbers to try after the last known one, because the end may be damaged."""
STATEMENT_S = 5.0
"""Time limit of a query in seconds: damage can cause an endless loop."""
Row = Mapping[str, Any]


@dataclass(kw_only=True)
class Rescued:
    """The result of a rescue: the saved rows of each table, and further rows that its index lists."""

    aside: str
    saved: dict[str, int] = field(default_factory=dict[str, int])
    lost: dict[str, int] = field(default_factory=dict[str, int])

    def __str__(self) -> str:
        counts = ", ".join(f"{self.saved[table]} {table} were saved, {self.lost[table]} lost" for table in self.saved)
        return f"The database was damaged and was rebuilt: {counts}."


def rescue(file: Path, size_of: SizeOf) -> Rescued:
    """Replace a damaged database by a new one, and keep the damaged one beside it; raises `OSError`.

    The damaged file stays in place until the new one is complete and on the disk.
    """
    report = Rescued(aside=f"{file.stem}.damaged-{int(time.time())}")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="rescue-") as name:
        copy, new = Path(name) / "copy.db", Path(name) / "new.db"
        for suffix in ("", "-wal"):  # the third file is made of these two
            if (part := file.with_name(file.name + suffix)).is_file():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        with contextlib.closing(sqlite3.connect(new)) as target:
            migrate(target, size_of)
            with contextlib.closing(_damaged(copy)) as source, target:
                _save_starts(source, target)
                for table in KEPT:
                    report.saved[table], report.lost[table] = _save(source, target, table, size_of)
        _exchange(file, new, report.aside)
    return report


def _exchange(file: Path, new: Path, aside: str) -> None:
    for suffix in ("", *SIDE_FILES):
        part = file.with_name(file.name + suffix)
        if part.is_file():
            shutil.copyfile(part, part.with_name(aside + suffix))
            part.with_name(aside + suffix).chmod(0o600)
    for suffix in SIDE_FILES:  # the old file's log must never be applied to the new one
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    with new.open("rb+") as content:
        os.fsync(content.fileno())
    new.replace(file)
    sync_folder(file.parent)


def _damaged(copy: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = readable
    # Run nothing from a damaged schema; read a truncated file as far as possible.
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "writable_schema = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def readable(content: bytes) -> str:
    """Return text that may contain damaged bytes."""
    return content.decode("utf-8", "replace")


def _save(source: sqlite3.Connection, target: sqlite3.Connection, table: str, size_of: SizeOf) -> tuple[int, int]:
    """Copy the readable rows of a table; return their number, and the number of further rows in its index."""
    columns = target.execute(f"PRAGMA table_info({table})").fetchall()
    places = ", ".join("?" for _ in columns)
    search = _Search(source, table)
    saved = 0
    for row in search.rows():
        values = dict(row)
        if table == "projects":
            values = _with_sums(values, size_of)
        mended = [_mended(values.get(name), kind, bool(needed)) for _, name, kind, needed, _, _ in columns]
        saved += target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", mended).rowcount
    return saved, len(search.named - search.found)


class _Search:
    """Finds the rows of a table by order, by number and by id, whichever is intact."""

    def __init__(self, source: sqlite3.Connection, table: str) -> None:
        self._source = source
        self._table = table
        self.found: set[str] = set()
        self.named: set[str] = set()
        """Ids from the index."""
        self._numbers: set[int] = set()

    def rows(self) -> Iterator[Row]:
        table, seen = self._table, set[int]()
        for order in ("ASC", "DESC"):
            for row in self._all(f"SELECT rowid AS number_, * FROM {table} NOT INDEXED ORDER BY rowid {order}"):
                seen.add(row["number_"])
                yield from self._new(row)
            for row in self._all(f"SELECT id, rowid AS number_ FROM {table} ORDER BY id {order}"):
                self.named.add(str(row["id"]))
                self._numbers.add(row["number_"])
        last = max([*self._numbers, *seen], default=0) + PROBED_BEYOND
        for number in range(1, last):
            if number not in seen:
                for row in self._all(f"SELECT * FROM {table} NOT INDEXED WHERE rowid = ?", number):
                    yield from self._new(row)
        for name in sorted(self.named - self.found):
            for row in self._all(f"SELECT * FROM {table} WHERE id = ?", name):
                yield from self._new(row)

    def _new(self, row: sqlite3.Row) -> Iterator[Row]:
        values = {key: row[key] for key in row.keys() if key != "number_"}  # noqa: SIM118 - a Row yields its values
        if values.get("id") is not None and str(values["id"]) not in self.found:
            self.found.add(str(values["id"]))
            yield values

    def _all(self, query: str, *parameters: object) -> Iterator[sqlite3.Row]:
        """Yield rows up to the first unreadable one."""
        until = time.monotonic() + STATEMENT_S
        self._source.set_progress_handler(lambda: time.monotonic() > until, 100_000)
        with contextlib.suppress(sqlite3.Error, OverflowError, MemoryError):
            yield from self._source.execute(query, parameters)


def _save_starts(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Restore the count of starts, from which event ids rise, to at least its readable value."""
    last = 0
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.Error):
            for (number,) in source.execute(f"SELECT rowid FROM starts ORDER BY rowid {order}"):
                last = max(last, min(number, 1_000_000))
    target.executemany("INSERT INTO starts VALUES (?)", ([time.time()] for _ in range(last)))


def _with_sums(values: dict[str, Any], size_of: SizeOf) -> dict[str, Any]:
    document = values.get("document")
    if isinstance(document, str) and not isinstance(values.get("checksum"), int):
        values["checksum"] = first_checksum_of(document)
    if isinstance(document, str):
        values["bytes"] = size_of(document)
    return values


def _mended(value: object, kind: str, needed: bool) -> object:
    """Return a value in its column's type; damage may have changed the type."""
    match kind, value:
        case _, None:
            return {"TEXT": "", "INTEGER": 0, "REAL": 0.0}[kind] if needed else None
        case "TEXT", _:
            return readable(value) if isinstance(value, bytes) else str(value)
        case "INTEGER", int():
            return value
        case "REAL", int() | float() if math.isfinite(value):
            return float(value)
        case _:
            return 0 if needed else None

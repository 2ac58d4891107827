"""The tables of the database, version by version, and the way of an older file to the newest version.

`PRAGMA user_version` is the version. That of 0.1.0 is 0, and its tables are those of version 1.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable

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
# The document comes last: SQLite reads a row up to the column that it needs, and lists need all others.
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
"""How many bytes a project with this document takes, its pictures included."""


class NewerVersionError(Exception):
    """The file was written by a newer version of the product."""


def checksum_of(document: str) -> int:
    """Return the CRC-32 by which damage to a document is seen that SQLite does not see."""
    return zlib.crc32(document.encode())


def first_checksum_of(document: str) -> int:
    """Return the checksum of a document that had none; what is no JSON object any more gets one that nothing has."""
    try:
        return checksum_of(document) if isinstance(json.loads(document), dict) else -1
    except (ValueError, RecursionError):
        return -1


def migrate(
    connection: sqlite3.Connection,
    size_of: SizeOf,
    check: Callable[[sqlite3.Connection], None] = lambda connection: None,
) -> None:
    """Bring a database that passes `check` to the newest version, each step in a transaction of its own.

    Raises `NewerVersionError`, before anything is changed.
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
    """Say of each project what it takes, and of its document a checksum."""
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

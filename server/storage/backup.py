"""Backups of a data folder as one file, possible while the service runs, and restoring them.

The file is a ZIP of `studio.db`, `images/{aa}/{sha256}.png` and `backup.json`:
`{"format": "llm-dit backup", "version": 1, "llm_dit", "made_at", "database": sha256 of studio.db}`.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from llm_dit.errors import InputError
from server.storage.database import LOCK_NAME, FolderLock, prepare
from server.storage.images import SHA256, ImageStore, sync_folder
from server.storage.tables import VERSION as TABLES_VERSION

FORMAT, VERSION = "llm-dit backup", 1
DATABASE, ABOUT, IMAGES = "studio.db", "backup.json", "images"
PICTURE = re.compile(r"images/([0-9a-f]{2})/(\1[0-9a-f]{62})\.png")
NAMED = """SELECT input || coalesce(result, '') FROM jobs
UNION ALL SELECT document || coalesce(thumbnail, '') FROM projects"""
CHUNK_BYTES = 1 << 20
BUSY_S = 10.0
NO_BACKUP = "{source} is not a backup: pass a file that `llm-dit backup` wrote, unchanged."
DAMAGED = "{source} is damaged ({part}): nothing was restored. Use another backup."


@dataclass(kw_only=True)
class Inventory:
    """The contents of a backup, and the SHA-256 of pictures of its jobs and projects that are missing."""

    projects: int = 0
    jobs: int = 0
    pictures: set[str] = field(default_factory=set[str])
    missing: set[str] = field(default_factory=set[str])


def back_up(data_dir: Path, target: Path) -> tuple[Path, Inventory]:
    """Write a backup; return its path and its contents; raises `InputError` and `OSError`.

    A `target` that does not end in .zip is a folder, created if it is missing; the file in it has the time in its name.
    The service may run: the copy of the database is consistent, and includes every picture to which it refers, except
    damaged ones.
    """
    if not (data_dir / DATABASE).is_file():
        raise InputError(f"{data_dir} contains no data: pass the config or the profile of the service.", param="config")
    if target.is_dir() or target.suffix.lower() != ".zip":
        target.mkdir(parents=True, exist_ok=True)
        target = target / time.strftime("llm-dit-backup-%Y%m%d-%H%M%S.zip")
    if target.exists():
        raise InputError(f"{target} already exists: choose another name.", param="target")
    store = ImageStore(data_dir)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as name:
        file, copy = Path(name) / "backup.zip", Path(name) / DATABASE
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            inventory = Inventory()
            # Before the database is copied, because pictures may go after that; and again for pictures that came since.
            _add_pictures(archive, store, inventory)
            _copy_database(data_dir / DATABASE, copy)
            _add_pictures(archive, store, inventory)
            _take_stock(copy, inventory)
            archive.write(copy, DATABASE)
            about = {"format": FORMAT, "version": VERSION, "llm_dit": version("llm-dit"), "made_at": time.time()}
            archive.writestr(ABOUT, json.dumps({**about, "database": _sha256_of(copy)}))
        file.chmod(0o600)
        _sync(file)
        file.rename(target)
    sync_folder(target.parent)
    return target, inventory


def restore(source: Path, data_dir: Path, *, overwrite: bool = False) -> tuple[Path | None, Inventory]:
    """Restore a backup into a data folder; return the folder of the previous contents, and the backup's contents.

    Everything is checked before any change. Raises `InputError` for a file that is no backup, is damaged or of a newer
    version, and for a folder that is not empty unless `overwrite`; `SettingsError` while a service runs.
    """
    if not zipfile.is_zipfile(source):
        raise InputError(NO_BACKUP.format(source=source), param="source")
    prepare(data_dir)
    lock = FolderLock(data_dir)
    try:
        there = [path for path in data_dir.iterdir() if path.name not in {LOCK_NAME, f"{LOCK_NAME}-journal"}]
        if there and not overwrite:
            raise InputError(
                f"{data_dir} is not empty: pass --overwrite, which moves its contents aside, or another data_dir.",
                param="overwrite",
            )
        with tempfile.TemporaryDirectory(dir=data_dir, prefix="restore-") as name:
            staged = Path(name)
            inventory = _unpack(source, staged)
            before = _set_aside(data_dir, there) if there else None
            (staged / IMAGES).rename(data_dir / IMAGES)
            (staged / DATABASE).rename(data_dir / DATABASE)
        sync_folder(data_dir)
    finally:
        lock.release()
    return before, inventory


def _add_pictures(archive: zipfile.ZipFile, store: ImageStore, inventory: Inventory) -> None:
    for file in store.files():
        if file.sha256 in inventory.pictures or not SHA256.fullmatch(file.sha256):
            continue
        content = store.path(file.sha256).read_bytes() if file.sha256 in store else b""
        if hashlib.sha256(content).hexdigest() == file.sha256:
            archive.writestr(f"{IMAGES}/{file.sha256[:2]}/{file.sha256}.png", content)
            inventory.pictures.add(file.sha256)


def _copy_database(file: Path, copy: Path) -> None:
    try:
        with (
            contextlib.closing(sqlite3.connect(file, timeout=BUSY_S)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            _check(target)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise InputError(
                "The service keeps its database to itself, as version 0.1.0 does, and every version in a network "
                "folder without shared memory: stop it for the backup.",
                param="config",
            ) from None
        raise InputError(
            "The database is damaged: start the service, which saves what can be read, and make the backup then.",
            param="config",
        ) from None


def _check(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("damaged")


def _take_stock(copy: Path, inventory: Inventory) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as database:
        inventory.projects = database.execute("SELECT count(*) FROM projects").fetchone()[0]
        inventory.jobs = database.execute("SELECT count(*) FROM jobs").fetchone()[0]
        named = {sha256 for (text,) in database.execute(NAMED) for sha256 in SHA256.findall(text)}
    inventory.missing = named - inventory.pictures


def _unpack(source: Path, folder: Path) -> Inventory:
    """Write the files of a backup into a folder, checking the SHA-256 of each."""
    inventory = Inventory()
    (folder / IMAGES).mkdir(mode=0o700)
    try:
        with zipfile.ZipFile(source) as archive:
            about = _about(archive, source)
            if _write(archive, DATABASE, folder / DATABASE) != about.get("database"):
                raise InputError(DAMAGED.format(source=source, part=DATABASE), param="source")
            for name in archive.namelist():
                if match := PICTURE.fullmatch(name):
                    (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
                    if _write(archive, name, folder / name) != match[2]:
                        raise InputError(DAMAGED.format(source=source, part=name), param="source")
                    inventory.pictures.add(match[2])
        with contextlib.closing(sqlite3.connect(folder / DATABASE)) as database:
            _check(database)
            newer = database.execute("PRAGMA user_version").fetchone()[0] > TABLES_VERSION
        if newer:
            raise InputError(
                f"A newer version of llm-dit wrote {source}: restore it with that version.", param="source"
            )
        _take_stock(folder / DATABASE, inventory)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, sqlite3.DatabaseError):
        raise InputError(DAMAGED.format(source=source, part="it cannot be read"), param="source") from None
    return inventory


def _about(archive: zipfile.ZipFile, source: Path) -> dict[str, Any]:
    about: dict[str, Any] = {}
    with contextlib.suppress(KeyError, ValueError, TypeError):
        about = dict(json.loads(archive.read(ABOUT)))
    is_backup = about.get("format") == FORMAT and isinstance(about.get("version"), int)
    if not is_backup or DATABASE not in archive.namelist():
        raise InputError(NO_BACKUP.format(source=source), param="source")
    if about["version"] > VERSION:
        raise InputError(f"A newer version of llm-dit wrote {source}: restore it with that version.", param="source")
    return about


def _write(archive: zipfile.ZipFile, name: str, target: Path) -> str:
    """Write a part of a backup to a file, and return its SHA-256."""
    digest = hashlib.sha256()
    with archive.open(name) as content, target.open("xb") as file:
        for chunk in _chunks(content):
            digest.update(chunk)
            file.write(chunk)
    target.chmod(0o600)
    _sync(target)
    return digest.hexdigest()


def _set_aside(data_dir: Path, there: list[Path]) -> Path:
    aside = data_dir / time.strftime("before-restore-%Y%m%d-%H%M%S")
    aside.mkdir(mode=0o700)
    for path in there:
        shutil.move(path, aside / path.name)
    return aside


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(CHUNK_BYTES):
        yield chunk


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())

"""What is saved of a damaged database, and what a start says that cannot be."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_dit.errors import LLMDiTError
from server.errors import DamagedError, SettingsError
from server.projects.projects import ProjectDraft, Projects, Quota
from server.storage.database import Database
from server.storage.images import ImageStore

QUOTA = Quota(projects=1000, bytes=1e9)
NAMES = [f"海报 {number}" for number in range(20)]


def open_database(folder: Path) -> Database:
    return Database(folder, len)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with projects within a page and over many."""
    folder = tmp_path_factory.mktemp("whole") / "data"

    async def fill() -> None:
        database = open_database(folder)
        projects = Projects(database, ImageStore(folder), QUOTA)
        for number, name in enumerate(NAMES):
            await projects.add(ProjectDraft(name=name, document={"text": "层" * 10 ** (number % 4)}))
        database.close()

    asyncio.run(fill())
    return folder


def names_in(folder: Path) -> set[str]:
    """Return the names of the projects that are listed; each one listed opens, or is told to be damaged."""

    async def look() -> set[str]:
        database = open_database(folder)
        projects = Projects(database, ImageStore(folder), QUOTA)
        listed = await projects.all()
        for each in listed:
            with contextlib.suppress(DamagedError):
                assert isinstance(json.loads((await projects.get(each.id)).document), dict)
        await projects.add(ProjectDraft(name="New", document={}))
        database.close()
        return {each.name for each in listed}

    return asyncio.run(look())


def readable(file: Path, whole: Path) -> set[str]:
    """Return the names of the projects whose row SQLite can read by its id."""
    with contextlib.closing(sqlite3.connect(whole)) as database:
        rows = database.execute("SELECT id, name FROM projects").fetchall()
    found: set[str] = set()
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.text_factory = bytes
        for name, title in rows:
            with contextlib.suppress(sqlite3.Error):
                row = database.execute("SELECT * FROM projects WHERE id = ?", [name]).fetchone()
                found |= {title} if row is not None and row[1] == title.encode() else set()
    return found


def test_what_sqlite_can_read_by_its_id_is_listed(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("PYTEST_SEED", 7))
    pages = (whole / "studio.db").stat().st_size // 4096
    for page in range(pages):
        folder = tmp_path / str(page)
        shutil.copytree(whole, folder)
        with (folder / "studio.db").open("rb+") as file:
            file.seek(page * 4096)
            file.write(chance.randbytes(4096))
        shutil.copyfile(folder / "studio.db", tmp_path / "copy.db")
        wanted = readable(tmp_path / "copy.db", whole / "studio.db")
        assert names_in(folder) >= wanted, f"page {page + 1}"
        aside = list(folder.glob("studio.damaged-*"))
        assert all(path.read_bytes() == (tmp_path / "copy.db").read_bytes() for path in aside)
        shutil.rmtree(folder)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def scramble_log(file: Path) -> None:
    file.with_name("studio.db-wal").write_bytes(random.Random(1).randbytes(50_000))
    file.with_name("studio.db-shm").write_bytes(random.Random(2).randbytes(32_768))


@pytest.mark.parametrize("harm", [cut, empty, scramble_log])
def test_other_damage_is_got_over(whole: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    folder = tmp_path / "data"
    shutil.copytree(whole, folder)
    harm(folder / "studio.db")
    names = names_in(folder)
    left: dict[Callable[[Path], None], bool] = {
        cut: 0 < len(names) < 20,
        empty: not names,
        scramble_log: names == set(NAMES),
    }
    assert left[harm]
    assert names_in(folder) == {*names, "New"}


def folder_for_file(data: Path) -> None:
    data.mkdir()
    (data / "studio.db").mkdir()


def file_for_folder(data: Path) -> None:
    data.write_text("")


def folder_for_log(data: Path) -> None:
    open_database(data).close()
    (data / "studio.db-wal").mkdir()


@pytest.mark.parametrize("make", [folder_for_file, file_for_folder, folder_for_log])
def test_what_cannot_be_opened_is_said(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "data")
    with pytest.raises(SettingsError, match=r"cannot be (opened|written)"):
        open_database(tmp_path / "data")


def test_damage_under_way_is_told(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "data")

    async def look() -> None:
        database = open_database(tmp_path / "data")
        file = tmp_path / "data/studio.db"
        # Another program spoils the file; SQLite's own memory of it is as good as nothing for these.
        with file.open("rb+") as content:
            content.seek(4096)
            content.write(random.Random(3).randbytes(file.stat().st_size - 4096))
        await database.rows("PRAGMA shrink_memory")
        with pytest.raises(LLMDiTError) as raised:
            for _ in range(3):
                await database.change("UPDATE projects SET name = name || 'x'")
                await database.rows("SELECT document FROM projects")
        assert raised.value.code == "damaged"
        assert database.problem is not None
        assert (await database.look()) is database.problem, "damage does not pass by itself"
        database.close()

    asyncio.run(look())


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_others_on_the_computer_are_kept_out(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(whole, folder)
    old = folder / "images/ab/old.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    for path in (folder, old, folder / "studio.db", old.parent):
        path.chmod(0o755)
    database = open_database(folder)
    ImageStore(folder).put(b"new")
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert folder.stat().st_mode & 0o777 == 0o700
    database.close()

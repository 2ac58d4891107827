"""Backup while the service runs, and its way back."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kept.test_kept import AS_KEPT, LIVING, PROJECTS, VERSIONS, projects
from tests.kit.forks import llm_dit
from tests.kit.service import Service, serve
from tests.server.test_cli import one_line_error


def run(*arguments: object, data: Path) -> subprocess.CompletedProcess[str]:
    environment = {"LLM_DIT_SERVER__DATA_DIR": str(data), "PATH": ""}
    return llm_dit(*arguments, cwd=data.parent, environment=environment)


def pictures(data: Path) -> set[str]:
    return {path.name for path in (data / "images").rglob("*.png")}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with projects and jobs that was killed, so that its latest changes are in SQLite's log only."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(VERSIONS[0] / "studio", folder / "data")
    with serve(folder, app="tests.kit.app:app", environment=AS_KEPT) as service:
        with service.connect() as client:
            client.post(PROJECTS, json={"name": "While it runs", "document": {}}).raise_for_status()
        # A kept job that goes on may end after the backup, and leave a picture that is not in it.
        (folder / "before").write_text("\n".join(pictures(folder / "data")))
        done = run("backup", folder / "backup.zip", data=folder / "data")
        assert done.returncode == 0, done.stderr
        assert "5 projects, 9 jobs" in done.stdout
        assert "lost" not in done.stdout
        refused = run("restore", folder / "backup.zip", "--overwrite", data=folder / "data")
        assert "another service uses this folder" in one_line_error(refused, 2)
    return service


@pytest.fixture
def backup(opened: Service) -> Path:
    return opened.folder / "backup.zip"


def test_a_backup_of_a_running_service_brings_everything_back(backup: Path, opened: Service, tmp_path: Path) -> None:
    done = run("restore", backup, data=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    before = set((opened.folder / "before").read_text().split())
    assert before and pictures(tmp_path / "data") >= before
    with (
        serve(tmp_path, app="tests.kit.app:app", environment=AS_KEPT) as service,
        service.connect() as client,
    ):
        assert set(projects(client)) == {*LIVING, "While it runs"}
        document = client.get(projects(client)["poster"]).json()["document"]
        for layer in document["table"]:
            client.get(layer["image"]).raise_for_status()


def test_what_is_there_is_not_overwritten_unasked(backup: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "studio.db").write_bytes(b"mine")
    assert "is not empty" in one_line_error(run("restore", backup, data=data), 2)
    assert (data / "studio.db").read_bytes() == b"mine"
    done = run("restore", backup, "--overwrite", data=data)
    assert done.returncode == 0, done.stderr
    (aside,) = data.glob("before-restore-*")
    assert (aside / "studio.db").read_bytes() == b"mine"
    assert (data / "studio.db").read_bytes() != b"mine"


def rewritten(backup: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Rewrite a backup with other contents; None leaves a file out."""
    with zipfile.ZipFile(backup) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                archive.writestr(name, content)
    return target


def newer(name: str, content: bytes) -> bytes:
    return json.dumps({**json.loads(content), "version": 2}).encode() if name == "backup.json" else content


def other_picture(name: str, content: bytes) -> bytes:
    return content[:-1] if name.endswith(".png") else content


def other_database(name: str, content: bytes) -> bytes:
    return content[:-1] + b"x" if name == "studio.db" else content


def no_manifest(name: str, content: bytes) -> bytes | None:
    return None if name == "backup.json" else content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (newer, "A newer version of llm-dit"),
        (other_picture, "is damaged"),
        (other_database, "is damaged (studio.db)"),
        (no_manifest, "is not a backup"),
    ],
)
def test_what_is_not_valid_changes_nothing(
    backup: Path, tmp_path: Path, change: Callable[[str, bytes], bytes | None], words: str
) -> None:
    source = rewritten(backup, tmp_path / "other.zip", change)
    assert words in one_line_error(run("restore", source, data=tmp_path / "data"), 2)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["studio.lock"]


def test_a_name_without_zip_is_a_folder_that_is_made(opened: Service, tmp_path: Path) -> None:
    done = run("backup", tmp_path / "to" / "backups", data=opened.folder / "data")
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "to" / "backups").iterdir()
    assert file.name.startswith("llm-dit-backup-")
    assert zipfile.is_zipfile(file)


def test_a_backup_that_was_cut_off_is_refused(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(backup.read_bytes()[:-100])
    assert "is not a backup" in one_line_error(run("restore", tmp_path / "cut.zip", data=tmp_path / "data"), 2)


def test_a_backup_is_never_written_over_and_says_what_was_lost(opened: Service, backup: Path, tmp_path: Path) -> None:
    assert "already exists" in one_line_error(run("backup", backup, data=opened.folder / "data"), 2)
    assert "contains no data" in one_line_error(run("backup", tmp_path, data=tmp_path / "nothing"), 2)
    data = tmp_path / "data"
    shutil.copytree(opened.folder / "data", data)
    with contextlib.closing(sqlite3.connect(data / "studio.db")) as database:
        ((thumbnail,),) = database.execute("SELECT thumbnail FROM projects WHERE name = 'poster'").fetchall()
    (data / "images" / thumbnail[:2] / f"{thumbnail}.png").write_bytes(b"damaged")
    done = run("backup", tmp_path, data=data)
    assert "1 further picture already missing" in done.stdout, done.stderr
    assert len(list(tmp_path.glob("llm-dit-backup-*.zip"))) == 1

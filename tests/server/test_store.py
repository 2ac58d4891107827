"""The image store: idempotent, atomic, and deaf to names that are no SHA-256."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import NotFoundError, StorageError
from server.storage.images import PNG_END, ImageStore

PICTURE = b"x" * 1000 + PNG_END


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000))
def test_it_gives_back_what_it_was_given(tmp_path: Path, content: bytes) -> None:
    store = ImageStore(tmp_path)
    sha256 = store.put(content)
    assert sha256 == store.put(content) == hashlib.sha256(content).hexdigest()
    assert sha256 in store
    assert ImageStore(tmp_path).read(sha256) == content


def test_writing_the_same_at_once_leaves_one_file(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    content = b"x" * 1_000_000 + PNG_END
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: store.put(content), range(32)))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{names.pop()}.png"]


@pytest.mark.parametrize("name", ["", "0", "0" * 64, "../" * 21 + "x", "A" * 64, "0" * 63 + "\n", "0" * 65])
def test_what_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    store = ImageStore(tmp_path)
    assert name not in store
    with pytest.raises(NotFoundError):
        store.read(name)


def file_of(store: ImageStore, sha256: str) -> Path:
    return store.data_dir / "images" / sha256[:2] / f"{sha256}.png"


@pytest.mark.parametrize(
    "damaged", [PICTURE[:-1], PICTURE[:7], b"", bytes(len(PICTURE)), PICTURE.replace(b"x", b"y", 1)]
)
def test_a_damaged_picture_is_never_given_out_and_is_mended_by_the_same(tmp_path: Path, damaged: bytes) -> None:
    store = ImageStore(tmp_path)
    sha256 = store.put(PICTURE)
    file_of(store, sha256).write_bytes(damaged)
    if not damaged.endswith(PNG_END):
        assert not store.use(sha256), "its end is not there"
    assert store.put(PICTURE) == sha256
    assert store.read(sha256) == PICTURE
    file_of(store, sha256).write_bytes(damaged)
    with pytest.raises(NotFoundError):
        store.read(sha256)
    assert sha256 not in store
    assert store.put(PICTURE) == sha256
    assert store.read(sha256) == PICTURE


def test_a_folder_that_cannot_be_written_is_said_until_it_can(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(StorageError):
        store.put(PICTURE)
    assert isinstance(store.look(), StorageError)
    (tmp_path / "images").unlink()
    assert store.look() is None
    assert store.read(store.put(PICTURE)) == PICTURE


def test_a_picture_that_was_whole_is_looked_at_again_when_its_file_has_changed(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    sha256 = store.put(PICTURE)
    assert store.read(sha256) == store.read(sha256) == PICTURE
    about = store.path(sha256).stat()
    store.path(sha256).write_bytes(b"y" * 1000 + PNG_END)
    os.utime(store.path(sha256), ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    with pytest.raises(NotFoundError):
        store.read(sha256)


def test_a_picture_that_windows_keeps_because_somebody_reads_it_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open file cannot be renamed there; and what an interrupted removal left is in the way of no other."""
    store = ImageStore(tmp_path)
    sha256 = store.put(PICTURE)
    (file,) = store.files()
    left = store.path(sha256).with_suffix(".gone")
    left.touch()

    def keep(path: Path, target: Path) -> Path:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, keep)
    assert not store.remove(file)
    assert sha256 in store
    monkeypatch.undo()

    # As Windows renames: never onto another file.
    def rename(path: Path, target: Path) -> Path:
        if target.exists():
            raise FileExistsError(17, "Cannot create a file when that file already exists")
        return path.replace(target)

    monkeypatch.setattr(Path, "rename", rename)
    assert store.remove(file)
    assert sha256 not in store and not left.exists()
